#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A daemon of an earlier commit gives way to today's under traffic, stopped or killed, while slots move and flows are
# remembered: its pins are adopted or migrated, nothing is lost, nothing moves, counts go on.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/counters_lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/hitless_lib.sh"
source "$SHUNT_ROOT/scripts/lib/hitless_events.sh"

OLD_COMMIT=be038020306d # pins of ABI version 2
OLD=$BUILD_DIR/old-build/$OLD_COMMIT
OLD_SHUNTD=$OLD/build/release/userspace/daemon/shuntd OLD_SHUNTCTL=$OLD/build/release/tools/shuntctl/shuntctl
NEW_SHUNTD=$SHUNTD
NUMBERED_RATE=1000 DOWNLOADS=400 DOWNLOAD_SECONDS=60
HITLESS_TCP_SETTLE_SECONDS=120 # flows of slots that move are remembered for so long

git -C "$SHUNT_ROOT" cat-file -e "$OLD_COMMIT^{commit}" 2>/dev/null || {
  echo "skipped: this clone has no commit $OLD_COMMIT, of which the older daemon is built; git fetch --unshallow"
  exit "$SKIPPED_STATUS"
}

# Only once: what is built stays. As the scripts build today's, so that the compiler's cache may have seen it.
old_builds() {
  if [[ ! -e $OLD/CMakeLists.txt ]]; then
    mkdir -p "$OLD.new"
    git -C "$SHUNT_ROOT" archive "$OLD_COMMIT" | tar -x -C "$OLD.new"
    rm -rf "$OLD"
    mv "$OLD.new" "$OLD"
  fi
  [[ -e $OLD/build/release/build.ninja ]] || (cd "$OLD" && cmake --preset release -DSHUNT_TESTS=OFF)
  cmake --build "$OLD/build/release" --target shuntd shuntctl
}

daemon_start() { # old|new [FLAG…]
  local age=$1
  shift
  if [[ $age == old ]]; then SHUNTD=$OLD_SHUNTD; else SHUNTD=$NEW_SHUNTD; fi
  lab_daemon_start 1 --metrics_listen="$COUNTERS_LISTEN" "$@"
}

remembered() { ctl -o json | jq '[.vips[].settling.remembered_flows // 0] | add'; }
some_remembered() { (($(remembered) > 20)); }

# One set, of today's ABI
pins_are_todays() {
  local version sets
  version=$(awk '/^#define SHUNT_ABI_VERSION/ { print $3 + 0 }' "$SHUNT_ROOT/bpf/include/shunt/abi_types.h")
  sets=$(find "$LAB/balancer1/bpffs/shunt" -mindepth 1 -maxdepth 1 -type d -printf '%f\n')
  [[ $sets =~ ^v${version}([^0-9].*)?$ && $sets != *$'\n'* ]] || { echo "sets of pins: $sets; expected one, of version $version"; return 1; }
}

# From nothing, with traffic
serves() { # old|new
  hitless_traffic_down
  lab_daemon_stop 1
  lab_ip balancer1 link set dev eth0 xdp off
  # The store too: changes that lead back to what an earlier case left would move no slot in the end.
  rm -rf "$LAB/balancer1/bpffs/shunt" "$LAB/balancer1/store.yaml" "$LAB/balancer1/store.yaml.history"
  daemon_start "$1"
  hitless_apply moving 10 10 10 10
  poll 20 hitless_resolved
  everything_goes_on 300
}

takes_over() { # SIGNAL [FLAG…]
  lab_daemon_stop 1 "$1"
  shift
  daemon_start new "$@"
}

# Slots settle as time goes by.
but_slots() { jq 'del(.vips[].settling)' "$@"; }
shows_the_same() { shown | but_slots | cmp -s - <(but_slots "$SCRATCH/before"); }

all_settle() {
  local vip
  for vip in "$HITLESS_WEB4" "$HITLESS_WEB6"; do ctl vip set "$vip" --tcp-settle=5 >/dev/null; done
  event_all_settled
}

# Slots have begun to move, so flows of either real are remembered when the daemon goes.
gives_way() { # SIGNAL NAME
  SHUNTCTL=$OLD_SHUNTCTL # what it shows, both daemons know
  serves old
  event_each_vip drain 2
  event_each_vip set 1 --weight=30
  poll 20 some_remembered
  shown >"$SCRATCH/before"
  counters_watch_start
  hitless_event "$2" takes_over "$1"
  poll 20 some_remembered || { echo "$(remembered) flows are remembered"; return 1; }
  poll 20 shows_the_same || { shown | diff "$SCRATCH/before" -; return 1; }
  counters_watch_goes_on 5
  expect_no_counter_backwards
  pins_are_todays
  hitless_event "$2: all slots settle" all_settle
  everything_ends_whole 1
}

# The older one adopts what is of its version, and refuses all else before it touches anything.
comes_back() {
  lab_daemon_stop 1
  if ! daemon_start old; then
    expect_contains "the log" "$(tail -n 3 "$LAB/balancer1/shuntd.log")" "they are of ABI version"
    numbered_go_on "$NUMBERED_RATE"
    daemon_start new
  fi
}

the_old_one_comes_back() {
  serves new
  event_each_vip set 1 --weight=30
  hitless_event "the older daemon, and today's again" comes_back
  hitless_event "today's daemon again" takes_over TERM
  everything_ends_whole 1
}

# Larger tables than the pins were made with
capacities_grow() {
  serves new
  event_each_vip drain 2
  poll 20 some_remembered
  hitless_event "larger tables" takes_over TERM --max_flows=524288 --max_vips=8192 --max_reals=524288
  expect_equal "flows that can be remembered" "$(ctl -o json | jq .max_flows)" 524288
  poll 10 some_remembered || { echo "$(remembered) flows are remembered"; return 1; }
  pins_are_todays
  everything_ends_whole 1
}

test_lab
it "the older shuntd and shuntctl build" old_builds
it "an older daemon that is stopped gives way to today's" gives_way TERM "an older daemon, stopped"
it "an older daemon that is killed gives way to today's" gives_way KILL "an older daemon, killed"
it "an older daemon that comes back hurts nobody" the_old_one_comes_back
it "a daemon with larger tables takes over" capacities_grow
hitless_table
finish
