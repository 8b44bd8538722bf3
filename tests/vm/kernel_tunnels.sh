#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The reals take the outer header off with the kernel's own tunnel devices (ipip, ip6tnl, sit), as real-setup sets them
# up: what the balancer writes is what another implementation reads. In a guest of scripts/vm; called by stories.sh.
export LAB_DECAP=kernel
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

CROSS4=${LAB_VIPS4[1]} CROSS6=${LAB_VIPS6[1]} # VIPs whose reals are of the other family

# came_through DEVICE: packets that it has taken out of an outer header, on all reals
came_through() {
  local n sum=0
  for n in "${LAB_REALS[@]}"; do sum=$((sum + $(lab_ip "real$n" -s -j link show dev "$1" | jq '.[0].stats64.rx.packets'))); done
  echo "$sum"
}

answered_through() { # ADDRESS DEVICE
  local before
  before=$(came_through "$2")
  answers_come http "$1" 20
  answers_come udp "$1" 10
  # SYN, ACK, request and end of each connection, and the datagrams
  expect_between "packets that $2 took" $(($(came_through "$2") - before)) 90 100000
}

large_in_both_directions() { # ADDRESS NAME
  local found=no n
  expect_equal "download" "$(lab_in client1 curl -sSf --max-time 120 "http://$(in_url "$1")/big" | sha256sum)" \
    "$(sha256sum <"$SCRATCH/big")"
  lab_in client1 curl -sSf --max-time 120 --upload-file "$SCRATCH/big" "http://$(in_url "$1")/upload/$2"
  for n in "${LAB_REALS[@]}"; do
    ! cmp -s "$SCRATCH/big" "$LAB/real$n/www/upload/$2" || found=yes
  done
  expect_equal "the upload is whole on a real" "$found" yes
}

# What the client's link takes whole, and the tunnel's not without the room that its links have.
full_sized_datagrams() { # ADDRESS BYTES
  udp_ask client1 "$1" 5 "$2" >"$SCRATCH/answers"
  expect_answers "$SCRATCH/answers" 5
}

both_up() { [[ $(ctl -o json health "$1" | jq '[.vips[0].reals[] | select(.health == "up")] | length') == 2 ]]; }
probes_come_through() {
  local vip
  for vip in "$TCP4" "$TCP6"; do ctl vip set "$vip" --check=http; done
  for vip in "$TCP4" "$TCP6"; do poll 90 both_up "$vip" || { ctl health "$vip"; return 1; }; done
  for vip in "$TCP4" "$TCP6"; do ctl vip set "$vip" --check=none; done # answers to probes come by the balancer's link
}

cross_vips() {
  local port
  for port in 80/tcp "$LAB_UDP_PORT/udp"; do
    lab_vip_entry "$CROSS4:$port" "${LAB_REALS6[0]}=10" "${LAB_REALS6[1]}=10"
    lab_vip_entry "[$CROSS6]:$port" "${LAB_REALS4[0]}=10" "${LAB_REALS4[1]}=10"
  done
}

test_lab
lab_daemon_start 1
small_vips cross_vips
pages_of 3000000

pair() { # ADDRESS NAME DEVICE FULL_SIZE
  it "$2: pages and datagrams come through the kernel's $3" answered_through "$1" "$3"
  it "$2: 3 MB arrive whole in both directions" large_in_both_directions "$1" "${2// /_}"
  it "$2: datagrams as large as the client's link arrive" full_sized_datagrams "$1" "$4"
}
pair "$VIP4" "IPv4 VIP, IPv4 reals" shunt-ipip 1472
pair "$VIP6" "IPv6 VIP, IPv6 reals" shunt-ip6tnl 1452
pair "$CROSS4" "IPv4 VIP, IPv6 reals" shunt-ip6tnl 1472
pair "$CROSS6" "IPv6 VIP, IPv4 reals" sit0 1452
it "probes through the tunnel find every real up" probes_come_through
it "the verdicts add up to the packets received" expect_verdicts_add_up
finish
