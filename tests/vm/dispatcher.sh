#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The balancer as one of two in libxdp's dispatcher, beside Debian's xdp-filter: before it and behind it, by run
# priority, under traffic. Needs a kernel that lets programs be replaced by name (freplace): in a guest of scripts/vm;
# called by stories.sh.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

OTHER_VERSION=$BUILD_DIR/tests/vm/other_version
FILTER_OBJECT=/usr/lib/$(uname -m)-linux-gnu/bpf/xdpfilt_alw_all.o
OWN4=10.1.1.2 # the balancer's own address: what it gets there is for its host
NUMBERED_PORT=7100

# ---- xdp-filter: its own command loads it with priority 10, before the balancer's 50; by xdp-loader it comes behind

filter() { lab_in balancer1 xdp-filter "$@"; }
filter_first() { filter load eth0; }
filter_last() {
  lab_in balancer1 xdp-loader load --mode native --prio 60 --pin-path /sys/fs/bpf/xdp-filter eth0 "$FILTER_OBJECT"
}

# Programs of the dispatcher on eth0 in the order in which packets meet them: "id name", one a line.
programs() { lab_in balancer1 xdp-loader status eth0 | awk '$1 == "=>" { print $4, $3 }'; }
order() { programs | cut -d' ' -f2 | paste -sd' '; }
filter_id() { programs | sed -n 's/ xdpfilt_.*//p'; }
our_id() { # in the dispatcher, or alone
  lab_in balancer1 xdp-loader status eth0 | awk '$2 == "balancer" || ($1 == "=>" && $3 == "balancer") { print $4 }'
}

# filter_counts ACTION: packets. After its counters, `status` gives up at a filter that it has not loaded itself.
filter_counts() { { filter status || true; } | awk -v action="$1" '$1 == action { print $2 }'; }

# ---- what is expected of packets

# Frames that XDP got less those that have a verdict; known once none came while the verdicts were read.
read_without_verdict() {
  local received
  received=$(lab_received 1)
  WITHOUT_VERDICT=$((received - $(lab_verdict_sum 1)))
  [[ $(lab_received 1) == "$received" ]]
}
without_verdict() { poll 20 read_without_verdict && echo "$WITHOUT_VERDICT"; }

all_answers_come() {
  answers_come http "$VIP4" 10
  answers_come http "$VIP6" 10
  answers_come udp "$VIP4" 10
  answers_come udp "$OWN4" 5
}

# Numbered datagrams to two VIPs, and questions to the balancer's own address, which it passes on to its host.
traffic_start() {
  local n reals=()
  for n in "${LAB_REALS[@]}"; do reals+=("--real=real$n=$(lab_namespace "real$n")"); done
  rm -f "$SCRATCH/numbered"
  lab_start client1 numbered "$SHUNT_ROOT/scripts/lib/numbered_flows.py" --status="$SCRATCH/numbered" --rate=200 \
    --flows=40 --kept=600 --port="$NUMBERED_PORT" --client="$(lab_namespace client1)" --vip="$VIP4" --vip="$VIP6" \
    "${reals[@]}"
  load_start own udp client1 "$OWN4" "$SCRATCH/own"
  traffic_goes_on
}
numbered() { jq "$1" "$SCRATCH/numbered"; }
has_sent() { [[ -s $SCRATCH/numbered ]] && (($(numbered .sent) >= $1)); }
traffic_goes_on() {
  local sent=0
  [[ ! -s $SCRATCH/numbered ]] || sent=$(numbered .sent)
  poll 60 has_sent $((sent + 300)) || { cat "$LAB/client1/numbered.log"; return 1; }
  loads_go_on 10
}
second_phase() { [[ $(numbered .phase) == 2 ]]; }
all_arrived() { [[ $(numbered '.phases["1"] | .sent - .seen') == 0 ]]; }

# Ends the traffic: each datagram of the first phase came once and to its flow's real, each question was answered.
traffic_stop_whole() {
  load_stop own
  kill -s USR1 "$(lab_pid client1 numbered)"
  poll 20 second_phase
  poll 10 all_arrived || true
  lab_stop client1 numbered
  numbered . | tr -d ' \n'
  expect_equal "datagrams that a socket had no room for" "$(numbered .receiver_drops)" 0
  expect_equal "datagrams lost" "$(numbered '.phases["1"] | .sent - .seen')" 0
  expect_equal "datagrams duplicated" "$(numbered '.phases["1"].duplicated')" 0
  expect_equal "flows moved" "$(numbered '.phases["1"].moved')" 0
  expect_equal "unanswered questions" "$(count_of failed "$SCRATCH/own")" 0
}

# ---- cases

numbered_vips() {
  lab_vip_entry "$VIP4:$NUMBERED_PORT/udp" "${LAB_REALS4[0]}=10" "${LAB_REALS4[1]}=10"
  lab_vip_entry "[$VIP6]:$NUMBERED_PORT/udp" "${LAB_REALS6[0]}=10" "${LAB_REALS6[1]}=10"
}

# Whether this kernel lets the balancer's program into this libxdp's dispatcher: not from 6.13 on, nor later ones of 6.12,
# unless libxdp is of 2025 or newer.
joins_a_dispatcher() {
  local joined=no
  lab_daemon_start 1 --detach_on_exit
  [[ $(order) != balancer ]] || joined=yes
  lab_daemon_stop 1
  [[ $joined == yes ]]
}

refused_behind_the_filter() {
  filter_first
  ! lab_daemon_start 1 || { echo "the daemon started"; return 1; }
  expect_contains "what it said" "$(tail -n 12 "$LAB/balancer1/shuntd.log")" "lets no program that changes packets into the dispatcher"
  expect_equal "programs" "$(order)" "xdpfilt_alw_all"
  filter unload eth0
}

alone_it_serves() {
  lab_daemon_start 1
  expect_equal "programs in a dispatcher" "$(order)" ""
  small_vips numbered_vips
  all_answers_come
  ! filter_first || { echo "xdp-filter has joined a program that stands alone"; return 1; }
  all_answers_come
}

joins_behind_the_filter() {
  filter_first
  lab_daemon_start 1
  expect_equal "programs in their order" "$(order)" "xdpfilt_alw_all balancer"
  small_vips numbered_vips
  all_answers_come
}

# What the filter has passed less what has a verdict; known once it passed nothing while the verdicts were read.
read_surplus() {
  local passed
  passed=$(filter_counts XDP_PASS)
  SURPLUS=$((passed - $(lab_verdict_sum 1)))
  [[ $(filter_counts XDP_PASS) == "$passed" ]]
}
surplus() { poll 20 read_surplus && echo "$SURPLUS"; }

both_count_the_same() {
  local without before verdicts
  without=$(without_verdict) before=$(surplus) verdicts=$(lab_verdict_sum 1)
  all_answers_come
  expect_equal "frames without a verdict" "$(without_verdict)" "$without"
  expect_equal "frames that xdp-filter passed, less verdicts" "$(surplus)" "$before"
  expect_between "verdicts" $(($(lab_verdict_sum 1) - verdicts)) 100 100000
}

what_the_filter_drops_is_not_seen() {
  local before dropped without
  before=$(packets_of "$UDP4") dropped=$(filter_counts XDP_DROP) without=$(without_verdict)
  filter port "$LAB_UDP_PORT" -p udp -m dst
  udp_ask client1 "$VIP4" 3 >"$SCRATCH/answers"
  expect_equal "questions without an answer" "$(count_of failed "$SCRATCH/answers")" 3
  answers_come http "$VIP4" 10
  expect_equal "frames that xdp-filter dropped" $(($(filter_counts XDP_DROP) - dropped)) 3
  expect_equal "packets to the VIP" $(($(packets_of "$UDP4") - before)) 0
  expect_equal "frames without a verdict" $(($(without_verdict) - without)) 3
  filter port "$LAB_UDP_PORT" -p udp -m dst -r
  answers_come udp "$VIP4" 10
}
packets_of() { ctl -o json vip show "$1" | jq '.traffic.packets | tonumber'; }

# under_traffic ACTION…: nothing is lost meanwhile, and each frame has one verdict
under_traffic() {
  local without
  without=$(without_verdict)
  trap 'lab_stop client1 numbered' EXIT # of a case that fails, too
  traffic_start
  "$@"
  traffic_goes_on
  traffic_stop_whole
  expect_equal "frames without a verdict (below zero: with two)" $(($(without_verdict) - without)) 0
}

restart() { # SIGNAL
  local id filter
  id=$(our_id) filter=$(filter_id)
  lab_daemon_stop 1 "$1"
  traffic_goes_on
  lab_daemon_start 1
  expect_equal "the balancer's program" "$(our_id)" "$id"
  expect_equal "xdp-filter's program" "$(filter_id)" "$filter"
}

filter_goes_and_comes() {
  local id
  id=$(our_id)
  filter unload eth0
  expect_equal "programs" "$(order)" "balancer"
  traffic_goes_on
  filter_first
  expect_equal "programs in their order" "$(order)" "xdpfilt_alw_all balancer"
  expect_equal "the balancer's program" "$(our_id)" "$id"
}

# By one whose settings differ, and back again by shuntd's start.
another_version() {
  local id other wanted
  id=$(our_id) wanted=$(order)
  lab_daemon_stop 1
  lab_in balancer1 "$OTHER_VERSION" "$LAB/balancer1/bpffs" eth0
  other=$(our_id)
  [[ -n $other && $other != "$id" ]] || { programs; echo "the program was not replaced"; return 1; }
  traffic_goes_on
  lab_daemon_start 1
  expect_equal "programs in their order" "$(order)" "$wanted"
  [[ $(our_id) != "$other" ]] || { echo "shuntd did not replace it"; return 1; }
}

# What is left of ours after detaching; libxdp keeps its lock in the folder xdp.
detach_leaves_the_filter() {
  local filter passed
  filter=$(filter_id)
  lab_daemon_stop 1
  lab_daemon_start 1 --detach_on_exit
  filter port 9 -p udp -m dst
  lab_daemon_stop 1
  expect_equal "programs" "$(order)" "xdpfilt_alw_all"
  expect_equal "xdp-filter's program" "$(filter_id)" "$filter"
  [[ ! -e $LAB/balancer1/bpffs/shunt ]] || { find "$LAB/balancer1/bpffs"; return 1; }
  passed=$(filter_counts XDP_PASS)
  answers_come udp "$OWN4" 5
  expect_between "frames that xdp-filter passed" $(($(filter_counts XDP_PASS) - passed)) 5 1000
  expect_contains "xdp-filter's rules" "$(filter status)" "9 "
  filter port 9 -p udp -m dst -r
}

filter_comes_behind() {
  local filter
  filter=$(filter_id)
  if [[ -n $filter ]]; then filter unload eth0; fi
  lab_daemon_start 1
  expect_equal "programs" "$(order)" "balancer"
  filter_last
  expect_equal "programs in their order" "$(order)" "balancer xdpfilt_alw_all"
  poll 60 next_hops_known
  all_answers_come
}

# Behind the balancer the filter sees what that passes on: 5 questions to the host, none to a VIP.
filter_sees_what_is_passed() {
  local passed
  passed=$(filter_counts XDP_PASS)
  answers_come http "$VIP4" 10
  answers_come http "$VIP6" 10
  answers_come udp "$VIP4" 10
  answers_come udp "$OWN4" 5
  expect_between "frames that xdp-filter passed" $(($(filter_counts XDP_PASS) - passed)) 5 30 # neighbour discovery, too
}

filter_behind_drops_only_the_hosts() {
  local without
  without=$(without_verdict)
  filter port "$LAB_UDP_PORT" -p udp -m dst
  udp_ask client1 "$OWN4" 3 >"$SCRATCH/answers"
  expect_equal "questions to the host without an answer" "$(count_of failed "$SCRATCH/answers")" 3
  answers_come udp "$VIP4" 10
  expect_equal "frames without a verdict" $(($(without_verdict) - without)) 0
  filter port "$LAB_UDP_PORT" -p udp -m dst -r
  answers_come udp "$OWN4" 5
}

alone_another_version() {
  lab_in balancer1 xdp-loader unload eth0 --id "$(filter_id)"
  expect_equal "programs" "$(order)" "balancer"
  under_traffic another_version
}

# Once it knows its neighbours, the balancer's kernel asks them every 5 s, and the router's every 30 s or so: frames between
# two readings that take as long.
neighbours_are_quiet() {
  local node device family
  for node in balancer1:eth0 router:to-balancer1; do
    device=${node#*:} node=${node%:*}
    for family in ipv4 ipv6; do
      lab_in "$node" sysctl -qw "net.$family.neigh.$device.base_reachable_time_ms=3600000"
      lab_in "$node" sysctl -qw "net.$family.neigh.$device.interval_probe_time_ms=3600000"
    done
  done
}

test_lab
neighbours_are_quiet
lab_start balancer1 udp python3 "$SHUNT_ROOT/scripts/lib/udp_server.py" balancer1 "$LAB_UDP_PORT" "$OWN4"

if ! joins_a_dispatcher; then
  echo "this kernel lets no program that changes packets into the dispatcher of this libxdp: the story of who stands alone"
  it "behind an xdp-filter shuntd refuses to start, says why, and leaves it alone" refused_behind_the_filter
  it "where nothing is, it stands alone and serves, and xdp-filter is kept out" alone_it_serves
  it "alone, a crash and a start lose nothing and leave the program" under_traffic restart KILL
  finish
fi
it "shuntd joins the dispatcher of an xdp-filter that is there first" joins_behind_the_filter
it "behind xdp-filter each packet that it passes has one verdict" both_count_the_same
it "what xdp-filter drops never reaches the balancer behind it" what_the_filter_drops_is_not_seen
it "behind xdp-filter, SIGTERM and a start lose nothing and leave both programs" under_traffic restart TERM
it "behind xdp-filter, a crash and a start lose nothing and leave both programs" under_traffic restart KILL
it "xdp-filter goes and comes before a running balancer, and nothing is lost" under_traffic filter_goes_and_comes
it "behind xdp-filter, another version takes over under traffic, and nothing is lost or counted twice" \
  under_traffic another_version
it "--detach_on_exit leaves xdp-filter, its rules and its counters" detach_leaves_the_filter
it "xdp-filter comes behind a running balancer" filter_comes_behind
it "xdp-filter behind the balancer sees only what that passes" filter_sees_what_is_passed
it "what xdp-filter drops behind the balancer is the host's alone" filter_behind_drops_only_the_hosts
it "before xdp-filter, a crash and a start lose nothing and leave both programs" under_traffic restart KILL
it "before xdp-filter, another version takes over under traffic, and nothing is lost or counted twice" \
  under_traffic another_version
it "the balancer alone in the dispatcher is replaced under traffic, and nothing is lost or counted twice" \
  alone_another_version
finish
