#!/bin/bash
# First process of the guest once the host's root is its own: makes the usual mounts, names the NICs,
# runs the command, says how it ended, and switches the machine off.
#
# By the share "control" come `command` (a script) and `environment`; `exit` goes back. What the command
# prints goes by two virtio ports, and by a third it can speak QMP with its own QEMU.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root

mount -t proc proc /proc
mount -t sysfs sysfs /sys
for folder in /run /tmp /dev/shm; do
    mkdir -p "$folder"
    mount -t tmpfs -o mode=1777 tmpfs "$folder"
done
chmod 755 /run
mkdir -p /dev/pts /dev/hugepages /run/netns /run/lock /run/wye-vm/{control,results}
mount -t devpts -o mode=600,ptmxmode=666 devpts /dev/pts
mount -t hugetlbfs hugetlbfs /dev/hugepages
mount -t debugfs debugfs /sys/kernel/debug 2> /dev/null
share=(-t 9p -o "trans=virtio,version=9p2000.L,msize=512000,cache=none")
mount "${share[@]}" control /run/wye-vm/control
mount "${share[@]}" results /run/wye-vm/results
control=/run/wye-vm/control

. "$control/environment"
mkdir -p /lib/modules
ln -sfn "$WYE_VM_MODULES" "/lib/modules/$(uname -r)"
modprobe -a virtio_console tun
hostname virtual-lab
ip link set lo up

# NICs: pf0 is on NUMA node 0, pf1 on node 1. The MAC says which is which.
modprobe igb
for device in /sys/class/net/*; do
    case $(cat "$device/address") in
        52:54:00:77:79:00) ip link set "${device##*/}" name pf0 ;;
        52:54:00:77:79:01) ip link set "${device##*/}" name pf1 ;;
    esac
done

port() { # the device of a virtio port by its name
    local name
    for name in /sys/class/virtio-ports/*; do
        [ "$(cat "$name/name")" != "$1" ] || echo "/dev/${name##*/}"
    done
}
for try in 1 2 3 4 5 6 7 8 9 10; do
    out=$(port wye.out) err=$(port wye.err)
    [ -z "$out" ] || [ -z "$err" ] || break
    sleep 0.1
done
WYE_VM_QMP=$(port wye.qmp)
export WYE_VM=1 WYE_VM_RESULTS=/run/wye-vm/results WYE_VM_QMP
cut -d ' ' -f 1 /proc/uptime > "$control/ready"
if cd "$WYE_VM_FOLDER" 2> /dev/null; then
    setsid bash "$control/command" < /dev/null > "$out" 2> "$err"
    status=$?
else
    echo "vm: no folder $WYE_VM_FOLDER in the guest (is it on a file system that 9p does not show?)" > "$err"
    status=125
fi
echo "$status" > "$control/exit.new"
mv "$control/exit.new" "$control/exit"
sync
echo o > /proc/sysrq-trigger
sleep 30
