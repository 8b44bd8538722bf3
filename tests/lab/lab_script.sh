#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# scripts/lab as a person uses it: up, status, shell, down; and that it leaves nothing behind, not even when it is
# interrupted.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

NAME="s$(printf '%04x%04x' "$RANDOM" "$RANDOM")"
lab_use "$NAME" # so that the trap takes it down whatever happens
lab_script() { SHUNT_LAB=$NAME "$SHUNT_ROOT/scripts/lab" "$@"; }

# What a lab could leave: namespaces, its folder, mounts, processes.
leftovers() {
  ip netns list | grep -- "-$NAME-" || true
  ls -d "$LAB" 2>/dev/null || true
  grep -- "/$NAME/" /proc/self/mounts || true
  # Processes by what stands on their command lines: every one has a path of the lab or of its namespaces there.
  grep -lz -- "$NAME/" /proc/[0-9]*/cmdline 2>/dev/null || true
}

comes_up() {
  lab_script up
  expect_equal "nodes" "$(lab_script status | grep -c '^\(client\|router\|balancer\|real\)')" 9
  expect_equal "ended processes" "$(lab_script status | grep -c 'has ended' || true)" 0
}

works_by_hand() {
  lab_script shell balancer1 shuntctl vip add 203.0.113.10:80/tcp
  lab_script shell balancer1 shuntctl real add 203.0.113.10:80/tcp 10.2.3.2
  poll 20 page_is_there
}
page_is_there() { [[ $(lab_script shell client1 curl -s --max-time 2 http://203.0.113.10/) == real3 ]]; }

status_is_the_commands() {
  expect_status 3 lab_script shell client1 sh -c 'exit 3'
  expect_status 2 lab_script shell nowhere true
  expect_status 2 lab_script sideways
  expect_status 1 lab_script up
}

goes_down() {
  lab_script down
  expect_equal "what is left" "$(leftovers)" ""
  expect_status 1 lab_script down
}

# After each of a few different times into `up`.
interrupted() {
  local wait pid
  for wait in 0.2 0.7 1.3; do
    SHUNT_LAB=$NAME setsid "$SHUNT_ROOT/scripts/lab" up &
    pid=$!
    poll 20 test -d "$LAB"
    sleep "$wait"
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid" || true
    [[ ! -d $LAB ]] || lab_script down # it was quicker than the signal
    expect_equal "what is left after $wait s" "$(leftovers)" ""
  done
}

it "scripts/lab up makes every node, and everything in them runs" comes_up
it "a VIP and a real added by hand serve a page" works_by_hand
it "scripts/lab shell ends with the command's status, and misuse is told from failure" status_is_the_commands
it "scripts/lab down leaves nothing behind" goes_down
it "an interrupted scripts/lab up leaves nothing behind" interrupted
finish
