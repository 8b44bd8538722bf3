# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What happens to a balancer in the table of hitless.sh: it dies, is stopped, upgraded, and its state changes in every
# way. An event is a function that returns when what it does is done; it expects the state that those before it left.
# Called through hitless_event. Not here: traffic and counting (hitless.sh).

# ---- the daemon ends and comes back

# event_restart SIGNAL [SECONDS]: TERM as systemd stops it, KILL as it crashes; back after so many seconds
event_restart() {
  local dump
  dump=$(hitless_ctl dump)
  lab_daemon_stop 1 "$1"
  [[ -z ${2:-} ]] || numbered_go_on $((NUMBERED_RATE * $2))
  lab_daemon_start 1
  [[ $(hitless_ctl dump) == "$dump" ]] || { echo "the state after the restart is another"; return 1; }
}

event_restarts() { # COUNT
  local i signals=(TERM KILL)
  for ((i = 0; i < $1; i++)); do
    lab_daemon_stop 1 "${signals[i % 2]}"
    lab_daemon_start 1
    hitless_downloads_last "$HITLESS_EVENT_SECONDS"
  done
}

# While slots have just begun to move.
event_crash_while_slots_move() {
  event_each_vip drain 3
  lab_daemon_stop 1 KILL
  lab_daemon_start 1
  event_each_vip undrain 3
}

# Killed at any moment of a change: what came of it is the state before or after, and is there after the restart.
event_crashes_in_a_change() { # COUNT
  local i change state
  for ((i = 1; i <= $1; i++)); do
    hitless_file moving $((10 + i)) 10 10 >"$SCRATCH/change.yaml"
    hitless_ctl apply -f "$SCRATCH/change.yaml" >/dev/null 2>&1 &
    change=$!
    sleep "0.0$((RANDOM % 10))"
    lab_daemon_stop 1 KILL
    wait "$change" || true # its daemon was gone
    lab_daemon_start 1
    state=$(hitless_ctl -o json real list "$HITLESS_WEB4" | jq '.reals[0].weight')
    ((state == 10 + i || state == 10 + i - 1)) || { echo "weight $state is none of $((10 + i - 1)) and $((10 + i))"; return 1; }
    hitless_ctl apply -f "$SCRATCH/change.yaml" >/dev/null
    hitless_downloads_last "$HITLESS_EVENT_SECONDS"
  done
  hitless_apply moving 10 10 10
}

# ---- the program. OTHER_SHUNTD's was made by another compiler.

program_tag() { lab_ip balancer1 -d -j link show dev eth0 | jq -r '.[0].xdp.prog.tag'; }

# event_program SHUNTD: that one takes over, and its program with it
event_program() {
  local before
  before=$(program_tag)
  lab_daemon_stop 1
  SHUNTD=$1 lab_daemon_start 1
  [[ $(program_tag) != "$before" ]] || { echo "the program is the same as before: $before"; return 1; }
}

# ---- the state

event_each_vip() { # VERB N [OPTION…]: a verb of reals, for real N of every VIP with traffic
  local verb=$1 n=$2 vip
  shift 2
  for vip in "${HITLESS_VIPS[@]}"; do hitless_ctl real "$verb" "$vip" "$(hitless_real "$vip" "$n")" "$@" >/dev/null; done
}

EVENT_NEW_VIP="${LAB_VIPS4[1]}:443/tcp"
event_vip_added() {
  local real
  hitless_ctl vip add "$EVENT_NEW_VIP" >/dev/null
  for real in "${LAB_REALS4[@]}"; do hitless_ctl real add "$EVENT_NEW_VIP" "$real" >/dev/null; done
}
event_vip_removed() { hitless_ctl vip rm "$EVENT_NEW_VIP" >/dev/null; }

# Real N has flows in the end: slots give them to their old real first.
event_real_added() { # N
  event_each_vip add "$1"
  poll 20 hitless_resolved
  poll 30 event_real_has_flows "$1"
}
event_real_has_flows() { (($(numbered_flows_on "$1") > 0)); }
event_real_has_none() { (($(numbered_flows_on "$1") == 0 && $(event_connections "$1") == 0)); }
event_connections() { lab_in "real$1" ss -Htn state established '( sport = :80 )' | wc -l; }

# Once it is drained, and its last flow has ended: a download lasts longest.
event_real_removed() { # N
  event_each_vip drain "$1"
  poll 180 event_real_has_none "$1" ||
    { echo "real$1 still has $(numbered_flows_on "$1") flows and $(event_connections "$1") connections"; return 1; }
  event_each_vip rm "$1"
}

# The balancer itself removes it, when it has no flows left.
event_real_removed_by_itself() { # N
  event_each_vip drain "$1" --timeout=600s
  poll 300 event_real_is_gone "$1"
}
event_real_is_gone() {
  [[ $(hitless_ctl dump) != *"$(hitless_real "$HITLESS_WEB6" "$1")"* &&
    $(hitless_ctl -o json real list "$HITLESS_WEB4" | jq "[.reals[] | select(.address == \"${LAB_REALS4[$1 - 1]}\")] | length") == 0 &&
    $(hitless_ctl -o json real list "$HITLESS_NUMBERED4" | jq "[.reals[] | select(.address == \"${LAB_REALS4[$1 - 1]}\")] | length") == 0 ]]
}

event_other_vip_set() {
  hitless_ctl vip set "$HITLESS_OTHER" --tracking=all >/dev/null
  hitless_ctl vip set "$HITLESS_OTHER" --ring-size=4099 2>/dev/null >/dev/null
  hitless_ctl vip set "$HITLESS_OTHER" --ring-size=65537 2>/dev/null >/dev/null
  hitless_ctl vip set "$HITLESS_OTHER" --tracking=moving >/dev/null
}

# Every real is asked, and found up, while it has traffic. Patient: a machine that has no time is not a real that is ill.
event_check_set() {
  local vip
  for vip in "${HITLESS_VIPS[@]}"; do
    hitless_ctl vip set "$vip" --check=tcp --check-port=80 --check-interval=2s --check-timeout=2s --rise=1 --fall=10 >/dev/null
  done
  poll 30 event_all_up
}
event_all_up() { [[ $(hitless_ctl -o json health | jq '[.vips[].reals[] | select(.health != "up")] | length') == 0 ]]; }
event_check_removed() {
  local vip
  for vip in "${HITLESS_VIPS[@]}"; do hitless_ctl vip set "$vip" --check=none >/dev/null; done
}

# A file that changes weights of all VIPs, and the way back.
event_apply() {
  hitless_apply moving 10 30 20
  numbered_go_on $((NUMBERED_RATE / 2))
  hitless_apply moving 10 10 10
}

# ---- what needs verbs and signals of a daemon with generations of its store: history, rollback, apply --confirm, reload

event_weight_is() { [[ $(hitless_ctl -o json real list "$HITLESS_WEB4" | jq '.reals[0].weight') == "$1" ]]; } # of real1

# The store is edited by hand, and the daemon told to read it again: HUP, or the verb reload.
event_reload() { # signal|verb
  hitless_apply moving 11 10 10
  sed -i 's/weight: 11\b/weight: 31/' "$LAB/balancer1/store.yaml"
  if [[ $1 == verb ]]; then hitless_ctl reload >/dev/null; else kill -s HUP "$(lab_pid balancer1 shuntd)"; fi
  poll 20 event_weight_is 31
  hitless_apply moving 10 10 10
}

event_rollback() {
  local generation
  generation=$(hitless_ctl -o json history | jq .in_force)
  hitless_apply moving 30 10 20
  numbered_go_on $((NUMBERED_RATE / 2))
  hitless_ctl rollback "$generation" >/dev/null
  event_weight_is 10
}

# One change is confirmed, another is not and goes back by itself.
event_confirm() {
  hitless_file moving 30 10 20 >"$SCRATCH/confirm.yaml"
  hitless_ctl apply -f "$SCRATCH/confirm.yaml" --confirm=60s >/dev/null
  hitless_ctl confirm >/dev/null
  hitless_file moving 10 40 10 >"$SCRATCH/confirm.yaml"
  hitless_ctl apply -f "$SCRATCH/confirm.yaml" --confirm=2s >/dev/null
  poll 20 event_weight_is 30
  hitless_apply moving 10 10 10
}

# Under a daemon of OTHER_SHUNTD the verb puts this build's program in; the daemon goes on.
event_upgrade_verb() {
  local before
  event_program "$OTHER_SHUNTD"
  before=$(program_tag)
  lab_in balancer1 "$SHUNTCTL" upgrade --dry-run
  [[ $(program_tag) == "$before" ]] || { echo "a dry run changed the program"; return 1; }
  lab_in balancer1 "$SHUNTCTL" upgrade
  [[ $(program_tag) != "$before" ]] || { echo "the program is the same after the upgrade: $before"; return 1; }
  numbered_go_on $((NUMBERED_RATE / 2))
  lab_daemon_stop 1
  lab_daemon_start 1
}

event_all_settled() {
  local vip
  for vip in "${HITLESS_VIPS[@]}"; do poll 90 event_settled "$vip"; done
}
event_settled() { [[ $(hitless_ctl -o json vip show "$1" | jq '.settling | .moving_slots + .slots_with_exceptions') == 0 ]]; }

# ---- all of them, in an order in which each finds what it needs

# hitless_round RUN RESTARTS: RUN SENTENCE NAME FUNCTION [ARGUMENT…] for each. It begins and ends with hitless_apply
# moving 10 10 10; OTHER_SHUNTD is a shuntd with another program, and a download takes DOWNLOAD_SECONDS.
hitless_round() {
  local run=$1 restarts=$2
  "$run" "a crash, and 10 s without a daemon" "kill -9, back after 10 s" event_restart KILL 10
  "$run" "a stop and a restart" "SIGTERM, back at once" event_restart TERM
  "$run" "a VIP that comes" "VIP added, with four reals" event_vip_added
  "$run" "a VIP that goes" "VIP removed" event_vip_removed
  hitless_downloads_last "$DOWNLOAD_SECONDS" # none goes to the real that comes, so it can leave soon
  "$run" "a real that comes" "real added" event_real_added 4
  "$run" "another weight" "real re-weighted" event_each_vip set 1 --weight=30
  "$run" "a real that leaves after its drain" "real removed after its drain" event_real_removed 4
  "$run" "a drained real" "real drained" event_each_vip drain 2
  "$run" "a real that is drained no longer" "real undrained" event_each_vip undrain 2
  "$run" "another VIP's settings" "another VIP's tracking and ring size" event_other_vip_set
  "$run" "a crash while slots move" "kill -9 right after a drain" event_crash_while_slots_move
  "$run" "a health check that is set" "health check set" event_check_set
  "$run" "a health check that is removed" "health check removed" event_check_removed
  "$run" "files that are applied" "two files applied" event_apply
  "$run" "a store read again by SIGHUP" "SIGHUP" event_reload signal
  "$run" "a store read again by the verb" "shuntctl reload" event_reload verb
  "$run" "a rollback" "shuntctl rollback" event_rollback
  "$run" "changes to confirm" "apply --confirm, kept and not" event_confirm
  "$run" "crashes in the middle of a change" "kill -9 during an apply, 3 times" event_crashes_in_a_change 3
  "$run" "a program of another version" "program upgraded" event_program "$OTHER_SHUNTD"
  "$run" "the way back to the older program" "program rolled back" event_program "$SHUNTD"
  "$run" "an upgrade by the verb" "shuntctl upgrade" event_upgrade_verb
  "$run" "restarts in a row" "$restarts restarts in a row" event_restarts "$restarts"
  # Nobody needs downloads any more, and to wait for their ends takes time.
  HITLESS_EVENT_SECONDS=-600 "$run" "slots that settle" "every slot has settled" event_all_settled
}
