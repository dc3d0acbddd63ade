/** Fair queueing with controlled delay (RFC 8290): TCA_FQ_CODEL_* of linux/pkt_sched.h. Times are in microseconds. */
import { attributes, type In } from '../../codec/attributes.js'
import { bool32, u8, u32 } from '../../codec/integers.js'
import { struct } from '../../codec/struct.js'
import { asTheyAre, qdiscKind } from '../tc-kind.js'

declare module '../tc-kind.js' {
  interface QdiscKinds {
    fq_codel: typeof fqCodel
  }
}

const options = attributes({
  /** How long frames may wait before some are dropped; 5000 by default. */
  target: [1, u32],
  /** Frames that may wait in all; 10240 by default. */
  limit: [2, u32],
  /** How long they may wait too long; 100000 by default. */
  interval: [3, u32],
  /** Marks instead of dropping where the flow takes it. */
  ecn: [4, bool32],
  flows: [5, u32, { createOnly: true }],
  /** Bytes that a flow sends in its turn. */
  quantum: [6, u32],
  /** Marks what waited longer. */
  ceThreshold: [7, u32],
  dropBatchSize: [8, u32],
  /** Bytes of the host's memory. */
  memoryLimit: [9, u32],
  ceThresholdSelector: [10, u8, { since: '5.16' }],
  ceThresholdMask: [11, u8, { since: '5.16' }]
})

export const fqCodel = qdiscKind<In<(typeof options)['table']>, typeof options>({
  ...asTheyAre,
  name: 'fq_codel',
  options,
  /** Of a qdisc, `type` is 0. */
  statistics: struct('tc_fq_codel_xstats', {
    type: u32,
    maxpacket: u32,
    dropOverlimit: u32,
    ecnMark: u32,
    newFlowCount: u32,
    newFlowsLen: u32,
    oldFlowsLen: u32,
    ceMark: u32,
    memoryUsage: u32,
    dropOvermemory: u32
  })
})
