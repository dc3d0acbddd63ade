/** Integers of every width and byte order, judged by Node's Buffer. */
import { endianness } from 'node:os'
import { describe, expect, it } from 'vitest'
import { be16, be32, be64, bool, bool32, flag, s8, s16, s32, s64, u8, u16, u32, u64 } from '../../lib/codec/integers.js'
import { decode, encode, thrown } from '../support/fake-kernel.js'

const host = endianness()

function by(size: number, write: (bytes: Buffer) => unknown): Buffer {
  const bytes = Buffer.alloc(size)
  write(bytes)
  return bytes
}

const small = [
  ['u8', u8, 0, 255, (value: number) => by(1, bytes => bytes.writeUInt8(value))],
  ['s8', s8, -128, 127, (value: number) => by(1, bytes => bytes.writeInt8(value))],
  ['u16', u16, 0, 65535, (value: number) => by(2, bytes => bytes[`writeUInt16${host}`](value))],
  ['s16', s16, -32768, 32767, (value: number) => by(2, bytes => bytes[`writeInt16${host}`](value))],
  ['u32', u32, 0, 4294967295, (value: number) => by(4, bytes => bytes[`writeUInt32${host}`](value))],
  ['s32', s32, -2147483648, 2147483647, (value: number) => by(4, bytes => bytes[`writeInt32${host}`](value))],
  ['be16', be16, 0, 65535, (value: number) => by(2, bytes => bytes.writeUInt16BE(value))],
  ['be32', be32, 0, 4294967295, (value: number) => by(4, bytes => bytes.writeUInt32BE(value))]
] as const

describe.each(small)('%s', (_, codec, min, max, bytesOf) => {
  it('is what Buffer writes', () => {
    const random = Array.from({ length: 500 }, () => min + Math.floor(Math.random() * (max - min + 1)))
    for (const value of [min, max, 0, 1, max - 1, min + 1, ...random]) {
      expect(encode(codec, value)).toEqual(bytesOf(value))
      expect(decode(codec, bytesOf(value))).toBe(value)
    }
  })

  it('refuses what does not fit and what is no integer', () => {
    for (const value of [min - 1, max + 1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '1', 1n, null, true, {}, []]) {
      const error = thrown(() => encode(codec, value))
      expect(error.code, String(value)).toBe('ERR_INVALID_ARG_VALUE')
      expect(error.allowed).toContain(`${min} to ${max}`)
    }
  })
})

const wide = [
  ['u64', u64, 0n, 2n ** 64n - 1n, (value: bigint) => by(8, bytes => bytes[`writeBigUInt64${host}`](value))],
  ['s64', s64, -(2n ** 63n), 2n ** 63n - 1n, (value: bigint) => by(8, bytes => bytes[`writeBigInt64${host}`](value))],
  ['be64', be64, 0n, 2n ** 64n - 1n, (value: bigint) => by(8, bytes => bytes.writeBigUInt64BE(value))]
] as const

describe.each(wide)('%s', (_, codec, min, max, bytesOf) => {
  it('is what Buffer writes, from a bigint or a safe number', () => {
    for (const value of [min, max, 0n, 1n, max - 1n, 2n ** 53n, 2n ** 32n, 0x0123456789abcdefn]) {
      expect(encode(codec, value)).toEqual(bytesOf(value))
      expect(decode(codec, bytesOf(value))).toBe(value)
    }
    expect(encode(codec, 2 ** 53 - 1)).toEqual(bytesOf(2n ** 53n - 1n))
  })

  it('refuses what does not fit, and numbers that may have lost digits', () => {
    for (const value of [min - 1n, max + 1n, 2 ** 53, 0.5, Number.NaN, '1', null]) {
      expect(thrown(() => encode(codec, value)).code, String(value)).toBe('ERR_INVALID_ARG_VALUE')
    }
  })
})

it('writes truth values in one byte and in four', () => {
  expect(encode(bool, true)).toEqual(Buffer.of(1))
  expect(encode(bool, false)).toEqual(Buffer.of(0))
  expect(encode(bool32, true)).toEqual(by(4, bytes => bytes[`writeUInt32${host}`](1)))
  expect([decode(bool, Buffer.of(2)), decode(bool, Buffer.of(0))]).toEqual([true, false])
  expect([decode(bool32, Buffer.of(0, 0, 0, 1)), decode(bool32, Buffer.alloc(4))]).toEqual([true, false])
  for (const value of [0, 1, 'true', null]) {
    expect(thrown(() => encode(bool, value)).code).toBe('ERR_INVALID_ARG_VALUE')
    expect(thrown(() => encode(bool32, value)).code).toBe('ERR_INVALID_ARG_VALUE')
  }
})

it('writes a flag as nothing, and reads one that comes with a byte', () => {
  expect(encode(flag, true)).toEqual(Buffer.alloc(0))
  expect(thrown(() => encode(flag, false)).code).toBe('ERR_INVALID_ARG_VALUE')
  expect([decode(flag, Buffer.alloc(0)), decode(flag, Buffer.of(1)), decode(flag, Buffer.of(0))]).toEqual([
    true,
    true,
    false
  ])
})
