# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What health checks ask: on each real of a lab one real server for each kind of check, a process of its own, and ways
# to make it fail as servers fail. On request of a test; the lab comes up without them.
#
#   kind          port   server                         sick                             slow
#   tcp           8001   nginx                          -                                -
#   http          8002   nginx, HTTP/1.1                answers 503                      answers one byte a second
#   https         8443   nginx, wants a certificate     answers 503                      answers one byte a second
#   http2         8444   nginx, HTTP/2 over TLS         answers 503                      answers one byte a second
#   tls           8445   nginx                          shows another host's certificate stopped
#   grpc          8050   tests/lab/grpc_health_server   NOT_SERVING                      stopped
#   dns (UDP)       53   dnsmasq                        tells another address            stopped
#   udp (UDP)     7000   udp_server.py of the lab       answers by another name          stopped
#   icmp          8003   the kernel; nginx for traffic  -                                -
#   exec          8004   nginx, asked by curl           answers 503                      answers one byte a second
#
# Each listens on every address of the real, the VIPs among them. "Stopped": the process, by SIGSTOP; its kernel goes
# on.
# Needs common.sh and lab.sh. Not here: checks and what follows from them (tests/lab).

declare -A SERVER_PORTS=([tcp]=8001 [http]=8002 [https]=8443 [http2]=8444 [tls]=8445 [grpc]=8050 [dns]=53
  [udp]=$LAB_UDP_PORT [icmp]=8003 [exec]=8004)
SERVER_NAME=web.shunt.example # that the certificate is for
SERVER_DNS_NAME=health.shunt.example SERVER_DNS_ADDRESS=192.0.2.53
GRPC_HEALTH_SERVER=${GRPC_HEALTH_SERVER:-$BUILD_DIR/tests/lab/grpc_health_server}

# server_protocol KIND: of the VIP whose traffic goes to that server
server_protocol() { case $1 in dns | udp) echo udp ;; *) echo tcp ;; esac; }

# ---- certificates: an authority, and what it signed

server_certificate() { # FILE NAME
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$2" \
    -keyout "$LAB/tls/$1.key" -out "$LAB/tls/$1.csr" 2>/dev/null
  openssl x509 -req -in "$LAB/tls/$1.csr" -CA "$LAB/tls/ca.pem" -CAkey "$LAB/tls/ca.key" -days 2 \
    -extfile <(printf 'subjectAltName=DNS:%s\n' "$2") -out "$LAB/tls/$1.pem" 2>/dev/null
}

# ca.pem signed web.{pem,key}, other.{pem,key} (another host's) and client.{pem,key}.
server_certificates() {
  [[ ! -d $LAB/tls ]] || return 0
  mkdir "$LAB/tls"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj '/CN=lab authority' \
    -keyout "$LAB/tls/ca.key" -out "$LAB/tls/ca.pem" 2>/dev/null
  server_certificate web "$SERVER_NAME"
  server_certificate other other.shunt.example
  server_certificate client client.shunt.example
}

# server_certificate_is FOLDER NAME: what nginx shows from now on
server_certificate_is() {
  ln -sfn "$LAB/tls/$2.key" "$1/server.key"
  ln -sfn "$LAB/tls/$2.pem" "$1/server.pem"
}

# ---- servers

# A variable in the certificate's path makes nginx read it at each handshake.
server_nginx_config() { # NODE KIND
  local dir=$LAB/$1/$2 port=${SERVER_PORTS[$2]} options=
  case $2 in https | tls) options=ssl ;; http2) options='ssl http2' ;; esac
  cat <<N
daemon off;
master_process off; # one process, so that killing it kills the server
user root;
pid $dir/nginx.pid;
error_log $dir/error.log;
worker_rlimit_nofile 16384;
events { worker_connections 16384; }
http {
  access_log off;
  client_body_temp_path $dir/body;
  proxy_temp_path $dir/proxy;
  fastcgi_temp_path $dir/fastcgi;
  uwsgi_temp_path $dir/uwsgi;
  scgi_temp_path $dir/scgi;
  map "" \$tls { default $dir; }
  server {
    listen 0.0.0.0:$port backlog=4096 $options;
    listen [::]:$port backlog=4096 $options;
N
  # shellcheck disable=SC2016 # nginx's variables
  [[ -z $options ]] || printf '    ssl_certificate $tls/server.pem;\n    ssl_certificate_key $tls/server.key;\n'
  [[ $2 != https ]] || printf '    ssl_verify_client on;\n    ssl_client_certificate %s;\n' "$LAB/tls/ca.pem"
  cat <<N
    location / {
      default_type text/plain;
      set \$limit_rate 0;
      if (-f $dir/slow) { set \$limit_rate 1; }
      if (-f $dir/sick) { return 503 "$1 is sick\n"; }
      return 200 "$1 is well\n";
    }
  }
}
N
}

# server_up NODE KIND: starts it, well and quick; it may take a moment until it answers.
server_up() {
  local node=$1 kind=$2 dir=$LAB/$1/$2
  mkdir -p "$dir"
  rm -f "$dir/sick" "$dir/slow"
  case $kind in
    grpc) lab_start "$node" grpc "$GRPC_HEALTH_SERVER" "${SERVER_PORTS[grpc]}" ;;
    udp) lab_udp_up "$node" ;;
    dns)
      printf '%s %s\n' "$SERVER_DNS_ADDRESS" "$SERVER_DNS_NAME" >"$dir/hosts"
      lab_start "$node" dns dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root \
        --addn-hosts="$dir/hosts" --pid-file="$dir/pid" --log-facility=- ;;
    *)
      server_certificates
      server_certificate_is "$dir" web
      server_nginx_config "$node" "$kind" >"$dir/nginx.conf"
      lab_start "$node" "$kind" nginx -e "$dir/error.log" -c "$dir/nginx.conf" ;;
  esac
}

# server_listens NODE KIND
server_listens() {
  local table=-Htln
  [[ $(server_protocol "$2") == tcp ]] || table=-Huln
  [[ -n $(lab_in "$1" ss "$table" "sport = :${SERVER_PORTS[$2]}") ]]
}

# servers_up KIND…: on every real; waits until they listen
servers_up() {
  local node kind
  for node in real1 real2 real3 real4; do
    for kind; do [[ $kind == udp ]] || server_up "$node" "$kind"; done
  done
  for node in real1 real2 real3 real4; do
    for kind; do poll 20 server_listens "$node" "$kind" || { say "lab: $kind on $node does not listen"; return 1; }; done
  done
}

# ---- failures, each with its way back: server_FAILURE NODE KIND, server_FAILURE_over NODE KIND

server_killed() {
  kill -s KILL "$(lab_pid "$1" "$2")"
  poll 5 lab_stopped "$1" "$2"
}
server_killed_over() { server_up "$1" "$2"; }

# It answers, but not as it should.
server_sick() {
  local dir=$LAB/$1/$2
  case $2 in
    grpc | udp) kill -s USR1 "$(lab_pid "$1" "$2")" ;;
    dns) server_dns_tells "$1" 192.0.2.99 ;;
    tls) server_certificate_is "$dir" other ;;
    *) touch "$dir/sick" ;;
  esac
}
server_sick_over() {
  local dir=$LAB/$1/$2
  case $2 in
    grpc | udp) kill -s USR1 "$(lab_pid "$1" "$2")" ;;
    dns) server_dns_tells "$1" "$SERVER_DNS_ADDRESS" ;;
    tls) server_certificate_is "$dir" web ;;
    *) rm -f "$dir/sick" ;;
  esac
}

server_dns_tells() { # NODE ADDRESS
  printf '%s %s\n' "$2" "$SERVER_DNS_NAME" >"$LAB/$1/dns/hosts"
  kill -s HUP "$(lab_pid "$1" dns)" # reads the file again
}

# It answers too late.
server_slow() {
  case $2 in
    http | https | http2 | exec) touch "$LAB/$1/$2/slow" ;;
    *) kill -s STOP "$(lab_pid "$1" "$2")" ;;
  esac
}
server_slow_over() {
  case $2 in
    http | https | http2 | exec) rm -f "$LAB/$1/$2/slow" ;;
    *) kill -s CONT "$(lab_pid "$1" "$2")" ;;
  esac
}

# Packets to it are lost, without a word to who sent them.
server_silent() {
  local rule
  rule="$(server_protocol "$2") dport ${SERVER_PORTS[$2]}"
  [[ $2 != icmp ]] || rule='meta l4proto { icmp, icmpv6 }'
  lab_in "$1" nft "add table inet silence
    add chain inet silence input { type filter hook input priority 0; }
    add rule inet silence input $rule drop"
}
server_silent_over() { lab_in "$1" nft delete table inet silence; }
