/** Tables, NFTA_TABLE_*. */
import { bitset } from '../codec/enumeration.js'
import { be32, be64 } from '../codec/integers.js'
import { message } from '../codec/message.js'
import { string } from '../codec/strings.js'
import { blob } from './blob.js'
import { nfgenmsg } from './nfgenmsg.js'

/** NFT_TABLE_F_*: an `owner`'s table goes with its socket. */
export const tableFlags = bitset(be32, { dormant: 1, owner: 2, persist: 4 })

export const tableMessage = message(nfgenmsg, {
  name: [1, string({ max: 255 })],
  flags: [2, tableFlags],
  use: [3, be32, { readOnly: true }],
  handle: [4, be64],
  userdata: [6, blob, { createOnly: true, since: '5.10' }],
  owner: [7, be32, { readOnly: true, since: '5.12' }]
})
