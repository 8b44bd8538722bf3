#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All reals of a VIP fail their checks at once, while they serve: what happens to traffic is what the VIP's panic
# action says, it is said loudly, and it ends without a storm when the checks pass again. And a hundred reals that
# flap at random.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/health_lib.sh"

FLAP_SECONDS=${FLAP_SECONDS:-15} # how long the reals flap
FLAPPING=100
RING_CHANGES_PER_SECOND=4

all_sick() { for n in 1 2 3 4; do server_sick "real$n" http; done; }
all_well() { for n in 1 2 3 4; do server_sick_over "real$n" http; done; }

reals_that_answer() { # COUNT fresh requests
  fresh_flows client1
  http_ask client1 "$VIP4" "$1" >"$SCRATCH/fresh"
  grep -v failed "$SCRATCH/fresh" | sort -u | wc -l
}

# Sampled, so an undercount; but at several times the rate that is allowed.
changes_watch() {
  (
    trap - EXIT ERR
    local seen='' now
    until [[ -e $SCRATCH/changes.stop ]]; do
      now=$(ctl -o json vip show "$TCP4" | jq -c '[.reals[].slots]') || continue
      [[ $now == "$seen" ]] || echo "$now"
      seen=$now
    done >"$SCRATCH/changes"
    touch "$SCRATCH/changes.done"
  ) </dev/null >/dev/null 2>&1 &
}

changes_stop() { # prints how many there were
  touch "$SCRATCH/changes.stop"
  poll 10 test -e "$SCRATCH/changes.done"
  echo $(($(wc -l <"$SCRATCH/changes") - 1)) # the first is no change
  rm -f "$SCRATCH"/changes*
}

# Until the third is down the other reals take the traffic, and a real that is down drops what it has: its flows may
# break. Of the requests after that, none does.
fails_open() {
  local mark from
  mark=$(last_event)
  load_start panic http client2 "$VIP4" "$SCRATCH/panic"
  loads_go_on 40
  changes_watch
  all_sick
  poll 10 mode_is "$TCP4" panic_open
  poll 10 all_down "$TCP4"
  from=$(wc -l <"$SCRATCH/panic")
  expect_equal "reals that answer 100 new requests" "$(poll 20 four_answer && echo 4)" 4
  loads_go_on 100
  expect_equal "events of panic" "$(count_events "$mark" panic_entered "$TCP4")" 1
  expect_equal "events of reals going down" "$(count_events "$mark" real_down "$TCP4")" 4
  expect_contains "the overview" "$(ctl)" PANIC
  expect_contains "health" "$(ctl health)" PANIC
  expect_contains "the daemon's log" "$(cat "$LAB/balancer1/shuntd.log")" panic_entered
  load_stop panic
  expect_equal "failed requests in panic" "$(tail -n "+$((from + 1))" "$SCRATCH/panic" | grep -cx failed || true)" 0
}
four_answer() { (($(reals_that_answer 100) == 4)); }

# Each real that comes up is one event, and panic ends once.
ends_without_a_storm() {
  local mark
  mark=$(last_event)
  load_start calm http client2 "$VIP4" "$SCRATCH/calm"
  loads_go_on 40
  all_well
  poll 20 all_up "$TCP4"
  poll 5 mode_is "$TCP4" normal
  loads_go_on 100
  load_stop calm
  expect_equal "failed requests" "$(count_of failed "$SCRATCH/calm")" 0
  expect_equal "events of panic's end" "$(count_events "$mark" panic_left "$TCP4")" 1
  expect_equal "events of panic" "$(count_events "$mark" panic_entered "$TCP4")" 0
  expect_equal "events of reals coming up" "$(count_events "$mark" real_up "$TCP4")" 4
  expect_equal "events of reals going down" "$(count_events "$mark" real_down "$TCP4")" 0
  # Down: four changes at most. Panic and its end: one each. Up: four at most.
  expect_between "changes of the ring in the whole story" "$(changes_stop)" 2 10
}

# ACTION MODE: nobody answers while all are down, and the one that is up first takes everything
fails_closed() {
  local mark
  ctl vip set "$TCP4" --panic-action="$1" >/dev/null
  poll 60 all_up "$TCP4"
  mark=$(last_event)
  all_sick
  poll 10 all_down "$TCP4"
  poll 5 mode_is "$TCP4" "$2"
  expect_equal "events of panic" "$(count_events "$mark" panic_entered "$TCP4")" 1
  expect_equal "reals that answer" "$(lab_in client1 curl -s --max-time 2 "http://$VIP4/" || true)" ""
  server_sick_over real2 http
  poll 60 health_is "$TCP4" "${LAB_REALS4[1]}" up
  expect_equal "mode with one real of four up" "$(mode_of "$TCP4")" "$2"
  http_ask client1 "$VIP4" 50 >"$SCRATCH/answers"
  expect_equal "requests that real2 answered" "$(count_of real2 "$SCRATCH/answers")" 50
  all_well
  poll 90 all_up "$TCP4"
  poll 5 mode_is "$TCP4" normal
  expect_equal "events of panic's end" "$(count_events "$mark" panic_left "$TCP4")" 1
}

# ---- a hundred reals that flap: addresses of real4, which the router does or does not let through

flapping_reals_up() {
  local n
  for n in $(seq "$FLAPPING"); do echo "address add 10.3.0.$n/32 dev lo"; done | lab_in real4 ip -batch -
  lab_ip router route add 10.3.0.0/24 via "${LAB_REALS4[3]}"
  lab_in real4 "$SHUNTCTL" decap attach --interface=eth0 --vip="$VIP4,$VIP6" >/dev/null # knows the new addresses now
  lab_in router nft 'add table inet flaps
    add set inet flaps down { type ipv4_addr; }
    add chain inet flaps forward { type filter hook forward priority 0; }
    add rule inet flaps forward ip daddr @down drop'
}

# flip VERB N…: add or delete: whether their packets are lost
flip() {
  local verb=$1
  shift
  lab_in router nft "$verb element inet flaps down { $(printf '10.3.0.%s, ' "$@") }"
}

# Twenty of them, drawn at random, fail or are mended, every 100 ms.
flap_about() {
  local end=$(($(now_ms) + FLAP_SECONDS * 1000)) down=() fails mended n
  for n in $(seq "$FLAPPING"); do down[n]=yes; done
  while (($(now_ms) < end)); do
    fails=() mended=()
    for n in $(shuf -i "1-$FLAPPING" -n 20); do
      if [[ ${down[n]} == yes ]]; then mended+=("$n") down[n]=no; else fails+=("$n") down[n]=yes; fi
    done
    ((${#fails[@]} == 0)) || flip add "${fails[@]}"
    ((${#mended[@]} == 0)) || flip delete "${mended[@]}"
    sleep 0.1
  done
}

# Three reals that hold, of three quarters of the weight, and the hundred. A machine that stands still for a moment makes
# one probe too late, not two in a row.
flapping_file() {
  local n
  echo "defaults: { slow_start_seconds: 0, ring_changes_per_second: $RING_CHANGES_PER_SECOND }"
  echo 'vips:'
  lab_vip_entry "$TCP4" "${LAB_REALS4[0]}=100" "${LAB_REALS4[1]}=100" "${LAB_REALS4[2]}=100" |
    sed "1a\\    health: { kind: tcp, port: ${SERVER_PORTS[tcp]}, interval_ms: 200, timeout_ms: 150, rise: 1, fall: 2 }"
  for n in $(seq "$FLAPPING"); do echo "      - { address: \"10.3.0.$n\", weight: 1 }"; done
}

# All downloads begin while the hundred are down, so they are with the three that hold.
flapping_is_bounded() {
  local mark started changes allowed downs
  flapping_reals_up
  flip add $(seq "$FLAPPING")
  flapping_file >"$SCRATCH/flapping.yaml"
  ctl apply -f "$SCRATCH/flapping.yaml" >/dev/null
  poll 20 three_hold
  downloads_start 1
  expect_equal "downloads by the real that flaps" "$(connections 4)" 0
  mark=$(last_event)
  started=$(now_ms)
  changes_watch
  flap_about
  changes=$(changes_stop)
  allowed=$((($(now_ms) - started) * RING_CHANGES_PER_SECOND / 1000 + 2))
  downs=$(count_events "$mark" real_down "$TCP4")
  printf '  %d reals flapped for %d s: %d times down, %d changes of the ring, %d allowed\n' \
    "$FLAPPING" "$FLAP_SECONDS" "$downs" "$changes" "$allowed" >"$SCRATCH/flaps"
  expect_between "changes of the ring" "$changes" "$((FLAP_SECONDS / 2))" "$allowed"
  expect_between "times that one of them went down" "$downs" "$FLAPPING" 100000
  expect_equal "times that one of those that hold went down" \
    "$(events_after "$mark" real_down "$TCP4" | jq -c 'select(.real | startswith("10.2."))' | wc -l)" 0
  expect_whole_downloads 1
}
three_hold() { (($(count_health up "$TCP4") == 3 && $(count_health down "$TCP4") == FLAPPING)); }

# The newest state wins: after the flapping, what is up has slots, and what is down has none.
settles_as_it_is() {
  flip add $(seq 1 50)
  lab_in router nft flush set inet flaps down
  flip add $(seq 51 100)
  poll 60 slots_follow_health
}
slots_follow_health() {
  local n up down
  up=$(ctl -o json health "$TCP4" | jq -c '[.vips[0].reals[] | select(.health == "up") | .address] | sort')
  down=$(ctl -o json vip show "$TCP4" | jq -c '[.reals[] | select(.slots > 0) | .address] | sort')
  [[ $up == "$down" && $(jq length <<<"$up") == 53 ]]
}

test_lab
lab_daemon_start 1
servers_up tcp http
{
  health_settings
  echo 'vips:'
  checked_vip "$TCP4" "$(check_of http "port: ${SERVER_PORTS[http]}")" "${LAB_REALS4[@]}"
} >"$SCRATCH/web.yaml"
ctl apply -f "$SCRATCH/web.yaml" >/dev/null
poll 20 all_up
pages_up $((FLAP_SECONDS + 15))

it "all checks fail at once: with fail_open traffic goes on to all reals, and everybody is told" fails_open
it "the checks pass again: back to normal, each real comes up once, the ring changes a few times" ends_without_a_storm
it "with fail_closed nobody answers, and the first real that is up takes everything" fails_closed fail_closed panic_closed
it "with withdraw the same, and the VIP says that it is not to be announced" fails_closed withdraw withdrawn
it "$FLAPPING reals flap at random: the ring changes $RING_CHANGES_PER_SECOND times a second at most, and no download of others breaks" \
  flapping_is_bounded
cat "$SCRATCH/flaps" 2>/dev/null || true
it "when they have calmed down, those that are up have slots, and no others" settles_as_it_is
it "the verdicts add up to the packets received" verdicts_add_up_without_checks
finish
