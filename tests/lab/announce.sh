#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What one balancer tells a BGP speaker, route by route, and others at /ready: every reason for and against announcing.
# Not here: speakers and routers (anycast.sh).
LAB_NODES=(client1 router balancer1 real1 real2 real3 real4)
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

LISTEN=127.0.0.1:9871 TABLE=83 PREFIX4=$VIP4/32 PREFIX6=$VIP6/128
UNIT_SECONDS=0.1

start() { lab_daemon_start 1 --announce_table=$TABLE --graceful_seconds=1 --metrics_listen="$LISTEN"; }

# metric_of ADDRESS: of its route; nothing without one
metric_of() {
  local family=-4
  [[ $1 != *:* ]] || family=-6
  lab_ip balancer1 "$family" -oneline route show table "$TABLE" "$1" | sed -n 's/.* metric \([0-9]*\).*/\1/p'
}
has_metric() { [[ $(metric_of "$1") == "$2" ]]; }
soon_metric() { # ADDRESS METRIC [SECONDS]
  POLL_PAUSE_SECONDS=$UNIT_SECONDS poll "${3:-5}" has_metric "$1" "$2" ||
    { echo "metric of $1: '$(metric_of "$1")', expected '$2'"; ctl announce list; return 1; }
}
why() { ctl -o json announce list | jq -r --arg prefix "$1" '.prefixes[] | select(.prefix == $prefix) | .cause'; }
ready_status() { lab_in balancer1 curl -g -s -o "$SCRATCH/ready" -w '%{http_code}' "http://$LISTEN/ready$1"; }
last_event() { ctl -o json events --limit=1 | jq -r '"\(.kind) \(.vip)"'; }
is_last_event() { [[ $(last_event) == "$1" ]]; }

announced_at_once() {
  soon_metric "$VIP4" 100
  soon_metric "$VIP6" 100
  expect_contains "list" "$(ctl announce list)" "routes in table $TABLE, protocol 83; the host is serving"
  expect_equal "routes in the main table" "$(lab_ip balancer1 route show proto 83 table main)" ""
  expect_equal "ready" "$(ready_status "")" 200
  expect_equal "ready by VIP" "$(ready_status "/$TCP4") $(ready_status "/$TCP6")" "200 200"
  expect_equal "ready of another" "$(ready_status /203.0.113.99:80/tcp) $(ready_status /nonsense)" "404 404"
}

monitor_saw() { grep -qF "$1" "$LAB/balancer1/monitor.log"; }

crash_flaps_nothing() {
  lab_start balancer1 monitor stdbuf -oL ip monitor route
  lab_daemon_stop 1 KILL
  has_metric "$VIP4" 100
  start
  sleep 1
  lab_ip balancer1 route add blackhole 192.0.2.8 table "$TABLE" metric 5 # that it sees something
  poll 5 monitor_saw 192.0.2.8
  lab_stop balancer1 monitor
  expect_equal "changes of routes" "$(grep "$VIP4\|$VIP6" "$LAB/balancer1/monitor.log" || true)" ""
}

what_was_removed_comes_back() {
  lab_ip balancer1 route del blackhole "$VIP4" table "$TABLE" metric 100
  lab_ip balancer1 route add blackhole 192.0.2.9 table "$TABLE" metric 5 proto 83 # none of ours any more
  lab_ip balancer1 route add blackhole 192.0.2.10 table "$TABLE" metric 5 proto static
  soon_metric "$VIP4" 100 10
  soon_metric 192.0.2.9 ""
  has_metric 192.0.2.10 5
}

an_operators_word() {
  ctl announce down "$TCP4" >/dev/null
  soon_metric "$VIP4" 100 # the UDP VIP has the prefix, too
  ctl vip set "$TCP4" --required >/dev/null
  soon_metric "$VIP4" ""
  expect_contains "why" "$(why "$PREFIX4")" "an operator took it down"
  expect_equal "ready" "$(ready_status "/$TCP4") $(ready_status "/$UDP4") $(ready_status "")" "503 200 200"
  ctl announce up "$TCP4" >/dev/null
  soon_metric "$VIP4" 100 2 # what was planned is not held down
  ctl vip set "$TCP4" --no-required >/dev/null
}

preference_is_the_metric() {
  ctl vip set "$TCP4" --preference=50 --community=64512:7 --community=64512:1:2 >/dev/null
  soon_metric "$VIP4" 50
  expect_contains "BIRD's filter" "$(ctl announce filter bird)" "if net = $PREFIX4 then {"
  expect_contains "BIRD's filter" "$(ctl announce filter bird)" "bgp_large_community.add((64512,1,2));"
  expect_contains "FRR's filter" "$(ctl announce filter frr)" "ip prefix-list SHUNT-PREFIX-1 seq 5 permit $PREFIX4"
  poll 5 is_last_event "communities_changed null" || { last_event; return 1; }
  ctl vip set "$TCP4" --preference=100 --community=default >/dev/null
  soon_metric "$VIP4" 100
}

drained_by_grace_or_preference() {
  ctl vip set "$TCP6" --on-drain=lower >/dev/null
  ctl drain-host >/dev/null
  soon_metric "$VIP4" 2100 1
  soon_metric "$VIP6" 1100 1
  soon_metric "$VIP4" "" 3
  has_metric "$VIP6" 1100
  expect_equal "ready" "$(ready_status "")" 503
  lab_daemon_stop 1 KILL
  start
  sleep 0.5
  expect_equal "after a crash" "$(metric_of "$VIP4") $(metric_of "$VIP6")" " 1100"
  ctl undrain-host >/dev/null
  soon_metric "$VIP4" 100
  soon_metric "$VIP6" 100
}

stop_servers() { local node; for node in $(lab_nodes real); do lab_stop "$node" nginx; done; }
start_servers() {
  local node
  for node in $(lab_nodes real); do
    lab_start "$node" nginx nginx -e "$LAB/$node/nginx-error.log" -c "$LAB/$node/nginx.conf"
  done
}

last_real_dies() {
  local start
  ctl vip rm "$UDP4" >/dev/null
  ctl vip set "$TCP4" --check=http --check-interval=200ms --check-timeout=100ms --rise=1 --hold=2s --max-hold=10s >/dev/null
  sleep 1
  has_metric "$VIP4" 100
  start=$(now_ms)
  stop_servers
  soon_metric "$VIP4" "" 5
  expect_between "ms until withdrawn" $(($(now_ms) - start)) 0 2500
  has_metric "$VIP6" 100
  expect_contains "why" "$(why "$PREFIX4")" "0 "
  expect_equal "ready" "$(ready_status "/$TCP4")" 503
  start=$(now_ms)
  start_servers
  poll 10 ctl_says_held
  soon_metric "$VIP4" 100 10
  expect_between "ms until announced" $(($(now_ms) - start)) 900 9000
}
ctl_says_held() { ctl announce list | grep -q "held down"; }

lowered_instead() {
  ctl vip set "$TCP4" --on-unhealthy=lower --panic-action=fail_open >/dev/null
  stop_servers
  soon_metric "$VIP4" 1100 5
  start_servers
  soon_metric "$VIP4" 100 30
  ctl vip set "$TCP4" --check=none --on-unhealthy=default >/dev/null
}

link_decides() {
  lab_ip balancer1 link set eth0 down
  soon_metric "$VIP6" "" 3
  expect_contains "why" "$(why "$PREFIX6")" "eth0: the link is down"
  lab_ip balancer1 link set eth0 up
  lab_ip balancer1 -6 address replace 2001:db8:b:1::2/64 dev eth0 nodad
  lab_ip balancer1 -6 route replace default via 2001:db8:b:1::1
  lab_ip balancer1 route replace default via 10.1.1.1
  soon_metric "$VIP6" 100 20
}

# The program answers as it is asked: with the reals' next hops gone, no packet leaves.
self_test_decides() {
  local real
  soon_metric "$VIP4" 100 30
  for real in "${LAB_REALS4[@]}"; do lab_ip balancer1 route add blackhole "$real"; done
  soon_metric "$VIP4" "" 20
  expect_contains "why" "$(why "$PREFIX4")" "self-test: the program did not send the packet on"
  has_metric "$VIP6" 100
  for real in "${LAB_REALS4[@]}"; do lab_ip balancer1 route del blackhole "$real"; done
  soon_metric "$VIP4" 100 60
}

sigterm_withdraws() {
  lab_daemon_stop 1
  expect_equal "routes left" "$(metric_of "$VIP4")$(metric_of "$VIP6")" ""
  expect_contains "the log" "$(grep leaving "$LAB/balancer1/shuntd.log")" "leaving: nothing is announced any more"
}

refused() {
  expect_status 2 "$SHUNTD" --interfaces=eth0 --announce_table=254
  expect_contains "table" "$OUTPUT" "--announce_table: 254 is a table that the kernel forwards by"
  expect_status 2 "$SHUNTD" --interfaces=eth0 --announce_protocol=2
  expect_status 2 ctl vip set "$TCP4" --prefix=10.0.0.0/8 --community=foo --preference=0
  start
  expect_status 2 ctl vip set "$TCP4" --prefix=10.0.0.0/8 --community=foo
  expect_contains "prefix" "$OUTPUT" "announce.prefix: 10.0.0.0/8 does not hold the VIP's address $VIP4"
  expect_contains "community" "$OUTPUT" "\"foo\" is no community"
}

test_lab
start
usual_vips 10 10 10 10

it "a VIP with healthy reals has a route in that table, and is ready" announced_at_once
it "a crash and the next start change no route" crash_flaps_nothing
it "a route that somebody removed comes back, one of nobody goes, others' stay" what_was_removed_comes_back
it "an operator's word counts at once; a required VIP speaks for its prefix" an_operators_word
it "the preference is the metric, and communities are a filter" preference_is_the_metric
it "a host that drains asks others first, then withdraws or stays less preferred; so after a crash" drained_by_grace_or_preference
it "the last healthy real dies: withdrawn in time, and held down when it is back" last_real_dies
it "with lower instead of withdraw it stays, less preferred" lowered_instead
it "a link that is down announces nothing" link_decides
it "a VIP whose packets the program does not send is not announced" self_test_decides
it "SIGTERM withdraws before it stops" sigterm_withdraws
it "what makes no sense is refused" refused
finish
