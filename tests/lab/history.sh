#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The store's generations under traffic: the way back, changes that wait to be confirmed, the store read again, and a
# disk that is full, read-only, or holds something else. Requests go on all the while.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

STORE=
in_force() { ctl -o json history -n 1 | jq .in_force; }
weight_of_real1() { ctl -o json real list "$TCP4" | jq '.reals[] | select(.address == "10.2.1.2") | .weight'; }
reals_of() { ctl -o json real list "$1" | jq '.reals | length'; }
changed_file() { sed 's/address: "10.2.1.2", weight: [0-9]*/address: "10.2.1.2", weight: '"$1"'/' "$SCRATCH/usual.yaml" >"$SCRATCH/changed.yaml"; }

# The load that runs through everything that follows.
loads_start() {
  load_start http4 http client1 "$VIP4" "$SCRATCH/http4"
  load_start udp6 udp client2 "$VIP6" "$SCRATCH/udp6"
  loads_go_on 20
}

loads_lost_nothing() {
  local label
  loads_go_on 20
  for label in http4 udp6; do load_stop "$label"; done
  for label in http4 udp6; do expect_equal "failed requests of $label" "$(count_of failed "$SCRATCH/$label")" 0; done
}

history_tells_who_and_what() {
  local generation
  generation=$(in_force)
  ctl real set "$TCP4" 10.2.1.2 --weight=33
  expect_equal "generation" "$(in_force)" $((generation + 1))
  expect_contains "history" "$(ctl history -n 1)" "real set"
  expect_contains "history" "$(ctl history -n 1)" "~ real $TCP4 10.2.1.2: weight 10 -> 33"
  expect_equal "differences" "$(ctl diff "$generation")" "~ real $TCP4 10.2.1.2: weight 10 -> 33"
  expect_equal "differences the other way" "$(ctl diff $((generation + 1)) "$generation")" "~ real $TCP4 10.2.1.2: weight 33 -> 10"
  expect_equal "rows" "$(ctl history -n 2 | wc -l)" 3
  expect_equal "show" "$(ctl -o json show | jq .generation)" $((generation + 1))
}

rollback_goes_back() {
  local before now
  now=$(in_force)
  before=$((now - 1))
  expect_equal "the dry run" "$(ctl rollback "$before" --dry-run)" "~ real $TCP4 10.2.1.2: weight 33 -> 10"
  expect_equal "generation after the dry run" "$(in_force)" "$now"
  ctl rollback "$before"
  expect_equal "weight" "$(weight_of_real1)" 10
  expect_equal "generation" "$(in_force)" $((now + 1))
  expect_contains "history" "$(ctl history -n 1)" "rollback $before"
}

# What is kept is a store like any other.
a_kept_generation_can_be_applied() {
  local file
  file=$(printf '%s.history/%08d.yaml' "$STORE" $(($(in_force) - 1)))
  ctl apply -f "$file"
  expect_equal "weight" "$(weight_of_real1)" 33
  ctl rollback $(($(in_force) - 1))
}

weight_is() { [[ $(weight_of_real1) == "$1" ]]; }

unconfirmed_is_taken_back() {
  local before
  before=$(in_force)
  changed_file 50
  OUTPUT=$(ctl apply -f "$SCRATCH/changed.yaml" --confirm=3s 2>&1)
  expect_contains "the answer" "$OUTPUT" "back to generation $before in 3 s, unless: shuntctl confirm"
  expect_equal "weight meanwhile" "$(weight_of_real1)" 50
  expect_contains "the state" "$(ctl)" "waits to be confirmed: back to generation $before"
  expect_status 2 ctl real add "$TCP4" 10.2.9.9
  expect_contains "a change meanwhile" "$OUTPUT" "shuntctl confirm keeps it, shuntctl rollback $before takes it back"
  poll 20 weight_is 10
  expect_contains "history" "$(ctl history -n 1)" "nobody confirmed $((before + 1))"
  expect_contains "events" "$(ctl events --limit=1)" "rolled_back"
  expect_status 2 ctl confirm
}

confirmed_stays() {
  changed_file 51
  ctl apply -f "$SCRATCH/changed.yaml" --confirm=60s
  ctl confirm
  expect_status 2 ctl confirm
  expect_equal "weight" "$(weight_of_real1)" 51
  expect_equal "what waits" "$(ctl -o json show | jq .unconfirmed)" null
  ctl real set "$TCP4" 10.2.1.2 --weight=10
}

unconfirmed_outlives_a_crash() {
  local before
  before=$(in_force)
  changed_file 52
  ctl apply -f "$SCRATCH/changed.yaml" --confirm=5s
  lab_daemon_stop 1 KILL
  lab_daemon_start 1
  poll 20 weight_is 10
  expect_equal "generation" "$(in_force)" $((before + 2))
  expect_equal "what waits" "$(ctl -o json show | jq .unconfirmed)" null
}

reload_takes_an_edit_over() {
  sed -i '/address: "10.2.1.2"/s/weight: 10/weight: 60/' "$STORE"
  expect_status 2 ctl real rm "$UDP4" 10.2.4.2
  expect_contains "a change before the reload" "$OUTPUT" "shuntctl reload"
  expect_contains "reload" "$(ctl reload)" "~ real $TCP4 10.2.1.2: weight 10 -> 60"
  expect_equal "weight" "$(weight_of_real1)" 60
  sed -i '/address: "10.2.1.2"/s/weight: 60/weight: 10/' "$STORE"
  kill -HUP "$(lab_pid balancer1 shuntd)"
  poll 20 weight_is 10
  expect_contains "history" "$(ctl history -n 1)" SIGHUP
}

log_says() { grep -qF -- "$1" "$LAB/balancer1/shuntd.log"; }

bad_stores_change_nothing() {
  local generation
  generation=$(in_force)
  cp "$STORE" "$SCRATCH/good.yaml"
  printf 'vips:\n  - vip: nonsense\n    colour: green\n' >"$STORE"
  expect_status 2 ctl reload
  expect_contains "reload" "$OUTPUT" "$STORE:2: "
  expect_contains "reload" "$OUTPUT" "$STORE:3: "
  : >"$LAB/balancer1/shuntd.log"
  kill -HUP "$(lab_pid balancer1 shuntd)"
  poll 20 log_says "reloading the store, nothing changed: $STORE:2: "
  head -c -5 "$SCRATCH/good.yaml" >"$STORE" # cut in the middle of a real
  expect_status 2 ctl reload
  rm "$STORE"
  expect_status 2 ctl reload
  mkdir "$STORE"
  expect_status 2 ctl reload
  expect_contains "reload" "$OUTPUT" "a folder; expected a file"
  rmdir "$STORE"
  cp "$SCRATCH/good.yaml" "$STORE"
  expect_equal "reload of the good one" "$(ctl reload)" "no changes"
  expect_equal "generation" "$(in_force)" "$generation"
}

# A disk of the store's own, so that it can be full and read-only.
full_and_read_only_disks_are_survived() {
  local disk=$SCRATCH/disk generation
  lab_daemon_stop 1
  mkdir "$disk"
  trap 'umount "$SCRATCH/disk" 2>/dev/null || true' EXIT
  mount -t tmpfs -o size=256k,mode=0700 shunt-test "$disk"
  cp "$STORE" "$disk/store.yaml"
  lab_daemon_start 1 --store="$disk/store.yaml"
  generation=$(in_force)
  head -c 1m /dev/zero >"$disk/filler" 2>/dev/null || true
  expect_status 1 ctl real set "$TCP4" 10.2.1.2 --weight=70
  expect_contains "a change on a full disk" "$OUTPUT" "No space left on device"
  rm "$disk/filler"
  ctl real set "$TCP4" 10.2.1.2 --weight=70
  ctl rollback "$generation"
  generation=$((generation + 2))
  mount -o remount,ro "$disk"
  expect_status 1 ctl real set "$TCP4" 10.2.1.2 --weight=70
  expect_contains "a change on a read-only disk" "$OUTPUT" "Read-only file system"
  expect_equal "weight" "$(weight_of_real1)" 10
  lab_daemon_stop 1
  lab_daemon_start 1 --store="$disk/store.yaml"
  expect_equal "generation after a start on a read-only disk" "$(in_force)" "$generation"
  lab_daemon_stop 1
  umount "$disk"
  lab_daemon_start 1
  expect_equal "weight in the lab's own store" "$(weight_of_real1)" 10
}

a_history_in_the_way_is_a_warning() {
  lab_daemon_stop 1
  mv "$STORE.history" "$SCRATCH/history"
  echo mine >"$STORE.history"
  lab_daemon_start 1
  OUTPUT=$(ctl real set "$TCP4" 10.2.1.2 --weight=11 2>&1)
  expect_contains "the answer" "$OUTPUT" "warning: the change is made, but the history lacks it"
  expect_equal "weight" "$(weight_of_real1)" 11
  expect_status 1 ctl history
  rm "$STORE.history"
  mv "$SCRATCH/history" "$STORE.history"
  touch "$STORE.history/core" "$STORE.history/00000001.yaml.bak"
  ctl real set "$TCP4" 10.2.1.2 --weight=10
  expect_contains "history" "$(ctl history -n 1)" "weight 11 -> 10"
  test -e "$STORE.history/core"
}

# The reals that come here and below are nowhere, so their VIPs have no load.
# Every add that was answered is in the store after the daemon was killed in the midst of them.
no_answered_change_is_lost() {
  local n i pids=()
  for n in 1 2 3 4; do
    (for i in $(seq 60); do ctl real add "$UDP4" "10.9.$n.$i" >/dev/null 2>&1 && echo "10.9.$n.$i"; done) >"$SCRATCH/added$n" &
    pids+=($!)
  done
  poll 30 some_added
  lab_daemon_stop 1 KILL
  wait "${pids[@]}" || true
  lab_daemon_start 1
  ctl -o json real list "$UDP4" | jq -r '.reals[].address' | sort >"$SCRATCH/stored"
  sort "$SCRATCH"/added[1-4] >"$SCRATCH/answered"
  expect_equal "answered and lost" "$(comm -23 "$SCRATCH/answered" "$SCRATCH/stored")" ""
  expect_between "stored without an answer" "$(comm -13 "$SCRATCH/answered" "$SCRATCH/stored" | grep -c '^10\.9\.' || true)" 0 4
  expect_equal "the newest generation" "$(in_force)" "$(find "$STORE.history" -name '[0-9]*.yaml' -printf '%f\n' | sort | tail -n 1 | sed 's/^0*//; s/\.yaml//')"
  expect_equal "what a dead daemon left" "$(find "$LAB/balancer1" "$STORE.history" -maxdepth 1 -name '.*.??????')" ""
}
some_added() { (($(cat "$SCRATCH"/added[1-4] | wc -l) >= 20)); }

parallel_changes_are_all_made() {
  local before n i pids=() pid
  before=$(reals_of "$TCP6")
  for n in 1 2 3 4 5 6 7 8; do
    (
      for i in 1 2 3 4; do ctl real add "$TCP6" "2001:db8:9:$n::$i" >/dev/null || exit 1; done
      for i in 1 2; do ctl real rm "$TCP6" "2001:db8:9:$n::$i" >/dev/null || exit 1; done
    ) &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || { echo "a change failed"; return 1; }; done
  expect_equal "reals" "$(reals_of "$TCP6")" $((before + 16))
}

as_many_are_kept_as_asked() {
  lab_daemon_stop 1
  lab_daemon_start 1 --store_history=3
  ctl real set "$TCP4" 10.2.1.2 --weight=20
  ctl real set "$TCP4" 10.2.1.2 --weight=10
  expect_equal "generations" "$(ctl -o json history | jq '.generations | length')" 4
  expect_equal "files" "$(find "$STORE.history" -name '[0-9]*.yaml' | wc -l)" 4
}

bad_words_are_refused() {
  expect_status 2 ctl rollback 0
  expect_status 2 ctl rollback 99999
  expect_contains "rollback 99999" "$OUTPUT" "no generation 99999; kept are "
  expect_status 2 ctl diff one
  expect_status 2 ctl history -n 0
  expect_status 2 ctl apply -f "$SCRATCH/usual.yaml" --confirm=60
  expect_status 2 ctl apply -f "$SCRATCH/usual.yaml" --confirm=2d
  expect_status 2 lab_in balancer1 "$SHUNTD" --interfaces=eth0 --store_history=10001
  expect_contains "--store_history" "$OUTPUT" "expected 0 to 10000"
}

test_lab
STORE=$LAB/balancer1/store.yaml
lab_daemon_start 1
usual_vips 10 15 20 25
loads_start

it "the history tells who changed what, and any two generations can be compared" history_tells_who_and_what
it "a rollback makes an older generation be in force, as a new one" rollback_goes_back
it "a kept generation can be applied like any store" a_kept_generation_can_be_applied
it "a change that nobody confirms is taken back, and others are refused meanwhile" unconfirmed_is_taken_back
it "a change that is confirmed stays" confirmed_stays
it "a change that waits is taken back after a crash too" unconfirmed_outlives_a_crash
it "an edited store is taken over by reload and by SIGHUP, and by nothing else overwritten" reload_takes_an_edit_over
it "a store that cannot be read again is told with every problem, and changes nothing" bad_stores_change_nothing
it "full and read-only disks refuse changes in words, and starts go on" full_and_read_only_disks_are_survived
it "a history that cannot be written is a warning, and one full of other files no matter" a_history_in_the_way_is_a_warning
it "no change that was answered is lost when the daemon is killed in the midst of many" no_answered_change_is_lost
it "changes that come in parallel are all made" parallel_changes_are_all_made
it "as many older generations are kept as are asked for" as_many_are_kept_as_asked
it "numbers and times that make no sense are refused" bad_words_are_refused
it "no request was lost through all that" loads_lost_nothing
finish
