/** The ruleset's generation, which every transaction of anybody increments: NFTA_GEN_*. */
import { be32 } from '../codec/integers.js'
import { message } from '../codec/message.js'
import { string } from '../codec/strings.js'
import { nfgenmsg } from './nfgenmsg.js'

export const generationMessage = message(nfgenmsg, {
  id: [1, be32, { readOnly: true }],
  /** Who made it; of one's own question that is oneself. */
  procPid: [2, be32, { readOnly: true }],
  procName: [3, string(), { readOnly: true }]
})
