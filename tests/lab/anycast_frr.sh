#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two and three balancers share their VIPs by anycast, as in anycast.sh, but with FRR on the router and on each balancer,
# where frr-follow gives bgpd its prefixes. Balancers fail, leave and come under traffic; the table says what that cost.
# The story stands in anycast_lib.sh.
source "$(dirname "${BASH_SOURCE[0]}")/anycast_lib.sh"

# Killed, nothing changes; the next one takes over what is announced, and a withdrawal while there was none is made up for.
follow_killed_and_back() { # N
  lab_stop "balancer$1" follow KILL
  lab_ctl "$1" drain-host >/dev/null
  poll 10 metrics_are "$1" ""
  it_happens
  frr_follow "$1"
}
follow_stopped() { # N
  kill -s TERM "$(lab_pid "balancer$1" follow)"
  poll "$ANYCAST_SECONDS" lab_stopped "balancer$1" follow
}
bgpd_restarted() { # N: it has nothing to announce then
  lab_stop "balancer$1" bgpd KILL
  bgp_wait 10 "$2" "${ANYCAST_VIPS[@]}"
  it_happens
  frr_start "balancer$1" bgpd
  vtysh --vty_socket "$(bgp_folder "balancer$1")" -f "$(bgp_folder "balancer$1")/frr.conf"
}

follow_cases() {
  event "bgpd alone is killed and comes back" "bgpd: kill -9, and back" "1 2" "$ANYCAST_SECONDS" bgpd_restarted 1 2
  event "frr-follow misses a drain and comes back" "frr-follow: kill -9, and back" 2 "$ANYCAST_SECONDS" follow_killed_and_back 1
  event "the host serves again" "host undrained" "1 2" "$ANYCAST_SECONDS" host_undrained 1
  event "frr-follow is stopped: all that it announced is withdrawn" "frr-follow stopped" 2 "$ANYCAST_SECONDS" follow_stopped 1
  event "frr-follow is started" "frr-follow started" "1 2" "$ANYCAST_SECONDS" frr_follow 1
}

anycast_story frr follow_cases
