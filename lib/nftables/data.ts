/** A value or a verdict, NFTA_DATA_*: what registers and set elements hold. */
import { attributes } from '../codec/attributes.js'
import { enumeration } from '../codec/enumeration.js'
import { be32, sbe32 } from '../codec/integers.js'
import { string } from '../codec/strings.js'
import { blob } from './blob.js'

/** NFTA_VERDICT_*; the codes are those of netfilter (NF_*) and nf_tables (NFT_*). */
export const verdict = attributes(
  {
    code: [
      1,
      enumeration(
        sbe32,
        { drop: 0, accept: 1, stolen: 2, queue: 3, repeat: 4, continue: -1, break: -2, jump: -3, goto: -4, return: -5 },
        { open: true }
      )
    ],
    chain: [2, string({ max: 255 })],
    chainId: [3, be32, { since: '5.9' }]
  },
  { nestedFlag: true }
)

export const data = attributes({ value: [1, blob], verdict: [2, verdict] }, { nestedFlag: true })
