#!/bin/sh
# Makes the host's file system, read through 9p, the root; what is written to it stays in memory.
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
exec >/dev/console 2>&1
while read -r module; do insmod "/modules/$module"; done </modules/order
mkdir -p /host /memory /root-fs
mount -t 9p -o trans=virtio,version=9p2000.L,cache=loose,msize=524288,ro host /host
busybox mount -t tmpfs -o size=75% memory /memory
mkdir -p /memory/upper /memory/work
mount -t overlay -o lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work root /root-fs
for folder in dev proc sys; do busybox mount --move /$folder /root-fs/$folder; done
job=$(busybox sed 's/.*linkwright\.job=\([^ ]*\).*/\1/' /root-fs/proc/cmdline)
mkdir -p /root-fs/run
busybox mount -t tmpfs run /root-fs/run
busybox cp "/host$job/job.sh" /root-fs/run/job.sh
exec busybox switch_root /root-fs /bin/sh /run/job.sh
