#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# stories.sh STORY...: one after the other, in a guest of scripts/vm; adds their test cases up. A story is a script of
# this folder, with a word for it behind a colon if it wants one, or `dataplane`: the data-plane tests as they are built.
# Called by ctest by way of scripts/vm.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib/common.sh"

# VM_DATAPLANE_TESTS: fewer of them, in Catch2's words.
DATAPLANE_TESTS=${VM_DATAPLANE_TESTS:-}
export POLL_PATIENCE=6 # a guest has a tenth of the machine's speed
PASSED=0 FAILED=0
OUTPUT=$(mktemp)
trap 'rm -f "$OUTPUT"' EXIT

run_story() {
  if [[ $1 == dataplane ]]; then "$BUILD_DIR/tests/dataplane/dataplane_tests" ${DATAPLANE_TESTS:+"$DATAPLANE_TESTS"}
  elif [[ $1 == *:* ]]; then "$SHUNT_ROOT/tests/vm/${1%%:*}.sh" "${1#*:}"
  else "$SHUNT_ROOT/tests/vm/$1.sh"; fi
}

# Passed and failed test cases by what a story said last: "N passed, N failed", or Catch2's two ways of saying it.
counts() {
  sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p
    s/^All tests passed \(.* in ([0-9]+) test cases?\)$/\1 0/p
    s/^test cases: *[0-9]+ \| *([0-9]+) passed \| *([0-9]+) failed.*/\1 \2/p
    s/^test cases: *[0-9]+ \| *([0-9]+) failed.*/0 \1/p' "$OUTPUT" | tail -n 1
}

for story; do
  status=0 passed=0 failed=0
  step "$(uname -r): $story" run_story "$story" > >(tee "$OUTPUT") 2>&1 </dev/null || status=$?
  wait $! # for tee
  read -r passed failed < <(counts) || true
  ((status == 0 || failed > 0)) || failed=1 # it crashed, or left something behind
  PASSED=$((PASSED + passed)) FAILED=$((FAILED + failed))
done
echo "$PASSED passed, $FAILED failed"
((FAILED == 0 && PASSED > 0))
