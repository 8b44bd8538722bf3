#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is counted goes on over a crash and a restart, and what is shown stays: no counter of shuntctl, of the verdicts or
# of the metrics goes backwards under traffic, and all else that shuntctl shows is the same before and after.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/counters_lib.sh"

loads_start() {
  load_start http4 http client1 "$VIP4" "$SCRATCH/http4"
  load_start udp6 udp client2 "$VIP6" "$SCRATCH/udp6"
  loads_go_on 40
}

no_counter_goes_backwards() {
  local before signal
  loads_start
  counters_watch_start
  for signal in KILL TERM KILL; do
    before=$(lab_verdict_sum 1)
    lab_daemon_stop 1 "$signal"
    loads_go_on 40
    lab_daemon_start 1 --metrics_listen="$COUNTERS_LISTEN"
    counters_watch_goes_on 5
    expect_between "packets counted over the restart" $(($(lab_verdict_sum 1) - before)) 80 100000000
  done
  expect_no_counter_backwards
  load_stop http4
  load_stop udp6
}

# Slots move, a real is drained, another has weight 0, a third is checked and up.
the_same_is_shown() { # SIGNAL
  ctl real set "$TCP4" "$(real_of "$TCP4" 1)" --weight="$((RANDOM % 50 + 20))" >/dev/null
  poll 20 some_slots "$TCP4" moving_slots
  poll 20 all_reals_up
  poll 20 nothing_is_in_between
  shown >"$SCRATCH/before"
  lab_daemon_stop 1 "$1"
  lab_daemon_start 1 --metrics_listen="$COUNTERS_LISTEN"
  poll 10 shows "$SCRATCH/before" || { shown | diff "$SCRATCH/before" -; return 1; }
  some_slots "$TCP4" moving_slots
}
# Moving slots stay so for ten minutes; those that have settled are stable as soon as no flow of theirs is remembered.
nothing_is_in_between() { [[ $(ctl -o json | jq '[.vips[].settling.slots_with_exceptions] | add') == 0 ]]; }
all_reals_up() { [[ $(ctl -o json health | jq '[.vips[].reals[] | select(.health != "up")] | length') == 0 ]]; }

# A VIP that is made again counts from nothing.
the_watch_sees() {
  http_ask client1 "$VIP6" 20 >/dev/null
  counters_watch_start
  ctl vip rm "$TCP6" >/dev/null
  ctl vip add "$TCP6" >/dev/null
  counters_watch_goes_on 2
  lab_stop balancer1 watch
  expect_contains "what the watch saw" "$(counters_watched '.backwards[]')" "$TCP6 packets: "
  expect_contains "what the watch saw" "$(counters_watched '.backwards[]')" "shunt_vip_packets_total{vip=\"$TCP6\"}: "
}

test_lab
lab_daemon_start 1 --metrics_listen="$COUNTERS_LISTEN"
usual_vips 10 15 20 25
ctl vip set "$TCP6" --check=http --check-timeout=2s >/dev/null
ctl real drain "$TCP4" "$(real_of "$TCP4" 4)" >/dev/null
ctl real set "$TCP6" "$(real_of "$TCP6" 4)" --weight=0 >/dev/null

it "no counter goes backwards over crashes and restarts under traffic" no_counter_goes_backwards
it "all else that shuntctl shows is the same after a crash, while slots move" the_same_is_shown KILL
it "all else that shuntctl shows is the same after a stop, while slots move" the_same_is_shown TERM
it "the watch sees counters that begin anew" the_watch_sees
finish
