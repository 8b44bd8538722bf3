# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# BGP in the lab: a speaker on the router and one on each balancer, BIRD or FRR (BGP_KIND), with the very files of
# scripts/bgp, in which only addresses, paths and the log are replaced. The router shares traffic by addresses and ports.
#
#   balancerN  kernel table 83 ─► bird, or frr-follow ─► bgpd    BGP and BFD, AS 65101
#   router     bird, or bgpd ─► zebra ─► its main table          AS 65000: one next hop for each balancer that announces
#
# Sourced beside lab.sh, which it needs, and common.sh. Not here: shuntd, traffic, what is expected (tests/lab/anycast*).
#   $LAB/NODE/bgp/     configuration and sockets of the node's speaker

BGP_KIND=${BGP_KIND:-bird} # or frr
BGP_EXAMPLES=$SHUNT_ROOT/scripts/bgp
BGP_TABLE=83 BGP_PROTOCOL=83
# shellcheck disable=SC2034 # for those who source this
BGP_BFD_MS=900 # 3 times 300 ms, as the examples have it
FRR_PROGRAMS=/usr/lib/frr

bgp_folder() { printf '%s/%s/bgp' "$LAB" "$1"; }

# ---- configuration

# bgp_balancer_config N: the example is balancer 1's
bgp_balancer_config() {
  local conf=$BGP_EXAMPLES/$BGP_KIND.conf
  sed -e "$(lab_balancer_sed "$1")" -e "s#/etc/bird/#$(bgp_folder "balancer$1")/#" "$conf" | bgp_log_here
}

# bgp_router_config N…: with these balancers; the example has 1 and 2, of which one is repeated for each
bgp_router_config() {
  awk -v balancers="$*" '
    /10\.1\.2\.2/ { next }
    /10\.1\.1\.2/ {
      count = split(balancers, n, " ")
      for (i = 1; i <= count; i++) {
        line = $0
        gsub(/10\.1\.1\.2/, "10.1." n[i] ".2", line)
        gsub(/balancer1/, "balancer" n[i], line)
        print line
      }
      next
    }
    { print }' "$BGP_EXAMPLES/$BGP_KIND-router.conf" | bgp_log_here
}

bgp_log_here() { sed -e 's/^log syslog all;/log stderr all;/; s/^log syslog .*/log stdout/'; }

# ---- speakers. FRR's programs keep nothing in files here: vtysh gives them the example when they run.

bgp_labels() { if [[ $BGP_KIND == bird ]]; then echo bird; else echo zebra staticd bfdd bgpd; fi; }

# bgp_start NODE: its configuration stands in its folder; waits until it answers
bgp_start() {
  local dir label
  dir=$(bgp_folder "$1")
  if [[ $BGP_KIND == bird ]]; then
    lab_start "$1" bird bird -f -c "$dir/bird.conf" -s "$dir/ctl"
    poll 10 bgp_ask "$1" "show status" >/dev/null
    return
  fi
  : >"$dir/empty"
  chown -R frr:frr "$dir"
  for label in $(bgp_labels); do frr_start "$1" "$label"; done
  vtysh --vty_socket "$dir" -f "$dir/frr.conf"
}

# frr_start NODE PROGRAM: it has no configuration yet
frr_start() {
  local dir options=()
  dir=$(bgp_folder "$1")
  [[ $2 != bfdd ]] || options=(--bfdctl "$dir/bfdd")
  rm -f "$dir/$2.vty" # of one that was killed
  lab_start "$1" "$2" "$FRR_PROGRAMS/$2" -u frr -g frr -f "$dir/empty" -i "$dir/$2.pid" -z "$dir/zserv" --vty_socket "$dir" "${options[@]}"
  poll 10 test -S "$dir/$2.vty"
}

# bgp_ask NODE COMMAND
bgp_ask() {
  if [[ $BGP_KIND == bird ]]; then birdc -s "$(bgp_folder "$1")/ctl" "$2"
  else vtysh --vty_socket "$(bgp_folder "$1")" -c "$2"; fi
}

# bgp_signal NODE SIGNAL: to all of its programs: KILL, STOP, CONT. Those that follow and feed bgpd belong to it.
bgp_signal() {
  local label
  for label in $(bgp_labels) follow; do
    ! lab_running "$1" "$label" || kill -s "$2" "$(lab_pid "$1" "$label")"
  done
}

# bgp_stop NODE: as an operator does; sessions are closed
bgp_stop() {
  local label
  for label in follow $(bgp_labels | tr ' ' '\n' | tac); do lab_stop "$1" "$label"; done
}

# bgp_router_up N…: instead of the routes that lab_up made; sessions with these balancers
bgp_router_up() {
  lab_ip router route del 203.0.113.0/24
  lab_ip router -6 route del 2001:db8:1::/64
  mkdir -p "$(bgp_folder router)"
  bgp_router_config "$@" >"$(bgp_folder router)/$BGP_KIND.conf"
  bgp_start router
}

# bgp_router_sessions N…: from now on with these
bgp_router_sessions() {
  local dir n
  dir=$(bgp_folder router)
  bgp_router_config "$@" >"$dir/$BGP_KIND.conf"
  if [[ $BGP_KIND == bird ]]; then
    bgp_ask router configure >/dev/null
    return
  fi
  for n in $(bgp_ask router 'show running-config bgpd' | sed -n 's/^ neighbor 10\.1\.\([0-9]*\)\.2 peer-group.*/\1/p'); do
    [[ " $* " == *" $n "* ]] || vtysh --vty_socket "$dir" -c 'configure terminal' -c 'router bgp' -c "no neighbor 10.1.$n.2"
  done
  vtysh --vty_socket "$dir" -f "$dir/frr.conf"
}

# bgp_balancer_up N: what its table 83 holds is announced from then on
bgp_balancer_up() {
  local node=balancer$1 dir
  dir=$(bgp_folder "$node")
  mkdir -p "$dir"
  bgp_balancer_config "$1" >"$dir/$BGP_KIND.conf"
  [[ $BGP_KIND == frr ]] || bgp_communities "$1" </dev/null
  bgp_start "$node" || return
  [[ $BGP_KIND == bird ]] || frr_follow "$1"
}

frr_follow() { # N
  lab_start "balancer$1" follow "$BGP_EXAMPLES/frr-follow" --table="$BGP_TABLE" --protocol="$BGP_PROTOCOL" \
    --vty_socket="$(bgp_folder "balancer$1")"
}

# bgp_communities N: standard input is what shuntctl prints for the speaker; empty: no VIP has any
bgp_communities() {
  local dir
  dir=$(bgp_folder "balancer$1")
  cat >"$dir/shunt-communities.conf"
  if [[ $BGP_KIND == bird ]]; then
    [[ -s $dir/shunt-communities.conf ]] || echo 'function shunt_communities() { }' >"$dir/shunt-communities.conf"
    lab_stopped "balancer$1" bird || bgp_ask "balancer$1" configure >/dev/null
  else
    vtysh --vty_socket "$dir" -f "$dir/shunt-communities.conf"
  fi
}

# ---- what the router does with it

# bgp_next_hops ADDRESS: the balancers that its kernel sends packets for this VIP to: "1 2"; nothing if to none
bgp_next_hops() {
  local family=-4
  [[ $1 != *:* ]] || family=-6
  lab_ip router "$family" -o route show "$1" |
    awk '{ while (match($0, /via (10\.1\.[0-9]+\.2|2001:db8:b:[0-9]+::2) /)) {
             hop = substr($0, RSTART, RLENGTH - 1); $0 = substr($0, RSTART + RLENGTH)
             sub(/(\.2|::2)$/, "", hop); sub(/.*[.:]/, "", hop); seen[hop] = 1
           } }
         END { for (n = 1; n <= 9; n++) if (n in seen) { printf "%s%s", sep, n; sep = " " } }'
}

bgp_vip_goes_to() { [[ $(bgp_next_hops "$1") == "$2" ]]; }

# bgp_wait SECONDS BALANCERS ADDRESS…: until these VIPs go there, and nowhere else
bgp_wait() {
  local seconds=$1 wanted=$2 address
  shift 2
  for address; do
    POLL_PAUSE_SECONDS=0.01 poll "$seconds" bgp_vip_goes_to "$address" "$wanted" ||
      { echo "$address goes to balancers '$(bgp_next_hops "$address")', not '$wanted'"; return 1; }
  done
}

# bgp_bfd_watches N: the router would notice by BFD that balancer N is gone. A session of BGP does not wait for that.
bgp_bfd_watches() {
  local command='show bfd sessions'
  [[ $BGP_KIND == bird ]] || command='show bfd peers brief'
  bgp_ask router "$command" | grep -qiE "(^| )10\.1\.$1\.2 .*\bup\b"
}
