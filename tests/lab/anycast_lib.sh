# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Several balancers behind one router, by BGP: the story that anycast.sh tells with BIRD and anycast_frr.sh with FRR.
# 2000 numbered packets a second, 1000 live downloads and short requests go on while balancers fail, leave and come; of
# each event a row of the table says what became of them, and after how many ms the router's kernel had it right.
# Sourced by those two. Not here: the lab's BGP (scripts/lib/bgp.sh), the traffic (hitless.sh).
#
#   lost     packets that arrived nowhere: those that were on their way to a balancer that was gone
#   moved    flows that arrived at another real than before: with stable rings and one hash key there is none
#   failed   downloads that were not whole, short requests without their answer
LAB_NODES=(client1 client2 router balancer1 balancer2 balancer3 real1 real2 real3 real4)
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/hitless_lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/api_lib.sh"
source "$SHUNT_ROOT/scripts/lib/bgp.sh"
source "$(dirname "${BASH_SOURCE[0]}")/anycast_cases_lib.sh"

DOWNLOADS=1000 DOWNLOAD_SECONDS=60
HITLESS_NODES=(client1 router balancer1 balancer2 balancer3 real1 real2 real3 real4)
ANYCAST_VIPS=("${LAB_VIPS4[0]}" "${LAB_VIPS6[0]}") # with traffic
ANYCAST_SECONDS=30 # the longest that anything may take, on a machine that has no time
ANYCAST_BFD_SECONDS=5 # less than what is left of the hold time

# ---- balancers

# A VIP whose reals are asked, at an address of its own.
CHECKED_ADDRESS=${LAB_VIPS6[1]} CHECKED_PORT=8081
CHECKED_VIP="[$CHECKED_ADDRESS]:$CHECKED_PORT/tcp"
CHECKED_COMMUNITY=65101:83

# The same store everywhere: the same hash key, the same rings.
anycast_store() { # [HASH-KEY]
  echo "hash_key: \"${1:-0x5eed5eed5eed5eed5eed5eed5eed5eed}\""
  hitless_file moving 10 10 10 10 | sed 's/^defaults: {/defaults: { announce: { hold_seconds: 1 },/'
  lab_vip_entry "$CHECKED_VIP" "${LAB_REALS6[2]}=10" "${LAB_REALS6[3]}=10" |
    sed "1a\\    health: { kind: tcp, interval_ms: 500, timeout_ms: 400, fall: 2, rise: 1 }\n    announce: { communities: [ \"$CHECKED_COMMUNITY\" ] }"
}

# balancer_daemon N: shuntd as an operator starts it, but for the times
balancer_daemon() {
  local api
  mapfile -t api < <(api_flags "$1")
  lab_daemon_start "$1" --announce_table="$BGP_TABLE" --announce_protocol="$BGP_PROTOCOL" --graceful_seconds=2 \
    --leave_seconds=20 "${api[@]}"
}

# balancer_up N: shuntd, its speaker, then a store: nothing is announced before its VIPs work
balancer_up() {
  anycast_store >"$SCRATCH/store.yaml"
  balancer_daemon "$1"
  bgp_balancer_up "$1"
  it_happens
  lab_ctl "$1" apply -f "$SCRATCH/store.yaml" >/dev/null
}

# The metrics of what balancer N announces, each once, lowest first.
metrics_of() {
  local family
  for family in -4 -6; do lab_ip "balancer$1" "$family" route show table "$BGP_TABLE" 2>/dev/null || true; done |
    sed -n 's/.* metric \([0-9]*\).*/\1/p' | sort -nu | xargs
}
metrics_are() { [[ $(metrics_of "$1") == "$2" ]]; }

# ---- the table

ANYCAST_COLUMNS='event|balancers|packets|lost|moved|failed|converged (ms)'
ANYCAST_TABLE=$SCRATCH/anycast
anycast_table() {
  printf '\n'
  { echo "$ANYCAST_COLUMNS"; [[ ! -e $ANYCAST_TABLE ]] || cat "$ANYCAST_TABLE"; } | column -t -s '|' -R 2,3,4,5,6,7
  printf '\n'
}

# From now on the router has to learn it.
it_happens() {
  now_ms >"$SCRATCH/happens"
  rm -f "$SCRATCH/converged"
}
# converges BALANCERS SECONDS: the first time that it does counts
converges() {
  bgp_wait "$2" "$1" "${ANYCAST_VIPS[@]}"
  [[ -e $SCRATCH/converged ]] || echo $(($(now_ms) - $(<"$SCRATCH/happens"))) >"$SCRATCH/converged"
}

# anycast_event NAME BALANCERS SECONDS FUNCTION [ARGUMENT…]: once the function has happened the router's kernel sends the
# VIPs to these balancers and to no other, within the time. 1 if it failed, or if a flow moved or a request failed.
anycast_event() {
  local name=$1 balancers=$2 seconds=$3 phase failed status
  shift 3
  hitless_downloads_last "$HITLESS_EVENT_SECONDS"
  hitless_link_drops >"$SCRATCH/links"
  numbered_next_phase
  phase=$(numbered_phase) failed=$(hitless_failed)
  it_happens
  set +e
  (
    set -eE
    "$@"
    converges "$balancers" "$seconds"
    numbered_go_on "$NUMBERED_RATE" # what was changed is met
  )
  status=$?
  set -e
  numbered_next_phase
  poll "$HITLESS_LATE_SECONDS" numbered_all_seen "$phase" || true
  numbered ".phases[\"$phase\"] | \"$name|$balancers|\\(.sent)|\\(.sent - .seen)|\\(.moved)|$(($(hitless_failed) - failed))|$(cat "$SCRATCH/converged" || echo never)\"" \
    >>"$ANYCAST_TABLE"
  ((status == 0)) || { echo "$name: it could not be done"; return 1; }
  anycast_row_is_good
}

anycast_row_is_good() {
  local name packets lost moved failed _
  IFS='|' read -r name _ packets lost moved failed _ < <(tail -n 1 "$ANYCAST_TABLE")
  echo "$name: of $packets packets $lost were lost; $moved flows moved; $failed requests failed"
  echo "meanwhile queues of the lab's links dropped: $(hitless_links_lost "$SCRATCH/links")"
  ((packets > 0 && moved == 0 && failed == 0))
}

# ---- events

# It takes over the routes that stand, and touches none.
daemon_killed_and_back() { # N
  lab_start "balancer$1" monitor ip -o monitor route
  lab_daemon_stop "$1" KILL
  numbered_go_on "$NUMBERED_RATE" # nobody is there who could withdraw anything
  metrics_are "$1" 100
  echo - >"$SCRATCH/converged" # there is nothing to learn
  balancer_daemon "$1"
  numbered_go_on "$NUMBERED_RATE"
  lab_stop "balancer$1" monitor
  expect_equal "changes of its routes" "$(grep "table $BGP_TABLE " "$LAB/balancer$1/monitor.log" || true)" ""
}

# bfd_has_to_notice N: what happens next
bfd_has_to_notice() {
  poll 10 bgp_bfd_watches "$1"
  it_happens
}

speaker_killed() { bgp_signal "balancer$1" KILL; }
speaker_back() { # N: what a supervisor does
  bgp_stop "balancer$1"
  it_happens
  bgp_balancer_up "$1"
}
speaker_frozen() { # N
  bfd_has_to_notice "$1"
  bgp_signal "balancer$1" STOP
}
speaker_thawed() { bgp_signal "balancer$1" CONT; }

link_down() { lab_ip "balancer$1" link set eth0 down; }
# As the host's own network service does it; addresses were kept.
link_up() {
  local gateway prefix _
  read -r _ gateway prefix _ < <(lab_node_addresses "balancer$1")
  lab_ip "balancer$1" link set eth0 up
  lab_ip "balancer$1" route replace default via "$gateway"
  lab_ip "balancer$1" -6 route replace default via "$prefix::1"
}

# Nothing gets through any more, and both ends believe that the link is up.
link_silent() { # N
  bfd_has_to_notice "$1"
  lab_in router nft "add table netdev silent;
    add chain netdev silent in { type filter hook ingress device to-balancer$1 priority 0; policy drop; };
    add chain netdev silent out { type filter hook egress device to-balancer$1 priority 0; policy drop; }"
}
link_heard() { lab_in router nft delete table netdev silent; }

# It asks others to take over, and has withdrawn in the end.
host_drained() { # N BALANCERS
  lab_ctl "$1" drain-host >/dev/null
  poll 10 metrics_are "$1" 2100
  converges "$2" 10
  poll 10 metrics_are "$1" ""
}
host_undrained() { lab_ctl "$1" undrain-host >/dev/null; }

# With on_drain: lower, the routes stay.
host_lowered() { # N
  anycast_store | sed 's/ announce: {/ announce: { on_drain: lower,/' >"$SCRATCH/lower.yaml"
  lab_ctl "$1" apply -f "$SCRATCH/lower.yaml" >/dev/null
  it_happens
  lab_ctl "$1" drain-host >/dev/null
  poll 10 metrics_are "$1" 1100
}

host_raised() { # N BALANCERS
  host_undrained "$1"
  converges "$2" "$ANYCAST_SECONDS"
  lab_ctl "$1" apply -f "$SCRATCH/store.yaml" >/dev/null # as on the others
}

balancer_added() { # N BALANCERS…: the router knows of these then
  local n=$1
  shift
  bgp_router_sessions "$@"
  balancer_up "$n"
}

# As systemd stops it: it asks others to take over, withdraws, waits until traffic has left, and ends.
balancer_removed() { # N BALANCERS…
  local n=$1
  shift
  kill -s TERM "$(lab_pid "balancer$n" shuntd)"
  converges "$*" "$ANYCAST_SECONDS"
  poll 10 metrics_are "$n" ""
  poll 30 lab_stopped "balancer$n" shuntd
  bgp_stop "balancer$n"
  bgp_router_sessions "$@"
}

# ---- the story

event() { # SENTENCE NAME BALANCERS SECONDS FUNCTION [ARGUMENT…]
  local sentence=$1
  shift
  it "no flow moves and no request fails when $sentence" anycast_event "$@"
}

anycast_story() { # bird|frr [FUNCTION]: with cases of this speaker's own, balancers 1 and 2 being there
  local n
  BGP_KIND=$1
  test_lab
  for n in 1 2 3; do lab_in "balancer$n" sysctl -qw net.ipv6.conf.all.keep_addr_on_down=1 net.ipv6.conf.eth0.keep_addr_on_down=1; done
  api_certificates
  it "two balancers with a speaker each share every VIP" all_comes_up
  ((FAILED == 0)) || finish # nothing that follows could work
  it "$NUMBERED_RATE packets a second arrive, and $DOWNLOADS downloads are under way" everything_goes_on 600
  it "traffic spreads over both balancers" traffic_spreads "1 2"
  event "a balancer is added" "balancer added" "1 2 3" "$ANYCAST_SECONDS" balancer_added 3 1 2 3
  it "traffic spreads over three balancers" traffic_spreads "1 2 3"
  event "a daemon crashes and comes back" "shuntd: kill -9, and back" "1 2 3" "$ANYCAST_SECONDS" daemon_killed_and_back 1
  event "a speaker is killed" "speaker: kill -9" "2 3" "$ANYCAST_BFD_SECONDS" speaker_killed 1
  event "the speaker is back" "speaker back" "1 2 3" "$ANYCAST_SECONDS" speaker_back 1
  event "a speaker hangs" "speaker frozen (BFD)" "2 3" "$ANYCAST_BFD_SECONDS" speaker_frozen 1
  event "the speaker goes on" "speaker goes on" "1 2 3" "$ANYCAST_SECONDS" speaker_thawed 1
  event "a link goes down" "link down" "2 3" "$ANYCAST_BFD_SECONDS" link_down 1
  event "the link is up again" "link up" "1 2 3" "$ANYCAST_SECONDS" link_up 1
  event "a link loses everything" "link silent (BFD)" "2 3" "$ANYCAST_BFD_SECONDS" link_silent 1
  event "the link loses nothing any more" "link heard again" "1 2 3" "$ANYCAST_SECONDS" link_heard 1
  event "a host is drained" "host drained" "2 3" "$ANYCAST_SECONDS" host_drained 1 "2 3"
  event "the host serves again" "host undrained" "1 2 3" "$ANYCAST_SECONDS" host_undrained 1
  event "a host is drained by preference" "host drained by preference" "2 3" "$ANYCAST_SECONDS" host_lowered 1
  event "the host is preferred again" "host undrained" "1 2 3" "$ANYCAST_SECONDS" host_raised 1 "1 2 3"
  event "a balancer is removed" "balancer removed" "1 2" "$ANYCAST_SECONDS" balancer_removed 3 1 2
  "${2:-true}"
  it "the last healthy real of a VIP dies: every balancer withdraws it, and no other VIP" reals_die_one_by_one "1 2"
  it "it is announced again when a real is up" reals_come_back "1 2"
  it "the communities of a VIP are told with it, and with no other" communities_are_told
  it "a VIP whose settings or ring differ on one balancer is named by the comparison" differences_are_named
  it "no VIP stands in the main table of a balancer" main_tables_are_clean
  it "every download was whole, and every short request answered" everything_ends_whole 100
  it "the count sees flows that move, as they do to a balancer with another hash key" another_key_moves_flows
  anycast_table
  numbered_stop
  for n in 1 2; do lab_daemon_stop "$n" KILL; done # nobody is left whom it could wait for
  finish
}
