#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Reals come, go, drain and change weight while clients of both families work: no request fails, and once slots that
# changed hands hold no more, new flows go where they shall.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

loads_start() {
  load_start http4 http client1 "$VIP4" "$SCRATCH/http4"
  load_start http6 http client2 "$VIP6" "$SCRATCH/http6"
  load_start udp4 udp client2 "$VIP4" "$SCRATCH/udp4"
  load_start udp6 udp client1 "$VIP6" "$SCRATCH/udp6"
  loads_go_on 40
}

loads_stop_without_failures() {
  local label
  for label in http4 http6 udp4 udp6; do load_stop "$label"; done
  for label in http4 http6 udp4 udp6; do
    expect_equal "failed requests of $label" "$(count_of failed "$SCRATCH/$label")" 0
    expect_between "requests of $label" "$(wc -l <"$SCRATCH/$label")" 120 1000000
  done
}

each_vip() { # VERB N [OPTION…]: a real verb for real N of every VIP
  local verb=$1 n=$2 vip
  shift 2
  for vip in "$TCP4" "$TCP6" "$UDP4" "$UDP6"; do ctl real "$verb" "$vip" "$(real_of "$vip" "$n")" "$@"; done
}

packets_of() { ctl -o json real list | jq --arg a "$(real_of 4 "$1")" --arg b "$(real_of '[' "$1")" '[.reals[] | select(.address == $a or .address == $b) | .traffic.packets] | add // 0'; }

# Nothing comes any more: the flows it had have ended.
is_idle() {
  local before
  before=$(packets_of "$1")
  sleep 0.3
  [[ $(packets_of "$1") == "$before" ]]
}

drain_remove_add() {
  loads_start
  each_vip drain 2
  loads_go_on 40
  soon_nobody_new_on 2
  fresh_flows client2
  poll 30 is_idle 2
  each_vip rm 2
  nobody_new_on 2
  loads_go_on 40
  each_vip add 2 --weight=10
  poll 20 next_hops_known
  loads_go_on 40
  soon_somebody_new_on 2
  loads_stop_without_failures
}

weights_change() {
  local n
  loads_start
  for n in 1 2 3 4; do each_vip set "$n" --weight=$((n * 25)); done
  loads_go_on 40
  each_vip set 4 --weight=0
  loads_go_on 40
  soon_nobody_new_on 4
  each_vip set 4 --weight=10
  loads_stop_without_failures
}

# A download that is slower than the drain: nginx gives 200 kB/s. Which real has it, its answer's header says.
drain_keeps_a_download() { # ADDRESS VIP EXPECTATION: of who gets new flows
  local n=''
  lab_start client2 "slow$1" curl -sSf --max-time 60 -D "$SCRATCH/headers" -o "$SCRATCH/slow" \
    "http://$(in_url "$1")/slow/big"
  poll 10 grep -qi '^x-real' "$SCRATCH/headers"
  n=$(tr -d '\r' <"$SCRATCH/headers" | sed -n 's/^[Xx]-[Rr]eal: real//p')
  ctl real drain "$2" "$(real_of "$2" "$n")"
  "$3" "$n" "http $1"
  lab_running client2 "slow$1" || { echo "the download had ended before the drain could hurt it"; return 1; }
  poll 60 lab_stopped client2 "slow$1"
  expect_equal "errors of the download" "$(cat "$LAB/client2/slow$1.log")" ""
  expect_equal "checksum" "$(sha256sum <"$SCRATCH/slow")" "$(sha256sum <"$SCRATCH/big")"
  ctl real undrain "$2" "$(real_of "$2" "$n")"
  rm -f "$SCRATCH/headers"
}

# With tracking `all` every flow is remembered as it begins, so new ones need not wait.
tracking_all_drains_at_once() {
  ctl vip set "$TCP4" --tracking=all
  drain_keeps_a_download "$VIP4" "$TCP4" nobody_new_on
  all_stable "$TCP4"
}

test_lab
lab_daemon_start 1
usual_vips 10 10 10 10
head -c 3000000 /dev/urandom >"$SCRATCH/big"
for n in 1 2 3 4; do cp "$SCRATCH/big" "$LAB/real$n/www/big"; done

it "a real is drained, removed and added again under load and no request fails" drain_remove_add
it "weights change under load and no request fails" weights_change
it "a drained real keeps its download over IPv4 while new requests soon go elsewhere" \
  drain_keeps_a_download "$VIP4" "$TCP4" soon_nobody_new_on
it "a drained real keeps its download over IPv6 while new requests soon go elsewhere" \
  drain_keeps_a_download "$VIP6" "$TCP6" soon_nobody_new_on
it "with tracking all a drained real keeps its download and gets no new request at once" tracking_all_drains_at_once
it "the verdicts add up to the packets received" expect_verdicts_add_up
finish
