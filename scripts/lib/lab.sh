# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The lab: network namespaces and veth links in which Shunt is tried and tested. Nothing outside them is touched.
#
#   client1 .2 ── 198.51.100.0/26 ──── .1 ┐                 ┌ .1 ──── 10.2.1.0/24 ── .2 real1 ┐
#           2001:db8:c:1::/64             │                 │     2001:db8:a:1::/64           │ nginx :80, UDP echo :7000,
#   client2 .66 ─ 198.51.100.64/26 ─ .65  ├───── router ────┤ .1 ──── 10.2.2.0/24 ── .2 real2 │ every VIP on loopback,
#           2001:db8:c:2::/64             │  (forwarding)   │ .1 ──── 10.2.3.0/24 ── .2 real3 │ decapsulation in XDP
#                                         │                 └ .1 ──── 10.2.4.0/24 ── .2 real4 ┘
#   balancer1 .2 ── 10.1.1.0/24 ────── .1 │   to 203.0.113.0/24 and 2001:db8:1::/64 (the VIPs):
#           2001:db8:b:1::/64             │   by balancer1; balancer2 stands by
#   balancer2 .2 ── 10.1.2.0/24 ────── .1 ┘
#
#   a request:  client ─► router ─► balancer1 ═► router ═► real     ═► in an outer IP header
#   its reply:  real ─► router ─► client                            not by the balancer
#
# In every node the link is eth0; the router's ends are called to-NODE; IPv6 ends in ::2, the router's in ::1.
# Links of balancers and reals have MTU 1600, room for the outer header of a client's 1500 bytes.
# What the lab is made of is written down in its folder, so that another process can take it down:
#   $LAB/namespaces   one name a line        $LAB/NODE/LABEL.{pid,log}   a process that was started
#   $LAB/mounts       one path a line        $LAB/balancerN/             store, socket, bpffs of a shuntd
# Not here: what a node is (nodes.sh), traffic (traffic.sh). Needs common.sh; one process at a time works on a lab.
source "$(dirname "${BASH_SOURCE[0]}")/nodes.sh"

LAB_ROOT=${LAB_ROOT:-/run/shunt-lab}
# Who sources this may have fewer nodes, where each costs much time (tests/vm); client1 and router must be.
[[ -v LAB_NODES ]] || LAB_NODES=(client1 client2 router balancer1 balancer2 real1 real2 real3 real4)
# One of them may be this machine itself, a virtual one that vagrant/provision is to make it of: the lab gives it links with
# IPv4 addresses, as a provider of virtual machines does, and leaves all else alone.
LAB_HERE=${LAB_HERE:-}
SHUNTD=${SHUNTD:-$BUILD_DIR/userspace/daemon/shuntd}
SHUNTCTL=${SHUNTCTL:-$BUILD_DIR/tools/shuntctl/shuntctl}
LAB_DECAP=${LAB_DECAP:-xdp} # how the reals take the outer header off, a word of real-setup's
LAB_PASS_OBJECT=${LAB_PASS_OBJECT:-$BUILD_DIR/bpf/pass.bpf.o}

# ---- names

# lab_use NAME: the lab that the functions below work on.
lab_use() {
  LAB_NAME=$1
  LAB=$LAB_ROOT/$1
}

# lab_nodes KIND: client, balancer or real, that are namespaces; one a line
lab_nodes() { printf '%s\n' "${LAB_NODES[@]}" | grep "^$1" | grep -vx "$LAB_HERE" || true; }

lab_namespace() { printf 'shunt-lab-%s-%s' "$LAB_NAME" "$1"; }

# lab_enter NODE: fills LAB_ENTER, the words in front of a command that runs inside the node. A balancer's or real's own
# bpffs stands at /sys/fs/bpf there, as on a host of its own: libxdp mounts one on the host otherwise.
lab_enter() {
  LAB_ENTER=(nsenter --net="/run/netns/$(lab_namespace "$1")" --)
  if is_mounted "$LAB/$1/bpffs"; then
    # shellcheck disable=SC2016 # the inner shell's variables
    LAB_ENTER+=(unshare --mount sh -c 'mount --bind "$1" /sys/fs/bpf && shift && exec "$@"' sh "$LAB/$1/bpffs")
  fi
}

# lab_in NODE COMMAND…
lab_in() {
  local LAB_ENTER=()
  lab_enter "$1"
  shift
  "${LAB_ENTER[@]}" "$@"
}

lab_ip() {
  local node=$1
  shift
  ip -n "$(lab_namespace "$node")" "$@"
}

# ---- processes: started here, ended here, known by pid and start time so that a reused pid is never hit

# The 22nd field of /proc/PID/stat, behind the command's name in brackets; nothing for a zombie or a dead one.
process_start_time() {
  local stat fields
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  read -ra fields <<<"${stat##*) }"
  [[ ${fields[0]:-Z} != Z ]] && printf '%s' "${fields[19]}"
}

# lab_start NODE LABEL COMMAND…: in the background, output to $LAB/NODE/LABEL.log.
lab_start() {
  local node=$1 label=$2 pid LAB_ENTER=()
  shift 2
  lab_enter "$node"
  setsid "${LAB_ENTER[@]}" "$@" </dev/null >>"$LAB/$node/$label.log" 2>&1 &
  pid=$!
  disown "$pid"
  printf '%s %s\n' "$pid" "$(process_start_time "$pid" || echo gone)" >"$LAB/$node/$label.pid"
}

lab_pid() { cut -d' ' -f1 "$LAB/$1/$2.pid"; }

lab_running() {
  local pid started
  [[ -f $LAB/$1/$2.pid ]] && read -r pid started <"$LAB/$1/$2.pid" && [[ $(process_start_time "$pid") == "$started" ]]
}

lab_stopped() { ! lab_running "$1" "$2"; }

# lab_stop NODE LABEL [SIGNAL]: asks, waits 10 s, then kills.
lab_stop() {
  if lab_running "$1" "$2"; then
    kill -s "${3:-TERM}" "$(lab_pid "$1" "$2")" 2>/dev/null || true
    if ! poll 10 lab_stopped "$1" "$2"; then
      say "lab: $2 on $1 did not end within 10 s; killed"
      kill -s KILL "$(lab_pid "$1" "$2")" 2>/dev/null || true
      poll 5 lab_stopped "$1" "$2" || return 1
    fi
  fi
  rm -f "$LAB/$1/$2.pid"
}

# ---- topology

lab_add_namespace() {
  local name
  name=$(lab_namespace "$1")
  printf '%s\n' "$name" >>"$LAB/namespaces"
  mkdir -p "$LAB/$1"
  if [[ $1 == "$LAB_HERE" ]]; then
    ip netns attach "$name" $$
    return
  fi
  ip netns add "$name"
  ip -n "$name" link set lo up
  lab_in "$1" sysctl -qw "${LAB_NODE_SYSCTLS[@]}"
}

lab_plain_link() { lab_in "$1" ethtool -K "$2" "${LAB_PLAIN_LINK[@]}" >/dev/null; }

lab_link() {
  local node=$1 address gateway prefix mtu
  read -r address gateway prefix mtu < <(lab_node_addresses "$node")
  # From the router, since older kernels (6.1) refuse a name that is taken where the command is given.
  lab_ip router link add name "to-$node" mtu "$mtu" type veth peer name eth0 mtu "$mtu" netns "$(lab_namespace "$node")"
  lab_link_end router "to-$node" "$gateway/${address#*/}" "$prefix::1/64"
  lab_link_end "$node" eth0 "$address" "$prefix::2/64"
  [[ $node != "$LAB_HERE" ]] || return 0
  lab_ip "$node" route add default via "$gateway"
  lab_ip "$node" -6 route add default via "$prefix::1"
}

lab_link_end() { # NODE DEVICE IPV4 IPV6
  lab_ip "$1" address add "$3" dev "$2"
  if [[ $1 != "$LAB_HERE" ]]; then
    lab_ip "$1" address add "$4" dev "$2" nodad
    lab_plain_link "$1" "$2"
  fi
  lab_ip "$1" link set "$2" up
}

# lab_route_vips N: the router sends the VIPs to balancer N.
lab_route_vips() {
  lab_ip router route replace 203.0.113.0/24 via "10.1.$1.2"
  lab_ip router -6 route replace 2001:db8:1::/64 via "2001:db8:b:$1::2"
}

lab_mount_bpffs() {
  mkdir -p "$1"
  printf '%s\n' "$1" >>"$LAB/mounts"
  mount -t bpf bpf "$1"
}

lab_topology() {
  local node
  for node in "${LAB_NODES[@]}"; do lab_add_namespace "$node"; done
  for node in "${LAB_NODES[@]}"; do [[ $node == router ]] || lab_link "$node"; done
  for node in "${LAB_NODES[@]}"; do
    [[ $node != balancer* ]] || lab_ip router link set dev "to-$node" xdp obj "$LAB_PASS_OBJECT" sec xdp
  done
  for node in $(lab_nodes balancer) $(lab_nodes real); do lab_mount_bpffs "$LAB/$node/bpffs"; done
  [[ $LAB_HERE != router ]] || return 0
  lab_in router sysctl -qw "${LAB_ROUTER_SYSCTLS[@]}"
  lab_route_vips 1
}

# ---- reals

lab_real_up() {
  local node=$1 vips
  vips=$(IFS=,; echo "${LAB_VIPS4[*]},${LAB_VIPS6[*]}")
  lab_in "$node" "$SHUNT_ROOT/scripts/real-setup" --quiet --vip="$vips" --interface=eth0 --decap="$LAB_DECAP" \
    --shuntctl="$SHUNTCTL" --state="$LAB/$node/real-setup.state" >>"$LAB/$node/real-setup.log" 2>&1 ||
    { cat "$LAB/$node/real-setup.log" >&2; return 1; }
  lab_nginx_config "$node" "$LAB/$node" >"$LAB/$node/nginx.conf"
  lab_start "$node" nginx nginx -e "$LAB/$node/nginx-error.log" -c "$LAB/$node/nginx.conf"
  lab_udp_up "$node"
}

lab_udp_up() {
  local n=${1: -1}
  lab_start "$1" udp python3 "$SHUNT_ROOT/scripts/lib/udp_server.py" "$1" "$LAB_UDP_PORT" \
    "${LAB_VIPS4[@]}" "${LAB_VIPS6[@]}" "${LAB_REALS4[n - 1]}" "${LAB_REALS6[n - 1]}"
}

# Both servers answer on the real itself, by a VIP.
lab_real_answers() {
  [[ $(lab_in "$1" curl -s --max-time 2 "http://${LAB_VIPS4[0]}/") == "$1" &&
    $(lab_in "$1" python3 "$SHUNT_ROOT/scripts/lib/udp_client.py" "${LAB_VIPS4[0]}" "$LAB_UDP_PORT" 1) == "$1" ]]
}

# In a balancer's shell `shuntctl` is the one that talks to that balancer.
lab_shuntctl_wrapper() {
  mkdir -p "$LAB/$1/bin"
  printf '#!/bin/sh\nexec %q --socket=%q "$@"\n' "$SHUNTCTL" "$LAB/$1/shuntd.sock" >"$LAB/$1/bin/shuntctl"
  chmod +x "$LAB/$1/bin/shuntctl"
}

# ---- up and down

# lab_up NAME: everything but the daemons. Whoever calls it calls lab_down in a trap.
lab_up() {
  local node
  need_root
  lab_use "$1"
  [[ $LAB_NAME =~ ^[a-z0-9]{1,12}$ ]] || die "lab name '$LAB_NAME': 1 to 12 lower-case letters and digits" 2
  for node in "$LAB_PASS_OBJECT" "$SHUNTCTL" "$SHUNTD"; do
    [[ -e $node ]] || die "lab: $node is not there; build first (scripts/test or cmake --build), or set BUILD_DIR"
  done
  mkdir -p "$LAB_ROOT"
  mkdir "$LAB" 2>/dev/null || die "lab $LAB_NAME is up already; take it down with: scripts/lab down $LAB_NAME"
  lab_topology
  for node in $(lab_nodes balancer); do lab_shuntctl_wrapper "$node"; done
  for node in $(lab_nodes real); do lab_real_up "$node" || return 1; done
  for node in $(lab_nodes real); do
    poll 20 lab_real_answers "$node" || { say "lab: $node does not answer; see $LAB/$node/*.log"; return 1; }
  done
}

# Whatever is there of the lab goes, also of one that came up only in part. 1 if something could not be removed.
lab_down() {
  local file node label path name left status=0
  [[ -d ${LAB:-} ]] || return 0
  for file in "$LAB"/*/*.pid; do
    [[ -e $file ]] || continue
    node=$(basename "$(dirname "$file")")
    label=$(basename "$file" .pid)
    lab_stop "$node" "$label" || status=1
  done
  if [[ -f $LAB/mounts ]]; then
    while read -r path; do
      ! is_mounted "$path" || umount "$path" || { say "lab: cannot unmount $path"; status=1; }
    done <"$LAB/mounts"
  fi
  if [[ -f $LAB/namespaces ]]; then
    while read -r name; do
      [[ -e /run/netns/$name ]] || continue
      left=
      [[ -n $LAB_HERE && $name == *-"$LAB_HERE" ]] || left=$(ip netns pids "$name" | tr '\n' ' ')
      [[ -z $left ]] || say "lab: not ours and still running in $name: $left"
      ip netns del "$name" || status=1
    done <"$LAB/namespaces"
  fi
  ((status == 0)) || { say "lab: $LAB stays, for what could not be removed"; return 1; }
  rm -rf --one-file-system "$LAB"
  rmdir --ignore-fail-on-non-empty "$LAB_ROOT" 2>/dev/null || true
}

# ---- balancers

# lab_daemon_start N [FLAG…]: shuntd on balancer N, and waits until it answers. 1 if it ended instead.
lab_daemon_start() {
  local n=$1 dir=$LAB/balancer$1
  shift
  lab_start "balancer$n" shuntd "$SHUNTD" --interfaces=eth0 --store="$dir/store.yaml" --socket="$dir/shuntd.sock" \
    --bpffs="$dir/bpffs" "$@"
  poll 180 lab_daemon_ready_or_gone "$n" && lab_running "balancer$n" shuntd
}

lab_daemon_ready_or_gone() { lab_stopped "balancer$1" shuntd || lab_ctl "$1" dump >/dev/null 2>&1; }

lab_daemon_stop() { lab_stop "balancer$1" shuntd "${2:-TERM}"; }

# lab_ctl N ARGUMENT…: shuntctl for the daemon of balancer N.
lab_ctl() {
  local n=$1
  shift
  "$SHUNTCTL" --socket="$LAB/balancer$n/shuntd.sock" "$@"
}

# Frames that reached the balancer's XDP program, as its driver counts them.
lab_received() {
  lab_in "balancer$1" ethtool -S eth0 | awk '/rx_queue_[0-9]+_xdp_packets:/ { sum += $2 } END { print sum + 0 }'
}

lab_verdict_sum() { lab_ctl "$1" -o json verdicts | jq '[.verdicts[].packets | tonumber] | add'; }
