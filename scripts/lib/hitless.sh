# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The table "nothing on the wire notices": numbered packets at a fixed rate, live downloads and short requests go through
# balancer 1 while events happen, one after the other; of each event this counts what was lost, came twice, changed its
# real, or failed. Called by tests/lab/hitless.sh, tests/lab/old_build.sh and scripts/soak. Not here: what happens
# (hitless_events.sh). Needs common.sh, lab.sh, traffic.sh, downloads.sh, a lab that is up, and a folder SCRATCH.
#
#   packet     of numbered_flows.py: it knows of each how often it arrived, and at which real
#   lost       sent in the time of the event, and arrived nowhere 5 s after it. Queues of the lab's links can lose
#              packets, too, when the machine has no time: their own counts are then told beside it, and it is not
#              called zero all the same.
#   failed     downloads that ended otherwise than whole, and short requests without their answer

# shellcheck disable=SC2034 # for those who source this
HITLESS_WEB4="${LAB_VIPS4[0]}:80/tcp" HITLESS_WEB6="[${LAB_VIPS6[0]}]:80/tcp"
NUMBERED_PORT=7100 NUMBERED_RATE=${NUMBERED_RATE:-2000} # packets a second
HITLESS_NUMBERED4="${LAB_VIPS4[0]}:$NUMBERED_PORT/udp" HITLESS_NUMBERED6="[${LAB_VIPS6[0]}]:$NUMBERED_PORT/udp"
HITLESS_VIPS=("$HITLESS_WEB4" "$HITLESS_WEB6" "$HITLESS_NUMBERED4" "$HITLESS_NUMBERED6")
HITLESS_OTHER="${LAB_VIPS4[1]}:80/tcp" # whose changes are nobody else's business
HITLESS_LATE_SECONDS=5
HITLESS_EVENT_SECONDS=15 # for so long at least an event finds every download under way
HITLESS_TABLE=$SCRATCH/table

hitless_ctl() { lab_ctl 1 "$@"; }

# hitless_real VIP N: address of real N in the family of the VIP's address
hitless_real() { if [[ $1 == \[* ]]; then echo "${LAB_REALS6[$2 - 1]}"; else echo "${LAB_REALS4[$2 - 1]}"; fi; }

# hitless_file TRACKING WEIGHT…: a configuration; real1, real2, … with these weights in all VIPs that have traffic. Slots
# settle within seconds: each event finds some that still move, and some that have settled since.
HITLESS_TCP_SETTLE_SECONDS=12
hitless_file() {
  local tracking=$1 vip n reals
  shift
  echo "defaults: { tracking: $tracking, udp_idle_seconds: 4, tcp_settle_seconds: $HITLESS_TCP_SETTLE_SECONDS, slow_start_seconds: 2 }"
  echo 'vips:'
  for vip in "${HITLESS_VIPS[@]}"; do
    reals=()
    for n in $(seq $#); do reals+=("$(hitless_real "$vip" "$n")=${!n}"); done
    lab_vip_entry "$vip" "${reals[@]}"
  done
  lab_vip_entry "$HITLESS_OTHER" "${LAB_REALS4[@]/%/=10}"
}

# hitless_apply TRACKING WEIGHT…
hitless_apply() {
  hitless_file "$@" >"$SCRATCH/hitless.yaml"
  hitless_ctl apply -f "$SCRATCH/hitless.yaml" >/dev/null
}

hitless_resolved() { [[ $(hitless_ctl -o json real list | jq '[.reals[] | select(.problem)] | length') == 0 ]]; }

# ---- numbered packets

numbered_start() { # SECONDS, at most
  local n reals=()
  rm -f "$LAB/numbered.json"
  for n in 1 2 3 4; do reals+=("--real=real$n=$(lab_namespace "real$n")"); done
  lab_start client1 numbered "$SHUNT_ROOT/scripts/lib/numbered_flows.py" --status="$LAB/numbered.json" --rate="$NUMBERED_RATE" \
    --seconds="$1" --port="$NUMBERED_PORT" --client="$(lab_namespace client1)" --vip="${LAB_VIPS4[0]}" \
    --vip="${LAB_VIPS6[0]}" "${reals[@]}"
  poll 20 numbered_goes_on "$NUMBERED_RATE" || { echo "no numbered packets: $(tail -n 3 "$LAB/client1/numbered.log")"; return 1; }
}

numbered_stop() { lab_stop client1 numbered; }

numbered() { jq -r "$1" "$LAB/numbered.json" 2>/dev/null; }
numbered_phase() { numbered .phase; }
numbered_goes_on() { [[ -e $LAB/numbered.json ]] && (($(numbered '.phases[.phase | tostring].sent') >= $1)); }

# numbered_go_on PACKETS: until so many more were sent
numbered_go_on() { poll 60 numbered_goes_on $(($(numbered '.phases[.phase | tostring].sent') + $1)); }

numbered_is_in() { [[ $(numbered_phase) == "$1" ]]; }
numbered_next_phase() {
  local next=$(($(numbered_phase) + 1))
  kill -s USR1 "$(lab_pid client1 numbered)"
  poll 20 numbered_is_in "$next" || { echo "numbered packets have ended: $(tail -n 3 "$LAB/client1/numbered.log")"; return 1; }
}

numbered_all_seen() { [[ $(numbered ".phases[\"$1\"] | .sent - .seen") == 0 ]]; }

# numbered_flows_on N: how many of the flows under way are real N's
numbered_flows_on() { numbered ".live.real$1 // 0"; }

# ---- downloads and short requests. A download's place is begun anew before its last one ends: two labels in turn, each
# with an address of its own.

# hitless_downloads_up COUNT SECONDS: makes the page and the places; nothing is under way yet
hitless_downloads_up() {
  local left=$1 place=0 count client a
  mkdir -p "$LAB/places"
  pages_up "$2"
  while ((left > 0)); do
    count=$((left < CURL_DOWNLOADS ? left : CURL_DOWNLOADS))
    client=client$((place % 2 + 1))
    downloader_address "$client"
    a=$FRESH4
    downloader_address "$client"
    printf '%s %s %s %s\n' "$client" "$count" "$a" "$FRESH4" >"$LAB/places/$place"
    echo "0 0" >"$LAB/places/$place.turn"
    left=$((left - count)) place=$((place + 1))
  done
  printf '%s %s\n' "$1" "$2" >"$LAB/places/all"
  echo 0 >"$LAB/places/begun"
}

# hitless_downloads_last SECONDS: every download under way has so long to go; else another takes its place
hitless_downloads_last() {
  local file client count a b turn begun all seconds fresh=no
  [[ -e $LAB/places/all ]] || return 0
  read -r all seconds <"$LAB/places/all"
  for file in "$LAB"/places/*.turn; do
    [[ -e $file ]] || break # no downloads are wanted
    read -r turn begun <"$file"
    ((turn == 0 || $(now_ms) - begun > (seconds - $1) * 1000)) || continue
    read -r client count a b <"${file%.turn}"
    turn=$((turn + 1))
    ((turn % 2)) || a=$b
    poll "$seconds" lab_stopped "$client" "$(basename "$file" .turn).$((turn % 2))" || return
    curl_start "$client" "$(basename "$file" .turn).$((turn % 2))" "$a" "$count"
    echo "$turn $(now_ms)" >"$file"
    echo $(($(<"$LAB/places/begun") + count)) >"$LAB/places/begun"
    fresh=yes
  done
  [[ $fresh == no ]] || poll 30 hitless_downloads_run "$all" || { echo "$(all_connections) of $all downloads are under way"; return 1; }
}

hitless_downloads_run() { (($(all_connections) >= $1)); }

download_lines() { cat "$LAB"/client[12]/[0-9]*.[01].log 2>/dev/null | grep -E '^[0-9]{3} [0-9]+$' || true; }
downloads_whole() { download_lines | grep -cx "200 $(stat -c %s "$SCRATCH/page")" || true; }
downloads_failed() { download_lines | grep -cvx "200 $(stat -c %s "$SCRATCH/page")" || true; }

# hitless_downloads_end: waits for those under way, and none is begun any more; every one has ended whole
hitless_downloads_end() {
  local file client count
  for file in "$LAB"/places/*.turn; do
    [[ -e $file ]] || break
    read -r client _ <"${file%.turn}"
    for count in 0 1; do
      poll $(($(stat -c %s "$SCRATCH/page") / 4096 + 90)) lab_stopped "$client" "$(basename "$file" .turn).$count" || return
    done
  done
  [[ $(downloads_whole) == $(<"$LAB/places/begun") ]] || {
    echo "$(downloads_whole) of $(<"$LAB/places/begun") downloads ended whole; how the others ended:"
    cat "$LAB"/client[12]/[0-9]*.[01].log | grep -vx "200 $(stat -c %s "$SCRATCH/page")" | sort | uniq -c | sort -rn | head -5
    return 1
  }
  rm "$LAB/places/all"
}

# hitless_traffic_up SECONDS: all of this, numbered packets for so long at most
hitless_traffic_up() {
  numbered_start "$1"
  hitless_requests_up
  hitless_downloads_up "$DOWNLOADS" "$DOWNLOAD_SECONDS"
}

# hitless_traffic_down: whatever of all this still runs, whole or not
hitless_traffic_down() {
  local file client
  numbered_stop
  load_stop_all
  for file in "$LAB"/places/*.turn; do
    [[ -e $file ]] || break
    read -r client _ <"${file%.turn}"
    lab_stop "$client" "$(basename "$file" .turn).0"
    lab_stop "$client" "$(basename "$file" .turn).1"
  done
  rm -rf "$LAB/places" "$LAB"/client[12]/[0-9]*.[01].log "$LAB"/requests[46]
}

# Not as fast as it can: the machine has other things to do.
paced_http_ask() {
  http_ask "$@"
  sleep 0.3
}

hitless_requests_up() {
  load_start web4 paced_http client1 "${LAB_VIPS4[0]}" "$LAB/requests4"
  load_start web6 paced_http client2 "${LAB_VIPS6[0]}" "$LAB/requests6"
  loads_go_on 20
}

hitless_requests_down() {
  load_stop web4
  load_stop web6
}

# Downloads and short requests that have failed so far.
hitless_failed() {
  local file sum
  sum=$(downloads_failed)
  for file in "$LAB"/requests[46]; do [[ ! -e $file ]] || sum=$((sum + $(count_of failed "$file"))); done
  echo "$sum"
}

# ---- links: what their queues have dropped so far, "NODE DEVICE COUNT" each. Nobody else can have lost it then.

HITLESS_NODES=(client1 router balancer1 real1 real2 real3 real4)
hitless_link_drops() {
  local node
  for node in "${HITLESS_NODES[@]}"; do ip -n "$(lab_namespace "$node")" -s -j link; done |
    jq -rs --arg nodes "${HITLESS_NODES[*]}" '($nodes | split(" ")) as $nodes | to_entries[] | $nodes[.key] as $node
      | .value[] | select(.ifname != "lo") | "\($node) \(.ifname) \(.stats64.tx.dropped + .stats64.rx.dropped)"'
}

# hitless_links_lost FILE: what was dropped since FILE was written, in words; nothing if nothing was
hitless_links_lost() {
  hitless_link_drops | paste -d' ' "$1" - | awk '$6 > $3 { printf "%s%s on %s: %d", sep, $2, $1, $6 - $3; sep = ", " }'
}

# ---- events

# hitless_event NAME FUNCTION [ARGUMENT…]: the function happens while everything goes on, and a row of the table comes
# of it. 1 if it failed, or if anything but a zero stands in the row.
hitless_event() {
  local name=$1 phase start failed status
  shift
  hitless_downloads_last "$HITLESS_EVENT_SECONDS"
  numbered_next_phase
  phase=$(numbered_phase) start=$(now_ms) failed=$(hitless_failed)
  hitless_link_drops >"$SCRATCH/links"
  set +e
  (
    set -eE
    "$@"
    numbered_go_on $((NUMBERED_RATE / 2)) # what was changed is met
  )
  status=$?
  set -e
  numbered_next_phase
  poll "$HITLESS_LATE_SECONDS" numbered_all_seen "$phase" || true
  hitless_row "$name" "$phase" $(($(hitless_failed) - failed)) "$(seconds_since "$start")"
  ((status == 0)) || { echo "$name: it could not be done"; return 1; }
  hitless_row_is_zero
}

# One row a line, | between the cells.
hitless_row() { # NAME PHASE FAILED SECONDS
  numbered ".phases[\"$2\"] | \"$1|\\(.sent)|\\(.sent - .seen)|\\(.duplicated)|\\(.moved)|$3|$4\"" >>"$HITLESS_TABLE"
}

hitless_row_is_zero() {
  local name packets lost duplicated moved failed _
  IFS='|' read -r name packets lost duplicated moved failed _ < <(tail -n 1 "$HITLESS_TABLE")
  ((packets > 0 && lost == 0 && duplicated == 0 && moved == 0 && failed == 0)) && return
  echo "$name: of $packets packets $lost were lost and $duplicated came twice; $moved flows moved; $failed requests failed"
  ((lost == 0)) || hitless_say_where
  return 1
}

# Where they may have been lost, as those count it who drop packets.
hitless_say_where() {
  local links
  links=$(hitless_links_lost "$SCRATCH/links")
  echo "meanwhile queues of the lab's links dropped: ${links:-nothing}"
  echo "sockets on the reals had no room for $(numbered .receiver_drops) packets so far"
  hitless_ctl verdicts || true
}

HITLESS_COLUMNS='event|packets|lost|duplicated|moved|failed|seconds'
hitless_table() {
  printf '\n'
  { echo "$HITLESS_COLUMNS"; [[ ! -e $HITLESS_TABLE ]] || cat "$HITLESS_TABLE"; } | column -t -s '|' -R 2,3,4,5,6,7
  printf '\n'
}

# Rows as they come, when the widest is not known yet.
hitless_print_row() { awk -F'|' '{ printf "%-36s %9s %6s %10s %6s %6s %8s\n", $1, $2, $3, $4, $5, $6, $7; fflush() }'; }

# The rows of several rounds, added up by event.
hitless_sums() {
  printf '\n'
  awk -F'|' -v columns="$HITLESS_COLUMNS" '
    !($1 in times) { order[++events] = $1 }
    { times[$1]++; for (i = 2; i <= NF; i++) { sum[$1, i] += $i; all[i] += $i } }
    function row(name, n, s, i, line) {
      line = name "|" n
      for (i = 2; i <= NF; i++) line = line "|" sprintf(i == NF ? "%.1f" : "%d", s ? all[i] : sum[name, i])
      print line
    }
    END {
      sub(/\|/, "|times|", columns); print columns
      for (e = 1; e <= events; e++) row(order[e], times[order[e]], 0)
      row("all", NR, 1)
    }' "$HITLESS_TABLE" | column -t -s '|' -R 2,3,4,5,6,7,8
  printf '\n'
}
