"""Real traffic between two kernels' stacks. Arguments: tcp or udp, serve or ask, address, port. Prints JSON."""
import hashlib, json, socket, sys, time

KIND, ROLE, ADDRESS, PORT = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
FAMILY = socket.AF_INET6 if ":" in ADDRESS else socket.AF_INET
# linux/udp.h, which this Python does not know.
SOL_UDP, UDP_SEGMENT = 17, 103
TCP_BYTES, SEGMENT, BURST, BURSTS = 6_000_000, 1000, 30_123, 30


def pattern(length, seed):
    return hashlib.shake_128(str(seed).encode()).digest(length)


def read(connection, length):
    data = bytearray()
    while len(data) < length:
        more = connection.recv(1 << 20)
        if not more:
            raise EOFError(f"{len(data)} of {length} bytes")
        data += more
    return bytes(data)


def tcp_serve():
    listener = socket.create_server((ADDRESS, PORT), family=FAMILY)
    connection, _ = listener.accept()
    connection.sendall(read(connection, TCP_BYTES))
    connection.recv(1)


def tcp_ask():
    for attempt in range(100):
        try:
            connection = socket.create_connection((ADDRESS, PORT), timeout=60)
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    data = pattern(TCP_BYTES, 1)
    connection.sendall(data)
    same = read(connection, TCP_BYTES) == data
    connection.close()
    print(json.dumps({"same": same}))


def udp_serve():
    """Answers each burst with what came of it: datagrams' lengths and a digest."""
    server = socket.socket(FAMILY, socket.SOCK_DGRAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    server.bind((ADDRESS, PORT))
    server.settimeout(60)
    digest, lengths = hashlib.sha256(), []
    while True:
        data, peer = server.recvfrom(65_536)
        if data == b"end":
            return
        digest.update(data)
        lengths.append(len(data))
        if sum(lengths) >= BURST or len(data) != SEGMENT:
            server.sendto(json.dumps([lengths, digest.hexdigest()]).encode(), peer)
            digest, lengths = hashlib.sha256(), []


def udp_ask():
    client = socket.socket(FAMILY, socket.SOCK_DGRAM)
    client.setsockopt(SOL_UDP, UDP_SEGMENT, SEGMENT)
    client.settimeout(10)
    client.connect((ADDRESS, PORT))
    wanted = [SEGMENT] * (BURST // SEGMENT) + [BURST % SEGMENT]
    same = True
    for burst in range(BURSTS):
        data = pattern(BURST, burst)
        client.send(data)
        same = same and json.loads(client.recv(65_536)) == [wanted, hashlib.sha256(data).hexdigest()]
    client.setsockopt(SOL_UDP, UDP_SEGMENT, 0)
    client.send(b"end")
    print(json.dumps({"same": same}))


globals()[f"{KIND}_{ROLE}"]()
