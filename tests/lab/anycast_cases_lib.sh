# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the anycast story asks beside its events: that traffic spreads, that a VIP without healthy reals is withdrawn
# everywhere, communities, the comparison of balancers, and that the count sees flows that move. Sourced by
# anycast_lib.sh, which has balancers, events and their table.

# ---- traffic

# By the packets that each got in three seconds.
traffic_spreads() { # BALANCERS
  local n got=() share all=0
  for n in 1 2 3; do got[n]=$(lab_received "$n"); done
  numbered_go_on $((NUMBERED_RATE * 3))
  for n in 1 2 3; do got[n]=$(($(lab_received "$n") - got[n])) all=$((all + got[n])); done
  for n in $1; do
    share=$((got[n] * 100 / all))
    expect_between "share of balancer$n, in %" "$share" 15 60
  done
}

all_comes_up() {
  local n
  for n in 3 4; do checked_server_up "$n"; done
  for n in 1 2; do balancer_up "$n"; done
  bgp_router_up 1 2
  bgp_wait "$ANYCAST_SECONDS" "1 2" "${LAB_VIPS4[@]}" "${LAB_VIPS6[@]}"
}

main_tables_are_clean() {
  local n
  expect_equal "what the main tables of balancers got" \
    "$(for n in 1 2; do lab_ip "balancer$n" route; lab_ip "balancer$n" -6 route; done | grep -E '^(blackhole )?(203\.0\.113|2001:db8:1:)' || true)" ""
}

# Balancer 2 with another hash key: flows that the router sends there, once balancer 1 is gone, arrive elsewhere.
another_key_moves_flows() {
  anycast_store 0x0bad0bad0bad0bad0bad0bad0bad0bad >"$SCRATCH/other.yaml"
  lab_daemon_stop 2
  cp "$SCRATCH/other.yaml" "$LAB/balancer2/store.yaml"
  balancer_daemon 2
  bgp_wait "$ANYCAST_SECONDS" "1 2" "${ANYCAST_VIPS[@]}"
  ! anycast_event "wrong: another hash key" 2 "$ANYCAST_SECONDS" speaker_killed 1 || return 1
}

# ---- the VIP whose reals are asked

checked_server_up() { # N
  lab_start "real$1" checked python3 -m http.server "$CHECKED_PORT" --bind ::
}
checked_server_dies() { lab_stop "real$1" checked KILL; }

# One of two: the VIP stays. Both: it goes, from every balancer, and no other VIP does.
reals_die_one_by_one() {
  local before
  before=$(others_next_hops)
  checked_server_dies 3
  poll 20 health_is 3 down
  bgp_vip_goes_to "$CHECKED_ADDRESS" "$1"
  it_happens
  checked_server_dies 4
  bgp_wait 10 "" "$CHECKED_ADDRESS" # two probes that fail, half a second apart, and some patience
  echo "last real of another VIP dead|none|-|-|-|-|$(($(now_ms) - $(<"$SCRATCH/happens")))" >>"$ANYCAST_TABLE"
  expect_equal "where the other VIPs go" "$(others_next_hops)" "$before"
}

reals_come_back() { # BALANCERS
  checked_server_up 3
  bgp_wait "$ANYCAST_SECONDS" "$1" "$CHECKED_ADDRESS"
  checked_server_up 4
}

others_next_hops() {
  local address
  for address in "${LAB_VIPS4[@]}" "${LAB_VIPS6[0]}"; do echo "$address: $(bgp_next_hops "$address")"; done
}

# As both balancers see it
health_is() { # N STATE
  local n
  for n in 1 2; do
    [[ $(lab_ctl "$n" -o json health | jq -r --arg real "${LAB_REALS6[$1 - 1]}" \
      '[.vips[].reals[] | select(.address == $real) | .health] | unique | join(" ")') == "$2" ]] || return 1
  done
}

# As the event hook does it when communities have changed.
communities_are_told() {
  lab_ctl 1 announce filter "$BGP_KIND" | bgp_communities 1
  poll 20 router_sees_community "$CHECKED_ADDRESS" 1
  ! router_sees_community "${LAB_VIPS6[0]}" 1 || { echo "a VIP without communities has some"; return 1; }
}
router_sees_community() { # ADDRESS COUNT: so many routes have it
  local route
  if [[ $BGP_KIND == bird ]]; then route=$(bgp_ask router "show route all $1/128")
  else route=$(bgp_ask router "show bgp ipv6 unicast $1/128"); fi
  [[ $(grep -cE "(65101,83|$CHECKED_COMMUNITY)" <<<"$route" || true) == "$2" ]]
}

# ---- balancers that are to be alike

api_certificates() {
  local n
  api_authority ca
  for n in 1 2 3; do api_certificate "balancer$n" ca "balancer$n" "subjectAltName = IP:10.1.$n.2"; done
  api_certificate operator ca operator
}

api_flags() { # N: one a line
  printf '%s\n' --listen="10.1.$1.2:$API_PORT" --tls_certificate="$LAB/api/balancer$1.pem" \
    --tls_key="$LAB/api/balancer$1.key" --tls_client_ca="$LAB/api/ca.pem"
}

# Balancer 1 asks balancer 2.
compare() {
  lab_in balancer1 "$SHUNTCTL" --socket="$LAB/balancer1/shuntd.sock" --tls-ca="$LAB/api/ca.pem" \
    --tls-certificate="$LAB/api/operator.pem" --tls-key="$LAB/api/operator.key" status --peers="10.1.2.2:$API_PORT" "$@"
}
are_alike() { compare >/dev/null 2>&1; }

# Nobody but the VIP that differs is named.
named() { compare -o json 2>/dev/null | jq -r '.vips[] | select(.peers[] != "same") | .vip + " " + .peers[]'; }

differences_are_named() {
  local real=${LAB_REALS4[1]}
  poll 20 are_alike || { compare; return 1; }
  lab_ctl 2 vip set "$HITLESS_OTHER" --tracking=all >/dev/null
  expect_equal "who differs" "$(named || true)" "$HITLESS_OTHER settings differ"
  expect_status 1 compare
  expect_contains "what differs" "$OUTPUT" "tracking"
  lab_ctl 2 apply -f "$SCRATCH/store.yaml" >/dev/null
  poll 20 are_alike || { compare; return 1; }
  lab_ctl 2 real set "$HITLESS_OTHER" "$real" --weight=30 >/dev/null
  expect_status 1 compare
  expect_contains "what differs" "$OUTPUT" "$real"
  lab_ctl 2 apply -f "$SCRATCH/store.yaml" >/dev/null
  poll 20 are_alike || { compare; return 1; }
}
