#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Five hundred targets, asked five times a second each: all are asked, in time and through the tunnel, and a crash of
# the daemon marks none of them down. How much more it can do, scripts/measure-probes tells.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

TARGETS=500

measured() { # KIND
  BUILD_DIR=$BUILD_DIR "$SHUNT_ROOT/scripts/measure-probes" --targets="$TARGETS" --kind="$1" --interval=200 \
    --seconds=10 --restart --json >"$SCRATCH/$1"
  cat "$SCRATCH/$1"
  figure() { jq "$2" "$SCRATCH/$1"; }
  expect_equal "targets" "$(figure "$1" .targets)" "$TARGETS"
  expect_equal "reals that are up" "$(figure "$1" .up)" "$TARGETS"
  expect_equal "probes that failed" "$(figure "$1" .failed)" 0
  expect_between "probes a second" "$(figure "$1" .probes_per_second)" 2250 2750
  expect_between "99 of 100 probes late by at most, in microseconds" "$(figure "$1" .late_us.p99)" 0 100000
  expect_equal "reals that are up after the crash" "$(figure "$1" .restart.up)" "$TARGETS"
  expect_equal "events after the crash" "$(figure "$1" .restart.events)" 0
}

it "$TARGETS targets are connected to five times a second; a crash marks none of them down" measured tcp
it "$TARGETS targets are asked by HTTP five times a second, each on a connection it keeps; a crash marks none of them down" \
  measured http
for kind in tcp http; do [[ ! -s $SCRATCH/$kind ]] || cat "$SCRATCH/$kind"; done
finish
