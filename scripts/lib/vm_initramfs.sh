#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The first process of a guest of scripts/vm, in its initramfs: mounts the host's root read-only over 9p, a memory file
# system on top, and hands over to vm_guest.sh or to systemd. Not here: anything that the host's programs can do.
export PATH=/bin
/bin/busybox --install -s /bin

give_up() {
  echo "initramfs: $1"
  poweroff -f
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do insmod "/modules/$module" || give_up "cannot load $module"; done </modules/order

OPTIONS=trans=virtio,version=9p2000.L,msize=512000
mount -t 9p -o "$OPTIONS,ro,cache=loose" host /lower || give_up "cannot mount the host's root"
mount -t tmpfs tmpfs /upper
mkdir /upper/work
mv /files /upper/files
mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work overlay /guest || give_up "cannot mount the overlay"
mount -t tmpfs tmpfs /guest/run
mkdir -p /guest/run/vm /guest/run/netns /guest/run/lock
mount -t 9p -o "$OPTIONS" control /guest/run/vm || give_up "cannot mount the control folder"
KERNEL_DIR=$(sed -n 's/.*vm_kernel=\([^ ]*\).*/\1/p' /proc/cmdline)
mkdir -p /guest/usr/lib/modules
mount --bind "/guest/$KERNEL_DIR/lib/modules" /guest/usr/lib/modules || give_up "cannot mount the modules"
for folder in proc sys dev; do mount --move "/$folder" "/guest/$folder"; done

case " $(cat /guest/proc/cmdline) " in
  *" vm=systemd "*)
    rm -f /guest/.dockerenv # systemd would take the guest for a container
    mkdir -p /guest/run/systemd/system
    cp /guest/run/vm/*.service /guest/run/vm/*.target /guest/run/systemd/system/
    exec switch_root /guest /lib/systemd/systemd --unit=vm.target ;;
esac
exec switch_root /guest /bin/bash /run/vm/guest.sh
