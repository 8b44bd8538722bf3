#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 1000 VIPs of 100 reals each in one file: applied, listed, dumped, and the second time no change. Times and memory are
# printed, never judged.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

VIPS=1000 REALS=100

big_file() {
  python3 - "$VIPS" "$REALS" <<'P'
import sys
vips, reals = int(sys.argv[1]), int(sys.argv[2])
print("defaults: { ring_size: 4099, slow_start_seconds: 0 }\nvips:")
for v in range(vips):
    print(f'  - vip: "203.0.{112 + v // 250}.{v % 250 + 1}:80/tcp"\n    reals:')
    for r in range(reals):
        print(f'      - {{ address: "10.{100 + v // 250}.{v % 250}.{r + 1}", weight: {r % 7 + 1} }}')
P
}

rss_mib() { echo $(($(awk '/^VmRSS/ { print $2 }' "/proc/$(lab_pid balancer1 shuntd)/status") / 1024)); }

applied() {
  local start
  start=$(now_ms)
  expect_status 0 ctl -o json apply -f "$SCRATCH/big.yaml"
  printf '  applied in %s s, the daemon has %s MiB\n' "$(seconds_since "$start")" "$(rss_mib)" >"$SCRATCH/figures"
  expect_equal "changes" "$(jq '.changes | length' <<<"$OUTPUT")" $((VIPS + VIPS * REALS + 2)) # 2 defaults
}

listed() {
  expect_equal "VIPs" "$(ctl -o json vip list | jq '.vips | length')" "$VIPS"
  expect_equal "reals" "$(ctl -o json real list | jq '.reals | length')" $((VIPS * REALS))
  expect_equal "slots of the last VIP" "$(ctl -o json vip show 203.0.115.250:80/tcp | jq '[.reals[].slots] | add')" 4099
  expect_equal "reals without a slot" "$(ctl -o json real list | jq '[.reals[] | select(.slots == 0)] | length')" 0
}

second_apply_is_empty() {
  local start
  start=$(now_ms)
  expect_status 0 ctl -o json apply -f "$SCRATCH/big.yaml"
  printf '  applied again in %s s, the daemon has %s MiB\n' "$(seconds_since "$start")" "$(rss_mib)" >"$SCRATCH/figures"
  expect_equal "changes" "$(jq '.changes | length' <<<"$OUTPUT")" 0
}

restart_adopts_all() {
  local start
  lab_daemon_stop 1
  start=$(now_ms)
  lab_daemon_start 1
  printf '  ready after a restart in %s s, the daemon has %s MiB\n' "$(seconds_since "$start")" "$(rss_mib)" >"$SCRATCH/figures"
  expect_equal "reals" "$(ctl -o json real list | jq '.reals | length')" $((VIPS * REALS))
}

one_of_them_works() { # with a real of the lab
  ctl real add 203.0.113.250:80/tcp 10.2.1.2 --weight=65535 >/dev/null
  lab_in real1 ip address add 203.0.113.250/32 dev lo
  lab_in real1 "$SHUNTCTL" decap attach --interface=eth0 --vip="$VIP4,203.0.113.250" >/dev/null
  poll 20 real1_answers
}

# The other 100 reals do not exist; at this weight real1 has nearly every slot.
real1_answers() { [[ $(lab_in client1 curl -s --max-time 2 http://203.0.113.250/) == real1 ]]; }

figures() {
  cat "$SCRATCH/figures" 2>/dev/null || true
  rm -f "$SCRATCH/figures"
}

test_lab
lab_daemon_start 1
big_file >"$SCRATCH/big.yaml"

it "$VIPS VIPs of $REALS reals are applied from one file" applied
figures
it "all of them are listed" listed
it "applying the file again changes nothing" second_apply_is_empty
figures
it "a restarted daemon has them all" restart_adopts_all
figures
it "one of them serves a real that is added" one_of_them_works
finish
