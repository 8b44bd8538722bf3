# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What every script here needs: words on stderr, steps with their time, waiting with a deadline, the build.
# Not here: the lab (lab.sh) and its traffic (traffic.sh). Sourced, never run; the caller has set -euo pipefail.

SHUNT_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
PRESET=${PRESET:-release}
BUILD_DIR=${BUILD_DIR:-$SHUNT_ROOT/build/$PRESET}

say() { printf '%s\n' "$*" >&2; }

# die MESSAGE [STATUS]: 1 = failed, 2 = misuse.
die() {
  printf '%s: %s\n' "${0##*/}" "$1" >&2
  exit "${2:-1}"
}

now_ms() { printf '%s' "$((${EPOCHREALTIME/[.,]/} / 1000))"; }

# seconds_since MILLISECONDS: "12.3"
seconds_since() {
  local ms=$(($(now_ms) - $1))
  printf '%d.%d' $((ms / 1000)) $((ms % 1000 / 100))
}

# step NAME COMMAND…: runs it, then says how long it took and how it ended. The command's exit status is kept.
step() {
  local name=$1 start status=0
  shift
  start=$(now_ms)
  say "==> $name"
  "$@" || status=$?
  if ((status == 0)); then say "<== $name: done in $(seconds_since "$start") s"
  else say "<== $name: FAILED (status $status) after $(seconds_since "$start") s"; fi
  return "$status"
}

# poll SECONDS COMMAND…: again and again until the command succeeds; 1 when the time is over. POLL_PATIENCE: how many times
# as long, where everything takes longer.
POLL_PAUSE_SECONDS=0.05
poll() {
  local deadline=$(($(now_ms) + $1 * 1000 * ${POLL_PATIENCE:-1}))
  shift
  until "$@"; do
    (($(now_ms) < deadline)) || return 1
    sleep "$POLL_PAUSE_SECONDS"
  done
}

need_root() { ((EUID == 0)) || die "needs root, for network namespaces and BPF; try: sudo $0"; }

is_mounted() { awk -v at="$1" '$2 == at { found = 1 } END { exit !found }' /proc/self/mounts; }

# Configures on the first call, then builds what is given, or everything.
build_project() {
  if [[ ! -f $BUILD_DIR/build.ninja ]]; then
    (cd "$SHUNT_ROOT" && cmake --preset "$PRESET" -B "$BUILD_DIR") || return
  fi
  cmake --build "$BUILD_DIR" "${@/#/--target=}"
}
