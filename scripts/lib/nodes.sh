# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034 # what is here is for those who source this
# What a node of the lab is, be it a network namespace of this machine (lab.sh) or a virtual machine (vagrant/provision):
# its addresses, its settings, what its web server says. Not here: how it comes to be. Sourced, never run.

LAB_VIPS4=(203.0.113.10 203.0.113.11)
LAB_VIPS6=(2001:db8:1::10 2001:db8:1::11)
LAB_REALS4=(10.2.1.2 10.2.2.2 10.2.3.2 10.2.4.2)
LAB_REALS6=(2001:db8:a:1::2 2001:db8:a:2::2 2001:db8:a:3::2 2001:db8:a:4::2)
LAB_UDP_PORT=7000

lab_node_addresses() { # NODE: its IPv4/length, the router's IPv4, the IPv6 prefix up to ::, the MTU
  local n=${1: -1}
  case $1 in
    client*) echo "198.51.100.$(((n - 1) * 64 + 2))/26 198.51.100.$(((n - 1) * 64 + 1)) 2001:db8:c:$n 1500" ;;
    balancer*) echo "10.1.$n.2/24 10.1.$n.1 2001:db8:b:$n 1600" ;;
    real*) echo "10.2.$n.2/24 10.2.$n.1 2001:db8:a:$n 1600" ;;
  esac
}

# lab_balancer_sed N: commands of sed that make of what is written for balancer 1 the same for balancer N
lab_balancer_sed() { printf '%s' "s/\b10\.1\.1\./10.1.$1./g; s/2001:db8:b:1::/2001:db8:b:$1::/g"; }

# Replies arrive by another link than requests leave (DSR): no reverse path check. Addresses are usable at once.
LAB_NODE_SYSCTLS=(net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
  net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv4.conf.default.arp_notify=1
  net.ipv6.conf.default.ndisc_notify=1 net.ipv6.conf.default.accept_ra=0)
# Of several next hops, a flow's ports choose, too.
LAB_ROUTER_SYSCTLS=(net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
  net.ipv4.fib_multipath_hash_policy=1 net.ipv6.fib_multipath_hash_policy=1)

# A frame that XDP sends has no second chance to get its checksum or to be cut: offloads that put that off, go.
LAB_PLAIN_LINK=(tx off gso off tso off gro off)

# lab_vip_entry VIP REAL=WEIGHT…: a VIP of a configuration file. In a file all its reals come at once; of reals that are
# added one by one, each has to wait for new flows.
lab_vip_entry() {
  local vip=$1 real
  shift
  printf '  - vip: "%s"\n    reals:\n' "$vip"
  for real; do printf '      - { address: "%s", weight: %s }\n' "${real%=*}" "${real##*=}"; done
}

# lab_nginx_config NODE FOLDER: every file below its folder; uploads are stored so that they can be compared
lab_nginx_config() {
  local dir=$2
  mkdir -p "$dir/www/upload" "$dir/tmp"
  cat <<N
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 16384; # a connection and a file for each download
pid $dir/tmp/nginx.pid;
error_log $dir/nginx-error.log;
events { worker_connections 16384; } # with few left nginx resets those that have not asked yet
http {
  access_log off;
  client_body_temp_path $dir/tmp/body;
  proxy_temp_path $dir/tmp/proxy;
  fastcgi_temp_path $dir/tmp/fastcgi;
  uwsgi_temp_path $dir/tmp/uwsgi;
  scgi_temp_path $dir/tmp/scgi;
  client_max_body_size 64m;
  server {
    listen 0.0.0.0:80 backlog=4096;
    listen [::]:80 backlog=4096;
    root $dir/www;
    add_header X-Real $1;
    location = / { default_type text/plain; return 200 "$1"; }
    location /upload/ { dav_methods PUT; }
    location /slow/ { alias $dir/www/; limit_rate 200k; }
    location /crawl/ { alias $dir/www/; limit_rate 4k; }
  }
}
N
}
