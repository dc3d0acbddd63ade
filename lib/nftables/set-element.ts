/** Elements of sets, NFTA_SET_ELEM_LIST_* and NFTA_SET_ELEM_*. */
import { attributes, listOf } from '../codec/attributes.js'
import { bitset } from '../codec/enumeration.js'
import { be32, be64 } from '../codec/integers.js'
import { message } from '../codec/message.js'
import { string } from '../codec/strings.js'
import { blob } from './blob.js'
import { data } from './data.js'
import { expression, expressions } from './expression.js'
import { nfgenmsg } from './nfgenmsg.js'

export const setElement = attributes(
  {
    key: [1, data],
    data: [2, data],
    /** NFT_SET_ELEM_* */
    flags: [3, bitset(be32, { intervalEnd: 1, catchall: 2 })],
    /** Milliseconds. */
    timeout: [4, be64],
    /** Milliseconds. */
    expiration: [5, be64, { volatile: true }],
    userdata: [6, blob],
    expr: [7, expression],
    objref: [9, string()],
    /** The last key of an interval, in sets of concatenations. */
    keyEnd: [10, data, { since: '5.6' }],
    expressions: [11, expressions, { since: '5.11' }]
  },
  { nestedFlag: true }
)

export const setElementsMessage = message(nfgenmsg, {
  table: [1, string({ max: 255 })],
  set: [2, string({ max: 255 })],
  elements: [3, listOf([1, setElement], { nestedFlag: true })],
  setId: [4, be32]
})
