/** The hierarchical token bucket and its classes: TCA_HTB_* of linux/pkt_sched.h, net/sched/sch_htb.c. */
import { attributes } from '../../codec/attributes.js'
import { flag, s32, u32, u64 } from '../../codec/integers.js'
import { bytes } from '../../codec/strings.js'
import { struct } from '../../codec/struct.js'
import { invalidArgument } from '../../errors.js'
import { classKind, qdiscKind } from '../tc-kind.js'
import { bytesIn, rateFields, ratespec, ticksOf } from '../tc-rate.js'
import { bitsOf, type Rate, rateInBytes, type Size, sizeInBytes } from '../tc-units.js'

declare module '../tc-kind.js' {
  interface QdiscKinds {
    htb: typeof htb
  }
  interface ClassKinds {
    htb: typeof htbClass
  }
}

/** TC_HTB_PROTOVER: what the kernel has to have. */
const VERSION = 3
/** Divides a class's rate to have its quantum. */
const RATE_TO_QUANTUM = 10
/** What tc takes for the longest frame. */
const LONGEST = 1600

const options = attributes({
  parms: [
    1,
    struct('tc_htb_opt', {
      rate: ratespec,
      ceil: ratespec,
      /** Ticks. */
      buffer: u32,
      cbuffer: u32,
      quantum: u32,
      /** Steps to the leaves; the kernel sets it. */
      level: u32,
      prio: u32
    })
  ],
  init: [2, struct('tc_htb_glob', { version: u32, rate2quantum: u32, defcls: u32, debug: u32, directPkts: u32 })],
  /** Rate tables, which the kernel does not want any more. */
  ctab: [3, bytes(), { writeOnly: true }],
  rtab: [4, bytes(), { writeOnly: true }],
  directQlen: [5, u32],
  /** Bytes per second. */
  rate64: [6, u64],
  ceil64: [7, u64],
  offload: [9, flag, { since: '5.14' }]
})

export interface HtbSettings {
  /** The minor number of the class that takes what no filter takes; 0: it goes out unlimited. */
  default?: number | undefined
  /** Divides the rate of a class, in bytes, to have its quantum; 10 by default. */
  r2q?: number | undefined
  /** Frames that wait unlimited; the link's txqlen by default. */
  directQlen?: number | undefined
}

export const htb = qdiscKind<HtbSettings, typeof options>({
  name: 'htb',
  options,
  settings: ['default', 'r2q', 'directQlen'],
  toOptions: ({ default: defcls = 0, r2q = RATE_TO_QUANTUM, directQlen }) => ({
    init: { version: VERSION, rate2quantum: r2q, defcls },
    directQlen
  }),
  toSettings: ({ init, directQlen }) => ({ default: init?.defcls, r2q: init?.rate2quantum, directQlen })
})

export interface HtbClassSettings {
  /** What the class may always have. */
  rate: Rate
  /** What it may have at most: lent by its parent, or while it uses up its burst; the rate by default. */
  ceil?: Rate | undefined
  /** Bytes that may go beyond the rate after a silence; about one frame by default. */
  burst?: Size | undefined
  /** Bytes that may go beyond the ceiling after a silence; about one frame by default. */
  cburst?: Size | undefined
  /** 0 (first) to 7: whom the parent lends to. */
  prio?: number | undefined
  /** Bytes that a class sends before the next has its turn. */
  quantum?: Size | undefined
  /** Bytes that each frame counts for beyond its length. */
  overhead?: number | undefined
  /** Bytes that each frame counts for at least. */
  mpu?: number | undefined
}

export const htbClass = classKind<HtbClassSettings, typeof options>({
  name: 'htb',
  options,
  statistics: struct('tc_htb_xstats', { lends: u32, borrows: u32, giants: u32, tokens: s32, ctokens: s32 }),
  settings: ['rate', 'ceil', 'burst', 'cburst', 'prio', 'quantum', 'overhead', 'mpu'],
  toOptions({ rate, ceil = rate, burst, cburst, prio, quantum, overhead, mpu }) {
    if (rate === undefined) throw invalidArgument('rate', "bits per second, or text such as '100mbit'", rate)
    const [bytes, most] = [rateInBytes(rate, 'rate'), rateInBytes(ceil, 'ceil')]
    const [own, top] = [rateFields(bytes, { overhead, mpu }), rateFields(most, { overhead, mpu })]
    return {
      parms: {
        rate: own.spec,
        ceil: top.spec,
        buffer: ticksOf(burst === undefined ? LONGEST : sizeInBytes(burst, 'burst'), bytes, 'burst'),
        cbuffer: ticksOf(cburst === undefined ? LONGEST : sizeInBytes(cburst, 'cburst'), most, 'cburst'),
        quantum: quantum === undefined ? undefined : sizeInBytes(quantum, 'quantum'),
        prio
      },
      rate64: own.rate64,
      ceil64: top.rate64
    }
  },
  toSettings({ parms, rate64, ceil64 }) {
    const rate = rate64 ?? BigInt(parms?.rate.rate ?? 0)
    const ceil = ceil64 ?? BigInt(parms?.ceil.rate ?? 0)
    return {
      rate: bitsOf(rate),
      ceil: bitsOf(ceil),
      burst: bytesIn(parms?.buffer ?? 0, rate),
      cburst: bytesIn(parms?.cbuffer ?? 0, ceil),
      prio: parms?.prio,
      quantum: parms?.quantum,
      overhead: parms?.rate.overhead,
      mpu: parms?.rate.mpu
    }
  }
})
