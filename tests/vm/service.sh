#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shunt as an operator has it: installed, its unit under a real systemd. The balancer is the guest itself; the lab's
# router has a link to it and sends the VIPs there. In a guest of `scripts/vm --systemd`; called by stories.sh.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

show_logs() { journalctl --unit=shuntd --output=cat --quiet --lines=40; }

[[ $(</proc/1/comm) == systemd ]] || die "PID 1 is not systemd; run this by scripts/vm --systemd"

ctl() { shuntctl "$@"; }
unit() { systemctl show shuntd --property="$1" --value; }
is_active() { [[ $(unit ActiveState) == active ]]; }
answers_to_ctl() { is_active && ctl dump >/dev/null 2>&1; }
attached_program() { ip -j link show dev eth0 | jq -r '.[0].xdp.prog.id // "none"'; }

# ---- the guest as a balancer

host_link() {
  ip link add name eth0 mtu 1600 type veth peer name to-host mtu 1600 netns "$(lab_namespace router)"
  ip address add 10.1.9.2/24 dev eth0
  ip address add 2001:db8:b:9::2/64 dev eth0 nodad
  lab_ip router address add 10.1.9.1/24 dev to-host
  lab_ip router address add 2001:db8:b:9::1/64 dev to-host nodad
  lab_plain_link router to-host
  ethtool -K eth0 tx off gso off tso off gro off >/dev/null
  lab_ip router link set dev to-host xdp obj "$LAB_PASS_OBJECT" sec xdp
  lab_ip router link set to-host up
  ip link set eth0 up
  ip route add default via 10.1.9.1
  ip -6 route add default via 2001:db8:b:9::1
  lab_ip router route replace 203.0.113.0/24 via 10.1.9.2
  lab_ip router -6 route replace 2001:db8:1::/64 via 2001:db8:b:9::2
}

# ---- what is expected

loads_start() {
  load_start http4 http client1 "$VIP4" "$SCRATCH/http4"
  load_start udp6 udp client1 "$VIP6" "$SCRATCH/udp6"
  loads_go_on 10
}
loads_stop_without_failures() {
  local label
  loads_go_on 10
  for label in http4 udp6; do load_stop "$label"; done
  for label in http4 udp6; do expect_equal "failed requests of $label" "$(count_of failed "$SCRATCH/$label")" 0; done
}

# journal_now: where the journal ends now, for journal_since
journal_now() { journalctl --sync && journalctl --lines=1 --show-cursor --quiet | sed -n 's/^-- cursor: //p'; }
journal_since() { # CURSOR [OPTION…]: what the daemon said after it, and systemd about the daemon
  local cursor=$1
  shift
  journalctl --sync
  journalctl --unit=shuntd --after-cursor="$cursor" --output=cat --quiet "$@"
}

# expect_journal_clean CURSOR: neither the daemon nor systemd about it had a warning to give since then, and no system
# call of it was refused.
expect_journal_clean() {
  local lines
  lines=$(journal_since "$1")
  printf '%s\n' "$lines"
  expect_contains "the journal" "$lines" "ready: interfaces eth0 (native)"
  ! grep -E '^[WEF][0-9]{4,8} |[Ff]ailed|[Rr]efused' <<<"$lines" || { echo "the journal has warnings"; return 1; }
  expect_equal "warnings of systemd" "$(journal_since "$1" --priority=warning)" ""
  ! dmesg | grep -E 'type=1326.*shuntd' || { echo "a system call was refused"; return 1; }
}

# ---- cases

starts_and_serves() {
  local cursor
  cursor=$(journal_now)
  systemctl start shuntd
  poll 30 answers_to_ctl
  small_vips true
  answers_come http "$VIP4" 10
  answers_come udp "$VIP6" 10
  expect_journal_clean "$cursor"
}

reload_keeps_the_process() {
  local pid
  pid=$(unit MainPID)
  expect_equal "the unit has a reload" "$(unit CanReload)" yes
  loads_start
  sed -i 's/weight: 30/weight: 31/' /etc/shunt/shunt.yaml
  systemctl reload shuntd
  poll 30 has_weight 31
  loads_stop_without_failures
  expect_equal "the process" "$(unit MainPID)" "$pid"
}
has_weight() { ctl dump | grep -q "weight: $1\b"; }

restart_loses_nothing() {
  local pid program
  pid=$(unit MainPID) program=$(attached_program)
  loads_start
  systemctl restart shuntd
  poll 30 answers_to_ctl
  loads_stop_without_failures
  [[ $(unit MainPID) != "$pid" ]] || { echo "it was not restarted"; return 1; }
  expect_equal "the program on eth0" "$(attached_program)" "$program"
}

# Interfaces as shuntd sees them, though it may not open programs by id any more.
interface_events() { ctl -o json events | jq -r 'select(.interface == "eth0") | .kind' | xargs; }
is_attached() { [[ $(ctl -o json | jq -r '.interfaces[0].attached') == true ]]; }
programs() { xdp-loader status eth0 | awk '$1 == "=>" { print $3 }' | paste -sd' '; }
look_again() { # news of the link is a reason to
  ip link set dev eth0 mtu 1590
  ip link set dev eth0 mtu 1600
  sleep 5
}
# Where the kernel does not let the balancer's program into this libxdp's dispatcher, it stands alone: others are refused.
another_joins_and_leaves() {
  local before
  before=$(interface_events)
  loads_start
  if [[ $(programs) == balancer ]]; then
    xdp-filter load eth0
    expect_equal "programs" "$(programs)" "xdpfilt_alw_all balancer"
    look_again
    is_attached
    xdp-filter unload eth0
    expect_equal "programs" "$(programs)" "balancer"
  else
    ! xdp-filter load eth0 || { echo "xdp-filter has joined a program that stands alone"; return 1; }
  fi
  look_again
  is_attached
  loads_stop_without_failures
  expect_equal "events of eth0" "$(interface_events)" "$before"
}

link_comes_back() {
  local before
  before=$(interface_events)
  ip link delete eth0
  host_link
  poll 30 is_attached
  poll 30 next_hops_known
  answers_come http "$VIP4" 10
  answers_come udp "$VIP6" 10
  expect_equal "events of eth0" "$(interface_events)" "$(xargs <<<"$before interface_gone interface_attached")"
}

started_anew() { answers_to_ctl && [[ $(unit MainPID) != "$1" ]]; }

# SIGNAL: KILL, as a crash; STOP, as a process that hangs, which a watchdog of the unit ends
is_brought_back() {
  local pid restarts
  pid=$(unit MainPID) restarts=$(unit NRestarts)
  [[ $1 != STOP || $(unit WatchdogUSec) != 0 ]] || { echo "the unit has no watchdog"; return 1; }
  loads_start
  kill -s "$1" "$pid"
  poll 120 started_anew "$pid" || { systemctl status shuntd; return 1; }
  loads_stop_without_failures
  expect_equal "restarts" $(($(unit NRestarts) - restarts)) 1
}

stop_leaves_it_forwarding() {
  local program
  program=$(attached_program)
  loads_start
  systemctl stop shuntd
  expect_equal "state" "$(unit ActiveState)" inactive
  loads_stop_without_failures
  expect_equal "the program on eth0" "$(attached_program)" "$program"
  systemctl start shuntd
  poll 30 answers_to_ctl
  expect_equal "the program on eth0" "$(attached_program)" "$program"
}

# A store with an error in it: the start fails, says so, and leaves what runs as it is.
journal_says() { journalctl --unit=shuntd --output=cat --quiet | grep -q "$1"; }
is_not_active() { ! is_active; }
bad_store_is_refused() {
  systemctl stop shuntd
  cp -p /etc/shunt/shunt.yaml "$SCRATCH/store"
  sed -i '$ a vipz: []' /etc/shunt/shunt.yaml # replaces it; in a sticky folder root, too, may not write into another's file
  systemctl start shuntd || true # without Type=notify systemd does not wait for the outcome
  poll 30 journal_says vipz
  poll 30 is_not_active
  answers_come http "$VIP4" 10
  systemctl stop shuntd
  cp -p "$SCRATCH/store" /etc/shunt/shunt.yaml
  systemctl reset-failed shuntd || true
  systemctl start shuntd
  poll 30 answers_to_ctl
}

all_is_clean() { # the whole run but for what was broken on purpose
  local cursor
  cursor=$(journal_now)
  systemctl restart shuntd
  poll 30 answers_to_ctl
  systemctl stop shuntd
  expect_journal_clean "$cursor"
}

test_lab
host_link
step "install to /usr of the guest" cmake --install "$BUILD_DIR" --prefix /usr >"$SCRATCH/install"
systemd-sysusers
systemd-tmpfiles --create /usr/lib/tmpfiles.d/shunt.conf
mkdir -p /etc/shunt
echo --interfaces=eth0 >/etc/shunt/shuntd.flags
systemctl daemon-reload

it "systemctl start brings up a balancer that serves, with a clean journal" starts_and_serves
it "systemctl reload loses no request and keeps the process" reload_keeps_the_process
it "systemctl restart loses no request and keeps the program" restart_loses_nothing
it "after a crash systemd starts it again, and no request is lost" is_brought_back KILL
it "after it hangs systemd starts it again, and no request is lost" is_brought_back STOP
it "systemctl stop leaves it forwarding, and a start adopts that" stop_leaves_it_forwarding
it "another program joins and leaves, and shuntd sees that its own stays" another_joins_and_leaves
it "an interface that was deleted has the program again when it is back" link_comes_back
it "a store with an error stops the start, is told in the journal, and hurts no request" bad_store_is_refused
it "a restart and a stop leave a clean journal" all_is_clean
finish
