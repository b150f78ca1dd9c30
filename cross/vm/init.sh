#!/bin/busybox sh
# First program of the virtual board: file systems and drivers, then the agent.
# What the host can do to the board is in board.sh; how it does it, in agent.sh.

/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin HOME=/tmp
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts none /dev/pts
for folder in /dev/shm /tmp /run; do
    mount -t tmpfs none $folder
done

while read -r module; do
    insmod "/modules/$module" || echo "init: $module does not load"
done </modules/order
mount -t configfs none /sys/kernel/config
mount -t debugfs none /sys/kernel/debug
mount -t tracefs none /sys/kernel/tracing

exec sh /lib/vm/agent.sh
