#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A VIP of either family before reals of either family: what the outer header is, and that real traffic survives it.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

CROSS4=${LAB_VIPS4[1]} CROSS6=${LAB_VIPS6[1]} # VIPs whose reals are of the other family

answers_come_back() { # VIP_ADDRESS
  local kind
  for kind in http udp; do
    "${kind}_ask" client1 "$1" 40 >"$SCRATCH/answers"
    expect_answers "$SCRATCH/answers" 40
    expect_between "reals that answered by $kind" "$(sort -u "$SCRATCH/answers" | wc -l)" 4 4
  done
}

both_directions_large() { # VIP_ADDRESS NAME
  local found=no n
  expect_equal "download" "$(lab_in client2 curl -sSf --max-time 60 "http://$(in_url "$1")/big" | sha256sum)" \
    "$(sha256sum <"$SCRATCH/big")"
  lab_in client2 curl -sSf --max-time 60 --upload-file "$SCRATCH/big" "http://$(in_url "$1")/upload/$2"
  for n in 1 2 3 4; do
    ! cmp -s "$SCRATCH/big" "$LAB/real$n/www/upload/$2" || found=yes
  done
  expect_equal "the upload is whole on a real" "$found" yes
}

listening() { grep -q 'listening on' "$LAB/router/$1.log"; }
captured() { grep -q '^1 packet captured' "$LAB/router/$1.log"; }

# The router sees the outer header of what goes to real1.
outer_header_is() { # VIP_ADDRESS NAME FILTER
  lab_start router "$2" tcpdump -n -c 1 -i to-real1 "$3"
  poll 10 listening "$2"
  http_ask client1 "$1" 60 >"$SCRATCH/answers"
  expect_answers "$SCRATCH/answers" 60
  poll 10 captured "$2" || { cat "$LAB/router/$2.log"; return 1; }
}

test_lab
lab_daemon_start 1
{
  usual_vips_file 10 10 10 10
  for port in 80/tcp "$LAB_UDP_PORT/udp"; do
    lab_vip_entry "$CROSS4:$port" "${LAB_REALS6[@]/%/=10}"
    lab_vip_entry "[$CROSS6]:$port" "${LAB_REALS4[@]/%/=10}"
  done
} >"$SCRATCH/pairs.yaml"
ctl apply -f "$SCRATCH/pairs.yaml" >/dev/null
poll 20 next_hops_known
head -c 1000000 /dev/urandom >"$SCRATCH/big"
for n in 1 2 3 4; do cp "$SCRATCH/big" "$LAB/real$n/www/big"; done

pair() { # ADDRESS NAME FILTER
  it "$2: TCP and UDP are answered by every real" answers_come_back "$1"
  it "$2: 1 MB arrives whole in both directions" both_directions_large "$1" "${2// /_}"
  it "$2: the outer header is of the reals' family" outer_header_is "$1" "${2// /_}" "$3"
}
pair "$VIP4" "IPv4 VIP, IPv4 reals" "ip proto 4"
pair "$VIP6" "IPv6 VIP, IPv6 reals" "ip6 proto 41"
pair "$CROSS4" "IPv4 VIP, IPv6 reals" "ip6 proto 4"
pair "$CROSS6" "IPv6 VIP, IPv4 reals" "ip proto 41"
it "the verdicts add up to the packets received" expect_verdicts_add_up
finish
