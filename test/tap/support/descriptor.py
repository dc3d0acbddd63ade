"""What descriptors 3, 4, ... say of themselves, in JSON: the ioctls of linux/if_tun.h, without linkwright."""
import fcntl, json, struct, sys

TUNGETIFF, TUNGETFEATURES, TUNGETSNDBUF = 0x800454D2, 0x800454CF, 0x800454D3
TUNGETVNETHDRSZ, TUNGETVNETLE, TUNGETVNETBE = 0x800454D7, 0x800454DD, 0x800454DF
SIOCGIFHWADDR = 0x8927


def number(fd, request):
    try:
        return struct.unpack("i", fcntl.ioctl(fd, request, b"\0" * 4))[0]
    except OSError as error:
        return f"errno {error.errno}"


def interface(fd, request):
    try:
        return fcntl.ioctl(fd, request, b"\0" * 40)
    except OSError as error:
        return error.errno


def describe(fd):
    answer = {
        "vnetHeaderSize": number(fd, TUNGETVNETHDRSZ),
        "littleEndian": number(fd, TUNGETVNETLE),
        "bigEndian": number(fd, TUNGETVNETBE),
        "sndbuf": number(fd, TUNGETSNDBUF),
        "features": number(fd, TUNGETFEATURES),
    }
    request = interface(fd, TUNGETIFF)
    if isinstance(request, int):
        return answer | {"error": request}
    answer["name"] = request[:16].split(b"\0")[0].decode()
    answer["flags"] = struct.unpack_from("H", request, 16)[0]
    answer["mac"] = interface(fd, SIOCGIFHWADDR)[18:24].hex(":")
    return answer


print(json.dumps([describe(3 + at) for at in range(int(sys.argv[1]))]))
