/** Rules, NFTA_RULE_*. */
import { attributes } from '../codec/attributes.js'
import { be32, be64 } from '../codec/integers.js'
import { message } from '../codec/message.js'
import { string } from '../codec/strings.js'
import { blob } from './blob.js'
import { expressions } from './expression.js'
import { nfgenmsg } from './nfgenmsg.js'

export const ruleMessage = message(nfgenmsg, {
  table: [1, string({ max: 255 })],
  chain: [2, string({ max: 255 })],
  handle: [3, be64],
  expressions: [4, expressions],
  /** Of rules that iptables-nft made. */
  compat: [5, attributes({ proto: [1, be32], flags: [2, be32] }, { nestedFlag: true })],
  /** Handle of the rule before it; in a request, of the one to be added behind (or inserted before). */
  position: [6, be64],
  userdata: [7, blob],
  id: [9, be32],
  positionId: [10, be32],
  chainId: [11, be32, { since: '5.9' }]
})
