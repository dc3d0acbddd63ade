"""A UDP socket for a test: commands as JSON on standard input, what it receives as JSON on standard output."""
import json, socket, sys, threading

UDP_SEGMENT = 103
address, port = sys.argv[1], int(sys.argv[2])
peer = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
peer.bind((address, port))
print(json.dumps({"port": peer.getsockname()[1]}), flush=True)


def receive():
    while True:
        data, sender = peer.recvfrom(70000)
        print(json.dumps({"data": data.hex(), "port": sender[1]}), flush=True)


threading.Thread(target=receive, daemon=True).start()
for line in sys.stdin:
    command = json.loads(line)
    peer.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, command.get("segment", 0))
    peer.sendto(bytes.fromhex(command["data"]), (command["address"], command["port"]))
