/** What every message of nfnetlink begins with: `struct nfgenmsg` of linux/netfilter/nfnetlink.h. */
import { enumeration } from '../codec/enumeration.js'
import { be16, u8 } from '../codec/integers.js'
import { struct } from '../codec/struct.js'

/** NFPROTO_* of linux/netfilter.h, by the names of nft's address families. */
export const nfFamily = enumeration(u8, { unspec: 0, inet: 1, ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10 })

/** `resId` is the subsystem in the brackets of a batch, else the low half of the ruleset's generation. */
export const nfgenmsg = struct('nfgenmsg', { family: nfFamily, version: u8, resId: be16 })
