#!/bin/sh
# Serves commands from the second serial port; the first is the kernel's console.
export PATH=/bin HOME=/root
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
# An address that waits for duplicate address detection makes the first ping fail.
for scope in all default; do echo 0 >/proc/sys/net/ipv6/conf/$scope/accept_dad; done
while read -r module; do insmod "/modules/$module"; done </modules/order
busybox --install -s /bin
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
ln -s /proc/self/fd /dev/fd
hostname guest
ip link set lo up

exec </dev/ttyS1 >/dev/ttyS1
stty raw -echo
printf '\036ready\n'
# A request is one line: a mark, seconds, and a script in base64. The mark encloses what the script prints.
# The shell that reads must not be the first process: busybox starts `read` over, without what it has of the line, when a
# child ends, and the first process gets the orphans of all others (the timer of each `timeout`).
(
  while read -r mark seconds script; do
    echo "$script" | base64 -d >/tmp/script
    printf '\036%s\n' "$mark"
    timeout -s KILL "$seconds" sh /tmp/script </dev/null 2>&1
    printf '\036%s %s\n' "$mark" "$?"
  done
)
poweroff -f
