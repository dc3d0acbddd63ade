"""What descriptor 3 says of itself, in JSON: the ioctls of linux/if_tun.h and linux/sockios.h, without linkwright."""
import fcntl, json, struct

TUNGETIFF, TUNGETFEATURES, TUNGETSNDBUF = 0x800454D2, 0x800454CF, 0x800454D3
TUNGETVNETHDRSZ, TUNGETVNETLE, TUNGETVNETBE = 0x800454D7, 0x800454DD, 0x800454DF
SIOCGIFHWADDR = 0x8927


def number(request):
    try:
        return struct.unpack("i", fcntl.ioctl(3, request, b"\0" * 4))[0]
    except OSError as error:
        return f"errno {error.errno}"


def interface(request):
    try:
        return fcntl.ioctl(3, request, b"\0" * 40)
    except OSError as error:
        return error.errno


answer = {
    "vnetHeaderSize": number(TUNGETVNETHDRSZ),
    "littleEndian": number(TUNGETVNETLE),
    "bigEndian": number(TUNGETVNETBE),
    "sndbuf": number(TUNGETSNDBUF),
    "features": number(TUNGETFEATURES),
}
request = interface(TUNGETIFF)
if isinstance(request, int):
    answer["error"] = request
else:
    answer["name"] = request[:16].split(b"\0")[0].decode()
    answer["flags"] = struct.unpack_from("H", request, 16)[0]
    answer["mac"] = interface(SIOCGIFHWADDR)[18:24].hex(":")
print(json.dumps(answer))
