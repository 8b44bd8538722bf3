# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the lab tests share: cases with sentences for names, a lab of their own, its one trap, the usual VIPs. Each test
# is a script that sources this, defines functions, names them with `it`, and ends with `finish`.
# Not here: the lab (scripts/lib/lab.sh), traffic (scripts/lib/traffic.sh).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib/common.sh"
source "$SHUNT_ROOT/scripts/lib/lab.sh"
source "$SHUNT_ROOT/scripts/lib/traffic.sh"

VIP4=${LAB_VIPS4[0]} VIP6=${LAB_VIPS6[0]}
PASSED=0 FAILED=0 FINISHED=no
SKIPPED_STATUS=77 # as CMakeLists.txt tells ctest

if ((EUID != 0)); then
  echo "skipped: needs root, for network namespaces and BPF"
  exit "$SKIPPED_STATUS"
fi
SCRATCH=$(mktemp -d)

clean_up() {
  local status=$?
  trap '' INT TERM
  load_stop_all
  if [[ $FINISHED == no ]] || ((FAILED > 0)); then show_logs; fi
  lab_down || status=1
  rm -rf "$SCRATCH"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# Of a failed test: what the daemons said.
show_logs() {
  local log
  for log in "${LAB:-/nonexistent}"/*/*.log; do
    [[ -s $log ]] || continue
    printf -- '---- %s, its last lines\n' "${log#"$LAB_ROOT"/}"
    tail -n 20 "$log"
  done
}

# test_lab: a lab of this test's own, without daemons.
test_lab() { lab_up "t$(printf '%04x%04x' "$RANDOM" "$RANDOM")"; }

# it "SENTENCE" FUNCTION [ARGUMENT…]: one test case. The function runs in a subshell and fails at its first failing
# command; output only matters then.
it() {
  local sentence=$1 start status
  shift
  start=$(now_ms)
  set +e
  (
    set -eE
    trap 'echo "  failed in ${FUNCNAME[0]:-}, line $LINENO: $BASH_COMMAND"' ERR
    "$@"
  ) >"$SCRATCH/case.log" 2>&1 </dev/null
  status=$?
  set -e
  if ((status == 0)); then
    PASSED=$((PASSED + 1))
    printf 'ok: %s (%s s)\n' "$sentence" "$(seconds_since "$start")"
  else
    FAILED=$((FAILED + 1))
    printf 'FAILED: %s (%s s)\n' "$sentence" "$(seconds_since "$start")"
    sed 's/^/  | /' "$SCRATCH/case.log"
    load_stop_all
  fi
}

finish() {
  FINISHED=yes
  printf '%d passed, %d failed\n' "$PASSED" "$FAILED"
  ((FAILED == 0 && PASSED > 0))
  exit
}

# ---- expectations: each says what it saw when it fails

expect_equal() { # WHAT SEEN WANTED
  [[ $2 == "$3" ]] || { echo "$1: '$2', expected '$3'"; return 1; }
}

expect_contains() { # WHAT TEXT PART
  [[ $2 == *"$3"* ]] || { printf '%s: does not say "%s":\n%s\n' "$1" "$3" "$2"; return 1; }
}

expect_between() { # WHAT SEEN LEAST MOST
  (($2 >= $3 && $2 <= $4)) || { echo "$1: $2, expected $3 to $4"; return 1; }
}

# expect_answers FILE COUNT: so many, and none failed
expect_answers() {
  expect_equal "failed requests" "$(count_of failed "$1")" 0 || return
  expect_equal "answers" "$(wc -l <"$1")" "$2"
}

# expect_status STATUS COMMAND…: that exit status; its output goes to $OUTPUT
expect_status() {
  local wanted=$1 status=0
  shift
  OUTPUT=$("$@" 2>&1) || status=$?
  [[ $status == "$wanted" ]] || { printf '%s: exit status %s, expected %s; it said:\n%s\n' "$*" "$status" "$wanted" "$OUTPUT"; return 1; }
}

# nobody_new_on N: 200 requests by flows that nobody can have remembered, of each kind, none of them to real N
nobody_new_on() {
  local n=$1 kind address
  fresh_flows client1
  for kind in http udp; do
    for address in "$VIP4" "$VIP6"; do
      "${kind}_ask" client1 "$address" 200 >"$SCRATCH/answers"
      expect_answers "$SCRATCH/answers" 200
      expect_equal "new requests to real$n by $kind to $address" "$(count_of "real$n" "$SCRATCH/answers")" 0
    done
  done
}

# ---- the balancer

ctl() { lab_ctl 1 "$@"; }

# real_of VIP N: address of real N in the family of the VIP's address
real_of() { if [[ $1 == \[* ]]; then echo "${LAB_REALS6[$2 - 1]}"; else echo "${LAB_REALS4[$2 - 1]}"; fi; }

# add_vip VIP WEIGHT…: with real1, real2, … of these weights
add_vip() {
  local vip=$1 n=0 weight
  shift
  ctl vip add "$vip" >/dev/null
  for weight in "$@"; do
    n=$((n + 1))
    ctl real add "$vip" "$(real_of "$vip" $n)" --weight="$weight" >/dev/null
  done
}

TCP4="$VIP4:80/tcp" TCP6="[$VIP6]:80/tcp" UDP4="$VIP4:$LAB_UDP_PORT/udp" UDP6="[$VIP6]:$LAB_UDP_PORT/udp"

next_hops_known() { [[ $(ctl -o json real list | jq '[.reals[] | select(.problem != "" and .problem != null)] | length') == 0 ]]; }

# usual_vips WEIGHT…: TCP and UDP in both families, next hops resolved
usual_vips() {
  local vip
  for vip in "$TCP4" "$TCP6" "$UDP4" "$UDP6"; do add_vip "$vip" "$@"; done
  poll 20 next_hops_known
}

# Until the driver's count stands still between two readings of the verdicts, the sum is no fair comparison.
verdicts_add_up() {
  local before verdicts
  before=$(lab_received "$1")
  verdicts=$(lab_verdict_sum "$1")
  RECEIVED="received $(lab_received "$1"), verdicts $verdicts"
  [[ $before == "$verdicts" && $(lab_received "$1") == "$verdicts" ]]
}

expect_verdicts_add_up() { poll 10 verdicts_add_up "${1:-1}" || { echo "verdicts do not add up: $RECEIVED"; return 1; }; }
