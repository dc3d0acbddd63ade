/** Which offloads the running kernel has, asked without linkwright. */
import { PYTHON, run } from './system.js'

const TRY_OFFLOADS = `
import fcntl, os, struct, sys
TUNSETIFF, TUNSETOFFLOAD, TUNSETVNETHDRSZ = 0x400454CA, 0x400454D0, 0x400454D8
try:
  fd = os.open("/dev/net/tun", os.O_RDWR)
  fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"", 0x5002))
  fcntl.ioctl(fd, TUNSETVNETHDRSZ, struct.pack("i", 24))
  fcntl.ioctl(fd, TUNSETOFFLOAD, int(sys.argv[1]))
except OSError: print("refused")
else: print("taken")
`

/** Whether a TAP takes these TUN_F_* bits. */
export function kernelTakes(mask: number): boolean {
  return run(PYTHON, '-c', TRY_OFFLOADS, String(mask)).trim() === 'taken'
}
