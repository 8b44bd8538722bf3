# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What tests of restarts share: every counter watched while the daemon goes and comes, and what shuntctl shows besides.
# Sourced after lib.sh. Not here: reading and comparing (counters_watch.py).

COUNTERS_LISTEN=127.0.0.1:9871

# The daemon must listen for scrapes there.
counters_watch_start() {
  echo '{"samples": 0}' >"$SCRATCH/watch"
  lab_start balancer1 watch "$SHUNT_ROOT/tests/lab/counters_watch.py" "$SHUNTCTL" "$LAB/balancer1/shuntd.sock" \
    "http://$COUNTERS_LISTEN/metrics" "$SCRATCH/watch"
  counters_watch_goes_on 2
}

counters_watched() { tail -n 1 "$SCRATCH/watch" | jq -r "$1"; }
counters_watched_more_than() { (($(counters_watched .samples) > $1)); }

# counters_watch_goes_on SAMPLES: until there are so many more
counters_watch_goes_on() {
  poll 30 counters_watched_more_than $(($(counters_watched .samples) + $1)) ||
    { echo "no samples: $(tail -n 3 "$LAB/balancer1/watch.log" "$SCRATCH/watch")"; return 1; }
}

expect_no_counter_backwards() {
  lab_stop balancer1 watch
  counters_watched .
  expect_equal "counters that went backwards" "$(counters_watched '.backwards[]')" ""
  expect_between "counters that were watched" "$(counters_watched .counters)" 20 1000000
}

# shown: the state without counters and activity, and without the time that is left
shown() {
  ctl -o json | jq -S 'del(.vips[] | .traffic, .flows, .new_flows_per_second, .settling.settles_in_seconds,
    .settling.remembered_flows, .settling.refused_flows, (.reals[] | .traffic, .flows, .new_flows_per_second))'
}
shows() { shown | cmp -s - "$1"; }
