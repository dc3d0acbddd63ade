/** Netlink messages in received buffers: struct nlmsghdr of linux/netlink.h. */
import { Block } from '../codec/block.js'
import { hostLittleEndian } from '../codec/endian.js'
import { NLMSG_HEADER } from './constants.js'

/** The payload of a message in a received buffer. Offsets are into `data`. */
export interface Payload {
  data: DataView
  start: number
  end: number
  /** Row in the index of the buffer's attributes, or -1. */
  row: number
}

/** One message in a received buffer. */
export interface Message extends Payload {
  /** Of the header. */
  offset: number
  type: number
  flags: number
  sequence: number
  portId: number
}

/** The messages that lie back to back in a buffer. */
export function messagesIn(data: DataView): Message[] {
  const messages: Message[] = []
  for (let at = 0; at + NLMSG_HEADER <= data.byteLength; ) {
    const length = data.getUint32(at, hostLittleEndian)
    if (length < NLMSG_HEADER || at + length > data.byteLength) break
    messages.push({
      data,
      offset: at,
      start: at + NLMSG_HEADER,
      end: at + length,
      type: data.getUint16(at + 4, hostLittleEndian),
      flags: data.getUint16(at + 6, hostLittleEndian),
      sequence: data.getUint32(at + 8, hostLittleEndian),
      portId: data.getUint32(at + 12, hostLittleEndian),
      row: -1
    })
    at += (length + 3) & ~3
  }
  return messages
}

export function dataView(bytes: Uint8Array): Block {
  return new Block(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength)
}
