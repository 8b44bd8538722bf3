#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Health settings that cannot be: `apply` names every problem with its line, and nothing changes.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# refused_file WORD…: exit status 2, every word in the answer, nothing changed
refused_file() {
  local before word
  before=$(ctl dump)
  expect_status 2 ctl apply -f "$SCRATCH/bad.yaml"
  for word; do expect_contains "the refusal" "$OUTPUT" "$word"; done
  expect_equal "the state after it" "$(ctl dump)" "$before"
}

# Each line that is wrong ends in a comment with the word that its problem must hold.
write_file() { cat >"$SCRATCH/bad.yaml"; }

# every_line_is_named: a problem at each such line, and at no other
every_line_is_named() {
  local line word said missing=0
  refused_file
  while IFS=: read -r line word; do
    said=$(grep "bad.yaml:$line:" <<<"$OUTPUT" || true)
    [[ ${said,,} == *"${word,,}"* ]] ||
      { echo "of line $line it does not say '$word': ${said:-nothing}"; missing=$((missing + 1)); }
  done < <(grep -n '# WRONG ' "$SCRATCH/bad.yaml" | sed 's/^\([0-9]*\):.*# WRONG /\1:/')
  ((missing == 0)) || { printf '%s\n' "$OUTPUT"; return 1; }
  while read -r line; do
    sed -n "${line}p" "$SCRATCH/bad.yaml" | grep -q '# WRONG ' ||
      { printf 'line %s is named, and nothing is wrong there:\n%s\n' "$line" "$OUTPUT"; return 1; }
  done < <(grep -o 'bad.yaml:[0-9]*:' <<<"$OUTPUT" | cut -d: -f2 | sort -un)
}

out_of_range() {
  write_file <<'Y'
vips:
  - vip: "203.0.113.10:80/tcp"
    panic_percent: 101               # WRONG 100
    slow_start_seconds: 4000         # WRONG 3600
    slow_start_exponent: 0           # WRONG 0.1
    backup_below_percent: 0          # WRONG 1
    ring_changes_per_second: 1000    # WRONG 100
    health:
      kind: tcp
      interval_ms: 20                # WRONG 100
      timeout_ms: 5                  # WRONG 10
      rise: 0                        # WRONG 1
      fall: 101                      # WRONG 100
      jitter_percent: 60             # WRONG 50
    reals:
      - { address: "10.2.1.2" }
Y
  every_line_is_named
}

slower_than_it_is_asked() {
  write_file <<'Y'
vips:
  - vip: "203.0.113.10:80/tcp"
    health:
      kind: tcp
      interval_ms: 1000
      failing_interval_ms: 300
      timeout_ms: 1500               # WRONG interval
    reals:
      - { address: "10.2.1.2" }
Y
  every_line_is_named
}

of_another_kind() {
  write_file <<'Y'
vips:
  - vip: "203.0.113.10:80/tcp"
    health:
      kind: tcp
      path: "/healthz"               # WRONG http
      grpc_service: "lamp"           # WRONG grpc
      send: "ping"                   # WRONG udp
      dns_name: "www.example"        # WRONG dns
      command: [ "/bin/true" ]       # WRONG exec
    reals:
      - { address: "10.2.1.2" }
  - vip: "203.0.113.11:80/tcp"
    health:
      kind: icmp
      port: 80                       # WRONG port
    reals:
      - { address: "10.2.1.2" }
Y
  every_line_is_named
}

not_http() {
  write_file <<'Y'
vips:
  - vip: "203.0.113.10:80/tcp"
    health:                          # WRONG tls_key
      kind: https
      method: "GET IT"               # WRONG method
      path: "healthz"                # WRONG /
      host: "a\r\nb"                 # WRONG host
      status: "200-99"               # WRONG status
      tls_ca: "ca.pem"               # WRONG absolute
      tls_certificate: "/etc/c.pem"
    reals:
      - { address: "10.2.1.2" }
Y
  every_line_is_named
}

not_to_be_sent() {
  write_file <<'Y'
vips:
  - vip: "203.0.113.10:53/udp"
    health:
      kind: dns
      dns_name: "a..b"               # WRONG dns_name
      dns_type: a
      dns_expect: "2001:db8::1"      # WRONG IPv6
    reals:
      - { address: "10.2.1.2" }
  - vip: "203.0.113.11:53/udp"
    health:
      kind: udp
      send: "0x123"                  # WRONG hex
    reals:
      - { address: "10.2.1.2" }
  - vip: "203.0.113.12:53/udp"
    health:
      kind: exec
      command: [ "true" ]            # WRONG absolute
    reals:
      - { address: "10.2.1.2" }
Y
  every_line_is_named
}

reals_that_cannot_be() {
  write_file <<'Y'
vips:
  - vip: "203.0.113.10:80/tcp"
    active_group: "purple"           # WRONG purple
    reals:
      - address: "10.2.1.2"
        canary_percent: 60           # WRONG 50
      - address: "10.2.2.2"
        canary_percent: 0.15         # WRONG 0.1
      - address: "10.2.3.2"
        drain_seconds: 60            # WRONG drain
      - address: "10.2.4.2"
        group: "no spaces"           # WRONG group
Y
  every_line_is_named
}

all_at_once() {
  write_file <<'Y'
defaults:
  panic_percent: 200                 # WRONG 100
  health: { kind: tcp, fall: 0 }     # WRONG fall
vips:
  - vip: "203.0.113.10:80/tcp"
    reals:
      - { address: "10.2.1.2" }
  - vip: "203.0.113.11:*/tcp"
    health: { kind: http }           # WRONG port
    reals:
      - { address: "10.2.1.2" }
  - vip: "203.0.113.12:80/tcp"
    panic_action: explode            # WRONG explode
    reals:                           # WRONG backup
      - { address: "10.2.1.2", backup: true }
Y
  every_line_is_named
}

# Words of the command line meet the same judges.
bad_options() {
  local before
  before=$(ctl dump)
  expect_status 2 ctl vip set "$TCP4" --check=carrier-pigeon
  expect_contains "the refusal" "$OUTPUT" carrier-pigeon
  expect_status 2 ctl vip set "$TCP4" --check=http --check-path=healthz --check-timeout=5s --check-interval=1s
  expect_contains "the refusal" "$OUTPUT" path
  expect_contains "the refusal" "$OUTPUT" timeout
  expect_status 2 ctl real set "$TCP4" 10.2.1.2 --canary=99
  expect_equal "the state after it" "$(ctl dump)" "$before"
}

# What is in force goes on: the checks of a daemon that refused are those it had.
checks_go_on() {
  expect_equal "check" "$(ctl -o json health "$TCP4" | jq -r '.vips[0].check.kind')" tcp
  four_up || { ctl health "$TCP4"; return 1; }
  http_ask client1 "$VIP4" 50 >"$SCRATCH/answers"
  expect_answers "$SCRATCH/answers" 50
}
four_up() { [[ $(ctl -o json health "$TCP4" | jq '[.vips[0].reals[] | select(.health == "up")] | length') == 4 ]]; }

test_lab
lab_daemon_start 1
usual_vips 10 20 30 40
ctl vip set "$TCP4" --check=tcp >/dev/null
poll 20 four_up

it "numbers out of their range are named, each with its line" out_of_range
it "a timeout longer than the interval is named" slower_than_it_is_asked
it "keys that belong to another kind of check are named" of_another_kind
it "what is no request of HTTP or TLS is named" not_http
it "what is no query, datagram or program is named" not_to_be_sent
it "canaries, drains and groups that cannot be are named" reals_that_cannot_be
it "problems of defaults and of VIPs are named at once" all_at_once
it "options of shuntctl are judged the same way" bad_options
it "what was in force before goes on" checks_go_on
finish
