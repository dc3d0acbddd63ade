/** Captures built byte by byte, in either byte order. */

export type Order = 'LE' | 'BE'

export function u16(value: number, order: Order): Buffer {
  const bytes = Buffer.alloc(2)
  if (order === 'LE') bytes.writeUInt16LE(value)
  else bytes.writeUInt16BE(value)
  return bytes
}

export function u32(value: number, order: Order): Buffer {
  const bytes = Buffer.alloc(4)
  if (order === 'LE') bytes.writeUInt32LE(value >>> 0)
  else bytes.writeUInt32BE(value >>> 0)
  return bytes
}

export function u64(value: bigint, order: Order): Buffer {
  const bytes = Buffer.alloc(8)
  if (order === 'LE') bytes.writeBigUInt64LE(BigInt.asUintN(64, value))
  else bytes.writeBigUInt64BE(BigInt.asUintN(64, value))
  return bytes
}

export function pad(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)])
}

export function pcapHeader(
  order: Order,
  options: { magic?: number; linkType?: number; snapLength?: number } = {}
): Buffer {
  const { magic = 0xa1b2c3d4, linkType = 1, snapLength = 65_535 } = options
  return Buffer.concat([
    u32(magic, order),
    u16(2, order),
    u16(4, order),
    u32(0, order),
    u32(0, order),
    u32(snapLength, order),
    u32(linkType, order)
  ])
}

export function pcapPacket(
  order: Order,
  seconds: number,
  fraction: number,
  data: Uint8Array,
  original?: number
): Buffer {
  const lengths = [u32(data.length, order), u32(original ?? data.length, order)]
  return Buffer.concat([u32(seconds, order), u32(fraction, order), ...lengths, data])
}

export function block(order: Order, type: number, body: Uint8Array): Buffer {
  const length = u32(12 + body.length, order)
  return Buffer.concat([u32(type, order), length, body, length])
}

export function option(order: Order, code: number, value: Uint8Array | string): Buffer {
  const bytes = Buffer.from(value as string)
  return Buffer.concat([u16(code, order), u16(bytes.length, order), pad(bytes)])
}

export const END = Buffer.alloc(4)

export function section(order: Order, options: Buffer[] = [], version: [number, number] = [1, 0]): Buffer {
  const [major, minor] = version
  const fixed = [u32(0x1a2b3c4d, order), u16(major, order), u16(minor, order), u64(-1n, order)]
  return block(order, 0x0a0d0d0a, Buffer.concat([...fixed, ...options]))
}

export function describeInterface(order: Order, linkType = 1, snapLength = 0, options: Buffer[] = []): Buffer {
  return block(order, 1, Buffer.concat([u16(linkType, order), u16(0, order), u32(snapLength, order), ...options]))
}

export function enhancedPacket(
  order: Order,
  id: number,
  ticks: bigint,
  data: Uint8Array,
  options: Buffer[] = [],
  original = data.length
): Buffer {
  const time = [u32(Number(ticks >> 32n), order), u32(Number(ticks & 0xffffffffn), order)]
  const lengths = [u32(data.length, order), u32(original, order)]
  return block(order, 6, Buffer.concat([u32(id, order), ...time, ...lengths, pad(data), ...options]))
}

export function simplePacket(order: Order, data: Uint8Array, original = data.length): Buffer {
  return block(order, 3, Buffer.concat([u32(original, order), pad(data)]))
}

/** The obsolete kind. */
export function packet(order: Order, id: number, drops: number, ticks: bigint, data: Uint8Array): Buffer {
  const time = [u32(Number(ticks >> 32n), order), u32(Number(ticks & 0xffffffffn), order)]
  const lengths = [u32(data.length, order), u32(data.length, order)]
  return block(order, 2, Buffer.concat([u16(id, order), u16(drops, order), ...time, ...lengths, pad(data)]))
}
