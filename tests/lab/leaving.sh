#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A balancer whose traffic another takes over: drained by hand, and stopped. The hook plays the BGP speaker: it moves the
# VIPs' routes between the two balancers.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Runs as root, since it changes the router's routes. With the file `deaf` there it only writes down what it was told;
# with `slow` it takes two seconds.
hook_file() {
  local router
  router=$(lab_namespace router)
  mkdir "$LAB/hook"
  cat >"$LAB/hook-program" <<H
#!/bin/sh
[ ! -e "$LAB/hook/slow" ] || sleep 2
move() {
  [ ! -e "$LAB/hook/deaf" ] || return 0
  ip -n "$router" route replace 203.0.113.0/24 via "10.1.\$1.2"
  ip -n "$router" -6 route replace 2001:db8:1::/64 via "2001:db8:b:\$1::2"
}
case \$1 in
  host_serving) move 1 ;;
  host_draining | host_leaving) move 2 ;;
esac
echo "\$1" >>"$LAB/hook/told"
H
  chmod 755 "$LAB/hook-program"
  : >"$LAB/hook/told"
}
hook_only_listens() { touch "$LAB/hook/deaf"; }
hook_acts_again() { rm -f "$LAB/hook/deaf"; }
was_told() { [[ $(tail -n 1 "$LAB/hook/told") == "$1" ]]; }

start_first() { lab_daemon_start 1 --event_hook="$LAB/hook-program" --event_hook_user=root "$@" && poll 10 was_told "${TOLD:-host_serving}"; }

# Both with the same hash key, as two balancers of the same VIPs have it.
both_serve_the_same() {
  local n
  {
    echo 'hash_key: "0x5eed5eed5eed5eed5eed5eed5eed5eed"'
    usual_vips_file 10 10 10 10
  } >"$SCRATCH/both.yaml"
  for n in 1 2; do
    lab_ctl "$n" apply -f "$SCRATCH/both.yaml" >/dev/null
    poll 20 hops_known_on "$n"
  done
}
hops_known_on() { [[ $(lab_ctl "$1" -o json real list | jq '[.reals[] | select(.problem != null)] | length') == 0 ]]; }

host_state() { ctl -o json | jq -r .host.state; }
host_is() { [[ $(host_state 2>/dev/null) == "$1" ]]; }

load_on() { load_start load http client1 "$VIP4" "$SCRATCH/load" && loads_go_on 40; }
load_off_without_failures() {
  loads_go_on 40
  load_stop load
  expect_equal "failed requests" "$(count_of failed "$SCRATCH/load")" 0
}

said() { grep -qE "leaving: $1" "$LAB/balancer1/shuntd.log"; }
ask_to_stop() { kill -s TERM "$(lab_pid balancer1 shuntd)"; }
# stopped_within SECONDS: from now on
stopped_within() { poll "$1" lab_stopped balancer1 shuntd || { echo "it runs after $1 s"; return 1; }; }
fresh_log() { : >"$LAB/balancer1/shuntd.log"; }

drained_and_back() {
  local dump
  dump=$(ctl dump)
  ctl drain-host >"$SCRATCH/said"
  expect_equal "what it said" "$(cat "$SCRATCH/said")" "~ host: state serve -> drain"
  poll 10 was_told host_draining
  host_is draining
  expect_contains "the overview" "$(ctl | head -n 1)" "draining: its VIPs are not to be announced"
  expect_contains "the store" "$(cat "$LAB/balancer1/store.yaml")" "host: { state: drain }"
  expect_equal "a second time" "$(ctl drain-host)" "no changes"
  lab_daemon_stop 1 KILL
  : >"$LAB/hook/told"
  TOLD=host_draining start_first
  host_is draining
  expect_equal "what the hook was told at the start" "$(cat "$LAB/hook/told")" host_draining
  # A file for all balancers, which says nothing of this one, leaves it as it is.
  expect_equal "applying the file of both" "$(ctl apply -f "$SCRATCH/both.yaml")" "no changes"
  ctl undrain-host >/dev/null
  poll 10 was_told host_serving
  host_is serving
  expect_equal "the dump afterwards" "$(ctl dump)" "$dump"
}

drain_moves_traffic() {
  load_on
  expect_status 0 ctl drain-host --wait=30s
  expect_contains "what it said" "$OUTPUT" "traffic is gone: no packet for a VIP for 3 s"
  load_off_without_failures
  ctl undrain-host >/dev/null
  poll 10 was_told host_serving
}

wait_is_bounded() {
  hook_only_listens
  load_on
  expect_status 1 ctl drain-host --wait=2s
  expect_contains "what it said" "$OUTPUT" "packets per second still come after 2 s; this host goes on draining"
  host_is draining
  expect_status 1 ctl -o json drain-host --wait=1s
  expect_equal "in JSON" "$(sed '/^shuntctl/d' <<<"$OUTPUT" | jq -c '[.changes, .traffic_gone, .packets_per_second > 0]')" '[[],false,true]'
  # On a terminal the one line is written again and again.
  script -qec "'$SHUNTCTL' --socket='$LAB/balancer1/shuntd.sock' drain-host --wait=2s" /dev/null >"$SCRATCH/terminal" || true
  expect_contains "on a terminal" "$(cat "$SCRATCH/terminal")" "packets per second still come, 1 s left"
  load_off_without_failures
  expect_status 2 ctl drain-host --wait=0s
  expect_status 2 ctl drain-host --wait=forever
  hook_acts_again
  ctl undrain-host >/dev/null
  poll 10 was_told host_serving
}

# In this order: told, gone, stopped, long before the time is up; and the API answers meanwhile.
sigterm_moves_traffic() {
  lab_daemon_stop 1
  fresh_log
  start_first --leave_seconds=60
  load_on
  ask_to_stop
  poll 10 said 'waiting up to 60 s'
  host_is leaving
  was_told host_leaving
  stopped_within 30
  expect_equal "the way out" "$(grep -oE 'leaving: (SIGTERM|the event hook was told|waiting up to|no packet for a VIP for 3 s)|stopping' \
    "$LAB/balancer1/shuntd.log" | tr '\n' ';')" \
    "leaving: SIGTERM;leaving: the event hook was told;leaving: waiting up to;leaving: no packet for a VIP for 3 s;stopping;"
  load_off_without_failures
  start_first
}

hook_runs_to_its_end() {
  touch "$LAB/hook/slow"
  ask_to_stop
  stopped_within 15
  rm "$LAB/hook/slow"
  was_told host_leaving
}

second_signal_ends_the_wait() {
  fresh_log
  start_first --leave_seconds=600
  hook_only_listens
  load_on
  ask_to_stop
  poll 10 said 'waiting up to 600 s'
  poll 10 said '[1-9][0-9]* packets per second still come, 59[0-9] s are left'
  ask_to_stop
  stopped_within 10
  said 'another signal: not waiting any longer'
  load_off_without_failures # the data plane forwards without the daemon
}

time_is_up() {
  fresh_log
  start_first --leave_seconds=2
  load_on
  ask_to_stop
  poll 10 said 'time is up, and [1-9][0-9]* packets per second still come'
  stopped_within 10
  load_off_without_failures
  hook_acts_again
  start_first
}

# The hook of shuntd(8), as it stands there, against a BIRD with a protocol of that name.
bird_follows() {
  local dir=$LAB/balancer1/bird
  mkdir "$dir"
  cat >"$dir/bird.conf" <<B
router id 10.1.1.2;
protocol device {}
protocol static anycast { ipv4; route 203.0.113.0/24 blackhole; }
B
  {
    sed -n '/^#!\/bin\/sh$/,/^\.Ed/p' "$SHUNT_ROOT/tools/man/shuntd.8" | sed "/^\\.Ed/d; s#birdc#birdc -s $dir/ctl#"
  } >"$dir/hook"
  chmod 755 "$dir/hook"
  grep -q 'disable anycast' "$dir/hook"
  lab_start balancer1 bird bird -f -c "$dir/bird.conf" -s "$dir/ctl" -P "$dir/pid"
  poll 10 bird_announces
  lab_daemon_stop 1
  lab_daemon_start 1 --event_hook="$dir/hook" --event_hook_user=root
  poll 10 bird_announces
  ctl drain-host >/dev/null
  poll 10 bird_is_silent
  ctl undrain-host >/dev/null
  poll 10 bird_announces
  lab_daemon_stop 1
  bird_is_silent
  lab_daemon_start 1 --event_hook="$dir/hook" --event_hook_user=root
  poll 10 bird_announces
  lab_stop balancer1 bird
}
anycast_state() { birdc -s "$LAB/balancer1/bird/ctl" show protocols anycast | awk '$1 == "anycast" { print $4 }'; }
bird_announces() { [[ $(anycast_state) == up ]]; }
bird_is_silent() { [[ $(anycast_state) == down ]]; }

test_lab
hook_file
lab_daemon_start 2
start_first
both_serve_the_same

it "a drained host is shown and told, also after a crash, and serves again when it is asked to" drained_and_back
it "drain-host --wait ends when another balancer has taken the traffic over, and no request fails" drain_moves_traffic
it "drain-host --wait ends with status 1 when packets still come, and shows on a terminal how many" wait_is_bounded
it "SIGTERM stops the announcing, waits until traffic has left, then ends; no request fails" sigterm_moves_traffic
it "the hook runs to its end before the daemon stops, without --leave_seconds too" hook_runs_to_its_end
it "a second SIGTERM ends the wait, and packets go through without the daemon" second_signal_ends_the_wait
it "--leave_seconds is the longest that it waits" time_is_up
it "BIRD follows by the hook in the manual page" bird_follows
finish
