/** Expressions that decide: values and verdicts into registers, refusals, queues, named objects. */
import { attributes } from '../../codec/attributes.js'
import { bitset, enumeration } from '../../codec/enumeration.js'
import { be16, be32, u8 } from '../../codec/integers.js'
import { string } from '../../codec/strings.js'
import { data } from '../data.js'

/** NFTA_IMMEDIATE_*; a verdict goes into register 0. */
export const immediate = attributes({ dreg: [1, be32], data: [2, data] }, { nestedFlag: true })

/** NFTA_REJECT_*; what a code means depends on the type. */
export const reject = attributes(
  {
    /** NFT_REJECT_* */
    type: [1, enumeration(be32, { icmpUnreach: 0, tcpRst: 1, icmpxUnreach: 2 })],
    icmpCode: [2, u8]
  },
  { nestedFlag: true }
)

/** NFTA_QUEUE_* */
export const queue = attributes(
  {
    num: [1, be16],
    total: [2, be16],
    /** NFT_QUEUE_FLAG_* */
    flags: [3, bitset(be16, { bypass: 1, cpuFanout: 2 })],
    sregQnum: [4, be32]
  },
  { nestedFlag: true }
)

/** NFTA_OBJREF_*: a named counter, quota, limit, … */
export const objref = attributes(
  {
    immType: [1, be32],
    immName: [2, string({ max: 255 })],
    setSreg: [3, be32],
    setName: [4, string({ max: 255 })],
    setId: [5, be32]
  },
  { nestedFlag: true }
)
