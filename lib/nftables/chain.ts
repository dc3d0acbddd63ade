/** Chains, NFTA_CHAIN_* and NFTA_HOOK_*. */
import { attributes, listOf } from '../codec/attributes.js'
import { bitset, enumeration } from '../codec/enumeration.js'
import { be32, be64, sbe32 } from '../codec/integers.js'
import { message } from '../codec/message.js'
import { interfaceName, string } from '../codec/strings.js'
import { blob } from './blob.js'
import { counterData } from './expressions/stateful.js'
import { nfgenmsg } from './nfgenmsg.js'

/** Where a base chain hangs. The number of a hook means another one in each family. */
export const hook = attributes(
  {
    hooknum: [1, be32],
    priority: [2, sbe32],
    dev: [3, interfaceName],
    devs: [4, listOf([1, interfaceName], { nestedFlag: true, unordered: true }), { since: '5.5' }]
  },
  { nestedFlag: true }
)

/** NFT_CHAIN_* */
export const chainFlags = bitset(be32, { base: 1, hwOffload: 2, binding: 4 })

export const chainMessage = message(nfgenmsg, {
  table: [1, string({ max: 255 })],
  handle: [2, be64],
  name: [3, string({ max: 255 })],
  hook: [4, hook],
  policy: [5, enumeration(be32, { drop: 0, accept: 1 })],
  use: [6, be32, { readOnly: true }],
  type: [7, string({ max: 31 })],
  counters: [8, counterData],
  flags: [10, chainFlags],
  id: [11, be32],
  userdata: [12, blob, { since: '5.10' }]
})
