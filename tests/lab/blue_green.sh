#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who of the reals takes new flows: groups that are switched in one step and back under load, backups, and a canary
# with one flow in a thousand.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/health_lib.sh"

real() { # VERB N [OPTION…]
  local verb=$1 n=$2
  shift 2
  ctl real "$verb" "$TCP4" "${LAB_REALS4[n - 1]}" "$@" >/dev/null
}

slots_of() { # N
  ctl -o json vip show "$TCP4" | jq --arg real "${LAB_REALS4[$1 - 1]}" '.reals[] | select(.address == $real) | .slots'
}

# ---- groups

# All of the ring is the group's at once; new flows follow when slots hold no more.
switched() { # GROUP N N (who take new flows) N N (who do not)
  expect_status 0 ctl vip switch "$TCP4" "$1"
  expect_equal "slots of those that rest" "$(slots_of "$4") $(slots_of "$5")" "0 0"
  expect_equal "slots of the group" $(($(slots_of "$2") + $(slots_of "$3"))) 65537
  soon_nobody_new_on "$4" "http $VIP4"
  soon_nobody_new_on "$5" "http $VIP4"
  nobody_new_on "$4" "http $VIP4"
}

# In a file all reals come into their groups at once. Set one by one, each would take no new flows until its group is
# the active one.
groups_file() {
  sed -e 's/\(10\.2\.[12]\.2".*\) }/\1, group: blue }/' -e 's/\(10\.2\.[34]\.2".*\) }/\1, group: green }/' \
    -e '/^  - vip/a\    active_group: blue' "$SCRATCH/web.yaml"
}

switch_and_back() {
  local mark
  groups_file >"$SCRATCH/groups.yaml"
  ctl apply -f "$SCRATCH/groups.yaml" >/dev/null
  soon_nobody_new_on 3 "http $VIP4"
  soon_nobody_new_on 4 "http $VIP4"
  mark=$(last_event)
  load_start groups http client2 "$VIP4" "$SCRATCH/groups"
  loads_go_on 40
  switched green 3 4 1 2
  expect_contains "the way back" "$OUTPUT" "shuntctl vip switch $TCP4 blue"
  loads_go_on 40
  switched blue 1 2 3 4
  loads_go_on 40
  load_stop groups
  expect_equal "failed requests" "$(count_of failed "$SCRATCH/groups")" 0
  expect_between "requests" "$(wc -l <"$SCRATCH/groups")" 160 1000000
  expect_equal "events of switches" "$(count_events "$mark" group_switched "$TCP4")" 2
}

# A download that is under way stays with its group.
switch_keeps_downloads() {
  downloads_start 1
  ctl vip switch "$TCP4" green >/dev/null
  soon_nobody_new_on 1 "http $VIP4"
  expect_equal "downloads by the group that rests" $(($(connections 1) + $(connections 2))) "$CURL_DOWNLOADS"
  expect_whole_downloads 1
}

wrong_group_is_refused() {
  local before
  before=$(ctl dump)
  expect_status 2 ctl vip switch "$TCP4" purple
  expect_contains "the refusal" "$OUTPUT" purple
  expect_equal "the state after it" "$(ctl dump)" "$before"
}


# ---- backups: real3 and real4 behind real1 and real2

backups_join_and_leave() {
  local mark
  ctl apply -f "$SCRATCH/web.yaml" >/dev/null
  for n in 3 4; do real set "$n" --backup; done
  poll 20 all_up "$TCP4"
  soon_nobody_new_on 4 "http $VIP4"
  soon_nobody_new_on 3 "http $VIP4"
  load_start backups http client2 "$VIP4" "$SCRATCH/backups"
  loads_go_on 40
  mark=$(last_event)
  server_sick real1 http
  poll 10 health_is "$TCP4" "${LAB_REALS4[0]}" down
  expect_equal "slots of the backups while half of the primaries is up" "$(slots_of 3) $(slots_of 4)" "0 0"
  server_sick real2 http
  poll 10 some_event "$mark" backups_joined "$TCP4"
  expect_between "slots of a backup" "$(slots_of 3)" 32000 33500
  soon_somebody_new_on 3 "http $VIP4"
  loads_go_on 40
  for n in 1 2; do server_sick_over "real$n" http; done
  poll 30 some_event "$mark" backups_left "$TCP4"
  poll 20 all_up "$TCP4"
  expect_equal "slots of the backups" "$(slots_of 3) $(slots_of 4)" "0 0"
  soon_nobody_new_on 3 "http $VIP4"
  load_stop backups
  # Requests under way to a real that goes down may break: it serves its page here, but it is taken at its word.
  expect_between "failed requests" "$(count_of failed "$SCRATCH/backups")" 0 2
  expect_equal "events of backups" \
    "$(count_events "$mark" backups_joined "$TCP4") $(count_events "$mark" backups_left "$TCP4")" "1 1"
}

# ---- canary

new_flows_of() { # N
  ctl -o json stats | jq --arg vip "$TCP4" --arg real "${LAB_REALS4[$1 - 1]}" \
    '.vips[] | select(.vip == $vip) | .reals[] | select(.address == $real) | .new_flows'
}
router_mac() { lab_in client2 ip -j neigh show 198.51.100.65 | jq -r '.[0].lladdr'; }

# One slot in a thousand, and of 60 000 flows 60, give or take 4 standard deviations of 7.7.
one_in_a_thousand() {
  local before all
  ctl apply -f "$SCRATCH/web.yaml" >/dev/null
  ctl vip set "$TCP4" --tcp-settle=2 >/dev/null
  poll 20 all_up "$TCP4"
  real set 4 --canary=0.1
  expect_between "slots of the canary" "$(slots_of 4)" 64 67
  poll 60 all_stable "$TCP4"
  before=$(new_flows_of 4)
  all=$(ctl -o json stats | jq --arg vip "$TCP4" '.vips[] | select(.vip == $vip) | .new_flows')
  lab_start client2 flood "$SHUNT_ROOT/scripts/lib/syn_flood.py" eth0 "$(router_mac)" "$VIP4" 80 60000 10000
  poll 60 lab_stopped client2 flood
  all=$(($(ctl -o json stats | jq --arg vip "$TCP4" '.vips[] | select(.vip == $vip) | .new_flows') - all))
  expect_between "new flows of the VIP" "$all" 59000 61000
  echo "  a canary of 0.1 % got $(($(new_flows_of 4) - before)) of $all new flows" >"$SCRATCH/canary"
  expect_between "new flows of the canary" $(($(new_flows_of 4) - before)) 29 91
}

a_canary_comes_and_goes_under_load() {
  load_start canary http client2 "$VIP4" "$SCRATCH/canary-load"
  loads_go_on 40
  real set 4 --canary=10
  expect_between "slots of the canary" "$(slots_of 4)" 6540 6568
  loads_go_on 40
  real set 4 --canary=0
  expect_between "slots of real4" "$(slots_of 4)" 16000 16800
  loads_go_on 40
  load_stop canary
  expect_equal "failed requests" "$(count_of failed "$SCRATCH/canary-load")" 0
}

test_lab
lab_daemon_start 1
servers_up http
{
  health_settings
  echo 'vips:'
  checked_vip "$TCP4" "$(check_of http "port: ${SERVER_PORTS[http]}")" "${LAB_REALS4[@]}"
} >"$SCRATCH/web.yaml"
ctl apply -f "$SCRATCH/web.yaml" >/dev/null
poll 20 all_up
pages_up 25

it "two groups are switched and switched back under load: each time the whole ring at once, and no request fails" switch_and_back
it "downloads stay with the group they began with" switch_keeps_downloads
it "a group that no real is of is refused, and nothing changes" wrong_group_is_refused
it "backups take new flows while less than half of the primaries is up, and leave again" backups_join_and_leave
it "a canary of 0.1 % gets one slot and one new flow in a thousand" one_in_a_thousand
cat "$SCRATCH/canary" 2>/dev/null || true
it "a canary comes and goes under load and no request fails" a_canary_comes_and_goes_under_load
it "the verdicts add up to the packets received" verdicts_add_up_without_checks
finish
