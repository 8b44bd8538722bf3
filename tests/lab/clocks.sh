#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The wall clock jumps while the daemon works: by a day, either way, as when it is set for the first time or by hand.
# Nothing but the times that are shown goes by it. libfaketime gives the daemon the clock, and only that one: the
# machine's is left alone.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/health_lib.sh"

DAY=86400
REAL=${LAB_REALS4[1]}
CLOCK=$SCRATCH/clock

# The daemon under a clock that the file tells, a shift in seconds, read at every look at it.
clock_wrapper() {
  local library
  library=$(dpkg -L libfaketime | grep '/libfaketimeMT\.so')
  cat >"$SCRATCH/shuntd" <<W
#!/bin/sh
exec env LD_PRELOAD="$library" FAKETIME_TIMESTAMP_FILE="$CLOCK" FAKETIME_NO_CACHE=1 NO_FAKE_STAT=1 FAKETIME_DONT_FAKE_MONOTONIC=1 \
  FAKETIME_DONT_RESET=1 "$SHUNTD" "\$@"
W
  chmod 755 "$SCRATCH/shuntd"
  SHUNTD=$SCRATCH/shuntd
}
clock_jumps() { # SECONDS: from the true time
  printf '%+d' "$1" >"$CLOCK.new"
  mv "$CLOCK.new" "$CLOCK"
}

probes_passed() { ctl -o json health "$TCP4" | jq '[.vips[0].reals[].passed] | add'; }
passed_more_than() { (($(probes_passed) > $1)); }
go_on_probing() { # for ten more rounds of all four
  local passed
  passed=$(probes_passed)
  poll 20 passed_more_than $((passed + 40))
}

age_of_ms() { # KEY of the real's health, by the daemon's clock
  local shift
  shift=$(<"$CLOCK")
  echo $(($(now_ms) + shift * 1000 - $(ctl -o json health "$TCP4" | jq --arg real "$REAL" ".vips[0].reals[] | select(.address == \$real) | $1")))
}

nothing_flaps() {
  local event shift passed
  event=$(last_event)
  load_start load http client1 "$VIP4" "$SCRATCH/load"
  loads_go_on 20
  for shift in $DAY $((-DAY)) $((40 * DAY)) 0; do
    clock_jumps "$shift"
    go_on_probing || { echo "probing stands still after a jump to $shift s"; return 1; }
    expect_between "ms since the last probe" "$(age_of_ms .checked_at_ms)" -50 3000
    expect_between "ms since it is up" "$(age_of_ms .since_ms)" 0 120000
    loads_go_on 20
  done
  load_stop load
  expect_equal "failed requests" "$(count_of failed "$SCRATCH/load")" 0
  expect_equal "events" "$(ctl -o json events --limit=10000 | jq -c --argjson id "$event" 'select(.id > $id)')" ""
  expect_equal "ups" "$(count_health up "$TCP4")" 4
}

event_times_follow() {
  local at_ms
  clock_jumps "$DAY"
  ctl drain-host >/dev/null
  at_ms=$(ctl -o json events --limit=1 | jq .at_ms)
  expect_between "ms since the event" $(($(now_ms) + DAY * 1000 - at_ms)) -50 5000
  clock_jumps $((-DAY))
  ctl undrain-host >/dev/null
  at_ms=$(ctl -o json events --limit=1 | jq .at_ms)
  expect_between "ms since the event" $(($(now_ms) - DAY * 1000 - at_ms)) -50 5000
  clock_jumps 0
}

# A failure is noticed, and slow start takes its time, no more and no less.
climb() { ctl -o json real list "$TCP4" | jq --arg real "$REAL" '.reals[] | select(.address == $real) | .climb_percent // 100'; }
climbs() { (($(climb) < 100)); }
climbed() { (($(climb) == 100)); }
slow_start_takes_its_time() {
  local start
  ctl vip set "$TCP4" --slow-start=8s >/dev/null
  server_sick real2 http
  clock_jumps $((-DAY))
  poll 10 health_is "$TCP4" "$REAL" down
  server_sick_over real2 http
  clock_jumps "$DAY"
  poll 20 health_is "$TCP4" "$REAL" up
  start=$(now_ms)
  clock_jumps $((3 * DAY))
  poll 5 climbs || { echo "it does not climb"; return 1; }
  clock_jumps $((-3 * DAY))
  poll 20 climbed
  expect_between "ms that it climbed" $(($(now_ms) - start)) 6000 14000
  clock_jumps 0
}

# The slots that a drain has moved settle in their time, and the real is removed when its time is up.
drain_takes_its_time() {
  local start
  ctl vip set "$TCP4" --slow-start=0s --tcp-settle=4 >/dev/null
  start=$(now_ms)
  ctl real drain "$TCP4" "$REAL" --timeout=8s >/dev/null
  clock_jumps "$DAY"
  poll 5 some_slots "$TCP4" moving_slots
  clock_jumps $((-DAY))
  poll 30 no_slots "$TCP4" moving_slots
  expect_between "ms until the slots had settled" $(($(now_ms) - start)) 3500 20000
  poll 30 is_removed
  ctl real add "$TCP4" "$REAL" >/dev/null
  clock_jumps 0
}
is_removed() { [[ $(ctl -o json real list "$TCP4" | jq --arg real "$REAL" '[.reals[] | select(.address == $real)] | length') == 0 ]]; }

leave_takes_its_time() {
  local start
  lab_daemon_stop 1
  lab_daemon_start 1 --leave_seconds=600
  start=$(now_ms)
  kill -s TERM "$(lab_pid balancer1 shuntd)"
  poll 5 grep -q 'waiting up to 600 s' "$LAB/balancer1/shuntd.log"
  clock_jumps "$DAY"
  clock_jumps $((-DAY))
  poll 30 lab_stopped balancer1 shuntd
  grep -q 'no packet for a VIP for 3 s: traffic is gone' "$LAB/balancer1/shuntd.log"
  expect_between "ms until it ended" $(($(now_ms) - start)) 3000 20000
}

test_lab
clock_jumps 0
clock_wrapper
lab_daemon_start 1
servers_up http
{
  health_settings
  echo 'vips:'
  checked_vip "$TCP4" "$(check_of http "port: ${SERVER_PORTS[http]}")" "${LAB_REALS4[@]}"
} >"$SCRATCH/web.yaml"
ctl apply -f "$SCRATCH/web.yaml" >/dev/null
poll 20 all_up

it "probes go on, nothing flaps, and times are shown by the new clock" nothing_flaps
it "events have the time of the clock as it was set" event_times_follow
it "a failure is noticed, and slow start takes as long as ever" slow_start_takes_its_time
it "a drain settles and ends in its time" drain_takes_its_time
it "so does the wait for traffic to leave" leave_takes_its_time
finish
