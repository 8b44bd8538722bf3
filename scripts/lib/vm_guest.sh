#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Inside a guest of scripts/vm, as its first process or as a service of systemd: mounts what a host would have mounted,
# runs the command that scripts/vm left in /run/vm, leaves its exit status there, and switches the guest off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C # whose data need not be opened
export VM_OUT=/run/vm/out

# mount_kernel TYPE FOLDER: unless systemd has done it
mount_kernel() {
  mkdir -p "$2"
  mountpoint -q "$2" || mount -t "$1" "$1" "$2"
}

if (($$ == 1)); then
  mount_kernel bpf /sys/fs/bpf
  mount_kernel cgroup2 /sys/fs/cgroup
  mount_kernel debugfs /sys/kernel/debug
  mount_kernel tracefs /sys/kernel/tracing
  mount_kernel devpts /dev/pts
  mount_kernel tmpfs /dev/shm
  ln -sf /proc/self/fd /dev/fd
  ln -sf fd/0 /dev/stdin
  ln -sf fd/1 /dev/stdout
  ln -sf fd/2 /dev/stderr
  ip link set lo up
fi
hostname shunt-vm
modprobe virtio_console

# port NAME: the character device of a port, which udev is not needed to find
port() {
  local name
  for name in /sys/class/virtio-ports/*/name; do
    [[ $(<"$name") != "$1" ]] || { basename "$(dirname "$name")"; return; }
  done
}

STDOUT=$(port stdout) STDERR=$(port stderr)
bash /run/vm/command </dev/null >"/dev/$STDOUT" 2>"/dev/$STDERR"
echo $? >/run/vm/status
sync
echo b >/proc/sysrq-trigger # a reset, and QEMU runs with -no-reboot
