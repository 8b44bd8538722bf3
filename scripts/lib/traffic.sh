# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Traffic in the lab, by real programs: each request is a connection of its own. One line an answer: the name of the
# real, or "failed". Not here: the lab itself (lab.sh). Needs common.sh and lab.sh.

# in_url ADDRESS: brackets around IPv6
in_url() { if [[ $1 == *:* ]]; then printf '[%s]' "$1"; else printf '%s' "$1"; fi; }

# http_ask NODE ADDRESS COUNT: the page is the real's name.
http_ask() {
  { lab_in "$1" curl -s --no-keepalive -H 'Connection: close' --connect-timeout 5 --max-time 10 -w ' %{http_code}\n' \
    "http://$(in_url "$2")/?n=[1-$3]" || true; } | sed 's/^\(real[0-9]*\) 200$/\1/; t; s/.*/failed/'
}

# udp_ask NODE ADDRESS COUNT [BYTES]
udp_ask() {
  lab_in "$1" python3 "$SHUNT_ROOT/scripts/lib/udp_client.py" "$2" "$LAB_UDP_PORT" "$3" "${4:-32}"
}

# fresh_addresses NODE: an IPv4 and an IPv6 address that the client has never asked from; it has 60. Sets FRESH4, FRESH6.
fresh_addresses() {
  local address gateway prefix _ turn=3 # .2 is its first one
  [[ ! -e $LAB/$1/turn ]] || turn=$(($(<"$LAB/$1/turn") + 1))
  ((turn < 63)) || { echo "$1 has no fresh addresses left"; return 1; }
  printf '%s' "$turn" >"$LAB/$1/turn"
  read -r address gateway prefix _ < <(lab_node_addresses "$1")
  FRESH4=${gateway%.*}.$((${gateway##*.} - 1 + turn)) FRESH6=$prefix::$turn
  lab_ip "$1" address add "$FRESH4/${address#*/}" dev eth0
  lab_ip "$1" address add "$FRESH6/64" dev eth0 nodad
}

# fresh_flows NODE: from now on the client asks from fresh addresses. One that asks a lot comes back to its ports, and a
# flow that is remembered goes where it went before.
fresh_flows() {
  local gateway prefix _
  fresh_addresses "$1" || return
  read -r _ gateway prefix _ < <(lab_node_addresses "$1")
  lab_ip "$1" route replace default via "$gateway" src "$FRESH4"
  lab_ip "$1" -6 route replace default via "$prefix::1" dev eth0 src "$FRESH6"
}

# count_of NAME FILE: lines that are NAME
count_of() { grep -cx -- "$1" "$2" || true; }

# load_start LABEL KIND NODE ADDRESS FILE: http_ask or udp_ask (KIND http or udp) again and again in the background,
# until load_stop. Its answers go to FILE, one line each.
load_start() {
  local label=$1 kind=$2 node=$3 address=$4 file=$5
  : >"$file"
  printf '%s' "$file" >"$LAB/load.$label"
  (
    trap - EXIT ERR
    until [[ -e $LAB/stop.$label ]]; do "${kind}_ask" "$node" "$address" 20 >>"$file"; done
    rm -f "$LAB/load.$label" "$LAB/stop.$label"
  ) </dev/null >/dev/null 2>&1 &
}

# loads_go_on COUNT: waits until every load has COUNT more answers than now.
loads_go_on() {
  local load i files=() lines=()
  for load in "$LAB"/load.*; do
    files+=("$(<"$load")")
    lines+=($(($(wc -l <"${files[-1]}") + $1)))
  done
  for i in "${!files[@]}"; do poll 60 file_has_lines "${files[i]}" "${lines[i]}" || return 1; done
}

file_has_lines() { (($(wc -l <"$1") >= $2)); }

# load_stop LABEL: lets the round under way end.
load_stop() {
  [[ -e $LAB/load.$1 ]] || return 0
  touch "$LAB/stop.$1"
  poll 120 load_ended "$1" || { say "load $1 does not end"; return 1; }
}

load_ended() { [[ ! -e $LAB/load.$1 ]]; }

# load_stop_all: whatever still runs, also of another process; before lab_down
load_stop_all() {
  local file
  for file in "${LAB:-/nonexistent}"/load.*; do
    [[ ! -e $file ]] || touch "${file%/*}/stop.${file##*/load.}"
  done
  for file in "${LAB:-/nonexistent}"/load.*; do
    [[ ! -e $file ]] || load_stop "${file##*/load.}"
  done
}
