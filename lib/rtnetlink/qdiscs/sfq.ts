/** Stochastic fairness queueing: struct tc_sfq_qopt_v1 of linux/pkt_sched.h, net/sched/sch_sfq.c. */
import { s32, u8, u32 } from '../../codec/integers.js'
import { struct } from '../../codec/struct.js'
import { asTheyAre, qdiscKind } from '../tc-kind.js'

declare module '../tc-kind.js' {
  interface QdiscKinds {
    sfq: typeof sfq
  }
}

const options = struct('tc_sfq_qopt_v1', {
  quantum: u32,
  perturbPeriod: s32,
  limit: u32,
  divisor: u32,
  flows: u32,
  depth: u32,
  headdrop: u32,
  redLimit: u32,
  qthMin: u32,
  qthMax: u32,
  wlog: u8,
  plog: u8,
  scellLog: u8,
  flags: u8,
  maxP: u32,
  probDrop: u32,
  forcedDrop: u32,
  probMark: u32,
  forcedMark: u32,
  probMarkHead: u32,
  forcedMarkHead: u32
})

export interface SfqSettings {
  /** Bytes that a flow sends in its turn; the MTU by default. */
  quantum?: number | undefined
  /** Seconds until flows are sorted anew; 0: never. */
  perturbPeriod?: number | undefined
  /** Frames that may wait in all; 127 by default. */
  limit?: number | undefined
  /** Buckets, a power of two; set at creation. */
  divisor?: number | undefined
  flows?: number | undefined
  /** Frames of one flow. */
  depth?: number | undefined
  /** Drops the oldest frame of a flow, not the newest: 1 or 0. */
  headdrop?: number | undefined
}

export const sfq = qdiscKind<SfqSettings, typeof options>({
  ...asTheyAre,
  name: 'sfq',
  options,
  statistics: struct('tc_sfq_xstats', { allot: s32 }),
  toSettings: ({ quantum, perturbPeriod, limit, divisor, flows, depth, headdrop }) => ({
    quantum,
    perturbPeriod,
    limit,
    divisor,
    flows,
    depth,
    headdrop
  })
})
