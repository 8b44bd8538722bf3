#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Slow start: a real that comes up gets its share of new flows little by little, along the curve that its VIP asks
# for. Two VIPs climb at once, one in a straight line, one with exponent 2. Who sets SHARES gets what was measured in
# that file (scripts/plot-slow-start draws it).
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/health_lib.sh"

CLIMB_SECONDS=${CLIMB_SECONDS:-20}
FLOWS_PER_SECOND=300 # to each VIP
BIN_SECONDS=2
HOLD_SECONDS=4   # so long a slot that changed hands still gives its old real new flows
LINE=tcp CURVE=http # two servers of each real that accept connections

# Every SYN that leaves the balancer, with the real it goes to.
syns_capture() {
  lab_start router syns tcpdump -n -tt -l --immediate-mode -i to-balancer1 \
    'ip proto 4 and ip[53] & 0x12 == 0x02 and ip[32:2] == 0xc633'
  poll 10 grep -q 'listening on' "$LAB/router/syns.log"
}

slots_line() { # KIND: "time slots all"
  ctl -o json vip show "$(vip_of "$1")" | jq -r --argjson at "$(now_us)" --arg kind "$1" --arg real "${LAB_REALS4[3]}" \
    '"\($kind) \($at) \(.reals[] | select(.address == $real) | .slots) \([.reals[].slots] | add)"'
}

climbed() { # MARK KIND
  slots_line "$LINE" >>"$SCRATCH/slots"
  slots_line "$CURVE" >>"$SCRATCH/slots"
  some_event "$1" climb_ended "$(vip_of "$2")" "${LAB_REALS4[3]}"
}

began_us() { echo $(($(events_after "$1" real_up "$(vip_of "$2")" "${LAB_REALS4[3]}" | jq -r .at_ms) * 1000)); }

# One climb of both VIPs; everything is written down: shares in $SCRATCH/shares.
climb() {
  local mark kind
  for kind in "$LINE" "$CURVE"; do server_silent real4 "$kind" 2>/dev/null || true; done
  poll 20 real4_is_down
  for kind in "$LINE" "$CURVE"; do ctl vip set "$(vip_of "$kind")" --slow-start="${CLIMB_SECONDS}s" >/dev/null; done
  ctl vip set "$(vip_of "$CURVE")" --slow-start-exponent=2 >/dev/null
  mark=$(last_event)
  for kind in "$LINE" "$CURVE"; do
    lab_start client1 "flows-$kind" "$SHUNT_ROOT/scripts/lib/steady_flows.py" tcp "$VIP4" "${SERVER_PORTS[$kind]}" \
      "$FLOWS_PER_SECOND"
  done
  syns_capture
  lab_in real4 nft delete table inet silence
  poll 20 some_event "$mark" real_up "$(vip_of "$LINE")" "${LAB_REALS4[3]}"
  poll 20 some_event "$mark" real_up "$(vip_of "$CURVE")" "${LAB_REALS4[3]}"
  POLL_PAUSE_SECONDS=0.2 poll $((CLIMB_SECONDS + 10)) climbed "$mark" "$LINE"
  POLL_PAUSE_SECONDS=0.2 poll 10 climbed "$mark" "$CURVE"
  now_us >"$SCRATCH/ended"
  POLL_PAUSE_SECONDS=0.5 poll 20 has_settled_for $((HOLD_SECONDS + 2 * BIN_SECONDS + 1))
  for kind in "$LINE" "$CURVE"; do lab_stop client1 "flows-$kind"; done
  lab_stop router syns
  "$SHUNT_ROOT/tests/lab/slow_start_shares.py" "$LAB/router/syns.log" "$SCRATCH/slots" "$BIN_SECONDS" "$CLIMB_SECONDS" \
    "line:${SERVER_PORTS[$LINE]}:$LINE:$(began_us "$mark" "$LINE"):1" \
    "curve:${SERVER_PORTS[$CURVE]}:$CURVE:$(began_us "$mark" "$CURVE"):2" "${LAB_REALS4[3]}" >"$SCRATCH/shares"
  [[ -z ${SHARES:-} ]] || cp "$SCRATCH/shares" "$SHARES"
}
has_settled_for() { (($(now_us) - $(<"$SCRATCH/ended") > $1 * 1000000)); }
real4_is_down() {
  health_is "$(vip_of "$LINE")" "${LAB_REALS4[3]}" down && health_is "$(vip_of "$CURVE")" "${LAB_REALS4[3]}" down
}

# What the curve with exponent e says of the real's share after t seconds; three others have their whole weight.
# shellcheck disable=SC2016 # a function of awk
CURVE_AWK='function curve(t, e,  w) {
  if (t < 0) return 0
  w = 0.01 + 0.99 * ((t > climb ? climb : t) / climb) ^ e
  return w / (3 + w)
}'

# flows_follow NAME: in each bin the share lies between what the curve says now, and what it said the hold and one of the
# twenty steps ago, give or take four standard deviations of so many flows.
flows_follow() {
  awk -F, -v name="$1" -v hold="$HOLD_SECONDS" -v step="$((CLIMB_SECONDS / 20))" "$CURVE_AWK"'
    $1 == "flows" && $2 == name {
      climb = $7; from = curve($3 - hold - step - 0.5, $6); to = curve($4, $6)
      slack = 4 * sqrt(to * (1 - to) / $5) + 0.002
      share = $8
      verdict = share >= from - slack && share <= to + slack ? "" : "  <-- not within"
      if (verdict != "") wrong++
      printf "  %5.1f to %5.1f s: %5.1f %% of %4d new flows; by the curve %.1f to %.1f %%, give or take %.1f%s\n",
        $3, $4, share * 100, $5, from * 100, to * 100, slack * 100, verdict
      bins++
    }
    END { exit bins < 10 || wrong > 0 }' "$SCRATCH/shares" >"$SCRATCH/$1" || { cat "$SCRATCH/$1"; return 1; }
}

# The ring itself follows at once, by steps: one behind at most.
slots_follow() {
  awk -F, -v name="$1" -v step="$((CLIMB_SECONDS / 20))" "$CURVE_AWK"'
    $1 == "slots" && $2 == name && $3 > 0.3 {
      climb = $7; samples++
      if ($8 < curve($3 - step - 0.5, $6) - 0.003 || $8 > curve($3 + 0.3, $6) + 0.003) {
        print "  after " $3 " s: " $8
        wrong++
      }
      if ($8 != before) steps++
      before = $8
    }
    END {
      printf "  %d steps seen in %d looks\n", steps, samples
      exit samples < 20 || wrong > 0 || steps < 15 || steps > 21
    }' "$SCRATCH/shares" >"$SCRATCH/$1-slots" || { cat "$SCRATCH/$1-slots"; return 1; }
}

test_lab
lab_daemon_start 1
servers_up "$LINE" "$CURVE"
{
  health_settings
  echo 'vips:'
  for kind in "$LINE" "$CURVE"; do checked_vip "$(vip_of "$kind")" "$(check_of tcp)" "${LAB_REALS4[@]}"; done
} >"$SCRATCH/climbing.yaml"
ctl apply -f "$SCRATCH/climbing.yaml" >/dev/null
poll 20 all_up

it "two reals come up and climb for $CLIMB_SECONDS s under new flows" climb
it "in a straight line: the ring follows it step by step" slots_follow line
it "in a straight line: the share of new flows follows it" flows_follow line
it "with exponent 2: the ring follows the curve step by step" slots_follow curve
it "with exponent 2: the share of new flows follows the curve" flows_follow curve
for name in line curve; do
  printf 'new flows that the real got, %s:\n' "$name"
  cat "$SCRATCH/$name" 2>/dev/null || true
done
it "the verdicts add up to the packets received" verdicts_add_up_without_checks
finish
