/** Expressions that translate addresses. Addresses and ports come from registers. */
import { attributes } from '../../codec/attributes.js'
import { bitset, enumeration } from '../../codec/enumeration.js'
import { be32 } from '../../codec/integers.js'

/** NF_NAT_RANGE_* of linux/netfilter/nf_nat.h */
export const natFlags = bitset(be32, {
  mapIps: 1,
  protoSpecified: 2,
  protoRandom: 4,
  persistent: 8,
  protoRandomFully: 16,
  protoOffset: 32,
  netmap: 64
})

/** NFTA_NAT_* */
export const nat = attributes(
  {
    /** NFT_NAT_* */
    type: [1, enumeration(be32, { snat: 0, dnat: 1 })],
    family: [2, enumeration(be32, { ip: 2, ip6: 10 }, { open: true })],
    regAddrMin: [3, be32],
    regAddrMax: [4, be32],
    regProtoMin: [5, be32],
    regProtoMax: [6, be32],
    flags: [7, natFlags]
  },
  { nestedFlag: true }
)

/** NFTA_MASQ_* */
export const masq = attributes(
  { flags: [1, natFlags], regProtoMin: [2, be32], regProtoMax: [3, be32] },
  { nestedFlag: true }
)

/** NFTA_REDIR_* */
export const redir = attributes(
  { regProtoMin: [1, be32], regProtoMax: [2, be32], flags: [3, natFlags] },
  { nestedFlag: true }
)
