#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 2000 downloads at once, 40 seconds each, while reals are added, drained and re-weighted and while a flood of SYNs
# runs that is larger than the flow table: every one ends whole, and new flows go where the changes say all the same.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

CURLS=10 DOWNLOAD_SECONDS=40
MAX_FLOWS=16384

real() { # VERB N [OPTION…]
  local verb=$1 n=$2
  shift 2
  ctl real "$verb" "$TCP4" "$(real_of "$TCP4" "$n")" "$@"
}

expect_some_on() { # N
  expect_between "downloads by real$1" "$(connections "$1")" 100 $((CURLS * CURL_DOWNLOADS))
}

changes_keep_downloads() {
  downloads_start "$CURLS"
  real add 4
  some_slots "$TCP4" moving_slots
  soon_somebody_new_on 4 "http $VIP4"
  real set 1 --weight=40
  real drain 2
  soon_nobody_new_on 2 "http $VIP4"
  real undrain 2
  real set 1 --weight=10
  real drain 3
  soon_nobody_new_on 3 "http $VIP4"
  soon_somebody_new_on 2 "http $VIP4"
  expect_some_on 3
  expect_whole_downloads "$CURLS"
  expect_equal "connections to the drained real3" "$(connections 3)" 0
  real undrain 3
  real rm 4
}

router_mac() { lab_in client2 ip -j neigh show 198.51.100.65 | jq -r '.[0].lladdr'; }

refused() { ctl -o json vip show "$TCP4" | jq .settling.refused_flows; }
more_refused_than() { (($(refused) > $1)); }

# Ten times the table's size, while slots move: flows are refused, none is lost, and the change is only put off.
flood_keeps_downloads() {
  local before
  downloads_start "$CURLS"
  before=$(refused)
  real drain 1
  lab_start client2 flood python3 "$SHUNT_ROOT/scripts/lib/syn_flood.py" eth0 "$(router_mac)" "$VIP4" 80 \
    $((MAX_FLOWS * 10)) 12000
  poll 10 more_refused_than $((before + MAX_FLOWS))
  real undrain 1
  real drain 2
  poll 30 lab_stopped client2 flood
  expect_equal "SYNs sent" "$(cat "$LAB/client2/flood.log")" $((MAX_FLOWS * 10))
  soon_nobody_new_on 2 "http $VIP4"
  expect_some_on 2
  expect_whole_downloads "$CURLS"
  expect_equal "connections to the drained real2" "$(connections 2)" 0
  real undrain 2
}

test_lab
lab_daemon_start 1 --max_flows="$MAX_FLOWS"
{
  printf '%s\n' 'defaults: { tcp_settle_seconds: 20, slow_start_seconds: 0 }' 'vips:'
  lab_vip_entry "$TCP4" "${LAB_REALS4[0]}=10" "${LAB_REALS4[1]}=10" "${LAB_REALS4[2]}=10"
} >"$SCRATCH/web.yaml"
ctl apply -f "$SCRATCH/web.yaml" >/dev/null
poll 20 next_hops_known
pages_up "$DOWNLOAD_SECONDS"

it "2000 downloads outlive a real added, two drained and a weight changed" changes_keep_downloads
it "2000 downloads outlive a flood of SYNs ten times the flow table's size" flood_keeps_downloads
it "when the flood is over and its entries are gone, every slot is stable again" poll 90 all_stable "$TCP4"
it "the verdicts add up to the packets received" expect_verdicts_add_up
finish
