"""Loads an eBPF program (bpf(2), BPF_PROG_TYPE_SOCKET_FILTER) that returns a number, and sends its descriptor."""
import ctypes, os, platform, socket, struct, sys

path, value = sys.argv[1], int(sys.argv[2])
BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
# mov32 r0, value; exit
instructions = struct.pack("<BBhi", 0xB4, 0, 0, value) + struct.pack("<BBhi", 0x95, 0, 0, 0)
code, license = ctypes.create_string_buffer(instructions), ctypes.create_string_buffer(b"GPL")
attributes = ctypes.create_string_buffer(
    struct.pack("<IIQQIIQ", 1, 2, ctypes.addressof(code), ctypes.addressof(license), 0, 0, 0).ljust(128, b"\0")
)
syscall = ctypes.CDLL(None, use_errno=True).syscall
fd = syscall(BPF, 5, attributes, 128)
if fd < 0:
    sys.exit("bpf(2): " + os.strerror(ctypes.get_errno()))
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
    connection.connect(path)
    socket.send_fds(connection, [b"program"], [fd])
    connection.recv(1)
