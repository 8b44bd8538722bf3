#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The gateway towards the reals gets another MAC address, as when a router is replaced: traffic follows.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

every_next_hop_is() { # MAC
  local hops
  hops=$(ctl -o json real list | jq -r '.reals[].next_hop' | sort -u)
  [[ -n $hops ]] && ! grep -qv "$1" <<<"$hops"
}

answers_come_back() {
  local address
  for address in "$VIP4" "$VIP6"; do
    http_ask client1 "$address" 50 >"$SCRATCH/answers"
    expect_answers "$SCRATCH/answers" 50
  done
}

# The router announces its new address, as routers do: gratuitous ARP and an unsolicited neighbour advertisement.
announced_move() { # MAC
  lab_ip router link set dev to-balancer1 address "$1"
  poll 10 every_next_hop_is "$1" || { ctl real list; return 1; }
  answers_come_back
}

# Nobody says a word: the balancer's kernel must notice by itself that the old address does not answer.
silent_move() { # MAC
  lab_in router sysctl -qw net.ipv4.conf.to-balancer1.arp_notify=0 net.ipv6.conf.to-balancer1.ndisc_notify=0
  lab_in balancer1 sysctl -qw net.ipv4.neigh.eth0.base_reachable_time_ms=500 net.ipv6.neigh.eth0.base_reachable_time_ms=500 \
    net.ipv4.neigh.eth0.delay_first_probe_time=1 net.ipv6.neigh.eth0.delay_first_probe_time=1 \
    net.ipv4.neigh.eth0.retrans_time_ms=200 net.ipv6.neigh.eth0.retrans_time_ms=200
  lab_ip router link set dev to-balancer1 address "$1"
  poll 45 every_next_hop_is "$1" || { ctl real list; return 1; }
  answers_come_back
}

link_goes_and_comes() {
  lab_ip router link set dev to-balancer1 down
  poll 10 no_next_hops || { ctl real list; return 1; }
  lab_ip router link set dev to-balancer1 up
  # IPv6 routes went with the link.
  lab_ip router -6 address replace 2001:db8:b:1::1/64 dev to-balancer1 nodad
  lab_route_vips 1
  poll 20 next_hops_known || { ctl real list; return 1; }
  answers_come_back
}

no_next_hops() { [[ $(ctl -o json real list | jq '[.reals[] | select((.problem // "") == "")] | length') == 0 ]]; }

test_lab
lab_daemon_start 1
usual_vips 10 10 10 10

it "requests are answered before the move" answers_come_back
it "a gateway that announces its new MAC is followed" announced_move 02:00:00:00:aa:01
it "a gateway that silently has a new MAC is followed" silent_move 02:00:00:00:aa:02
it "a link that went down and came back is used again" link_goes_and_comes
it "the verdicts add up to the packets received" expect_verdicts_add_up
finish
