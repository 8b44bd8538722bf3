#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Interfaces that go and come back, lose the program to somebody, or are not there yet; and more news of them than the
# daemon can read.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# A second interface of the balancer. Its other end stands beside it.
second_link_add() { lab_ip balancer1 link add eth1 type veth peer name other1 && lab_ip balancer1 link set eth1 up; }
second_link_delete() { lab_ip balancer1 link delete eth1; }

interface() { ctl -o json | jq -r --arg name "$1" '.interfaces[] | select(.name == $name) | '"$2"; }
is_attached() { [[ $(interface "$1" .attached) == true ]]; }
is_not_attached() { [[ $(interface "$1" .attached) == false ]]; }
has_program() { [[ $(lab_ip balancer1 -j link show dev "$1" 2>/dev/null | jq '.[0].xdp != null') == true ]]; }

last_event() { ctl -o json events --limit=1 | jq -s '.[-1].id // 0'; }
kinds_after() { # ID INTERFACE
  ctl -o json events | jq -r --argjson id "$1" --arg name "$2" 'select(.id > $id and .interface == $name) | .kind' | tr '\n' ' '
}
kinds_are() { [[ $(kinds_after "$1" "$2") == "$3" ]]; }
expect_kinds() { poll 20 kinds_are "$@" || { echo "events of $2: $(kinds_after "$1" "$2")"; return 1; }; }

answers() {
  http_ask client1 "$VIP4" 20 >"$SCRATCH/answers"
  [[ $(count_of failed "$SCRATCH/answers") == 0 ]]
}

missing_at_the_start() {
  lab_daemon_start 1 --interfaces=eth0,eth1
  is_attached eth0
  is_not_attached eth1
  expect_contains "why" "$(interface eth1 .problem)" "there is no such interface"
  expect_contains "the overview" "$(ctl)" "interface   eth1  not attached: there is no such interface"
  expect_contains "the log" "$(cat "$LAB/balancer1/shuntd.log")" "eth1: there is no such interface"
}

all_missing_is_refused() {
  expect_status 1 lab_in balancer1 timeout 20 "$SHUNTD" --interfaces=eth7,eth8 --store="$SCRATCH/none.yaml" \
    --socket="$SCRATCH/none.sock" --bpffs="$LAB/balancer2/bpffs"
  expect_contains "what it said" "$OUTPUT" "there is no such interface"
}

comes_later() {
  local event
  event=$(last_event)
  second_link_add
  poll 20 is_attached eth1
  has_program eth1
  expect_kinds "$event" eth1 "interface_attached "
}

deleted_and_back() {
  local event index
  event=$(last_event) index=$(interface eth1 .index)
  second_link_delete
  poll 20 is_not_attached eth1
  second_link_add
  poll 20 has_program eth1
  poll 20 is_attached eth1
  expect_kinds "$event" eth1 "interface_gone interface_attached "
  [[ $(interface eth1 .index) != "$index" ]]
}

# The link by which all packets come and go, under load.
traffic_comes_back() {
  local event start
  event=$(last_event)
  lab_ip balancer1 link delete eth0
  expect_kinds "$event" eth0 "interface_gone "
  lab_link balancer1
  lab_ip router link set dev to-balancer1 xdp obj "$LAB_PASS_OBJECT" sec xdp
  lab_route_vips 1
  start=$(now_ms)
  poll 20 answers
  echo "answers $(seconds_since "$start") s after the link was there"
  expect_kinds "$event" eth0 "interface_gone interface_attached "
  poll 20 next_hops_known
  http_ask client1 "$VIP4" 100 >"$SCRATCH/answers"
  expect_answers "$SCRATCH/answers" 100
}

moved_away_and_back() {
  local event
  event=$(last_event)
  lab_ip balancer1 link set eth1 netns "$(lab_namespace balancer2)"
  expect_kinds "$event" eth1 "interface_gone "
  lab_ip balancer2 link set eth1 netns "$(lab_namespace balancer1)"
  expect_kinds "$event" eth1 "interface_gone interface_attached "
  has_program eth1
}

taken_off() {
  local event
  event=$(last_event)
  load_start load http client1 "$VIP4" "$SCRATCH/load"
  loads_go_on 20
  lab_ip balancer1 link set dev eth0 xdp off
  poll 20 has_program eth0
  expect_kinds "$event" eth0 "interface_unattached interface_attached "
  expect_contains "the log" "$(cat "$LAB/balancer1/shuntd.log")" "somebody took the program off it"
  loads_go_on 20
  load_stop load
}

# Told once, however often it is asked again; what a stranger attached stays.
stranger() {
  local event id
  event=$(last_event)
  lab_ip balancer1 -force link set dev eth1 xdp obj "$LAB_PASS_OBJECT" sec xdp
  poll 20 is_not_attached eth1
  id=$(program_id eth1)
  expect_contains "why" "$(interface eth1 .problem)" "somebody else"
  lab_ip balancer1 link set dev eth1 mtu 1400 # news of it: a reason to ask again
  lab_ip balancer1 link set dev eth1 mtu 1500
  poll 20 asked_again
  expect_kinds "$event" eth1 "interface_unattached "
  expect_equal "the stranger's program" "$(program_id eth1)" "$id"
  lab_ip balancer1 link set dev eth1 xdp off
  expect_kinds "$event" eth1 "interface_unattached interface_attached "
}
program_id() { lab_ip balancer1 -j link show dev "$1" | jq '.[0].xdp.prog.id'; }
# The kernel shows nothing of an attempt that was refused; a pause longer than the keeper's is all there is to wait for.
asked_again() { (($(now_ms) - ${ASKED_AT:=$(now_ms)} > 1000)); }

# sockets_overrun: how many netlink sockets of the daemon have lost events
sockets_overrun() {
  local pid inodes
  pid=$(lab_pid balancer1 shuntd)
  inodes=$(find "/proc/$pid/fd" -lname 'socket:*' -printf '%l\n' | tr -dc '0-9\n')
  awk 'NR == FNR { ours[$1]; next } $NF in ours && $(NF - 1) > 0 { n++ } END { print n + 0 }' \
    <(echo "$inodes") "/proc/$pid/net/netlink"
}

# The daemon is stopped while far more happens than its sockets hold, and then what counts.
news_is_lost() {
  local i
  kill -s STOP "$(lab_pid balancer1 shuntd)"
  {
    for ((i = 0; i < 40000; i++)); do echo "route add 10.77.$((i / 250)).$((i % 250))/32 dev eth0"; done
  } | lab_ip balancer1 -batch -
  {
    for ((i = 0; i < 12000; i++)); do echo "link set dev other1 alias a$i"; done
  } | lab_ip balancer1 -batch -
  second_link_delete
  second_link_add
  lab_ip router link set dev to-balancer1 address 02:00:00:00:77:01
  lab_ip balancer1 neigh flush dev eth0
  expect_between "sockets that have lost events, the next hops' and perhaps the links'" "$(sockets_overrun)" 1 2
  kill -s CONT "$(lab_pid balancer1 shuntd)"
  poll 20 has_program eth1 # until it has noticed, it tells of the one that is gone
  poll 20 is_attached eth1
  poll 20 leads_to_the_new_mac
  http_ask client1 "$VIP4" 50 >"$SCRATCH/answers"
  expect_answers "$SCRATCH/answers" 50
}
leads_to_the_new_mac() {
  [[ $(ctl -o json real list | jq '[.reals[] | select((.next_hop // "") | startswith("02:00:00:00:77:01 ") | not)] | length') == 0 ]]
}

test_lab
it "with one interface missing it starts, says so, and shows why" missing_at_the_start
usual_vips 10 10 10 10
it "with all interfaces missing it is refused" all_missing_is_refused
it "an interface that comes later gets the program" comes_later
it "one that was deleted gets it again when it is back, under another index" deleted_and_back
it "traffic goes on when the link it came by is back" traffic_comes_back
it "one that was in another namespace meanwhile has it again" moved_away_and_back
it "a program that somebody took off is put back at once, and told" taken_off
it "somebody else's program is told once and left alone, and ours is back when it goes" stranger
it "news that was lost, of links and of routes, changes nothing: all is right afterwards" news_is_lost
finish
