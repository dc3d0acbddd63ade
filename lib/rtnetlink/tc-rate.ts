/**
 * Rates as traffic control takes them: `struct tc_ratespec`, times in ticks, and rate tables.
 *
 * A burst of B bytes at a rate of R bytes per second is written as the time that it takes, B / R, in ticks of the packet
 * scheduler's clock. A tick has been 64 ns since Linux 2.6.31 (PSCHED_SHIFT of net/pkt_sched.h); /proc/net/psched says the
 * same in its second number.
 */
import { enumeration } from '../codec/enumeration.js'
import { s16, u8, u16, u32 } from '../codec/integers.js'
import { struct } from '../codec/struct.js'
import { invalidArgument } from '../errors.js'

export const TICK_NANOSECONDS = 64

/** TC_LINKLAYER_*: with `unaware` the kernel guesses from a rate table, which it does not take otherwise. */
const linklayer = enumeration(u8, { unaware: 0, ethernet: 1, atm: 2 })

/** `rate` is in bytes per second, and 4294967295 for what is in an attribute of 64 bits. */
export const ratespec = struct('tc_ratespec', {
  cellLog: u8,
  linklayer,
  /** Bytes that are added to each frame. */
  overhead: u16,
  cellAlign: s16,
  /** Bytes that each frame counts for at least. */
  mpu: u16,
  rate: u32
})

const MOST = 0xffffffff

/** A rate in bytes per second as ratespec, and as attribute of 64 bits if it takes one. */
export function rateFields(
  bytes: bigint,
  { overhead = 0, mpu = 0 }: { overhead?: number | undefined; mpu?: number | undefined } = {}
) {
  const wide = bytes >= BigInt(MOST)
  return {
    spec: { linklayer: 'ethernet' as const, overhead, mpu, rate: wide ? MOST : Number(bytes) },
    rate64: wide ? bytes : undefined
  }
}

/** The time that `size` bytes take, in ticks. */
export function ticksOf(size: number, rate: bigint, path: string): number {
  const ticks = divideUp(BigInt(size) * 1_000_000_000n, rate * BigInt(TICK_NANOSECONDS))
  if (ticks > BigInt(MOST)) throw invalidArgument(path, 'what takes less than 274 s at this rate', size)
  return Number(ticks)
}

/** The bytes that go in a time given in ticks. */
export function bytesIn(ticks: number, rate: number | bigint): number {
  return Number((BigInt(ticks) * BigInt(TICK_NANOSECONDS) * BigInt(rate)) / 1_000_000_000n)
}

const CELLS = 256

/**
 * How long frames take by their size, in cells of 2^cellLog bytes. Only police still wants it (`qdisc_get_rtab`), and none
 * of its rates without; the kernel reckons with the rate itself.
 */
export function rateTable(rate: bigint, mtu: number, path: string): { cellLog: number; table: Uint8Array } {
  let cellLog = 3
  while (mtu >> cellLog >= CELLS) cellLog++
  const table = new Uint32Array(CELLS)
  for (let cell = 0; cell < CELLS; cell++) table[cell] = ticksOf((cell + 1) << cellLog, rate, path)
  return { cellLog, table: new Uint8Array(table.buffer) }
}

function divideUp(value: bigint, by: bigint): bigint {
  return (value + by - 1n) / by
}
