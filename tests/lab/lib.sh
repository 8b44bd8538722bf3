# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the lab tests share: cases with sentences for names, a lab of their own, its one trap, the usual VIPs. Each test
# is a script that sources this, defines functions, names them with `it`, and ends with `finish`.
# Not here: the lab (scripts/lib/lab.sh), traffic (scripts/lib/traffic.sh, downloads.sh).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib/common.sh"
source "$SHUNT_ROOT/scripts/lib/lab.sh"
source "$SHUNT_ROOT/scripts/lib/traffic.sh"
source "$SHUNT_ROOT/scripts/lib/downloads.sh"

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

# ---- who gets new flows: flows that nobody can have remembered

USUAL_FLOWS=("http $VIP4" "http $VIP6" "udp $VIP4" "udp $VIP6") # KIND ADDRESS each

# nobody_new_on N [FLOWS…]: 200 requests of each, none of them to real N
nobody_new_on() {
  local n=$1 flows kind address
  shift
  (($#)) || set -- "${USUAL_FLOWS[@]}"
  fresh_flows client1
  for flows; do
    read -r kind address <<<"$flows"
    "${kind}_ask" client1 "$address" 200 >"$SCRATCH/fresh"
    expect_answers "$SCRATCH/fresh" 200
    expect_equal "new requests to real$n by $flows" "$(count_of "real$n" "$SCRATCH/fresh")" 0
  done
}

# soon_nobody_new_on N [FLOWS…]: the same within 20 s. Slots that changed hands give their old real new flows for the
# time of the hold: 4 s for TCP, udp_idle_seconds for UDP.
soon_nobody_new_on() { soon 200 0 0 "$@" && nobody_new_on "$@"; }

# soon_somebody_new_on N [FLOWS…]: of 40 requests of each, 4 or more to real N within 20 s
soon_somebody_new_on() { soon 40 4 40 "$@"; }

# Not all the time: each new flow of a slot that moves wants a place in the flow table, and a refusal prolongs the hold.
soon() { # COUNT LEAST MOST N [FLOWS…]
  (($# > 4)) || set -- "$@" "${USUAL_FLOWS[@]}"
  : >"$SCRATCH/asked"
  POLL_PAUSE_SECONDS=0.7 poll 20 new_requests_on "$@" ||
    { echo "new requests to real$4 after 20 s: not $2 to $3 of $1"; return 1; }
  expect_equal "failed requests meanwhile" "$(count_of failed "$SCRATCH/asked")" 0
}

# Of COUNT requests of each, LEAST to MOST go to real N.
new_requests_on() { # COUNT LEAST MOST N FLOWS…
  local count=$1 least=$2 most=$3 n=$4 flows kind address seen
  shift 4
  fresh_flows client1 || return
  for flows; do
    read -r kind address <<<"$flows"
    "${kind}_ask" client1 "$address" "$count" | tee -a "$SCRATCH/asked" >"$SCRATCH/fresh"
    seen=$(count_of "real$n" "$SCRATCH/fresh")
    ((seen >= least && seen <= most)) || return
  done
}

# ---- the balancer

ctl() { lab_ctl 1 "$@"; }

# real_of VIP N: address of real N in the family of the VIP's address
real_of() { if [[ $1 == \[* ]]; then echo "${LAB_REALS6[$2 - 1]}"; else echo "${LAB_REALS4[$2 - 1]}"; fi; }

# usual_vips_file WEIGHT…: TCP and UDP in both families, real1, real2, … of these weights; reals that are added later
# take their share at once
usual_vips_file() {
  local vip n reals
  printf '%s\n' 'defaults: { udp_idle_seconds: 2, slow_start_seconds: 0 }' 'vips:'
  for vip in "$TCP4" "$TCP6" "$UDP4" "$UDP6"; do
    reals=()
    for n in $(seq $#); do reals+=("$(real_of "$vip" "$n")=${!n}"); done
    lab_vip_entry "$vip" "${reals[@]}"
  done
}

TCP4="$VIP4:80/tcp" TCP6="[$VIP6]:80/tcp" UDP4="$VIP4:$LAB_UDP_PORT/udp" UDP6="[$VIP6]:$LAB_UDP_PORT/udp"

next_hops_known() { [[ $(ctl -o json real list | jq '[.reals[] | select(.problem != "" and .problem != null)] | length') == 0 ]]; }

# usual_vips WEIGHT…: all at once, so that no slot has changed hands; next hops resolved
usual_vips() {
  usual_vips_file "$@" >"$SCRATCH/usual.yaml"
  ctl apply -f "$SCRATCH/usual.yaml" >/dev/null
  poll 20 next_hops_known
}

# slots VIP STATE: how many are stable_slots, moving_slots, slots_with_exceptions
slots() { ctl -o json vip show "$1" | jq ".settling.$2"; }
some_slots() { (($(slots "$1" "$2") > 0)); }
no_slots() { (($(slots "$1" "$2") == 0)); }
all_stable() { no_slots "$1" moving_slots && no_slots "$1" slots_with_exceptions; }

# ---- downloads (scripts/lib/downloads.sh)

# expect_whole_downloads CURLS: every one under way still, and whole in the end
expect_whole_downloads() {
  downloads_run "$1" || { echo "not all downloads are under way any more: $(all_connections)"; return 1; }
  poll 120 downloads_ended "$1"
  cat "$LAB"/client[12]/downloads*.log >"$SCRATCH/downloads"
  rm -f "$LAB"/client[12]/downloads*.log
  expect_equal "downloads that ended whole" \
    "$(count_of "200 $(stat -c %s "$SCRATCH/page")" "$SCRATCH/downloads")" $(($1 * CURL_DOWNLOADS)) ||
    { sort "$SCRATCH/downloads" | uniq -c | sort -rn | head -5; return 1; }
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
