#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who is told what happens: events as they come, the history of a real, a hook program; and that a daemon which dies
# and comes back marks nothing down, up or anew.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/health_lib.sh"

DOWN=${LAB_REALS4[1]} # the real that fails

# The hook's program runs as nobody, so it writes where nobody may.
hook_file() {
  mkdir "$LAB/hook"
  chown nobody "$LAB/hook"
  cat >"$LAB/hook-program" <<H
#!/bin/sh
{ printf '%s|%s|%s|%s|' "\$1" "\$2" "\$3" "\$(id -un)"; head -n 1; } >>"$LAB/hook/events"
H
  chmod 755 "$LAB/hook-program"
}

start_daemon() { lab_daemon_start 1 --event_hook="$LAB/hook-program"; }

follow_start() {
  lab_start balancer1 follow "$SHUNTCTL" --socket="$LAB/balancer1/shuntd.sock" -o json events --follow --limit=0
  lab_start balancer1 follow-text "$SHUNTCTL" --socket="$LAB/balancer1/shuntd.sock" events --follow --limit=0 \
    --real="$DOWN"
}
followed() { # KIND REAL
  jq -c --arg kind "$1" --arg real "$2" 'select(.kind == $kind and .real == $real)' "$LAB/balancer1/follow.log" | wc -l
}
is_followed() { (($(followed "$@") > 0)); }
hook_ran() { grep -q "^$1|$TCP4|$2|nobody|" "$LAB/hook/events"; }

fail_and_return() {
  server_sick real2 http
  poll 10 health_is "$TCP4" "$DOWN" down
  server_sick_over real2 http
  poll 20 health_is "$TCP4" "$DOWN" up
}

everybody_is_told() {
  local line
  follow_start
  server_sick real3 http # nothing but an event tells that they listen
  poll 10 is_followed real_down "${LAB_REALS4[2]}"
  server_sick_over real3 http
  poll 20 is_followed real_up "${LAB_REALS4[2]}"
  fail_and_return
  poll 5 is_followed real_up "$DOWN"
  expect_equal "events followed" "$(followed real_down "$DOWN") $(followed real_up "$DOWN")" "1 1"
  line=$(jq -c --arg real "$DOWN" 'select(.kind == "real_down" and .real == $real)' "$LAB/balancer1/follow.log")
  expect_equal "its keys" "$(jq -c 'keys' <<<"$line")" '["at_ms","cause","id","interface","kind","real","vip"]'
  expect_equal "its VIP" "$(jq -r .vip <<<"$line")" "$TCP4"
  expect_contains "its cause" "$(jq -r .cause <<<"$line")" "status 503"
  expect_between "its age in ms" $(($(now_ms) - $(jq .at_ms <<<"$line"))) 0 20000
  expect_contains "text" "$(cat "$LAB/balancer1/follow-text.log")" "real_down $TCP4 $DOWN: "
  expect_equal "text of other reals" "$(grep -vc "$DOWN" "$LAB/balancer1/follow-text.log" || true)" 0
}

logged_once() {
  expect_equal "lines of the log that tell of the fall" \
    "$(grep -c "real_down.*$DOWN" "$LAB/balancer1/shuntd.log")" "$(ctl health history "$DOWN" | grep -c real_down)"
}

history_in_order() {
  expect_equal "kinds" "$(ctl -o json health history "$DOWN" | jq -r .kind | tail -n 2 | tr '\n' ' ')" "real_down real_up "
  expect_equal "ids in order" "$(ctl -o json health history "$DOWN" | jq .id | sort -nc && echo yes)" yes
  expect_equal "events of other reals" "$(ctl -o json health history "$DOWN" | jq -r .real | grep -vc "$DOWN" || true)" 0
}

hook_is_told() {
  poll 10 hook_ran real_down "$DOWN"
  poll 10 hook_ran real_up "$DOWN"
  expect_equal "times it was told of the fall" "$(grep -c "^real_down|$TCP4|$DOWN|" "$LAB/hook/events")" 1
  expect_equal "what stands on its stdin" \
    "$(sed -n "s#^real_down[|]${TCP4}[|]${DOWN}[|]nobody[|]##p" "$LAB/hook/events" | jq -r '.kind + " " + .vip + " " + .real')" \
    "real_down $TCP4 $DOWN"
}

follow_ends() {
  kill -s INT "$(lab_pid balancer1 follow)"
  poll 5 lab_stopped balancer1 follow || { echo "SIGINT does not end it"; return 1; }
  # Between two lines or in the middle of one: now and then it notices as it writes.
  for _ in 1 2 3 4 5; do
    timeout 20 "$SHUNTCTL" --socket="$LAB/balancer1/shuntd.sock" events --follow | head -n 1 >"$SCRATCH/first"
    expect_equal "lines before the reader went away" "$(wc -l <"$SCRATCH/first")" 1
  done
  # A reader that was gone before there was anything to write.
  timeout 20 "$SHUNTCTL" --socket="$LAB/balancer1/shuntd.sock" events --follow | true
  timeout 20 "$SHUNTCTL" --socket="$LAB/balancer1/shuntd.sock" stats --watch=1 | head -n 1 >"$SCRATCH/first"
  expect_equal "lines of statistics" "$(wc -l <"$SCRATCH/first")" 1
}

# One real is down, and stays so over a crash: no packet goes there meanwhile, nobody else is marked down, and no event
# comes of it.
crash_marks_nothing() {
  local packets
  server_sick real2 http
  poll 60 health_is "$TCP4" "$DOWN" down
  load_start crash http client1 "$VIP4" "$SCRATCH/crash"
  capture_clients 2
  loads_go_on 40
  lab_daemon_stop 1 KILL
  loads_go_on 40
  : >"$LAB/hook/events"
  start_daemon
  loads_go_on 40
  poll 20 probed_again
  load_stop crash
  packets=$(captured)
  capture_stop
  expect_equal "failed requests" "$(count_of failed "$SCRATCH/crash")" 0
  expect_equal "packets of clients to the real that is down" "$packets" 0
  expect_equal "health" "$(ctl -o json health "$TCP4" | jq -c '[.vips[0].reals[].health]')" '["up","down","up","up"]'
  expect_equal "events since the daemon is back" "$(ctl -o json events | jq -c '[.kind, .real]')" '["host_serving",null]'
  expect_equal "what the hook was told" "$(cut -d'|' -f1 "$LAB/hook/events")" host_serving
}
# Five probes of each since the start: who is judged by what it saw, is judged by now.
probed_again() {
  [[ $(ctl -o json health "$TCP4" | jq '[.vips[0].reals[] | select(.passed + .failed < 5)] | length') == 0 ]]
}

capture_clients() { # N: what clients send to real N on port 80
  lab_start router capture tcpdump -n -q -tt -l --immediate-mode -i "to-real$1" \
    'ip proto 4 and ip[32:2] == 0xc633 and ip[42:2] == 80'
  poll 10 grep -q 'listening on' "$LAB/router/capture.log"
}

# It is judged anew all the same: it comes up when it is well.
up_after_the_crash() {
  server_sick_over real2 http
  poll 60 health_is "$TCP4" "$DOWN" up
  poll 20 hook_ran real_up "$DOWN"
  soon_somebody_new_on 2 "http $VIP4"
}

daemon_goes_away() {
  lab_start balancer1 follow "$SHUNTCTL" --socket="$LAB/balancer1/shuntd.sock" -o json events --follow
  poll 10 test -s "$LAB/balancer1/follow.log"
  lab_daemon_stop 1
  poll 5 lab_stopped balancer1 follow || { echo "shuntctl follows a daemon that is gone"; return 1; }
  expect_matches "its last words" "$(tail -n 1 "$LAB/balancer1/follow.log")" "shuntd|went away|ended|closed|stopped"
}

hook_is_checked() {
  local status=0
  lab_in balancer1 timeout 20 "$SHUNTD" --interfaces=eth0 --store="$LAB/balancer1/store.yaml" \
    --socket="$LAB/balancer1/shuntd.sock" \
    --bpffs="$LAB/balancer1/bpffs" --event_hook="$LAB/there-is-no-such-program" 2>"$SCRATCH/said" || status=$?
  expect_between "exit status" "$status" 1 2
  expect_contains "what it said" "$(cat "$SCRATCH/said")" there-is-no-such-program
}

test_lab
hook_file
start_daemon
servers_up http
{
  health_settings
  echo 'vips:'
  checked_vip "$TCP4" "$(check_of http "port: ${SERVER_PORTS[http]}")" "${LAB_REALS4[@]}"
} >"$SCRATCH/web.yaml"
ctl apply -f "$SCRATCH/web.yaml" >/dev/null
poll 20 all_up

it "events are followed as they come, as JSON and as text, each with its cause" everybody_is_told
it "each is one line of the daemon's log" logged_once
it "the history of a real is in order and tells of it alone" history_in_order
it "the hook's program is told each event once, as nobody" hook_is_told
it "following ends with SIGINT, and when nobody reads any more" follow_ends
it "a daemon that dies and comes back marks nothing down: one real was down and stays it, without a packet and without an event" \
  crash_marks_nothing
it "the new daemon sees it come up" up_after_the_crash
it "who follows is told that the daemon stops" daemon_goes_away
it "a hook that is not there ends the start, and is named" hook_is_checked
finish
