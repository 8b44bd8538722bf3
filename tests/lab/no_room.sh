#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Nowhere to keep what outlives the daemon: bpffs is missing, is no bpffs, or cannot be written, or the kernel refuses
# the maps. Each is refused in one message, leaves nothing behind, and an earlier data plane forwards on.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# refused BPFFS [FLAG…]: shuntd on balancer1 ends with status 1; what it said is in $OUTPUT, one line
refused() {
  local bpffs=$1
  shift
  expect_status 1 lab_in balancer1 timeout 60 "$SHUNTD" --interfaces=eth0 --store="$LAB/balancer1/store.yaml" \
    --socket="$LAB/balancer1/shuntd.sock" --bpffs="$bpffs" "$@"
  OUTPUT=$(grep '^shuntd: ' <<<"$OUTPUT")
  expect_between "lines of its message" "$(wc -l <<<"$OUTPUT")" 1 "${LINES_MOST:-1}" || { echo "$OUTPUT"; return 1; }
}

forwards_on() {
  http_ask client1 "$VIP4" 40 >"$SCRATCH/answers"
  expect_answers "$SCRATCH/answers" 40
}

pins() { find "$LAB/balancer1/bpffs/shunt" | sort; }

no_such_folder() {
  refused "$LAB/balancer1/nowhere"
  expect_contains "what it said" "$OUTPUT" "opening bpffs $LAB/balancer1/nowhere: there is no such folder"
  expect_contains "its remedy" "$OUTPUT" "mount -t bpf bpf"
  forwards_on
}

no_bpffs() {
  mkdir -p "$LAB/balancer1/plain"
  refused "$LAB/balancer1/plain"
  expect_contains "what it said" "$OUTPUT" "it is not a bpffs; mount it with"
  expect_equal "what stands there" "$(ls -A "$LAB/balancer1/plain")" ""
  forwards_on
}

# What is pinned there cannot be opened to write to it either.
read_only() {
  local before
  before=$(pins)
  mount -o remount,ro "$LAB/balancer1/bpffs"
  refused "$LAB/balancer1/bpffs" || { mount -o remount,rw "$LAB/balancer1/bpffs"; return 1; }
  mount -o remount,rw "$LAB/balancer1/bpffs"
  expect_contains "what it said" "$OUTPUT" "opening pin $LAB/balancer1/bpffs/shunt/"
  expect_contains "why" "$OUTPUT" "Read-only file system"
  expect_equal "pins" "$(pins)" "$before"
  forwards_on
}

read_only_and_empty() {
  mkdir -p "$LAB/balancer1/empty"
  lab_mount_bpffs "$LAB/balancer1/empty"
  mount -o remount,ro "$LAB/balancer1/empty"
  refused "$LAB/balancer1/empty"
  expect_contains "what it said" "$OUTPUT" "making folder $LAB/balancer1/empty/shunt: Read-only file system"
  forwards_on
}

# A control group with 256 MB, of either kind of kernel.
small_group() {
  local root=/sys/fs/cgroup limit=memory.max
  if [[ -d $root/memory ]]; then
    root=$root/memory limit=memory.limit_in_bytes
  else
    echo +memory >"$root/cgroup.subtree_control"
  fi
  GROUP=$root/shunt-$LAB_NAME
  mkdir "$GROUP"
  echo 256M >"$GROUP/$limit"
}

# A table of 128 million flows does not fit in there; the machine has no part in it.
kernel_refuses_maps() {
  local bpffs=$LAB/balancer1/fresh before GROUP
  before=$(pins)
  mkdir -p "$bpffs"
  lab_mount_bpffs "$bpffs"
  small_group
  printf '#!/bin/sh\necho $$ >%q/cgroup.procs\nexec %q "$@"\n' "$GROUP" "$SHUNTD" >"$SCRATCH/in-group"
  chmod 755 "$SCRATCH/in-group"
  LINES_MOST=4 SHUNTD="$SCRATCH/in-group" refused "$bpffs" --max_flows=134217728 || { rmdir "$GROUP"; return 1; }
  rmdir "$GROUP"
  expect_contains "what it said" "$OUTPUT" "flow_table"
  expect_contains "its remedy" "$OUTPUT" "smaller capacities need less memory"
  expect_equal "pins of the one that was refused" "$(find "$bpffs" -mindepth 1 ! -name '*.debug' ! -name xdp ! -name shunt)" ""
  expect_equal "pins of the one that forwards" "$(pins)" "$before"
  forwards_on
}

# Other capacities than the pins have are not tried either.
starts_again() {
  lab_daemon_start 1
  poll 20 next_hops_known
  forwards_on
}

test_lab
lab_daemon_start 1
usual_vips 10 10 10 10
lab_daemon_stop 1

it "a bpffs that is not there is refused with the way to mount one" no_such_folder
it "a folder that is no bpffs is refused, and nothing is made in it" no_bpffs
it "a bpffs that can only be read is refused by name, with a data plane in it" read_only
it "and without one" read_only_and_empty
it "maps that the kernel refuses are named with their remedy, and nothing is left of the others" kernel_refuses_maps
it "afterwards the daemon starts on what forwarded all the while" starts_again
finish
