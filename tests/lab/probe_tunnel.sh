#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Probes take the tunnel of data: their outer headers are the same, and what keeps data from a real fails its check
# while the real, asked directly, is well.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/health_lib.sh"

CROSS4=${LAB_VIPS4[1]} CROSS6=${LAB_VIPS6[1]} # VIPs whose reals are of the other family
SPREAD4=16 SPREAD6=32
BALANCER4=10.1.1.2 BALANCER6=2001:db8:b:1::2
OUTER4="ip[9] == 4 or ip[9] == 41" OUTER6="ip6[6] == 4 or ip6[6] == 41"
DIRECT4=$VIP4:81/tcp # the same reals, asked directly

check() { echo "{ kind: tcp, interval_ms: $INTERVAL_MS, timeout_ms: $TIMEOUT_MS, fall: $FALL${1:+, $1} }"; }

# ---- captures at the router: of what comes from the balancer, and of what goes to a real

tunnel_capture_start() { # LINK DIRECTION
  lab_start router "$1" tcpdump -n -U -Q "$2" -i "$1" -w "$SCRATCH/$1.pcap" "$OUTER4 or $OUTER6"
  poll 10 grep -q 'listening on' "$LAB/router/$1.log"
}

ask_all() {
  local address
  for address in "$VIP4" "$VIP6" "$CROSS4" "$CROSS6"; do
    http_ask client1 "$address" 10 >"$SCRATCH/answers"
    expect_answers "$SCRATCH/answers" 10
  done
}

# Answered probes, as told once a second: of the real that has the least (min) or the most (max).
passed_probes() { ctl -o json health | jq "[.vips[].reals[].passed | tonumber] | $1"; }
each_passed() { (($(passed_probes min) >= $1)); }

headers_are_the_same() { # LINK DIRECTION
  local before
  tunnel_capture_start "$1" "$2"
  before=$(passed_probes max)
  ask_all
  poll 20 each_passed $((before + 6))
  lab_stop router "$1" INT
  "$SHUNT_ROOT/tests/lab/outer_headers.py" "$SCRATCH/$1.pcap" "$SPREAD4" "$SPREAD6" "$BALANCER4" "$BALANCER6" |
    tee "$SCRATCH/headers.$1"
}

# ---- what keeps data from a real; each can be put back

decapsulation_gone() { lab_in "$1" "$SHUNTCTL" decap detach --interface=eth0; }
decapsulation_back() {
  local vips
  vips=$(IFS=,; echo "${LAB_VIPS4[*]},${LAB_VIPS6[*]}")
  lab_in "$1" "$SHUNTCTL" decap attach --interface=eth0 --vip="$vips" >/dev/null
}
vip_gone() { lab_ip "$1" address del "$VIP4/32" dev lo; }
vip_back() { lab_ip "$1" address add "$VIP4/32" dev lo; }
path_gone() {
  lab_in router nft -f - <<N
table ip shunt_lab {
  chain tunnel { type filter hook forward priority 0; oifname "to-$1" meta l4proto 4 drop; }
}
N
}
path_back() { lab_in router nft delete table ip shunt_lab; }

side_by_side() {
  printf '\n%s\n' "$1"
  ctl health "$TCP4"
  ctl health "$DIRECT4"
  printf '\n'
} >>"$SCRATCH/shown"

passed_directly() { ctl -o json health "$DIRECT4" | jq --arg real "$1" '[.vips[0].reals[] | select(.address == $real) | .passed | tonumber] | add'; }
passes_directly_again() { (($(passed_directly "$1") > $2)); }

fails_in_the_tunnel_alone() { # WHAT N
  local real=${LAB_REALS4[$2 - 1]} before
  poll 20 health_is "$TCP4" "$real" up
  poll 20 health_is "$DIRECT4" "$real" up
  "$1_gone" "real$2"
  poll 20 health_is "$TCP4" "$real" down || { ctl health "$TCP4"; return 1; }
  before=$(passed_directly "$real")
  poll 20 passes_directly_again "$real" "$before"
  side_by_side "real$2 ($real): $1 gone"
  expect_equal "health when asked directly" "$(health_of "$DIRECT4" "$real")" up
  soon_nobody_new_on "$2" "http $VIP4"
  "$1_back" "real$2"
  poll 20 health_is "$TCP4" "$real" up
}

in_the_tunnel_alone() { # WHAT N SENTENCE
  it "$3" fails_in_the_tunnel_alone "$1" "$2"
  "$1_back" "real$2" >/dev/null 2>&1 || true
}

pairs_file() {
  printf '%s\n' 'outer_source: { ipv4: "10.9.0.0/16", ipv6: "2001:db8:9::/96" }' \
    'defaults: { udp_idle_seconds: 1, slow_start_seconds: 0 }' 'vips:'
  checked_vip "$TCP4" "$(check)" "${LAB_REALS4[0]}"
  checked_vip "$TCP6" "$(check)" "${LAB_REALS6[0]}"
  checked_vip "$CROSS4:80/tcp" "$(check)" "${LAB_REALS6[0]}"
  checked_vip "[$CROSS6]:80/tcp" "$(check)" "${LAB_REALS4[0]}"
}

tunnel_and_direct_file() {
  health_settings
  echo 'vips:'
  checked_vip "$TCP4" "$(check)" "${LAB_REALS4[@]}"
  checked_vip "$DIRECT4" "$(check 'via: direct, port: 80')" "${LAB_REALS4[@]}"
}

test_lab
lab_daemon_start 1
pairs_file >"$SCRATCH/pairs.yaml"
ctl apply -f "$SCRATCH/pairs.yaml" >/dev/null
poll 20 next_hops_known
poll 20 all_up || { ctl health; exit 1; }
it "probe and data leave the balancer with the same outer header" headers_are_the_same to-balancer1 in
it "probe and data reach the real with the same outer header" headers_are_the_same to-real1 out
cat "$SCRATCH"/headers.*

tunnel_and_direct_file >"$SCRATCH/both.yaml"
ctl apply -f "$SCRATCH/both.yaml" >/dev/null
poll 20 all_up || { ctl health; exit 1; }
in_the_tunnel_alone decapsulation 2 "a real whose decapsulation is removed fails its tunnel check and passes a direct one"
in_the_tunnel_alone vip 3 "so does a real without the VIP on its loopback"
in_the_tunnel_alone path 4 "and one whose tunnelled packets are dropped on the way"
cat "$SCRATCH/shown"
finish
