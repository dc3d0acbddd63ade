/** A second reader of netlink attributes that shares nothing with the codec, for what iproute2 cannot show. */
import type { NetlinkSocket } from '../../lib/index.js'

const RTM_NEWLINK = 16
const RTM_GETLINK = 18
const NLM_F_REQUEST = 1
const IFINFOMSG = 16

/** Linkinfo's data and port data, by attribute numbers. */
export const LINK_DATA = [18, 2] as const
export const PORT_DATA = [18, 5] as const

/** The payload of the attribute at a path of attribute numbers, as the kernel sends it for a link. */
export async function rawLinkAttribute(
  socket: NetlinkSocket,
  index: number,
  path: readonly number[]
): Promise<Buffer | undefined> {
  const request = Buffer.alloc(16 + IFINFOMSG)
  request.writeUInt32LE(request.length, 0)
  request.writeUInt16LE(RTM_GETLINK, 4)
  request.writeUInt16LE(NLM_F_REQUEST, 6)
  request.writeInt32LE(index, 16 + 4)
  const reply = (await socket.raw(request)).find(message => message.type === RTM_NEWLINK)
  if (!reply) throw new Error(`no link ${index}`)
  let payload: Buffer | undefined = Buffer.from(
    reply.data.buffer,
    reply.data.byteOffset + reply.start + IFINFOMSG,
    reply.end - reply.start - IFINFOMSG
  )
  for (const type of path) payload = payload && attributeIn(payload, type)
  return payload
}

/** The payload of an attribute in a row of attributes. */
export function attributeIn(bytes: Buffer, wanted: number): Buffer | undefined {
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at)
    if ((bytes.readUInt16LE(at + 2) & 0x3fff) === wanted) return bytes.subarray(at + 4, at + length)
    at += (length + 3) & ~3
  }
  return undefined
}
