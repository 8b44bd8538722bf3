#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A crash at any instant leaves the old store or the new one, whole, and a history that fits: kills store_session before
# each system call that writes (strace injects the signal), starts it again, and looks. Each step of a store's life has
# its turn.
# usage: store_crash.sh STORE_SESSION
set -euo pipefail
SESSION=$1
SCRATCH=$(mktemp -d)
trap 'rm -rf "$SCRATCH"' EXIT
SKIPPED_STATUS=77
KEPT=2 # so that changes prune too
# What mkostemp() makes is empty until the next of these, so openat() would add no state of the disk that they do not see.
# Those with a ? are no system calls everywhere.
CALLS=(write '?pwrite64' '?writev' fsync '?fdatasync' '?ftruncate' fchmod '?rename' '?renameat' '?renameat2' '?unlink' '?unlinkat' '?mkdir' '?mkdirat')
MAX_CALLS=60

command -v strace >/dev/null || { echo "skipped: no strace"; exit "$SKIPPED_STATUS"; }
strace -qq -o /dev/null -e trace=write true 2>/dev/null || { echo "skipped: strace may not trace here"; exit "$SKIPPED_STATUS"; }

store_file() { # NAME PORT
  printf 'hash_key: "0x000102030405060708090a0b0c0d0e0f"\nvips:\n  - vip: "203.0.113.10:%s/tcp"\n    ring_size: 13\n    reals: [ { address: "10.0.0.11" }, { address: "2001:db8::12" } ]\n' \
    "$2" >"$SCRATCH/$1"
}

fresh() { rm -rf "${SCRATCH:?}/$1"; mkdir "$SCRATCH/$1"; }
session() { "$SESSION" "$SCRATCH/$1/shunt.yaml" "$KEPT" "${@:2}"; }

# killed CALL NUMBER STEP…: 0 if it was killed at its call of that name and number, which strace counts for each name
killed() {
  local status=0
  (strace -qq -o /dev/null -e "trace=$1" -e "inject=$1:signal=KILL:when=$2" \
    "$SESSION" "$SCRATCH/case/shunt.yaml" "$KEPT" "${@:3}"; exit $?) 2>"$SCRATCH/said" || status=$?
  case $status in
    137) return 0 ;;
    0) return 1 ;;
    *) echo "exit status $status: $(cat "$SCRATCH/said")"; exit 1 ;;
  esac
}

# each_crash SENTENCE "STEP…" ALLOWED…: from the store in base/; each of ALLOWED, as store_session's check takes them, must
# be seen after some crash or after none
each_crash() {
  local sentence=$1 call number found seen="" allowed kills=0
  local -a step
  read -ra step <<<"$2"
  shift 2
  for call in "${CALLS[@]}"; do
    for ((number = 1; ; number++)); do
      ((number <= MAX_CALLS)) || { echo "FAILED: $sentence: more than $MAX_CALLS times $call"; exit 1; }
      rm -rf "$SCRATCH/case"
      cp -a "$SCRATCH/base" "$SCRATCH/case"
      found=end
      ! killed "$call" "$number" "${step[@]}" || { found=crash; kills=$((kills + 1)); }
      seen+=" $(session case check "$@" 2>"$SCRATCH/said")" ||
        { echo "FAILED: $sentence: $found at $call number $number: $(cat "$SCRATCH/said")"; exit 1; }
      [[ $found == crash ]] || break
    done
  done
  for allowed; do
    [[ " $seen " == *" ${allowed##*/} "* ]] || { echo "FAILED: $sentence: never seen: ${allowed##*/}; seen:$seen"; exit 1; }
  done
  ((kills > 0)) || { echo "FAILED: $sentence: never killed"; exit 1; }
  echo "ok: $sentence (killed at $kills calls)"
}

ONE=$SCRATCH/one.yaml TWO=$SCRATCH/two.yaml
store_file one.yaml 80
store_file two.yaml 443

# The base of what follows: one.yaml in force, with as much history as is kept.
fresh base
session base start
session base apply "$TWO"
session base apply "$ONE"
session base apply "$TWO"
session base apply "$ONE"
cp -a "$SCRATCH/base" "$SCRATCH/settled"

fresh base
cp "$ONE" "$SCRATCH/base/shunt.yaml"
each_crash "the first start on a store that somebody wrote" start "$ONE:idle"

rm -rf "$SCRATCH/base"
cp -a "$SCRATCH/settled" "$SCRATCH/base"
each_crash "a change" "apply $TWO" "$ONE:idle" "$TWO:idle"
each_crash "a change that is to be confirmed" "apply $TWO 3600" "$ONE:idle" "$TWO:waits"

cp "$TWO" "$SCRATCH/base/shunt.yaml"
each_crash "a start on a store that somebody edited" start "$TWO:idle"

rm -rf "$SCRATCH/base"
cp -a "$SCRATCH/settled" "$SCRATCH/base"
session base apply "$TWO" 3600
each_crash "a confirmation" confirm "$TWO:waits" "$TWO:idle"
each_crash "a rollback of what waits" "rollback 5" "$TWO:waits" "$ONE:idle"
sed -i 's/^# unconfirmed until: .*/# unconfirmed until: 2001-01-01T00:00:00Z/' "$SCRATCH/base/shunt.yaml.history/unconfirmed.yaml"
each_crash "taking back what nobody confirmed" tend "$TWO:waits" "$ONE:idle"
