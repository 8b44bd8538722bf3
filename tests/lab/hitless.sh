#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Nothing on the wire notices: 2000 numbered packets a second, 1000 live downloads and short requests go on while the
# daemon crashes, restarts, is upgraded and reconfigured in every way. Prints the table of what was lost, came twice,
# moved or failed: all zeros. scripts/soak is the same for as long as one likes.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/hitless_lib.sh"
source "$SHUNT_ROOT/scripts/lib/hitless_events.sh"

NUMBERED_RATE=2000 DOWNLOADS=1000 DOWNLOAD_SECONDS=60 RESTARTS=12
OTHER_SHUNTD=$BUILD_DIR/tests/lab/shuntd_other

event() { # SENTENCE NAME FUNCTION [ARGUMENT…]
  local sentence=$1
  shift
  it "nobody notices $sentence" hitless_event "$@"
}

# What was sent, and what the balancer says of it.
each_packet_is_counted() {
  numbered_stop
  expect_equal "packets of the numbered flows' VIPs" \
    "$(ctl -o json stats | jq '[.vips[] | select(.vip | endswith(":7100/udp")) | .packets] | add')" "$(numbered .sent)"
  expect_verdicts_add_up 1
}

# ---- the count sees what it must see

# seen FUNCTION [ARGUMENT…]: its row, which must not pass for one of zeros; fills LOST, DUPLICATED, MOVED
seen() {
  local name=$1 _
  ! hitless_event "$@" >"$SCRATCH/row" || { echo "$name passed for an event that nobody notices"; return 1; }
  cat "$SCRATCH/row"
  IFS='|' read -r _ _ LOST DUPLICATED MOVED _ < <(tail -n 1 "$HITLESS_TABLE")
}

# Between balancer and reals, for two seconds
with_rule() { # RULE…
  lab_in router nft "add table ip wrong; add chain ip wrong forward { type filter hook forward priority 0; };
    add rule ip wrong forward iifname to-balancer1 $*"
  numbered_go_on $((NUMBERED_RATE * 2))
  lab_in router nft delete table ip wrong
}

one_in_a_hundred_is_lost() {
  seen "wrong: 1 % dropped" with_rule "numgen random mod 100 < 1 drop"
  expect_between "packets lost" "$LOST" 5 500
}

some_come_twice() {
  seen "wrong: 5 % doubled" with_rule "ip daddr ${LAB_REALS4[0]} numgen random mod 20 < 1 dup to ${LAB_REALS4[0]} device to-real1"
  expect_between "packets that came twice" "$DUPLICATED" 5 500
}

without_tracking() {
  ctl vip set "$HITLESS_NUMBERED4" --tracking=none >/dev/null
  ctl real set "$HITLESS_NUMBERED4" "${LAB_REALS4[0]}" --weight=40 >/dev/null
}

some_flows_move() {
  seen "wrong: weight without tracking" without_tracking
  expect_between "flows that moved" "$MOVED" 5 500
}

test_lab
lab_daemon_start 1
hitless_apply moving 10 10 10
poll 20 hitless_resolved

it "$NUMBERED_RATE packets a second arrive, and $DOWNLOADS downloads are under way" everything_goes_on 600
hitless_round event "$RESTARTS"
it "every download was whole, and every short request answered" everything_ends_whole 400
it "the balancer has counted each numbered packet, and the verdicts add up" each_packet_is_counted
hitless_table

HITLESS_TABLE=$SCRATCH/wrong
numbered_start 120
it "the count sees packets that are lost" one_in_a_hundred_is_lost
it "the count sees packets that come twice" some_come_twice
it "the count sees flows that move" some_flows_move
hitless_table
finish
