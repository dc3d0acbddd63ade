/** Expressions that count, limit and log. */
import { attributes } from '../../codec/attributes.js'
import { bitset, enumeration } from '../../codec/enumeration.js'
import { be16, be32, be64 } from '../../codec/integers.js'
import { string } from '../../codec/strings.js'

/** NFTA_COUNTER_* */
export const counterData = attributes(
  { bytes: [1, be64, { volatile: true }], packets: [2, be64, { volatile: true }] },
  { nestedFlag: true }
)

/** NFTA_LIMIT_*: `rate` for each `unit` seconds. */
export const limit = attributes(
  {
    rate: [1, be64],
    unit: [2, be64],
    burst: [3, be32],
    /** NFT_LIMIT_* */
    type: [4, enumeration(be32, { pkts: 0, pktBytes: 1 })],
    /** NFT_LIMIT_F_* */
    flags: [5, bitset(be32, { inv: 1 })]
  },
  { nestedFlag: true }
)

/** NFTA_QUOTA_* */
export const quota = attributes(
  {
    bytes: [1, be64],
    /** NFT_QUOTA_F_* */
    flags: [2, bitset(be32, { inv: 1, depleted: 2 })],
    consumed: [4, be64, { volatile: true }]
  },
  { nestedFlag: true }
)

/** NFTA_LAST_* */
export const last = attributes(
  { set: [1, be32, { volatile: true }], msecs: [2, be64, { volatile: true }] },
  { nestedFlag: true }
)

/** NFTA_LOG_*: with a group to nfnetlink, else to the kernel's log. */
export const log = attributes(
  {
    group: [1, be16],
    prefix: [2, string({ max: 127 })],
    snaplen: [3, be32],
    qthreshold: [4, be16],
    /** NFT_LOGLEVEL_* */
    level: [
      5,
      enumeration(be32, {
        emerg: 0,
        alert: 1,
        crit: 2,
        err: 3,
        warning: 4,
        notice: 5,
        info: 6,
        debug: 7,
        audit: 8
      })
    ],
    flags: [6, be32]
  },
  { nestedFlag: true }
)
