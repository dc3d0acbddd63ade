/** Expressions that calculate with registers, compare them, and look them up in sets. */
import { attributes } from '../../codec/attributes.js'
import { bitset, enumeration } from '../../codec/enumeration.js'
import { be32 } from '../../codec/integers.js'
import { string } from '../../codec/strings.js'
import { data } from '../data.js'

/** NFTA_CMP_*, NFT_CMP_* */
export const cmp = attributes(
  {
    sreg: [1, be32],
    op: [2, enumeration(be32, { eq: 0, neq: 1, lt: 2, lte: 3, gt: 4, gte: 5 })],
    data: [3, data]
  },
  { nestedFlag: true }
)

/** NFTA_RANGE_*, NFT_RANGE_* */
export const range = attributes(
  {
    sreg: [1, be32],
    op: [2, enumeration(be32, { eq: 0, neq: 1 })],
    fromData: [3, data],
    toData: [4, data]
  },
  { nestedFlag: true }
)

/** NFTA_BITWISE_*: `(sreg & mask) ^ xor`, or a shift. */
export const bitwise = attributes(
  {
    sreg: [1, be32],
    dreg: [2, be32],
    len: [3, be32],
    mask: [4, data],
    xor: [5, data],
    /** NFT_BITWISE_* */
    op: [6, enumeration(be32, { maskXor: 0, lshift: 1, rshift: 2 }, { open: true }), { since: '5.6' }],
    data: [7, data, { since: '5.6' }],
    sreg2: [8, be32, { since: '6.13' }]
  },
  { nestedFlag: true }
)

/** NFTA_BYTEORDER_* */
export const byteorder = attributes(
  {
    sreg: [1, be32],
    dreg: [2, be32],
    /** NFT_BYTEORDER_* */
    op: [3, enumeration(be32, { ntoh: 0, hton: 1 })],
    len: [4, be32],
    size: [5, be32]
  },
  { nestedFlag: true }
)

/** NFTA_LOOKUP_*; with `dreg` it is a map, with `dreg` 0 a verdict map. */
export const lookup = attributes(
  {
    set: [1, string({ max: 255 })],
    sreg: [2, be32],
    dreg: [3, be32],
    setId: [4, be32],
    /** NFT_LOOKUP_F_* */
    flags: [5, bitset(be32, { inv: 1 })]
  },
  { nestedFlag: true }
)
