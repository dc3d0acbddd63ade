/** What a limit means to HTB. */
import { prefixPath } from '../../codec/codec.js'
import { invalidArgument } from '../../errors.js'
import { checkKeys } from '../../options.js'
import { htbClass } from '../../rtnetlink/qdiscs/htb.js'
import { type Rate, rateInBytes, type Size, sizeInBytes } from '../../rtnetlink/tc-units.js'

/** A limit of one direction. Frames count with their Ethernet header, and as those that an offload makes of them. */
export interface BandwidthLimit {
  /** Bits per second in the long run: a number, a bigint, or as tc writes it, `100mbit`. */
  rate: Rate
  /** Bytes that may go faster after a silence, at `ceil` or at once; what goes in 20 ms by default, at least 4 KiB. */
  burst?: Size | undefined
  /** Bits per second while the burst lasts. */
  ceil?: Rate | undefined
}

/** Seen by the guest. What is left out stays as it is; `null` lifts the limit. */
export interface BandwidthLimits {
  /** What the guest receives. */
  inbound?: BandwidthLimit | null | undefined
  /** What the guest sends. */
  outbound?: BandwidthLimit | null | undefined
}

const LIMIT_KEYS: ReadonlySet<string> = new Set<keyof BandwidthLimit>(['rate', 'burst', 'ceil'])

/** A class of HTB, and how many bytes wait for it. */
export interface Shape {
  readonly settings: {
    /** Bits per second. */
    readonly rate: number | bigint
    readonly ceil: number | bigint
    /** Bytes. */
    readonly burst: number
    readonly cburst: number
    readonly quantum: number
  }
  /** Bytes per second. */
  readonly bytes: number
}

const LEAST_BURST = 4096
const BURST_SECONDS = 0.02
/** HTB has 32 bits of ticks. */
const MOST_SECONDS = 200
/** So that the kernel does not reckon one from the rate, and complain of it. There is but one class. */
const QUANTUM = 60_000

/** The limit as HTB takes it; refuses what makes no sense, under the name of the direction. */
export function shapeOf(limit: BandwidthLimit, direction: string): Shape {
  try {
    return shape(limit)
  } catch (error) {
    throw prefixPath(error, direction)
  }
}

function shape(limit: BandwidthLimit): Shape {
  if (typeof limit !== 'object' || limit === null) throw invalidArgument('', 'an object with a rate, or null', limit)
  checkKeys(limit, LIMIT_KEYS)
  const rate = rateInBytes(limit.rate, 'rate')
  const ceil = limit.ceil === undefined ? rate : rateInBytes(limit.ceil, 'ceil')
  if (ceil < rate) throw invalidArgument('ceil', 'at least the rate', limit.ceil)
  const burst = limit.burst === undefined ? defaultBurst(rate) : sizeInBytes(limit.burst, 'burst')
  // HTB takes the lesser of both bursts: without a ceiling it has to be the same one.
  const cburst = limit.ceil === undefined ? burst : defaultBurst(ceil)
  const settings = { rate: rate * 8n, ceil: ceil * 8n, burst, cburst, quantum: QUANTUM }
  // Refuses a burst that takes too long.
  htbClass.toOptions(settings)
  return { settings, bytes: Number(rate) }
}

function defaultBurst(bytes: bigint): number {
  const wanted = Math.max(LEAST_BURST, Math.ceil(Number(bytes) * BURST_SECONDS))
  return Math.min(wanted, Number(bytes) * MOST_SECONDS, 0xffffffff)
}

/** A limit as it is read from a class. A burst is kept as a time, and may differ by what goes in 64 ns. */
export function limitOf({ rate, ceil, burst }: Shape['settings']): BandwidthLimit {
  return { rate, burst, ...(ceil === rate ? {} : { ceil }) }
}
