/** Frames by a raw socket of another program, with what a driver would say of them. */
import { inside, PYTHON, runBeside } from '../../tap/support/system.js'

const SEND = `
import socket, sys
SOL_PACKET, PACKET_VNET_HDR = 263, 15
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sender.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
sender.bind((sys.argv[1], 0))
for frame in sys.argv[2:]: sender.send(bytes.fromhex(frame))
`

const NO_HEADER = Buffer.alloc(10)

/** struct virtio_net_hdr for a checksum that is not computed. */
export function needsChecksum(start: number, offset: number): Buffer {
  const header = Buffer.alloc(10)
  header.writeUInt8(1, 0)
  header.writeUInt16LE(start, 6)
  header.writeUInt16LE(offset, 8)
  return header
}

/** The same for TCP segments of IPv4 with so much payload each. */
export function superFrame(start: number, size: number): Buffer {
  const header = needsChecksum(start, 16)
  header.writeUInt8(1, 1)
  header.writeUInt16LE(start + 20, 2)
  header.writeUInt16LE(size, 4)
  return header
}

export async function sendFrames(
  netns: string,
  link: string,
  frames: readonly Buffer[],
  header: Buffer = NO_HEADER
): Promise<void> {
  const hex = frames.map(frame => Buffer.concat([header, frame]).toString('hex'))
  const [command, ...args] = inside(netns, PYTHON, '-c', SEND, link, ...hex)
  await runBeside(command, ...args)
}
