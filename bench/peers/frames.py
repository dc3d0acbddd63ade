# The `frames` suite by os.read() and os.write() on a blocking descriptor, a frame at a time.
#   frames.py <workload> <bytes a frame> <frames a burst>
import fcntl
import json
import os
import struct
import sys
import threading
import time

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
ROOM = 2048


def open_tap(name):
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


def say(text):
    print(text, flush=True)


counts = {}


# The benchmark ends standard input when it has seen enough.
def end_with_input():
    while sys.stdin.readline():
        pass
    say(json.dumps({"types": {f"{kind:04x}": count for kind, count in counts.items()}}))
    os._exit(0)


def ready():
    threading.Thread(target=end_with_input, daemon=True).start()
    say("ready")


def read(_size, burst):
    tap = open_tap("lw0")
    ready()
    while True:
        for i in range(burst):
            frame = os.read(tap, ROOM)
            kind = frame[12] << 8 | frame[13]
            counts[kind] = counts.get(kind, 0) + 1
            if i == 0:
                start = time.monotonic()
        say(f"{burst - 1} {time.monotonic() - start:.9f}")


def write(size, burst):
    tap = open_tap("lw0")
    frame = bytearray(bytes([2, 0, 0, 0, 1, 0, 2, 0, 0, 0, 2, 0, 0x88, 0xB5]) + bytes(size - 14))
    sequence = 0
    say("ready")
    while sys.stdin.readline():
        start = time.monotonic()
        for _ in range(burst):
            frame[14:18] = struct.pack("<I", sequence & 0xFFFFFFFF)
            sequence += 1
            os.write(tap, frame)
        say(f"{burst} {time.monotonic() - start:.9f}")
    say("{}")


DESTINATIONS = bytes([2, 0, 0, 0, 1])
SOURCES = bytes([2, 0, 0, 0, 2])
MAY_SPEAK = [station % 16 != 15 for station in range(256)]
MAY_BE_SPOKEN_TO = [True] * 256


def passes(frame):
    return (
        frame[0:5] == DESTINATIONS
        and MAY_BE_SPOKEN_TO[frame[5]]
        and frame[6:11] == SOURCES
        and MAY_SPEAK[frame[11]]
    )


def forward(_size, _burst):
    source, destination = open_tap("lw0"), open_tap("lw1")
    ready()
    while True:
        frame = os.read(source, ROOM)
        if passes(frame):
            os.write(destination, frame)


def echo(_size, _burst):
    tap = open_tap("lw0")
    ready()
    while True:
        frame = os.read(tap, ROOM)
        os.write(tap, frame[6:12] + frame[0:6] + frame[12:])


workload, size, burst = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
{"read": read, "write": write, "forward": forward, "echo": echo}[workload](size, burst)
