#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# provision.sh ROLE: vagrant/provision makes the guest a balancer, the router, a real or the client of the lab, as it does
# with a virtual machine of Vagrant; all other nodes are namespaces in the guest, and traffic goes by way of it. In a guest
# of `scripts/vm --systemd`, a fresh one for each role; called by stories.sh.
ROLE=${1:-}
case $ROLE in
  balancer | real | client) LAB_HERE=${ROLE}1 ;;
  router) LAB_HERE=router ;;
  *) echo "usage: tests/vm/provision.sh balancer|router|real|client" >&2; exit 2 ;;
esac
export LAB_HERE LAB_DECAP=kernel
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$SHUNT_ROOT/scripts/lib/bgp.sh"

[[ $(</proc/1/comm) == systemd ]] || die "PID 1 is not systemd; run this by scripts/vm --systemd"

ANNOUNCE=(--announce_table=83 --announce_protocol=83)
WORDS=("$ROLE")
case $ROLE in balancer) WORDS=("--build=$BUILD_DIR" balancer 1) ;; real) WORDS=(real 1) ;; esac

provision() { "$SHUNT_ROOT/vagrant/provision" "${WORDS[@]}"; }

# ---- what is expected

unit_is() { [[ $(systemctl show "$1" --property=ActiveState --value) == "$2" ]]; }
expect_units() { # UNIT…
  local unit
  for unit; do poll 20 unit_is "$unit" active || { systemctl status "$unit"; return 1; }; done
}

all_answers_come() {
  local address
  for address in "$VIP4" "$VIP6"; do
    answers_come http "$address" 20
    answers_come udp "$address" 10
  done
}

# A second time, as at the next boot, under requests that must not notice.
again_and_nothing_fails() {
  load_start again http client1 "$VIP4" "$SCRATCH/again"
  loads_go_on 5
  provision
  loads_go_on 5
  load_stop again
  expect_equal "failed requests" "$(count_of failed "$SCRATCH/again")" 0
}

# Sessions of the guest's BIRD that are up
sessions() { birdc show protocols | awk '$2 == "BGP" && $6 == "Established" { print $1 }' | sort | xargs; }
sessions_are() { [[ $(sessions) == "$1" ]]; }
expect_sessions() { poll 60 sessions_are "$1" || { birdc show protocols; return 1; }; }

# ---- the guest as a balancer: the router is a namespace with a BIRD of its own, and no other way to the VIPs

router_by_bgp() { bgp_router_up 1; }
is_balancer() {
  expect_units shuntd bird
  expect_sessions router1
  expect_equal "restarts of shuntd" "$(systemctl show shuntd --property=NRestarts --value)" 0
  expect_contains "what runs as shuntd" "$(ps -o user= -p "$(systemctl show shuntd --property=MainPID --value)")" shunt
}
router_sends_vips_here() { bgp_wait 60 1 "$VIP4" "$VIP6"; }
reals_healthy() { [[ $(shuntctl -o json health | jq '[.vips[].reals[] | select(.health == "up")] | length') -ge 4 ]]; }

balancer() {
  it "the router comes up, and knows no way to the VIPs" router_by_bgp
  it "vagrant/provision makes the guest a balancer" provision
  it "shuntd and BIRD run as services, BIRD has its session" is_balancer
  it "probes through the kernel's tunnels find both reals" poll 60 reals_healthy
  it "the router sends the VIPs here, because BIRD announces them" router_sends_vips_here
  it "pages and datagrams are answered" all_answers_come
  it "a second run fails no request" again_and_nothing_fails
}

# ---- the guest as the router: both balancers are namespaces, with shuntd and BIRD

balancers_announce() {
  local n
  { echo 'hash_key: "0x7368756e742076697274756c206c6162"'; usual_vips_file 10 10; } >"$SCRATCH/vips.yaml"
  for n in 1 2; do
    lab_daemon_start "$n" "${ANNOUNCE[@]}"
    lab_ctl "$n" apply -f "$SCRATCH/vips.yaml"
    bgp_balancer_up "$n"
  done
}
is_router() {
  local family
  for family in ipv4 ipv6; do
    expect_equal "$family, what chooses a next hop" "$(sysctl -n "net.$family.fib_multipath_hash_policy")" 1
  done
  expect_equal "forwarding" "$(sysctl -n net.ipv4.ip_forward net.ipv6.conf.all.forwarding | xargs)" "1 1"
  expect_units bird
}
takes_both() {
  expect_sessions "balancer1 balancer2"
  bgp_wait 60 "1 2" "$VIP4" "$VIP6"
}
both_balance() {
  local n before=()
  for n in 1 2; do before[n]=$(lab_verdict_sum "$n"); done
  all_answers_come
  for n in 1 2; do expect_between "packets to balancer$n" $(($(lab_verdict_sum "$n") - before[n])) 20 100000; done
}

router() {
  it "vagrant/provision makes the guest the router" provision
  it "it forwards, chooses next hops by ports, and BIRD runs as a service" is_router
  it "two balancers come up, with shuntd and BIRD" balancers_announce
  it "it has sessions with both, and sends the VIPs to both" takes_both
  it "pages and datagrams are answered, by way of both balancers" both_balance
  it "a second run fails no request" again_and_nothing_fails
}

# ---- the guest as the only real behind a balancer

only_real() {
  lab_daemon_start 1
  usual_vips_file 10 >"$SCRATCH/vips.yaml"
  ctl apply -f "$SCRATCH/vips.yaml"
  poll 60 next_hops_known
}
took() { ip -s -j link show dev "$1" | jq '.[0].stats64.rx.packets'; }
answers_through_tunnels() {
  local four six
  four=$(took shunt-ipip) six=$(took shunt-ip6tnl)
  all_answers_come
  # SYN, ACK, request and end of 20 connections, and 10 datagrams
  expect_between "packets that shunt-ipip took" $(($(took shunt-ipip) - four)) 90 100000
  expect_between "packets that shunt-ip6tnl took" $(($(took shunt-ip6tnl) - six)) 90 100000
}
again_as_it_was() {
  local before
  before=$(ip -o address; sysctl -a 2>/dev/null | grep -E 'rp_filter|arp_(ignore|announce)')
  provision
  expect_equal "addresses and settings" "$(ip -o address; sysctl -a 2>/dev/null | grep -E 'rp_filter|arp_(ignore|announce)')" "$before"
}

real() {
  it "vagrant/provision makes the guest a real" provision
  it "a balancer has it as its only real" only_real
  it "nginx and the UDP server run as services" expect_units shunt-lab-nginx shunt-lab-udp
  it "pages and datagrams come through the kernel's tunnel devices and are answered" answers_through_tunnels
  it "a second run changes no address and no setting" again_as_it_was
  it "pages and datagrams are answered after it" answers_through_tunnels
}

# ---- the guest as the client

client() {
  it "a balancer and its reals come up" usual_balancer
  it "vagrant/provision makes the guest the client" provision
  it "it gets pages and datagrams from the VIPs" all_answers_come
  it "a second run fails no request" again_and_nothing_fails
}
usual_balancer() {
  lab_daemon_start 1
  small_vips true
}

case $ROLE in
  router) LAB_NODES=(client1 router balancer1 balancer2 real1 real2) ;;
  real) LAB_NODES=(client1 router balancer1 real1) ;;
esac
test_lab
"$ROLE"
finish
