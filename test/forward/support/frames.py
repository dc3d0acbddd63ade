"""Frames by raw sockets, for tests: what another program sends and sees on a link.

frames.py wire                          commands on standard input, one JSON a line; answers likewise
frames.py send LINK COUNT TO FROM       frames of many sizes, each different
frames.py receive LINK COUNT SECONDS    counts and checks them, until all came or nothing does any more
"""
import hashlib
import json
import select
import socket
import struct
import sys
import time

ETH_P_ALL = 3
PACKET_OUTGOING = 4
SO_RCVBUFFORCE = 33
TEST_TYPE = 0x88B5


def listener(link):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
    sock.bind((link, ETH_P_ALL))
    sock.setblocking(False)
    return sock


def arrived(sock):
    """Frames that came over the link, not those that this machine sends on it."""
    while True:
        try:
            frame, (_, _, kind, *_) = sock.recvfrom(70000)
        except BlockingIOError:
            return
        if kind != PACKET_OUTGOING:
            yield frame


def made(number, to, origin):
    """Frame `number` of a row: its size and bytes depend on it."""
    size = 46 + number * 7919 % 1455
    filler = hashlib.sha256(struct.pack("!I", number)).digest()
    body = struct.pack("!I", number) + filler * (size // len(filler) + 1)
    return bytes.fromhex(to) + bytes.fromhex(origin) + struct.pack("!H", TEST_TYPE) + body[:size]


def send(link, count, to, origin):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((link, 0))
    for number in range(count):
        sock.send(made(number, to, origin))


def receive(link, count, patience):
    sock = listener(link)
    print("ready", flush=True)
    frames, wrong, last, in_order = 0, 0, -1, True
    deadline = time.monotonic() + patience
    while frames < count and time.monotonic() < deadline:
        if not select.select([sock], [], [], 0.1)[0]:
            continue
        for frame in arrived(sock):
            if frame[12:14] != struct.pack("!H", TEST_TYPE):
                continue
            number = struct.unpack_from("!I", frame, 14)[0]
            if frame != made(number, frame[:6].hex(), frame[6:12].hex()):
                wrong += 1
            in_order = in_order and number > last
            last = number
            frames += 1
            deadline = time.monotonic() + patience
    # Nothing may come twice.
    time.sleep(0.1)
    frames += sum(frame[12:14] == struct.pack("!H", TEST_TYPE) for frame in arrived(sock))
    print(json.dumps({"frames": frames, "wrong": wrong, "inOrder": in_order}), flush=True)


def wire():
    socks = {}
    for line in sys.stdin:
        verb, link, *rest = json.loads(line)
        answer = None
        try:
            if verb == "open":
                socks[link] = listener(link)
            elif verb == "send":
                for frame in rest[0]:
                    socks[link].send(bytes.fromhex(frame))
            elif verb == "repeat":
                for _ in range(rest[1]):
                    socks[link].send(bytes.fromhex(rest[0]))
            elif verb == "take":
                answer = [frame.hex() for frame in arrived(socks[link])]
            print(json.dumps({"answer": answer}), flush=True)
        except OSError as error:
            print(json.dumps({"error": str(error)}), flush=True)


if sys.argv[1] == "wire":
    wire()
elif sys.argv[1] == "send":
    send(sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5])
else:
    receive(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
