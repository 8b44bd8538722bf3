#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 2000 downloads at once, half a minute each, while reals are added, drained and re-weighted and while a flood of SYNs
# runs that is larger than the flow table: every one ends whole, and the ring moves all the same.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

DOWNLOADS=2000 CURLS=10 DOWNLOAD_BYTES=120000 # at 4 kB/s: 30 s
MAX_FLOWS=4096

downloads_start() {
  local i each=$((DOWNLOADS / CURLS))
  for i in $(seq "$CURLS"); do
    lab_start "client$((i % 2 + 1))" "downloads$i" curl -sS -Z --parallel-immediate --parallel-max "$each" --no-keepalive \
      --connect-timeout 10 --max-time 120 -o /dev/null -w '%{http_code} %{size_download}\n' \
      "http://$VIP4/crawl/page?n=[1-$each]"
  done
  poll 20 downloads_run
}

connections() { lab_in "real$1" ss -Htn state established '( sport = :80 )' | wc -l; }
all_connections() {
  local n sum=0
  for n in 1 2 3 4; do sum=$((sum + $(connections "$n"))); done
  echo "$sum"
}
downloads_run() { (($(all_connections) == DOWNLOADS)); }

downloads_ended() {
  local i
  for i in $(seq "$CURLS"); do lab_stopped "client$((i % 2 + 1))" "downloads$i" || return 1; done
}

expect_whole_downloads() {
  poll 120 downloads_ended
  cat "$LAB"/client[12]/downloads*.log >"$SCRATCH/downloads"
  rm -f "$LAB"/client[12]/downloads*.log
  expect_equal "downloads that ended whole" "$(count_of "200 $DOWNLOAD_BYTES" "$SCRATCH/downloads")" "$DOWNLOADS" ||
    { sort "$SCRATCH/downloads" | uniq -c | sort -rn | head -5; return 1; }
}

slots() { ctl -o json vip show "$TCP4" | jq ".slots.$1"; }
slots_are_moving() { (($(slots moving) > 0)); }

# What a change is worth: the downloads under way stay, the others' slots have moved.
changes_keep_downloads() {
  downloads_start
  ctl real add "$TCP4" "$(real_of "$TCP4" 4)"
  slots_are_moving
  ctl real set "$TCP4" "$(real_of "$TCP4" 1)" --weight=40
  ctl real drain "$TCP4" "$(real_of "$TCP4" 2)"
  poll 20 nobody_new_on_tcp 2
  ctl real undrain "$TCP4" "$(real_of "$TCP4" 2)"
  ctl real set "$TCP4" "$(real_of "$TCP4" 1)" --weight=10
  ctl real drain "$TCP4" "$(real_of "$TCP4" 3)"
  downloads_run || { echo "the downloads had ended before the changes could hurt them"; return 1; }
  expect_whole_downloads
  expect_between "downloads' connections to the drained real3" "$(connections 3)" 0 0
  ctl real undrain "$TCP4" "$(real_of "$TCP4" 3)"
  ctl real rm "$TCP4" "$(real_of "$TCP4" 4)"
}

nobody_new_on_tcp() {
  fresh_flows client1
  http_ask client1 "$VIP4" 100 >"$SCRATCH/answers"
  expect_answers "$SCRATCH/answers" 100
  (($(count_of "real$1" "$SCRATCH/answers") == 0))
}

router_mac() { lab_in client2 ip -j neigh show 198.51.100.65 | jq -r '.[0].lladdr'; }

# Ten times the table's size, while slots move: flows are refused, none is lost.
flood_keeps_downloads() {
  downloads_start
  ctl real drain "$TCP4" "$(real_of "$TCP4" 1)"
  lab_start client2 flood python3 "$SHUNT_ROOT/scripts/lib/syn_flood.py" eth0 "$(router_mac)" "$VIP4" 80 \
    $((MAX_FLOWS * 10)) 8000
  poll 10 flows_are_refused
  ctl real undrain "$TCP4" "$(real_of "$TCP4" 1)"
  ctl real drain "$TCP4" "$(real_of "$TCP4" 2)"
  poll 30 lab_stopped client2 flood
  expect_equal "SYNs sent" "$(cat "$LAB/client2/flood.log")" $((MAX_FLOWS * 10))
  downloads_run || { echo "the downloads had ended before the flood could hurt them"; return 1; }
  expect_whole_downloads
  ctl real undrain "$TCP4" "$(real_of "$TCP4" 2)"
}

flows_are_refused() { (($(ctl -o json vip show "$TCP4" | jq '.refused_flows | tonumber') > 0)); }

all_slots_settled() { (($(slots moving) == 0)); }

test_lab
lab_daemon_start 1 --max_flows="$MAX_FLOWS"
ctl vip add "$TCP4" --tcp-settle=20
for n in 1 2 3; do ctl real add "$TCP4" "$(real_of "$TCP4" "$n")"; done
poll 20 next_hops_known
head -c "$DOWNLOAD_BYTES" /dev/urandom >"$SCRATCH/page"
for n in 1 2 3 4; do cp "$SCRATCH/page" "$LAB/real$n/www/page"; done

it "2000 downloads outlive a real added, two drained and a weight changed" changes_keep_downloads
it "2000 downloads outlive a flood of SYNs ten times the flow table's size" flood_keeps_downloads
it "when the flood is over the slots settle" poll 120 all_slots_settled
it "the verdicts add up to the packets received" expect_verdicts_add_up
finish
