#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# scripts/real-setup on a server of the lab (balancer2, which runs no daemon here): what it changes, that it says so,
# that the VIP is silent on the link, and that --undo leaves the server as it was.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

SERVER=balancer2 V4=203.0.113.10 V6=2001:db8:1::10

setup() {
  lab_in "$SERVER" "$SHUNT_ROOT/scripts/real-setup" --shuntctl="$SHUNTCTL" --state="$LAB/$SERVER/state" "$@"
}
standard() { setup --vip="$V4,2001:DB8:1:0::10" --decap=xdp --advmss=1400 --quiet "$@"; }

# Everything the script could touch, without counters and ages.
snapshot() {
  lab_ip "$SERVER" address show | sed '/valid_lft/d'
  lab_ip "$SERVER" -details link show | sed 's/xdp id [0-9]*/xdp/; s/prog\/xdp id [0-9]*/prog/'
  lab_ip "$SERVER" -4 route show table all
  lab_ip "$SERVER" -6 route show table all | grep -v '^ff00\|^multicast'
  lab_in "$SERVER" sysctl -a 2>/dev/null | grep -E '^net\.ipv[46]\.(conf|ip_|neigh)' | grep -v stable_secret
  find "$LAB/$SERVER/bpffs" -mindepth 1 ! -name '*.debug' ! -name xdp # where libxdp keeps its lock, an empty folder
}

expect_same() { # WHAT BEFORE AFTER: files
  diff "$2" "$3" || { echo "$1 differs"; return 1; }
}

dry_run_changes_nothing() {
  standard --dry-run >"$SCRATCH/said"
  expect_contains "the dry run" "$(cat "$SCRATCH/said")" "arp_ignore: 0 -> 1"
  snapshot >"$SCRATCH/after"
  expect_same "the server" "$SCRATCH/before" "$SCRATCH/after"
  [[ ! -e $LAB/$SERVER/state ]]
}

says_and_does() {
  local part
  standard >"$SCRATCH/said"
  for part in "arp_ignore: 0 -> 1" "arp_announce: 0 -> 2" "lo: no $V4/32 -> $V4/32" "advmss 1400" "advmss 1380" \
    "decapsulation on eth0: none -> $V6,$V4"; do
    expect_contains "real-setup" "$(cat "$SCRATCH/said")" "$part"
  done
  expect_contains "loopback" "$(lab_ip "$SERVER" -o address show dev lo)" "$V6/128"
  expect_contains "the IPv4 default route" "$(lab_ip "$SERVER" -4 route show default)" "advmss 1400"
  expect_equal "IPv6 default routes" "$(lab_ip "$SERVER" -6 route show default | wc -l)" 1
  expect_contains "decapsulation" "$(lab_in "$SERVER" "$SHUNTCTL" decap show --interface=eth0)" "$V4"
}

again_changes_nothing() {
  snapshot >"$SCRATCH/done"
  expect_equal "what a second run says" "$(standard)" ""
  snapshot >"$SCRATCH/after"
  expect_same "the server" "$SCRATCH/done" "$SCRATCH/after"
}

one_vip_more() {
  setup --vip=203.0.113.11 --decap=xdp --quiet >"$SCRATCH/said"
  expect_contains "decapsulation" "$(lab_in "$SERVER" "$SHUNTCTL" -o json decap show --interface=eth0 | jq -c '[.vips[].address] | sort')" \
    "[\"2001:db8:1::10\",\"203.0.113.10\",\"203.0.113.11\"]"
}

# on_link ADDRESS: asks for it on the server's link, as a neighbour would; 0 if the server answers
on_link() {
  local family=-4 length=32 state=1
  [[ $1 != *:* ]] || { family=-6 length=128; }
  lab_ip router "$family" route add "$1/$length" dev "to-$SERVER"
  lab_in router python3 "$SHUNT_ROOT/scripts/lib/udp_client.py" "$1" 9 1 >/dev/null &
  poll 10 neighbour_decided "$family" "$1" || true
  wait
  [[ $(lab_ip router "$family" neigh show to "$1" dev "to-$SERVER") != *lladdr* ]] || state=0
  lab_ip router "$family" route del "$1/$length" dev "to-$SERVER"
  lab_ip router "$family" neigh flush to "$1" dev "to-$SERVER"
  return "$state"
}
neighbour_decided() { [[ $(lab_ip router "$1" neigh show to "$2" dev "to-$SERVER") == *@(lladdr|FAILED)* ]]; }

vips_are_silent() {
  local address
  for address in "$V4" "$V6"; do
    ! on_link "$address" || { echo "the server answers for $address on its link"; return 1; }
  done
}

# What would be without it: the test above can fail.
answers_without() {
  lab_ip "$SERVER" address add 203.0.113.77/32 dev lo
  lab_in "$SERVER" sysctl -qw net.ipv4.conf.all.arp_ignore=0
  on_link 203.0.113.77 || { echo "nobody answered for 203.0.113.77"; return 1; }
  lab_in "$SERVER" sysctl -qw net.ipv4.conf.all.arp_ignore=1
  lab_ip "$SERVER" address del 203.0.113.77/32 dev lo
}

undo_restores() {
  setup --undo >"$SCRATCH/said"
  expect_contains "undo" "$(cat "$SCRATCH/said")" "arp_ignore: 1 -> 0"
  snapshot >"$SCRATCH/after"
  expect_same "the server" "$SCRATCH/before" "$SCRATCH/after"
  [[ ! -e $LAB/$SERVER/state ]] || { echo "the state file is still there"; return 1; }
  setup --undo
}

undo_leaves_the_operators_changes() {
  standard >"$SCRATCH/said"
  lab_in "$SERVER" sysctl -qw net.ipv4.conf.all.arp_announce=1
  setup --undo >"$SCRATCH/said"
  expect_equal "arp_announce" "$(lab_in "$SERVER" sysctl -n net.ipv4.conf.all.arp_announce)" 1
  lab_in "$SERVER" sysctl -qw net.ipv4.conf.all.arp_announce=0
  snapshot >"$SCRATCH/after"
  expect_same "the server" "$SCRATCH/before" "$SCRATCH/after"
}

bad_arguments() {
  local part
  expect_status 2 setup --vip=203.0.113.300,ff02::1 --advmss=10 --interface=nowhere0
  for part in 203.0.113.300 ff02::1 advmss nowhere0; do expect_contains "real-setup" "$OUTPUT" "$part"; done
  expect_status 2 setup
  expect_status 2 setup --vips="$V4"
  expect_status 0 setup --help
  snapshot >"$SCRATCH/after"
  expect_same "the server" "$SCRATCH/before" "$SCRATCH/after"
}

shopt -s extglob
test_lab
snapshot >"$SCRATCH/before"

it "arguments that make no sense are all named, with status 2, and change nothing" bad_arguments
it "a dry run says what would be changed and changes nothing" dry_run_changes_nothing
it "each change is said and done" says_and_does
it "a second run says and changes nothing" again_changes_nothing
it "one more VIP is added to those that are there" one_vip_more
it "the server answers neither ARP nor neighbour discovery for the VIPs" vips_are_silent
it "without ARP silence it would answer" answers_without
it "--undo leaves the server as it was" undo_restores
it "--undo leaves alone what the operator has changed since" undo_leaves_the_operators_changes
finish
