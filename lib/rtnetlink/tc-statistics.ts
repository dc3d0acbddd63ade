/** What traffic control counts: TCA_STATS_* of linux/gen_stats.h. */
import { attributes } from '../codec/attributes.js'
import { u32, u64 } from '../codec/integers.js'
import { bytes } from '../codec/strings.js'
import { padding, struct } from '../codec/struct.js'

const basic = struct('gnet_stats_basic', { bytes: u64, packets: u32, _pad: padding(4) })
const rateEstimate = struct('gnet_stats_rate_est', { bps: u32, pps: u32 })
const rateEstimate64 = struct('gnet_stats_rate_est64', { bps: u64, pps: u64 })
/** `qlen` frames of `backlog` bytes wait. */
const queue = struct('gnet_stats_queue', { qlen: u32, backlog: u32, drops: u32, requeues: u32, overlimits: u32 })

const readOnly = { readOnly: true } as const

export const statistics = attributes({
  basic: [1, basic, readOnly],
  /** Bytes and frames per second, where an estimator was asked for. */
  rateEst: [2, rateEstimate, readOnly],
  queue: [3, queue, readOnly],
  /** What only the kind counts; `xstats` has it decoded. */
  app: [4, bytes(), readOnly],
  rateEst64: [5, rateEstimate64, readOnly],
  basicHw: [7, basic, readOnly],
  /** Frames, where 32 bits are not enough. */
  pkt64: [8, u64, readOnly]
})
