/** Sets and maps, NFTA_SET_*. */
import { attributes, listOf } from '../codec/attributes.js'
import { bitset, enumeration } from '../codec/enumeration.js'
import { be32, be64 } from '../codec/integers.js'
import { message } from '../codec/message.js'
import { string } from '../codec/strings.js'
import { blob } from './blob.js'
import { expression, expressions } from './expression.js'
import { nfgenmsg } from './nfgenmsg.js'

/** NFT_SET_* */
export const setFlags = bitset(be32, {
  anonymous: 0x1,
  constant: 0x2,
  interval: 0x4,
  map: 0x8,
  timeout: 0x10,
  eval: 0x20,
  object: 0x40,
  concat: 0x80,
  expr: 0x100
})

/** The type of data that is a verdict (NFT_DATA_VERDICT). */
export const DATA_VERDICT = 0xffffff00

export const setMessage = message(nfgenmsg, {
  table: [1, string({ max: 255 })],
  /** With `%d` in it the kernel counts. */
  name: [2, string({ max: 255 })],
  flags: [3, setFlags],
  /** Means something to nft only. */
  keyType: [4, be32],
  keyLen: [5, be32],
  dataType: [6, be32],
  dataLen: [7, be32],
  policy: [8, enumeration(be32, { performance: 0, memory: 1 })],
  desc: [
    9,
    attributes(
      {
        size: [1, be32],
        /** Bytes of each field of a concatenation. */
        concat: [
          2,
          listOf([1, attributes({ len: [1, be32] }, { nestedFlag: true })], { nestedFlag: true }),
          { since: '5.6' }
        ]
      },
      { nestedFlag: true }
    )
  ],
  id: [10, be32],
  /** Milliseconds. */
  timeout: [11, be64],
  /** Milliseconds. */
  gcInterval: [12, be32],
  userdata: [13, blob],
  objType: [15, be32],
  handle: [16, be64],
  expr: [17, expression, { since: '5.7' }],
  expressions: [18, expressions, { since: '5.11' }],
  type: [19, string(), { readOnly: true, since: '6.16' }],
  count: [20, be32, { readOnly: true, volatile: true, since: '6.17' }]
})
