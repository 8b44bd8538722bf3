#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What shuntd may do, and who may do what with it: a user of its own with a few capabilities, a filter on system calls,
# and everything that must work all the same; roles on the socket; mutual TLS; what the service manager is told. Users of
# Debian's base system stand for the daemon's own, for an admin, for a reader and for a stranger.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/health_lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/api_lib.sh"

OWN=daemon ADMIN=backup READER=games STRANGER=news
KINDS=(tcp http https http2 grpc udp dns tls icmp exec)
KEPT=000000c000003000     # CAP_NET_ADMIN, CAP_NET_RAW, CAP_PERFMON, CAP_BPF
STARTER=00000000000000e0  # CAP_KILL, CAP_SETGID, CAP_SETUID
BALANCER4=10.1.1.2
HIDDEN_VIP=203.0.113.99:80/tcp LARGE_VIP=203.0.113.98:80/tcp

# What systemd's unit makes: a folder in which the daemon may replace its store, and a bpffs that only root may enter.
folders() {
  local dir=$LAB/balancer1
  mkdir "$dir/etc"
  chown "root:$OWN" "$dir/etc"
  chmod 1770 "$dir/etc"
  chmod 0700 "$dir/bpffs"
  # Others may not reach the build.
  mkdir "$LAB/bin"
  cp "$SHUNTCTL" "$SHUNTD" "$LAB/bin/"
}

start_daemon() {
  lab_daemon_start 1 --user="$OWN" --store="$LAB/balancer1/etc/shunt.yaml" --admins="$ADMIN" "$@"
}
daemon_pid() { lab_pid balancer1 shuntd; }
starter_pid() { pgrep -P "$(daemon_pid)" -x shuntd-programs; }
status_of() { awk -v key="$2:" '$1 == key { $1 = ""; print substr($0, 2) }' "/proc/$1/status"; }
as() { # USER COMMAND…: with the group that may open the socket
  local user=$1
  shift
  setpriv --reuid="$user" --regid="$OWN" --clear-groups --inh-caps=-all -- "$@"
}
ctl_as() { # USER WORD…
  local user=$1
  shift
  as "$user" "$LAB/bin/shuntctl" --socket="$LAB/balancer1/shuntd.sock" "$@"
}

# ---- rights

few_rights() {
  local pid task uid set
  pid=$(daemon_pid)
  uid=$(id -u "$OWN")
  for task in "/proc/$pid/task/"*; do
    for set in CapPrm CapEff CapBnd; do expect_equal "$set of ${task##*/}" "$(status_of "$pid/task/${task##*/}" "$set")" "$KEPT"; done
    for set in CapInh CapAmb; do expect_equal "$set of ${task##*/}" "$(status_of "$pid/task/${task##*/}" "$set")" 0000000000000000; done
    expect_equal "users" "$(status_of "$pid/task/${task##*/}" Uid)" "$uid $uid $uid $uid"
    expect_equal "no new privileges" "$(status_of "$pid/task/${task##*/}" NoNewPrivs)" 1
    expect_equal "filter on system calls" "$(status_of "$pid/task/${task##*/}" Seccomp)" 2
  done
  expect_between "threads" "$(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l)" 5 1000
}

few_rights_of_starter() {
  local pid
  pid=$(starter_pid)
  expect_equal "capabilities" "$(status_of "$pid" CapPrm)" "$STARTER"
  expect_equal "user" "$(status_of "$pid" Uid | cut -d' ' -f1)" "$(id -u "$OWN")"
}

# ---- what must work all the same

all_kinds_of_probes() {
  servers_up "${KINDS[@]}"
  chmod -R a+rX "$LAB/tls" # the daemon reads the checks' certificates as its own user
  kinds_checked "${KINDS[@]}"
  expect_equal "VIPs" "$(ctl -o json health | jq '.vips | length')" "${#KINDS[@]}"
}

exec_as_others_only() {
  local cause='.vips[0].reals[0].last_cause'
  ctl vip set "$(vip_of exec)" --check-user="$READER" >/dev/null
  poll 20 causes_say "may not run programs, only nobody"
  ctl vip set "$(vip_of exec)" --check-user=nobody >/dev/null
  poll 20 health_is "$(vip_of exec)" "${LAB_REALS4[0]}" up || { ctl -o json health "$(vip_of exec)" | jq "$cause"; return 1; }
}
causes_say() { ctl -o json health "$(vip_of exec)" | jq -r '.vips[0].reals[].last_cause' | grep -q "$1"; }

store_is_written() {
  local store=$LAB/balancer1/etc/shunt.yaml
  ctl vip add "$LARGE_VIP" --ring-size=655373 >/dev/null # more memory for rings, too
  ctl real add "$LARGE_VIP" "${LAB_REALS4[0]}" >/dev/null
  expect_contains "the store" "$(<"$store")" "$LARGE_VIP"
  expect_equal "its owner" "$(stat -c '%U %a' "$store")" "$OWN 600"
}

traffic_flows() {
  expect_equal "answers" "$(lab_in client1 curl -s -o /dev/null -w '%{http_code}\n' --max-time 20 \
    "http://$VIP4:${SERVER_PORTS[icmp]}/?n=[1-20]" | grep -c 200)" 20
}

comes_back() {
  local before starter
  before=$(ctl dump | sha256sum)
  starter=$(starter_pid)
  lab_daemon_stop 1 KILL
  poll 10 is_gone "$starter" || { echo "the process that starts programs outlived its daemon"; return 1; }
  # As an operator leaves it who edited it.
  chown root:root "$LAB/balancer1/etc/shunt.yaml"
  start_daemon
  expect_equal "the store" "$(ctl dump | sha256sum)" "$before"
  poll 30 health_is "$(vip_of http)" "${LAB_REALS4[0]}" up
  few_rights
  poll 20 all_pass
  ctl vip rm "$LARGE_VIP" >/dev/null
}
is_gone() { [[ ! -e /proc/$1 ]]; }
all_pass() { [[ $(ctl -o json health | jq '[.vips[].reals[] | select(.last_passed | not)] | length') == 0 ]]; }

# Programs of others can be opened by those alone who have CAP_SYS_ADMIN, which it has given up.
stranger_on_the_interface() {
  lab_ip balancer1 -force link set dev eth0 xdp obj "$LAB_PASS_OBJECT" sec xdp
  poll 20 eth0_says "somebody else's, as far as can be told without CAP_SYS_ADMIN"
  lab_ip balancer1 link set dev eth0 xdp off
  poll 20 eth0_says null
  traffic_flows
}
eth0_says() { [[ $(ctl -o json | jq -r '.interfaces[0].problem') == *"$1"* ]]; }

refused_by_name() {
  lab_daemon_stop 1
  # A folder that is not the daemon's.
  expect_status 1 lab_in balancer1 "$SHUNTD" --interfaces=eth0 --user="$OWN" --store="$LAB/balancer1/none.yaml" \
    --socket="$SCRATCH/x.sock" --bpffs="$LAB/balancer1/bpffs"
  expect_contains "message" "$OUTPUT" "the folder must be writable"
  # No capabilities at all.
  expect_status 1 lab_in balancer1 setpriv --reuid="$OWN" --regid="$OWN" --clear-groups "$LAB/bin/shuntd" --interfaces=eth0 \
    --store="$LAB/balancer1/etc/shunt.yaml" --socket="$SCRATCH/x.sock" --bpffs="$LAB/balancer1/bpffs"
  expect_contains "message" "$OUTPUT" "without CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, CAP_SYS_ADMIN"
  expect_contains "remedy" "$OUTPUT" "setcap cap_bpf"
  expect_status 2 "$SHUNTD" --interfaces=eth0 --user=no-such-user-here
  expect_contains "message" "$OUTPUT" "useradd --system no-such-user-here"
  expect_status 2 "$SHUNTD" --interfaces=eth0 --user="$OWN" --detach_on_exit
  expect_contains "message" "$OUTPUT" "shuntctl detach"
}

# Who is not root, on a bpffs of its own.
file_capabilities() {
  local bpffs=$LAB/balancer2/bpffs run=$LAB/balancer2/run uid
  uid=$(id -u "$OWN")
  mkdir "$run"
  chown "$OWN:$OWN" "$run" "$bpffs"
  chmod 0700 "$bpffs"
  setcap cap_bpf,cap_net_admin,cap_perfmon,cap_sys_admin,cap_net_raw=ep "$LAB/bin/shuntd"
  lab_start balancer2 shuntd setpriv --reuid="$OWN" --regid="$OWN" --clear-groups --inh-caps=-all "$LAB/bin/shuntd" \
    --interfaces=eth0 --store="$run/shunt.yaml" --socket="$run/shuntd.sock" --bpffs="$bpffs"
  poll 30 file_daemon_answers
  as "$OWN" "$LAB/bin/shuntctl" --socket="$run/shuntd.sock" vip add "$HIDDEN_VIP" --ring-size=655373 >/dev/null
  expect_equal "capabilities" "$(status_of "$(lab_pid balancer2 shuntd)" CapEff)" "$KEPT"
  expect_equal "permitted" "$(status_of "$(lab_pid balancer2 shuntd)" CapPrm)" "$KEPT"
  expect_equal "user" "$(status_of "$(lab_pid balancer2 shuntd)" Uid)" "$uid $uid $uid $uid"
  lab_stop balancer2 shuntd
}
file_daemon_answers() { "$LAB/bin/shuntctl" --socket="$LAB/balancer2/run/shuntd.sock" dump >/dev/null 2>&1; }

# ---- roles

socket_mode() { expect_equal "socket" "$(stat -c '%a %U:%G' "$LAB/balancer1/shuntd.sock")" "660 root:$OWN"; }

reader_reads() {
  local verb
  for verb in "vip list" health stats verdicts flows events; do
    # shellcheck disable=SC2086 # words
    expect_status 0 ctl_as "$READER" $verb
  done
  expect_contains "the whole" "$(ctl dump)" "hash_key: \"0x"
  expect_equal "hash keys that a reader gets" "$(ctl_as "$READER" dump | grep -c 'hash_key: "0x' || true)" 0
  expect_status 1 ctl_as "$READER" vip add "$HIDDEN_VIP"
  expect_contains "message" "$OUTPUT" "may only read"
  expect_contains "remedy" "$OUTPUT" "--admins"
  expect_equal "VIPs that came of it" "$(ctl dump | grep -c "$HIDDEN_VIP" || true)" 0
}

admins_change() {
  local user
  for user in "$ADMIN" "$OWN" root; do
    expect_status 0 ctl_as "$user" vip add "$HIDDEN_VIP"
    expect_status 0 ctl_as "$user" vip rm "$HIDDEN_VIP"
  done
}

stranger_is_kept_out() {
  expect_status 1 setpriv --reuid="$STRANGER" --regid="$STRANGER" --clear-groups "$LAB/bin/shuntctl" \
    --socket="$LAB/balancer1/shuntd.sock" vip list
  expect_contains "remedy" "$OUTPUT" "member of the socket's group"
}

# ---- TLS

certificates() {
  api_authority ca
  api_authority wrong-ca
  api_certificate server ca balancer1 "subjectAltName = IP:$BALANCER4"
  api_certificate admin ca operations
  api_certificate reader ca dashboard
  api_certificate wrong wrong-ca operations
  chown "$OWN" "$LAB/api/server.key"
  chmod 0600 "$LAB/api/server.key"
}

TLS_FLAGS=()
start_with_tls() {
  TLS_FLAGS=(--listen="$BALANCER4:$API_PORT" --tls_certificate="$LAB/api/server.pem" --tls_key="$LAB/api/server.key"
    --tls_client_ca="$LAB/api/ca.pem" "--tls_admins=operations,backup-operations")
  start_daemon "${TLS_FLAGS[@]}"
}
tls_ctl() { # CERTIFICATE CA WORD…
  local certificate=$1 ca=$2
  shift 2
  timeout 20 "${LAB_ENTER_CLIENT[@]}" "$SHUNTCTL" --address="$BALANCER4:$API_PORT" --tls-ca="$LAB/api/$ca.pem" \
    --tls-certificate="$LAB/api/$certificate.pem" --tls-key="$LAB/api/$certificate.key" "$@"
}

tls_roles() {
  expect_status 0 tls_ctl reader ca vip list
  expect_status 1 tls_ctl reader ca vip add "$HIDDEN_VIP"
  expect_contains "remedy" "$OUTPUT" "--tls_admins"
  expect_equal "hash keys that a reader gets" "$(tls_ctl reader ca dump | grep -c 'hash_key: "0x' || true)" 0
  expect_status 0 tls_ctl admin ca vip add "$HIDDEN_VIP"
  expect_status 0 tls_ctl admin ca vip rm "$HIDDEN_VIP"
}

tls_refuses() {
  local version
  expect_status 1 tls_ctl wrong ca vip list      # the daemon does not know the client's authority
  expect_status 1 tls_ctl admin wrong-ca vip list # the client does not know the daemon's
  expect_contains "message" "$OUTPUT" "$BALANCER4:$API_PORT"
  expect_status 2 "$SHUNTCTL" --address="$BALANCER4:$API_PORT" --tls-ca="$LAB/api/ca.pem" vip list
  for version in tls1_2 tls1_3; do tls_handshake "$version" || { echo "$version is refused"; return 1; }; done
  ! tls_handshake tls1_1 || { echo "TLS 1.1 is taken"; return 1; }
  expect_equal "answers in plain" "$(timeout 5 "${LAB_ENTER_CLIENT[@]}" \
    curl -s --http2-prior-knowledge --max-time 3 -o /dev/null -w '%{http_code}' "http://$BALANCER4:$API_PORT/" || true)" 000
}
tls_handshake() {
  timeout 10 "${LAB_ENTER_CLIENT[@]}" openssl s_client -connect "$BALANCER4:$API_PORT" "-$1" -cipher 'ALL:@SECLEVEL=0' -alpn h2 \
    -cert "$LAB/api/admin.pem" -key "$LAB/api/admin.key" -CAfile "$LAB/api/ca.pem" -verify_return_error </dev/null \
    >"$SCRATCH/handshake" 2>&1 && grep -q 'Cipher is [A-Z]' "$SCRATCH/handshake" && ! grep -q 'Cipher is (NONE)' "$SCRATCH/handshake"
}

tls_reloads() {
  api_certificate server2 ca balancer1 "subjectAltName = IP:$BALANCER4"
  chown "$OWN" "$LAB/api/server2.key"
  chmod 0600 "$LAB/api/server2.key"
  mv "$LAB/api/server2.key" "$LAB/api/server.key"
  mv "$LAB/api/server2.pem" "$LAB/api/server.pem"
  poll 30 shows_new_certificate
  expect_status 0 tls_ctl reader ca vip list
}
shows_new_certificate() {
  tls_handshake tls1_3
  [[ $(openssl x509 -noout -serial <"$SCRATCH/handshake") == $(openssl x509 -noout -serial -in "$LAB/api/server.pem") ]]
}

tls_misuse() {
  expect_status 2 "$SHUNTD" --interfaces=eth0 --listen="$BALANCER4:$API_PORT" --tls_key="$LAB/api/server.key"
  expect_contains "message" "$OUTPUT" "--tls_certificate is missing"
  expect_contains "message" "$OUTPUT" "--tls_client_ca is missing"
  chmod 0644 "$LAB/api/server.key"
  lab_daemon_stop 1
  ! start_with_tls || { echo "a key that everybody may read is taken"; return 1; }
  chmod 0600 "$LAB/api/server.key"
  expect_contains "log" "$(tail -n 3 "$LAB/balancer1/shuntd.log")" "chmod 0600 $LAB/api/server.key"
}

# ---- the service manager

heard() { grep -q "$1" "$LAB/balancer1/notify.log"; }
alive_count() { grep -c WATCHDOG=1 "$LAB/balancer1/notify.log" || true; }
more_alive() { (($(alive_count) > $1)); }

service_manager_is_told() {
  lab_start balancer1 notify "$SHUNT_ROOT/tests/lab/notify_listener.py" "$LAB/balancer1/notify.sock"
  poll 10 heard listening
  NOTIFY_SOCKET=$LAB/balancer1/notify.sock WATCHDOG_USEC=2000000 start_daemon
  poll 20 heard READY=1
  poll 30 heard "STATUS=${#KINDS[@]} VIPs, .* reals up"
  poll 10 more_alive 2
}

watchdog_sees_a_writer_that_hangs() {
  local before
  lab_start balancer1 hold "$SHUNT_ROOT/tests/lab/hold_thread.py" "$(daemon_pid)" writer
  poll 10 grep -q held "$LAB/balancer1/hold.log"
  before=$(alive_count)
  # Others go on: reads are answered. Four times what the watchdog takes for alive.
  expect_status 0 ctl vip list
  ! POLL_PAUSE_SECONDS=0.5 poll 8 more_alive $((before + 1)) || { echo "a daemon whose writer hangs says that it is alive"; return 1; }
  lab_stop balancer1 hold
  before=$(alive_count)
  poll 10 more_alive "$before"
  lab_daemon_stop 1
  poll 5 heard STOPPING=1
}

test_lab
lab_enter client1
# shellcheck disable=SC2153 # set by lab_enter
LAB_ENTER_CLIENT=("${LAB_ENTER[@]}")
folders
certificates
start_with_tls
it "every thread of the daemon has its own user, four capabilities, no way to more, and a filter on system calls" few_rights
it "the process that starts programs keeps what that takes, and nothing else" few_rights_of_starter
it "the socket belongs to root and the daemon's group, and others cannot open it" socket_mode
it "probes of all kinds work: marked ones, raw ones and programs" all_kinds_of_probes
it "programs run only as users who may" exec_as_others_only
it "a change grows the rings and replaces the store" store_is_written
it "clients are served" traffic_flows
it "who is in the group reads all but the hash key, and changes nothing" reader_reads
it "root, the daemon's own user and the admins change things" admins_change
it "who is not in the group is told how to be" stranger_is_kept_out
it "over TLS the client's certificate decides what one may do" tls_roles
it "over TCP nobody gets in without a certificate of the right authority and TLS 1.2" tls_refuses
it "certificates that change are used without a restart" tls_reloads
it "after a crash it comes back, with a store that root has touched, and adopts" comes_back
it "somebody else's program on the interface is told and left alone, and its own is back when that goes" stranger_on_the_interface
it "TLS with files missing or a key open to all is refused" tls_misuse
it "the service manager is told of the start, the state and that it is alive" service_manager_is_told
it "a writer that hangs is noticed by the watchdog" watchdog_sees_a_writer_that_hangs
it "a start that lacks rights is refused, and says which" refused_by_name
it "who is not root starts it with file capabilities, on a bpffs of its own" file_capabilities
finish
