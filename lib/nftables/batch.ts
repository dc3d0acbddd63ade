/** The brackets of a transaction: NFNL_MSG_BATCH_BEGIN and _END, NFNL_BATCH_*. */
import { be32 } from '../codec/integers.js'
import { message } from '../codec/message.js'
import { nfgenmsg } from './nfgenmsg.js'

export const batchMessage = message(nfgenmsg, {
  /** The generation that the transaction was made for: of another one it is refused with ERESTART. */
  genid: [1, be32, { writeOnly: true, since: '4.20' }]
})
