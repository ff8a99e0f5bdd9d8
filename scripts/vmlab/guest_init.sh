#!/bin/busybox sh
# First process of the guest, out of the initramfs: the host's root over 9p, read-only, with a tmpfs on
# top, becomes the root; guest_main.sh goes on there.
set -eu
busybox() { /bin/busybox "$@"; }
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs dev /dev
while read -r module; do busybox insmod "/modules/$module"; done < /modules/order
busybox mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=512000 host /host
busybox mount -t tmpfs -o size=75% rw /rw
busybox mkdir /rw/upper /rw/work
busybox mount -t overlay -o lowerdir=/host,upperdir=/rw/upper,workdir=/rw/work root /root
main=
for word in $(busybox cat /proc/cmdline); do
    case $word in wye.main=*) main=${word#wye.main=} ;; esac
done
busybox umount /sys /proc
busybox mount --move /dev /root/dev
exec /bin/busybox switch_root /root /bin/bash "$main"
