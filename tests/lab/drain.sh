#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Drains with a time limit, under load: no request fails, what a real has goes on, and the real is removed when its
# flows are gone, or when its time is up.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/health_lib.sh"

reals() { ctl -o json real list "$TCP4" | jq '.reals | length'; }
is_gone() { # REAL
  [[ $(ctl -o json real list "$TCP4" | jq --arg real "$1" '[.reals[] | select(.address == $real)] | length') == 0 ]]
}

load_without_failures() {
  load_stop drain
  expect_equal "failed requests" "$(count_of failed "$SCRATCH/drain")" 0
  expect_between "requests" "$(wc -l <"$SCRATCH/drain")" 80 1000000
}

# A download of 12 seconds or so is what it waits for; its own time would be a minute and a half.
removed_when_its_flows_are_gone() {
  local mark start real=${LAB_REALS4[3]}
  mark=$(last_event)
  load_start drain http client2 "$VIP4" "$SCRATCH/drain"
  downloads_start 1
  expect_between "downloads by real4" "$(connections 4)" 20 "$CURL_DOWNLOADS"
  start=$(now_ms)
  ctl real drain "$TCP4" "$real" --timeout=90s >/dev/null
  soon_nobody_new_on 4 "http $VIP4"
  ! is_gone "$real" || { echo "it was removed while it had downloads"; return 1; }
  expect_whole_downloads 1
  ! is_gone "$real" || expect_between "milliseconds until it was gone" $(($(now_ms) - start)) 8000 90000
  poll 70 is_gone "$real" || { echo "it is still there"; ctl vip show "$TCP4"; return 1; }
  echo "  drained of its flows, and removed, in $(seconds_since "$start") s" >>"$SCRATCH/figures"
  load_without_failures
  expect_equal "events of the drain's end" "$(count_events "$mark" drain_ended "$TCP4" "$real")" 1
  expect_matches "its cause" "$(events_after "$mark" drain_ended "$TCP4" "$real" | jq -r .cause)" "flow"
  expect_equal "what the store has of it" "$(ctl dump | grep -c "$real" || true)" 0
}

# Its downloads take longer than it has: they end with it.
removed_when_its_time_is_up() {
  local mark start real=${LAB_REALS4[2]} whole
  mark=$(last_event)
  load_start drain http client2 "$VIP4" "$SCRATCH/drain"
  downloads_start 1
  start=$(now_ms)
  ctl real drain "$TCP4" "$real" --timeout=6s >/dev/null
  poll 20 is_gone "$real"
  expect_between "milliseconds until it was gone" $(($(now_ms) - start)) 5900 9000
  echo "  removed when its time of 6 s was up, after $(seconds_since "$start") s" >>"$SCRATCH/figures"
  expect_equal "events of the drain's end" "$(count_events "$mark" drain_ended "$TCP4" "$real")" 1
  expect_matches "its cause" "$(events_after "$mark" drain_ended "$TCP4" "$real" | jq -r .cause)" "time"
  load_without_failures
  poll 60 downloads_ended 1
  cat "$LAB"/client[12]/downloads*.log >"$SCRATCH/downloads"
  rm -f "$LAB"/client[12]/downloads*.log
  whole=$(count_of "200 $(stat -c %s "$SCRATCH/page")" "$SCRATCH/downloads")
  expect_between "downloads that ended whole: those of the others" "$whole" 80 $((CURL_DOWNLOADS - 20))
}

undrained_in_time() {
  local real=${LAB_REALS4[1]}
  ctl real drain "$TCP4" "$real" --timeout=4s >/dev/null
  ctl real undrain "$TCP4" "$real" >/dev/null
  ! poll 6 is_gone "$real" || { echo "it was removed all the same"; return 1; }
  expect_equal "reals" "$(reals)" 2
  soon_somebody_new_on 2 "http $VIP4"
}

test_lab
lab_daemon_start 1
{
  echo 'defaults: { slow_start_seconds: 0, tcp_settle_seconds: 5 }'
  echo 'vips:'
  lab_vip_entry "$TCP4" "${LAB_REALS4[@]/%/=10}"
} >"$SCRATCH/web.yaml"
ctl apply -f "$SCRATCH/web.yaml" >/dev/null
poll 20 next_hops_known
pages_up 14

it "a real that is drained under load keeps its downloads, and is removed when they have ended; no request fails" \
  removed_when_its_flows_are_gone
it "a real whose time is up is removed with what it still has; no other request fails" removed_when_its_time_is_up
cat "$SCRATCH/figures" 2>/dev/null || true
it "a drain that is taken back in time removes nothing" undrained_in_time
it "the verdicts add up to the packets received" expect_verdicts_add_up
finish
