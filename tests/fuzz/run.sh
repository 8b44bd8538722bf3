#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One fuzzer as a test: every input of the corpus once more, then new ones for a short while. Called by ctest.
# Not here: long runs that keep what they find (scripts/fuzz).
# usage: run.sh PROGRAM NAME SECONDS
set -euo pipefail
PROGRAM=$(realpath "$1") NAME=$2 SECONDS_OF_NEW=$3
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SCRATCH=$(mktemp -d)
trap 'rm -rf "$SCRATCH"' EXIT

OPTIONS=(-rss_limit_mb=1500 -timeout=20 -max_len=16384 -print_final_stats=1)
[[ ! -f $HERE/$NAME.dict ]] || OPTIONS+=(-dict="$HERE/$NAME.dict")
cd "$SCRATCH" # where a failing input is written

mapfile -t CORPUS < <(find "$HERE/corpus/$NAME" -type f | sort)
((${#CORPUS[@]} > 0)) || { echo "no corpus for $NAME"; exit 1; }
status=0
"$PROGRAM" "${OPTIONS[@]}" "${CORPUS[@]}" >replay.log 2>&1 || status=1
if ((status == 0)); then
  mkdir new
  "$PROGRAM" "${OPTIONS[@]}" -max_total_time="$SECONDS_OF_NEW" new "$HERE/corpus/$NAME" >new.log 2>&1 || status=1
fi
if ((status != 0)); then
  tail -n 60 replay.log
  [[ ! -f new.log ]] || tail -n 60 new.log
  for file in crash-* timeout-* oom-* leak-*; do
    [[ ! -f $file ]] || { echo "input $file, in base64:"; base64 "$file"; }
  done
  echo "0 passed, 1 failed"
  exit 1
fi
grep -E 'stat::(number_of_executed_units|new_units_added|peak_rss_mb)' new.log
echo "${#CORPUS[@]} inputs of the corpus, then $SECONDS_OF_NEW s of new ones"
echo "1 passed, 0 failed"
