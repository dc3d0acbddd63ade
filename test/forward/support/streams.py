"""TCP and UDP between hosts, for tests.

streams.py tcp-receive ADDRESS              takes one connection; prints how much came, and its digest
streams.py tcp-send ADDRESS BYTES           sends so much; prints the digest
streams.py udp-receive ADDRESS COUNT        takes datagrams until all came or nothing does any more
streams.py udp-send ADDRESS COUNT SIZE      sends datagrams, as many as possible in one call (UDP_SEGMENT)
"""
import hashlib
import json
import socket
import struct
import sys

PORT = 4000
SOL_UDP = 17
UDP_SEGMENT = 103
SO_RCVBUFFORCE = 33


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def tcp_receive(address):
    server = socket.create_server((address, PORT), family=family(address))
    server.settimeout(20)
    print("ready", flush=True)
    peer, _ = server.accept()
    peer.settimeout(20)
    digest, count = hashlib.sha256(), 0
    while data := peer.recv(1 << 20):
        digest.update(data)
        count += len(data)
    print(json.dumps({"bytes": count, "digest": digest.hexdigest()}), flush=True)


def tcp_send(address, count):
    piece = bytes(range(251)) * 4000
    digest = hashlib.sha256()
    with socket.create_connection((address, PORT), timeout=20) as peer:
        while count > 0:
            data = piece[:count]
            peer.sendall(data)
            digest.update(data)
            count -= len(data)
    print(json.dumps({"digest": digest.hexdigest()}))


def datagram(number, size):
    return struct.pack("!I", number) * (size // 4)


def udp_receive(address, count):
    sock = socket.socket(family(address), socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
    sock.bind((address, PORT))
    sock.settimeout(2)
    print("ready", flush=True)
    seen, wrong = set(), 0
    try:
        while len(seen) < count:
            data = sock.recv(65536)
            number = struct.unpack_from("!I", data)[0]
            wrong += data != datagram(number, len(data)) or number in seen
            seen.add(number)
    except TimeoutError:
        pass
    print(json.dumps({"datagrams": len(seen), "wrong": wrong}), flush=True)


def udp_send(address, count, size):
    sock = socket.socket(family(address), socket.SOCK_DGRAM)
    sock.setsockopt(SOL_UDP, UDP_SEGMENT, size)
    sock.connect((address, PORT))
    at_once = 60000 // size
    for start in range(0, count, at_once):
        sock.send(b"".join(datagram(number, size) for number in range(start, min(count, start + at_once))))


what, where, *rest = sys.argv[1:]
{"tcp-receive": tcp_receive, "tcp-send": tcp_send, "udp-receive": udp_receive, "udp-send": udp_send}[what](
    where, *map(int, rest)
)
