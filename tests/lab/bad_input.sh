#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Bad input of every kind is refused whole, with status 2 and words that name the problem; nothing is changed.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# refused PART-OF-MESSAGE ARGUMENT…
refused() {
  local said=$1
  shift
  expect_status 2 ctl "$@"
  expect_contains "shuntctl $*" "$OUTPUT" "$said"
  expect_equal "the state after it" "$(ctl dump)" "$(cat "$SCRATCH/dump")"
}

# refused_file PART-OF-MESSAGE…, the file on stdin of this function's caller: $SCRATCH/bad.yaml
refused_file() {
  local part
  expect_status 2 ctl apply -f "$SCRATCH/bad.yaml"
  for part in "$@"; do expect_contains "apply" "$OUTPUT" "$part"; done
  expect_equal "the state after it" "$(ctl dump)" "$(cat "$SCRATCH/dump")"
}

bad_words() {
  refused 203.0.113.10 vip add 203.0.113.10
  refused 0.0.0.0 vip add 0.0.0.0:80/tcp
  refused sctp vip add 203.0.113.10:80/sctp
  refused 65536 vip add 203.0.113.10:65536/tcp
  refused -1 vip add 203.0.113.10:-1/tcp
  refused 203.0.113.999 vip add 203.0.113.999:80/tcp
  refused 2001:db8:1::10:80 vip add 2001:db8:1::10:80/tcp
  refused tracking vip add 203.0.113.12:80/tcp --tracking=some
  refused ring vip add 203.0.113.12:80/tcp --ring-size=4
  refused nonsense vip nonsense
}

duplicates_and_strangers() {
  refused 203.0.113.10:80/tcp vip add 203.0.113.10:80/tcp
  refused 203.0.113.99:80/tcp vip rm 203.0.113.99:80/tcp
  refused 10.2.1.2 real add "$TCP4" 10.2.1.2
  refused 10.9.9.9 real rm "$TCP4" 10.9.9.9
  refused 203.0.113.99:80/tcp real add 203.0.113.99:80/tcp 10.2.1.2
}

bad_weights() {
  local weight
  for weight in -1 65536 ten 1.5 ''; do refused weight real set "$TCP4" 10.2.1.2 --weight="$weight"; done
}

bad_reals() {
  refused 224.0.0.1 real add "$TCP4" 224.0.0.1
  refused 0.0.0.0 real add "$TCP4" 0.0.0.0
  refused 10.2.1 real add "$TCP4" 10.2.1
}

unknown_keys() {
  printf '%s\n' 'vips:' '  - vip: "203.0.113.10:80/tcp"' '    colour: green' 'shape: round' >"$SCRATCH/bad.yaml"
  refused_file bad.yaml:3 colour bad.yaml:4 shape
}

several_problems() {
  printf '%s\n' 'vips:' '  - vip: "203.0.113.10:70000/tcp"' '  - vip: "203.0.113.11:80/tcp"' '    reals:' \
    '      - { address: "10.2.1.2", weight: 65536 }' '      - { address: "10.2.2.2", weight: heavy }' >"$SCRATCH/bad.yaml"
  refused_file bad.yaml:2 70000 bad.yaml:5 65536 bad.yaml:6 heavy
}

twice_the_same() {
  printf '%s\n' 'vips:' '  - vip: "203.0.113.11:80/tcp"' '    reals:' '      - { address: "10.2.1.2" }' \
    '      - { address: "10.2.1.2" }' '  - vip: "203.0.113.11:80/tcp"' >"$SCRATCH/bad.yaml"
  refused_file bad.yaml:5 10.2.1.2 bad.yaml:6 203.0.113.11:80/tcp
}

not_yaml() {
  printf 'vips: [ {\n' >"$SCRATCH/bad.yaml"
  refused_file bad.yaml
  head -c 3000 /dev/urandom >"$SCRATCH/bad.yaml"
  refused_file bad.yaml
  expect_status 2 ctl apply -f "$SCRATCH/there-is-no-such-file.yaml"
}

dry_run_changes_nothing() {
  sed 's/weight: 20/weight: 21/' "$SCRATCH/dump" >"$SCRATCH/changed.yaml"
  expect_status 0 ctl apply -f "$SCRATCH/changed.yaml" --dry-run
  expect_contains "the dry run" "$OUTPUT" "20 -> 21"
  expect_equal "the state after it" "$(ctl dump)" "$(cat "$SCRATCH/dump")"
}

own_dump_is_no_change() {
  expect_status 0 ctl apply -f "$SCRATCH/dump"
  expect_equal "changes" "$(ctl -o json apply -f "$SCRATCH/dump" | jq '.changes | length')" 0
}

no_daemon() {
  expect_status 1 "$SHUNTCTL" --socket="$SCRATCH/nobody.sock" vip list
  expect_contains "without a daemon" "$OUTPUT" nobody.sock
}

traffic_never_noticed() {
  http_ask client1 "$VIP4" 100 >"$SCRATCH/answers"
  expect_answers "$SCRATCH/answers" 100
}

test_lab
lab_daemon_start 1
usual_vips 10 20 30 40
ctl dump >"$SCRATCH/dump"

it "words that are no VIP, port, protocol or verb are refused" bad_words
it "what is there already and what is not there is refused by its name" duplicates_and_strangers
it "weights that are no number from 0 to 65535 are refused" bad_weights
it "addresses that no real can have are refused" bad_reals
it "unknown keys of a file are named with their lines" unknown_keys
it "all problems of a file are named at once" several_problems
it "VIPs and reals that stand twice in a file are named with their lines" twice_the_same
it "files that are no YAML, or not there, are refused" not_yaml
it "a dry run prints the difference and changes nothing" dry_run_changes_nothing
it "applying the daemon's own dump changes nothing" own_dump_is_no_change
it "without a daemon shuntctl fails and names the socket" no_daemon
it "traffic did not notice any of it" traffic_never_noticed
finish
