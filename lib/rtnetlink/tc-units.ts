/** Rates, sizes and times in the words of tc: `100mbit`, `15k`, `5ms`. */
import { invalidArgument } from '../errors.js'

/** Bits per second, or text with a unit: `100mbit`, `1.5gbit`, `12500kbps` (bytes). */
export type Rate = number | bigint | string
/** Bytes, or text with a unit: `15k`, `1m` (powers of 1024). */
export type Size = number | string
/** Microseconds, or text with a unit: `5ms`, `2s`. */
export type Duration = number | string

const PREFIXES = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12, ki: 2 ** 10, mi: 2 ** 20, gi: 2 ** 30, ti: 2 ** 40 }

const RATES: Record<string, number> = { '': 1 }
for (const [prefix, factor] of Object.entries(PREFIXES)) {
  RATES[`${prefix}bit`] = factor
  RATES[`${prefix}bps`] = 8 * factor
}
const SIZES: Record<string, number> = { '': 1, b: 1 }
for (const [prefix, factor] of Object.entries({ k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 })) {
  SIZES[prefix] = factor
  SIZES[`${prefix}b`] = factor
  SIZES[`${prefix}bit`] = factor / 8
}
const TIMES: Record<string, number> = {
  '': 1,
  ...{ us: 1, usec: 1, usecs: 1 },
  ...{ ms: 1e3, msec: 1e3, msecs: 1e3 },
  ...{ s: 1e6, sec: 1e6, secs: 1e6 }
}

/** The kernel keeps rates in bytes; one that is less cannot be said. */
const LEAST_RATE = 8
/** A rate of more bits than an integer of JavaScript has is given as a bigint. */
const MOST = Number.MAX_SAFE_INTEGER

/** A rate as whole bytes per second. */
export function rateInBytes(rate: Rate, path: string): bigint {
  const bits = typeof rate === 'bigint' ? rate : BigInt(Math.floor(inUnits(rate, RATES, path, RATE)))
  if (bits < LEAST_RATE || bits / 8n >= 2n ** 64n) throw invalidArgument(path, RATE, rate)
  return bits / 8n
}
const RATE = "bits per second, at least 8, or text such as '100mbit'"

/** A rate of the kernel's in bits per second: a bigint where a number is not exact. */
export function bitsOf(bytes: number | bigint): number | bigint {
  const bits = BigInt(bytes) * 8n
  return bits <= BigInt(MOST) ? Number(bits) : bits
}

export function sizeInBytes(size: Size, path: string): number {
  const expected = "bytes, or text such as '15k'"
  const bytes = Math.floor(inUnits(size, SIZES, path, expected))
  if (bytes > 0xffffffff) throw invalidArgument(path, `${expected}, at most 4294967295`, size)
  return bytes
}

export function microseconds(time: Duration, path: string): number {
  const expected = "microseconds, or text such as '5ms'"
  const found = Math.round(inUnits(time, TIMES, path, expected))
  if (found > 0xffffffff) throw invalidArgument(path, `${expected}, at most 4294967295`, time)
  return found
}

function inUnits(value: unknown, units: Record<string, number>, path: string, expected: string): number {
  let found: number | undefined
  if (typeof value === 'number') found = value
  else if (typeof value === 'string') {
    const [, number, unit = ''] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(value) ?? []
    const factor = Object.hasOwn(units, unit.toLowerCase()) ? units[unit.toLowerCase()] : undefined
    found = number === undefined || factor === undefined ? undefined : Number(number) * factor
  }
  if (found === undefined || !(found >= 0 && found <= MOST)) throw invalidArgument(path, expected, value)
  return found
}

/** A rate as tc reads it exactly: `100mbit`, `1500kbit`, `12345bit`. */
export function rateText(bits: number | bigint): string {
  for (const [unit, factor] of [
    ['gbit', 1_000_000_000n],
    ['mbit', 1_000_000n],
    ['kbit', 1000n]
  ] as const) {
    if (BigInt(bits) % factor === 0n) return `${BigInt(bits) / factor}${unit}`
  }
  return `${bits}bit`
}
