# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the lab tests of health checks share: VIPs with a check of each kind, what the daemon says of health, captures
# of what goes to a real, and the story of one failure with its times. Sourced after lib.sh. Not here: the servers and
# how they fail (scripts/lib/servers.sh).
source "$SHUNT_ROOT/scripts/lib/servers.sh"

# Short, so that a test of thirty failures is: what counts is that the bound holds.
INTERVAL_MS=500 TIMEOUT_MS=300 FALL=2
NOTICED_WITHIN_MS=$((FALL * INTERVAL_MS + TIMEOUT_MS + 100))
FLOWS_PER_SECOND=200

# ---- VIPs

# vip_of KIND: the VIP whose reals are that kind of server
vip_of() { echo "$VIP4:${SERVER_PORTS[$1]}/$(server_protocol "$1")"; }

# check_of KIND [KEY: VALUE…]: the check as a flow of YAML, with further keys
check_of() {
  local kind=$1 keys key
  shift
  keys="kind: $kind, interval_ms: $INTERVAL_MS, timeout_ms: $TIMEOUT_MS, fall: $FALL"
  case $kind in
    http) keys+=', path: "/healthz", status: "200", body: "is well"' ;;
    https) keys+=", host: $SERVER_NAME, tls_ca: \"$LAB/tls/ca.pem\""
      keys+=", tls_certificate: \"$LAB/tls/client.pem\", tls_key: \"$LAB/tls/client.key\"" ;;
    http2) keys+=", tls: true, host: $SERVER_NAME, tls_ca: \"$LAB/tls/ca.pem\"" ;;
    tls) keys+=", tls_name: $SERVER_NAME, tls_ca: \"$LAB/tls/ca.pem\"" ;;
    udp) keys+=', send: "are you well, and who are you?", expect: "real"' ;;
    dns) keys+=", dns_name: $SERVER_DNS_NAME, dns_type: a, dns_expect: \"$SERVER_DNS_ADDRESS\"" ;;
    exec) keys+=", command: [ \"$LAB/exec-check\" ]" ;;
  esac
  for key; do keys+=", $key"; done
  echo "{ $keys }"
}

# The program of the exec check: asks the real itself, as the environment names it.
exec_check_file() {
  # shellcheck disable=SC2016 # the program's variable
  printf '#!/bin/sh\nexec curl -sf -o /dev/null "http://$SHUNT_REAL:%s/"\n' "${SERVER_PORTS[exec]}" >"$LAB/exec-check"
  chmod 755 "$LAB/exec-check"
}

# checked_vip VIP CHECK REAL…: a VIP of a configuration file, reals of weight 10
checked_vip() {
  local vip=$1 check=$2
  shift 2
  lab_vip_entry "$vip" "${@/%/=10}" | sed "1a\\    health: $check"
}

health_settings() { echo 'defaults: { udp_idle_seconds: 1, slow_start_seconds: 0 }'; }

# kinds_up KIND…: servers of these kinds, a VIP with a check for each, and every real up
kinds_up() {
  servers_up "$@"
  kinds_checked "$@"
}

# The same where the servers run.
kinds_checked() {
  local kind
  exec_check_file
  {
    health_settings
    echo 'vips:'
    for kind; do checked_vip "$(vip_of "$kind")" "$(check_of "$kind")" "${LAB_REALS4[@]}"; done
  } >"$SCRATCH/kinds.yaml"
  ctl apply -f "$SCRATCH/kinds.yaml" >/dev/null
  poll 20 all_up || { ctl health; return 1; }
}

# Probes' answers are packets too, and they never end.
verdicts_add_up_without_checks() {
  local vip
  for vip in $(ctl -o json health | jq -r '.vips[].vip'); do ctl vip set "$vip" --check=none >/dev/null; done
  expect_verdicts_add_up
}

# ---- what the daemon says

# count_health STATE [VIP]: how many reals of checked VIPs are unknown, up or down
count_health() {
  ctl -o json health | jq --arg state "$1" --arg vip "${2:-}" \
    '[.vips[] | select($vip == "" or .vip == $vip) | .reals[] | select(.health == $state)] | length'
}
all_up() { (($(count_health up "$@") > 0 && $(count_health down "$@") == 0 && $(count_health unknown "$@") == 0)); }
all_down() { (($(count_health down "$@") > 0 && $(count_health up "$@") == 0 && $(count_health unknown "$@") == 0)); }

health_of() { # VIP REAL
  ctl -o json health "$1" | jq -r --arg real "$2" '.vips[0].reals[] | select(.address == $real) | .health'
}
health_is() { [[ $(health_of "$1" "$2") == "$3" ]]; }
mode_of() { ctl -o json health "$1" | jq -r '.vips[0].mode'; }
mode_is() { [[ $(mode_of "$1") == "$2" ]]; }

last_event() { ctl -o json events --limit=1 | jq -s '.[-1].id // 0'; }

# events_after ID KIND [VIP [REAL]]: one JSON object a line
events_after() {
  ctl -o json events --limit=10000 | jq -c --argjson id "$1" --arg kind "$2" --arg vip "${3:-}" --arg real "${4:-}" \
    'select(.id > $id and .kind == $kind and ($vip == "" or .vip == $vip) and ($real == "" or .real == $real))'
}
count_events() { events_after "$@" | wc -l; }
some_event() { (($(count_events "$@") > 0)); }

# ---- what goes to a real: its clients' packets, in their outer headers, as they leave the router; probes are the
# balancer's own and no client's

now_us() { echo "${EPOCHREALTIME/[.,]/}"; }

capture_start() { # N KIND
  local port=${SERVER_PORTS[$2]}
  lab_start router capture tcpdump -n -q -tt -l --immediate-mode -i "to-real$1" \
    "ip proto 4 and ip[32:2] == 0xc633 and ip[34] == 0x64 and ip[42:2] == $port"
  poll 10 grep -q 'listening on' "$LAB/router/capture.log"
}

capture_stop() {
  lab_stop router capture
  rm -f "$LAB/router/capture.log"
}

captured() { grep -c '^[0-9]' "$LAB/router/capture.log" || true; }
captured_more_than() { (($(captured) > $1)); }

# When the last packet went by, in microseconds.
last_packet_us() { grep '^[0-9]' "$LAB/router/capture.log" | tail -n 1 | cut -d' ' -f1 | tr -d .; }

# Its share of the flows is some fifty a second: half a second without a packet is the end.
nothing_goes_there() { (($(now_us) - $(last_packet_us) > 500000)); }

flows_start() { # KIND
  lab_start client1 flows "$SHUNT_ROOT/scripts/lib/steady_flows.py" "$(server_protocol "$1")" "$VIP4" \
    "${SERVER_PORTS[$1]}" "$FLOWS_PER_SECOND"
}

# ---- the story of one failure

# noticed FAILURE KIND N CAUSE: real N fails (killed, sick, slow or silent), its last packet goes out in time, the event
# gives a cause that matches, and it is back with traffic when the failure is over. A row for the table.
noticed() {
  local failure=$1 kind=$2 n=$3 cause=$4 vip real mark failed_at healed_at last said packets
  vip=$(vip_of "$kind") real=${LAB_REALS4[n - 1]}
  poll 20 health_is "$vip" "$real" up
  flows_start "$kind"
  capture_start "$n" "$kind"
  poll 10 captured_more_than 20 || { echo "$(captured) packets went to real$n before it failed"; return 1; }
  mark=$(last_event)
  failed_at=$(now_us)
  "server_$failure" "real$n" "$kind"
  poll 10 some_event "$mark" real_down "$vip" "$real" || no_event "is down"
  poll 10 nothing_goes_there || { echo "packets still go to real$n"; return 1; }
  last=$((($(last_packet_us) - failed_at) / 1000))
  said=$(events_after "$mark" real_down "$vip" "$real" | jq -r .cause)
  packets=$(captured)
  healed_at=$(now_us)
  "server_${failure}_over" "real$n" "$kind"
  poll 30 some_event "$mark" real_up "$vip" "$real" || no_event "is up again"
  printf '%s|%s|%d|%d|%s\n' "$kind" "$failure" "$last" $((($(now_us) - healed_at) / 1000)) "$said" >>"$SCRATCH/times"
  poll 20 captured_more_than "$((packets + 10))" || { echo "no packets go to real$n after it is up again"; return 1; }
  expect_between "milliseconds from the failure to the last packet" "$last" 0 "$NOTICED_WITHIN_MS"
  expect_matches "the cause" "$said" "$cause"
  expect_equal "events of it going down" "$(count_events "$mark" real_down "$vip" "$real")" 1
  others_stayed_up "$mark" "$vip" "$real"
}

no_event() { # WHAT
  echo "no event says that it $1"
  ctl health
  return 1
}

others_stayed_up() { # MARK VIP REAL
  expect_equal "events of others going down" \
    "$(ctl -o json events --limit=10000 | jq -c --argjson id "$1" --arg vip "$2" --arg real "$3" \
      'select(.id > $id and .kind == "real_down" and (.vip != $vip or .real != $real))' | wc -l)" 0
}

expect_matches() { # WHAT TEXT REGEX
  [[ $2 =~ $3 ]] || { echo "$1: '$2', expected something like '$3'"; return 1; }
}

# What `noticed` leaves running, also when it failed half way; so that the next case begins clean.
failure_over() { # FAILURE KIND N
  lab_stop client1 flows
  capture_stop
  [[ $1 != silent ]] || server_silent_over "real$3" "$2" 2>/dev/null || true
  [[ $1 != slow ]] || server_slow_over "real$3" "$2" || true
  [[ $1 != sick ]] || health_is "$(vip_of "$2")" "${LAB_REALS4[$3 - 1]}" up || server_sick_over "real$3" "$2" || true
  lab_running "real$3" "$2" || server_up "real$3" "$2"
}

# failure FAILURE KIND N CAUSE SENTENCE
failure() {
  it "$5" noticed "$1" "$2" "$3" "$4"
  failure_over "$1" "$2" "$3"
}

# The times of all failures, in milliseconds.
times_table() {
  [[ -e $SCRATCH/times ]] || return 0
  printf '\nfrom the failure to the last packet, in ms (at most %d), and from its end to the event:\n' "$NOTICED_WITHIN_MS"
  { echo 'kind|failure|last packet|up again|cause'; cat "$SCRATCH/times"; } | column -t -s '|' -R 3,4
  printf '\n'
}

# A lab with a daemon, and VIPs with a check of each of these kinds
health_lab() {
  test_lab
  lab_daemon_start 1
  kinds_up "$@"
}
