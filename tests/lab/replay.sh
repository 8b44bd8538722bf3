#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# shuntctl replay on a capture made by scapy: every frame ends in the verdict that it was made for, and tshark finds
# every header and checksum of the frames that leave in order. No lab is needed: replay attaches nothing.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$HERE/../../scripts/lib/common.sh"
SHUNTCTL=${SHUNTCTL:-$BUILD_DIR/tools/shuntctl/shuntctl}

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
FAILED=0

# check SENTENCE COMMAND…
check() {
  local sentence=$1
  shift
  if "$@"; then printf 'ok      %s\n' "$sentence"
  else
    printf 'FAILED  %s\n' "$sentence"
    FAILED=1
  fi
}

replay() { "$SHUNTCTL" replay --config="$HERE/replay.yaml" --in="$WORK/in.pcap" --out="$2" >"$1"; } # REPORT CAPTURE

tshark_checked() {
  tshark -r "$WORK/out.pcap" --disable-protocol http -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE \
    -o udp.check_checksum:TRUE "$@" 2>/dev/null
}

every_frame_has_its_verdict() { diff "$WORK/expected" <(jq -r .verdict "$WORK/report") >&2; }
one_frame_leaves_for_each_encapsulated() {
  (($(tshark_checked | wc -l) == $(grep -c ENCAPSULATED "$WORK/expected")))
}
lengths_are_as_reported() {
  diff <(jq -r 'select(.out_len) | .out_len' "$WORK/report") <(tshark_checked -T fields -e frame.len) >&2
}
# Status 1 is good, 0 bad; every frame has an inner TCP or UDP checksum that tshark verified.
every_checksum_is_good() {
  tshark_checked -T fields -e ip.checksum.status -e tcp.checksum.status -e udp.checksum.status |
    awk -F'\t' '/0|2|3/ || $2 $3 == "" { bad++ } END { exit !(NR > 0 && bad == 0) }'
}
tcpdump_finds_nothing_wrong() { ! tcpdump -vv -nr "$WORK/out.pcap" 2>/dev/null | grep -iE 'bad |incorrect|truncated|invalid' >&2; }
a_second_replay_is_the_same() {
  replay "$WORK/again" "$WORK/again.pcap" && cmp "$WORK/report" "$WORK/again" && cmp "$WORK/out.pcap" "$WORK/again.pcap"
}

/usr/bin/python3 "$HERE/replay_capture.py" "$WORK/in.pcap" "$WORK/expected"
check "replay runs every frame" replay "$WORK/report" "$WORK/out.pcap"
check "every frame of $(wc -l <"$WORK/expected") has the one verdict it was made for" every_frame_has_its_verdict
check "one frame leaves for each that was encapsulated" one_frame_leaves_for_each_encapsulated
check "frames are as long as reported" lengths_are_as_reported
check "tshark finds every IP, TCP and UDP checksum good" every_checksum_is_good
check "tcpdump finds nothing wrong" tcpdump_finds_nothing_wrong
check "a second replay gives the same report and the same frames" a_second_replay_is_the_same
exit "$FAILED"
