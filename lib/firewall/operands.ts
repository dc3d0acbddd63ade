/** Values as they are written, and what they become: bytes, a range of them, the beginning of them. */
import { invalidArgument } from '../errors.js'
import type { DataType, Scalar } from './data-types.js'

export type Operand =
  | { kind: 'exact'; bytes: Buffer }
  | { kind: 'prefix'; bytes: Buffer; bits: number }
  | { kind: 'range'; from: Buffer; to: Buffer }
  /** The beginning of a name. */
  | { kind: 'start'; bytes: Buffer }

/** Understands a value. Throws `ERR_INVALID_ARG_VALUE` with `path`. */
export function operandOf(type: DataType, given: unknown, path: string): Operand {
  if (type.name === 'ifname' && typeof given === 'string' && /[^\\]\*$/.test(given)) {
    const bytes = type.encode(given.slice(0, -1))
    if (bytes) return { kind: 'start', bytes: bytes.subarray(0, bytes.indexOf(0)) }
  }
  const bytes = type.encode(given)
  if (bytes) return { kind: 'exact', bytes }
  if (typeof given === 'string' && type.prefixes) {
    const [, address, length] = /^(.+)\/(\d+)$/.exec(given) ?? []
    const base = type.encode(address)
    const bits = Number(length)
    if (base && bits >= 1 && bits <= 8 * type.size) {
      if (!masked(base, bits).equals(base))
        throw invalidArgument(path, 'a prefix without bits beyond its length', given)
      return bits === 8 * type.size ? { kind: 'exact', bytes: base } : { kind: 'prefix', bytes: base, bits }
    }
  }
  if (typeof given === 'string' && type.ranges) {
    const [, first, last] = /^([^-]+)-([^-]+)$/.exec(given) ?? []
    const [from, to] = [type.encode(first), type.encode(last)]
    if (from && to) {
      const order = compare(type, from, to)
      if (order > 0) throw invalidArgument(path, 'a range from the lower to the higher', given)
      return order === 0 ? { kind: 'exact', bytes: from } : { kind: 'range', from, to }
    }
  }
  throw invalidArgument(path, type.expects, given)
}

/** The bits of flags. */
export function flagsOf(type: DataType, given: unknown, path: string): Buffer {
  const names = Array.isArray(given) ? given : [given]
  const all = names.map(name => type.encode(name) ?? refuse(path, type.expects, name))
  if (all.length === 0) throw invalidArgument(path, 'at least one flag', given)
  return all.reduce((sum, bytes) => Buffer.from(sum.map((byte, at) => byte | (bytes[at] as number))))
}

/** Names of the bits that are set, in the order of their numbers; `undefined` if one has no name. */
export function flagNames(type: DataType, bytes: Buffer): string[] | undefined {
  const names = Object.keys(type.bits ?? {}).filter(name => {
    const bit = type.encode(name) as Buffer
    return bit.some((byte, at) => (byte & (bytes[at] as number)) !== 0)
  })
  return names.length > 0 && flagsOf(type, names, '').equals(bytes) ? names : undefined
}

/** The value that an operand stands for, as it is written. */
export function operandText(type: DataType, operand: Operand): Scalar {
  switch (operand.kind) {
    case 'exact':
      return type.decode(operand.bytes)
    case 'prefix':
      return `${type.decode(operand.bytes)}/${operand.bits}`
    case 'range': {
      const bits = type.prefixes ? prefixOf(operand.from, operand.to) : undefined
      if (bits) return `${type.decode(operand.from)}/${bits}`
      return `${type.decode(operand.from)}-${type.decode(operand.to)}`
    }
    case 'start':
      return `${operand.bytes.toString('utf8')}*`
  }
}

/** First and last of what an operand stands for. */
export function bounds(operand: Operand): [from: Buffer, to: Buffer] {
  if (operand.kind === 'range') return [operand.from, operand.to]
  if (operand.kind !== 'prefix') return [operand.bytes, operand.bytes]
  const ones = maskOf(operand.bytes.length, operand.bits)
  return [operand.bytes, Buffer.from(operand.bytes.map((byte, at) => byte | (~(ones[at] as number) & 0xff)))]
}

/** How long a prefix covers exactly this range, if any does. */
function prefixOf(from: Buffer, to: Buffer): number | undefined {
  for (let bits = 1; bits < 8 * from.length; bits++) {
    if (!masked(from, bits).equals(from)) continue
    if (bounds({ kind: 'prefix', bytes: from, bits })[1].equals(to)) return bits
  }
  return undefined
}

/** `bits` ones, then zeros. */
export function maskOf(size: number, bits: number): Buffer {
  return Buffer.from(
    Array.from({ length: size }, (_, at) => 0xff & (0xff00 >> Math.min(8, Math.max(0, bits - 8 * at))))
  )
}

/** How many ones a mask begins with; `undefined` if there are others. */
export function prefixLength(mask: Buffer): number | undefined {
  for (let bits = 0; bits <= 8 * mask.length; bits++) if (maskOf(mask.length, bits).equals(mask)) return bits
  return undefined
}

function masked(bytes: Buffer, bits: number): Buffer {
  const mask = maskOf(bytes.length, bits)
  return Buffer.from(bytes.map((byte, at) => byte & (mask[at] as number)))
}

/** By value, whatever the byte order. */
export function compare(type: DataType, a: Buffer, b: Buffer): number {
  return Buffer.compare(inNetworkOrder(type, a), inNetworkOrder(type, b))
}

/** Bytes with the most significant first. Names are no numbers. */
export function inNetworkOrder(type: DataType, bytes: Buffer): Buffer {
  const swap = type.hostOrder && type.name !== 'ifname' && new Uint8Array(Uint16Array.of(1).buffer)[0] === 1
  return swap ? Buffer.from(bytes).reverse() : bytes
}

/** The next value; `undefined` after the last. */
export function successor(bytes: Buffer): Buffer | undefined {
  return neighbour(bytes, 1)
}

/** The value before; `undefined` before the first. */
export function predecessor(bytes: Buffer): Buffer | undefined {
  return neighbour(bytes, -1)
}

function neighbour(bytes: Buffer, step: 1 | -1): Buffer | undefined {
  const next = BigInt(`0x${bytes.toString('hex')}`) + BigInt(step)
  const digits = next < 0n ? '' : next.toString(16).padStart(2 * bytes.length, '0')
  return digits.length === 2 * bytes.length ? Buffer.from(digits, 'hex') : undefined
}

function refuse(path: string, expected: string, given: unknown): never {
  throw invalidArgument(path, expected, given)
}
