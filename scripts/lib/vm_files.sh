# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Which files a guest of scripts/vm gets in its memory at once. All others come over 9p, where each one that is opened
# costs up to 50 ms on a busy machine, and shuntctl alone opens seventy, many hundred times in a story. It is no list of
# what may be used: what is missing here is only slow. Needs common.sh. Sourced by scripts/vm.

VM_LINKED=(bash birdc bird curl ethtool ip jq nginx nsenter python3 xdp-filter xdp-loader unshare modprobe nft ps sysctl mount sed
  "$BUILD_DIR/userspace/daemon/shuntd" "$BUILD_DIR/tools/shuntctl/shuntctl" "$BUILD_DIR/tests/vm/other_version"
  "$BUILD_DIR/tests/dataplane/dataplane_tests")
VM_OTHERS=(awk basename cat chmod chown cmp comm cp cut date dirname env find grep head hostname install kill ln ls mkdir mkfifo
  mktemp mountpoint mv paste readlink rm rmdir seq setsid sh sha256sum sleep sort stat sync tail tee touch tr umount uname uniq
  wc xargs)
VM_SYSTEMD=(journalctl systemctl systemd-run systemd-sysusers systemd-tmpfiles udevadm)
VM_FOLDERS=("$SHUNT_ROOT/scripts" "$SHUNT_ROOT/tests/vm" "$SHUNT_ROOT/tests/lab/lib.sh" "$SHUNT_ROOT/vagrant"
  "/usr/lib/$(uname -m)-linux-gnu/bpf" "/usr/lib/$(uname -m)-linux-gnu/gconv/gconv-modules.cache" "$BUILD_DIR/bpf/pass.bpf.o"
  /etc/ld.so.cache /etc/nsswitch.conf /etc/passwd /etc/group /etc/ssl/openssl.cnf /etc/iproute2 /etc/bird)
VM_SYSTEMD_FOLDERS=(/usr/lib/systemd /etc/systemd /usr/lib/tmpfiles.d /usr/lib/sysusers.d /usr/lib/sysctl.d /etc/sysctl.d
  /etc/pam.d /etc/dbus-1 /usr/share/dbus-1/system.conf)
VM_PYTHON_MODULES='argparse, collections, ctypes, json, os, random, re, select, signal, socket, struct, sys, time'

# As far as the programs are here. A shared library asks for others, which ldd knows.
vm_programs() { # yes|no: systemd, too
  local linked
  mapfile -t linked < <(command -v "${VM_LINKED[@]}" /usr/bin/python3)
  printf '%s\n' "${linked[@]}"
  command -v "${VM_OTHERS[@]}"
  if [[ $1 == yes ]]; then
    command -v "${VM_SYSTEMD[@]}"
    linked+=(/usr/lib/systemd/systemd /usr/lib/systemd/systemd-journald /usr/lib/systemd/systemd-executor "$(command -v systemctl)"
      "$(command -v udevadm)")
  fi
  ldd "${linked[@]}" 2>/dev/null | grep -o '/[^ :]*'
}

# vm_files yes|no: absolute paths of files, one a line, without symbolic links in them
vm_files() {
  local folders=("${VM_FOLDERS[@]}")
  [[ $1 != yes ]] || folders+=("${VM_SYSTEMD_FOLDERS[@]}")
  {
    vm_programs "$1" || true
    find "${folders[@]}" -type f 2>/dev/null || true
    PATH=/usr/bin:/bin python3 -c "import $VM_PYTHON_MODULES
for module in list(sys.modules.values()):
    for name in (getattr(module, '__cached__', None), getattr(module, '__file__', None)):
        if name: print(name)" || true
  } | sort -u | { xargs -d '\n' realpath -qe || true; } | sort -u
}
