#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A store with several errors: the daemon does not start, names them all with their lines, and touches nothing.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

bad_store() {
  cat <<'Y'
defaults: { tracking: some, ring_size: 65536 }
vips:
  - vip: "203.0.113.10:80/tcp"
    colour: green
    reals:
      - { address: "10.2.1.2", weight: 65536 }
      - { address: "10.2.2.300" }
  - vip: "203.0.113.10:80/tcp"
  - vip: "203.0.113.10:70000/tcp"
Y
}

names_every_problem() {
  local word
  lab_daemon_stop 1
  mv "$LAB/balancer1/store.yaml" "$SCRATCH/good.yaml"
  bad_store >"$LAB/balancer1/store.yaml"
  : >"$LAB/balancer1/shuntd.log"
  ! lab_daemon_start 1 || { echo "it started"; return 1; }
  cat "$LAB/balancer1/shuntd.log"
  for word in store.yaml:1: some store.yaml:4: colour store.yaml:6: 65536 store.yaml:7: 10.2.2.300 store.yaml:9: 70000; do
    grep -q -- "$word" "$LAB/balancer1/shuntd.log" || { echo "it does not say: $word"; return 1; }
  done
  expect_equal "the store" "$(cat "$LAB/balancer1/store.yaml")" "$(bad_store)"
}

# What form allows but meaning forbids.
names_every_contradiction() {
  local word
  printf '%s\n' 'vips:' '  - vip: "203.0.113.10:80/tcp"' '    ring_size: 65536' '  - vip: "203.0.113.10:80/tcp"' \
    '  - vip: "224.0.0.1:80/tcp"' >"$LAB/balancer1/store.yaml"
  : >"$LAB/balancer1/shuntd.log"
  ! lab_daemon_start 1 || { echo "it started"; return 1; }
  cat "$LAB/balancer1/shuntd.log"
  for word in store.yaml:3: store.yaml:4: store.yaml:5: prime; do
    grep -q -- "$word" "$LAB/balancer1/shuntd.log" || { echo "it does not say: $word"; return 1; }
  done
}

exits_with_misuse_or_failure() {
  local status=0
  lab_in balancer1 timeout 20 "$SHUNTD" --interfaces=eth0 --store="$LAB/balancer1/store.yaml" \
    --socket="$LAB/balancer1/shuntd.sock" --bpffs="$LAB/balancer1/bpffs" || status=$?
  expect_between "exit status" "$status" 1 2
}

traffic_goes_on() {
  local address
  for address in "$VIP4" "$VIP6"; do
    http_ask client1 "$address" 100 >"$SCRATCH/answers"
    expect_answers "$SCRATCH/answers" 100
  done
}

starts_again() {
  cp "$SCRATCH/good.yaml" "$LAB/balancer1/store.yaml"
  lab_daemon_start 1
  expect_equal "VIPs" "$(ctl -o json vip list | jq '.vips | length')" 4
  traffic_goes_on
}

test_lab
lab_daemon_start 1
usual_vips 10 10 10 10

it "a store with several errors stops the start, and every problem is named with its line" names_every_problem
it "contradictions in a well-formed store are named with their lines too" names_every_contradiction
it "the daemon's exit status says so" exits_with_misuse_or_failure
it "traffic goes on meanwhile" traffic_goes_on
it "with the store mended the daemon starts" starts_again
finish
