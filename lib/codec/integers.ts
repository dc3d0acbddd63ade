/** Integers of every width and byte order. */

import { type Codec, refuse } from './codec.js'
import { hostLittleEndian } from './endian.js'
import { zeroExtended } from './short.js'
import type { Writer } from './writer.js'

/** Reads what may be shorter than it should be. */
function checked<T>(size: number, read: (data: DataView, offset: number) => T) {
  return (data: DataView, offset: number, length: number): T =>
    length < size ? read(zeroExtended(data, offset, length, size), 0) : read(data, offset)
}

export interface IntegerCodec extends Codec<number> {
  readonly size: number
}

function integer(
  name: string,
  size: 1 | 2 | 4,
  signed: boolean,
  littleEndian: boolean,
  read: (data: DataView, offset: number) => number
): IntegerCodec {
  const span = 2 ** (8 * size)
  const min = signed ? -span / 2 : 0
  const max = signed ? span / 2 - 1 : span - 1
  const put: (writer: Writer, value: number) => void =
    size === 1
      ? (writer, value) => writer.u8(value)
      : size === 2
        ? (writer, value) => writer.u16(value, littleEndian)
        : (writer, value) => writer.u32(value, littleEndian)
  return {
    expects: `an integer from ${min} to ${max} (${name})`,
    size,
    write(writer, value) {
      if (!Number.isInteger(value) || value < min || value > max) refuse(this, value)
      put(writer, value)
    },
    read: checked(size, read)
  }
}

export const u8 = integer('u8', 1, false, hostLittleEndian, (data, offset) => data.getUint8(offset))
export const s8 = integer('s8', 1, true, hostLittleEndian, (data, offset) => data.getInt8(offset))
export const u16 = integer('u16', 2, false, hostLittleEndian, (data, offset) =>
  data.getUint16(offset, hostLittleEndian)
)
export const s16 = integer('s16', 2, true, hostLittleEndian, (data, offset) => data.getInt16(offset, hostLittleEndian))
export const u32 = integer('u32', 4, false, hostLittleEndian, (data, offset) =>
  data.getUint32(offset, hostLittleEndian)
)
export const s32 = integer('s32', 4, true, hostLittleEndian, (data, offset) => data.getInt32(offset, hostLittleEndian))
export const be16 = integer('be16', 2, false, false, (data, offset) => data.getUint16(offset))
export const be32 = integer('be32', 4, false, false, (data, offset) => data.getUint32(offset))
/** Signed, in network byte order: priorities and verdicts of nf_tables. */
export const sbe32 = integer('sbe32', 4, true, false, (data, offset) => data.getInt32(offset))

function integer64(name: string, signed: boolean, littleEndian: boolean): Codec<number | bigint, bigint> & { size: 8 } {
  const min = signed ? -(2n ** 63n) : 0n
  const max = signed ? 2n ** 63n - 1n : 2n ** 64n - 1n
  return {
    expects: `an integer from ${min} to ${max} (${name})`,
    size: 8,
    write(writer, value) {
      if (typeof value !== 'bigint' && !Number.isSafeInteger(value)) refuse(this, value)
      const wide = BigInt(value)
      if (wide < min || wide > max) refuse(this, value)
      writer.u64(wide, littleEndian)
    },
    read: checked<bigint>(
      8,
      signed
        ? (data, offset) => data.getBigInt64(offset, littleEndian)
        : (data, offset) => data.getBigUint64(offset, littleEndian)
    )
  }
}

export const u64 = integer64('u64', false, hostLittleEndian)
export const s64 = integer64('s64', true, hostLittleEndian)
export const be64 = integer64('be64', false, false)

/** A truth value in one byte, as most rtnetlink switches are. */
export const bool: Codec<boolean> & { size: 1 } = {
  expects: 'true or false',
  size: 1,
  write(writer, value) {
    if (typeof value !== 'boolean') refuse(this, value)
    writer.u8(value ? 1 : 0)
  },
  read: checked(1, (data, offset) => data.getUint8(offset) !== 0)
}

/** A truth value in four bytes. */
export const bool32: Codec<boolean> & { size: 4 } = {
  expects: 'true or false',
  size: 4,
  write(writer, value) {
    if (typeof value !== 'boolean') refuse(this, value)
    writer.u32(value ? 1 : 0)
  },
  read: checked(4, (data, offset) => data.getUint32(offset, hostLittleEndian) !== 0)
}

/** An attribute without a payload: there or not there (NLA_FLAG). `false` cannot be said on the wire. */
export const flag: Codec<true, boolean> & { size: 0 } = {
  expects: 'true (leave it out for false)',
  size: 0,
  write(_writer, value) {
    if (value !== true) refuse(this, value)
  },
  // Some kinds send a byte where they take a bare flag (IFLA_VXLAN_TTL_INHERIT).
  read: (data, offset, length) => length === 0 || data.getUint8(offset) !== 0
}
