#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon ends, dies and comes back under traffic: packets go on, the stored state is back, nothing is left behind
# when that is asked for.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

loads_start() {
  load_start http4 http client1 "$VIP4" "$SCRATCH/http4"
  load_start http6 http client2 "$VIP6" "$SCRATCH/http6"
  load_start udp4 udp client2 "$VIP4" "$SCRATCH/udp4"
  loads_go_on 40
}

loads_stop_without_failures() {
  local label
  for label in http4 http6 udp4; do load_stop "$label"; done
  for label in http4 http6 udp4; do expect_equal "failed requests of $label" "$(count_of failed "$SCRATCH/$label")" 0; done
}

# SIGNAL: TERM, as systemd stops it, or KILL, as a crash
restart_loses_nothing() {
  local dump before
  dump=$(ctl dump)
  before=$(lab_verdict_sum 1)
  loads_start
  lab_daemon_stop 1 "$1"
  loads_go_on 40
  lab_daemon_start 1
  loads_go_on 40
  loads_stop_without_failures
  expect_equal "the state after the restart" "$(ctl dump)" "$dump"
  expect_between "verdicts counted so far" "$(lab_verdict_sum 1)" $((before + 300)) 100000000
}

# What is changed in the file while the daemon is away is done when it comes back.
store_edited_meanwhile() {
  lab_daemon_stop 1
  sed -i 's/weight: 25/weight: 50/' "$LAB/balancer1/store.yaml"
  lab_daemon_start 1
  expect_equal "weight of real4" "$(ctl -o json real list "$TCP4" | jq '.reals[] | select(.address == "10.2.4.2") | .weight')" 50
}

a_flow_outlives_a_crash() {
  lab_start client2 slow curl -sSf --max-time 60 -o "$SCRATCH/slow" "http://$VIP4/slow/big"
  poll 10 test -s "$SCRATCH/slow"
  lab_daemon_stop 1 KILL
  lab_daemon_start 1
  lab_running client2 slow || { echo "the download had ended before the crash could hurt it"; return 1; }
  poll 60 lab_stopped client2 slow
  expect_equal "errors of the download" "$(cat "$LAB/client2/slow.log")" ""
  expect_equal "checksum" "$(sha256sum <"$SCRATCH/slow")" "$(sha256sum <"$SCRATCH/big")"
}

# The slots that a drain has moved stay as they are while the daemon is dead, and settle under the next one.
moving_slots_outlive_a_crash() {
  local before
  ctl vip set "$TCP4" --tcp-settle=6
  downloads_start 1
  ctl real drain "$TCP4" "$(real_of "$TCP4" 4)"
  poll 5 some_slots "$TCP4" moving_slots
  before=$(slots "$TCP4" moving_slots)
  lab_daemon_stop 1 KILL
  downloads_run 1
  lab_daemon_start 1
  poll 5 some_slots "$TCP4" moving_slots
  expect_equal "moving slots after the crash" "$(slots "$TCP4" moving_slots)" "$before"
  soon_nobody_new_on 4 "http $VIP4"
  poll 20 no_slots "$TCP4" moving_slots
  some_slots "$TCP4" slots_with_exceptions
  expect_between "downloads by the drained real4" "$(connections 4)" 20 "$CURL_DOWNLOADS"
  expect_whole_downloads 1
  poll 40 all_stable "$TCP4"
  nobody_new_on 4 "http $VIP4"
  ctl real undrain "$TCP4" "$(real_of "$TCP4" 4)"
}

attached() { [[ $(lab_ip balancer1 -j link show dev eth0 | jq '.[0].xdp != null') == true ]]; }

stops_in_time() {
  local start
  start=$(now_ms)
  lab_daemon_stop 1
  expect_between "milliseconds until it had ended" $(($(now_ms) - start)) 0 8000
  attached || { echo "the program is gone from eth0"; return 1; }
  http_ask client1 "$VIP4" 50 >"$SCRATCH/answers"
  expect_answers "$SCRATCH/answers" 50
}

detach_leaves_nothing() {
  lab_daemon_start 1 --detach_on_exit
  attached || { echo "nothing is attached while it runs"; return 1; }
  lab_daemon_stop 1
  ! attached || { echo "a program is still attached to eth0"; return 1; }
  expect_equal "pins" "$(find "$LAB/balancer1/bpffs" -mindepth 1 ! -name '*.debug' ! -name xdp)" "" # libxdp keeps its lock there
}

comes_back_after_detaching() {
  lab_daemon_start 1
  poll 20 next_hops_known
  http_ask client1 "$VIP6" 50 >"$SCRATCH/answers"
  expect_answers "$SCRATCH/answers" 50
}

a_second_daemon_is_refused() {
  lab_start balancer1 second "$SHUNTD" --interfaces=eth0 --store="$SCRATCH/other.yaml" --socket="$SCRATCH/other.sock" \
    --bpffs="$LAB/balancer1/bpffs"
  poll 20 lab_stopped balancer1 second || { lab_stop balancer1 second; echo "it runs beside the first one"; return 1; }
  http_ask client1 "$VIP4" 20 >"$SCRATCH/answers"
  expect_answers "$SCRATCH/answers" 20
}

test_lab
lab_daemon_start 1
usual_vips 10 15 20 25
pages_up 20
head -c 1000000 /dev/urandom >"$SCRATCH/big"
for n in 1 2 3 4; do cp "$SCRATCH/big" "$LAB/real$n/www/big"; done

it "SIGTERM and a restart under traffic lose no request and bring the state back" restart_loses_nothing TERM
it "a crash and a restart under traffic lose no request and bring the state back" restart_loses_nothing KILL
it "an open download outlives a crash and a restart" a_flow_outlives_a_crash
it "slots that were moving at a crash settle after the restart, and 200 downloads outlive it" \
  moving_slots_outlive_a_crash
it "a store that was edited meanwhile is what the daemon comes back with" store_edited_meanwhile
it "a second daemon on the same bpffs is refused and hurts nobody" a_second_daemon_is_refused
it "packets still go through after the daemon was stopped" stops_in_time
it "--detach_on_exit leaves nothing attached and nothing pinned" detach_leaves_nothing
it "after that a start builds everything anew" comes_back_after_detaching
finish
