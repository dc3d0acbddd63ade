/** IP addresses of links: `struct ifaddrmsg` and IFA_* of linux/if_addr.h. */
import { ip } from '../codec/addresses.js'
import { bitset, enumeration } from '../codec/enumeration.js'
import { s32, u8, u32 } from '../codec/integers.js'
import { message } from '../codec/message.js'
import { string } from '../codec/strings.js'
import { struct } from '../codec/struct.js'
import { family } from './family.js'

/** rt_scope_t of linux/rtnetlink.h, by iproute2's names. */
export const scope = enumeration(u8, { global: 0, site: 200, link: 253, host: 254, nowhere: 255 }, { open: true })

/** IFA_F_*. For IPv4, 1 says `secondary`, for IPv6 `temporary`. */
export const addressFlags = bitset(u32, {
  secondary: 0x01,
  nodad: 0x02,
  optimistic: 0x04,
  dadfailed: 0x08,
  home: 0x10,
  deprecated: 0x20,
  tentative: 0x40,
  permanent: 0x80,
  mngtmpaddr: 0x100,
  noprefixroute: 0x200,
  autojoin: 0x400,
  stablePrivacy: 0x800
})

/** Seconds, 4294967295 for ever; the stamps are hundredths of a second since boot. */
const cacheinfo = struct('ifa_cacheinfo', { preferred: u32, valid: u32, created: u32, updated: u32 })

export const addressMessage = message(
  struct('ifaddrmsg', { family, prefixLength: u8, shortFlags: u8, scope, index: u32 }),
  {
    /** The prefix's address; on a point-to-point link the peer's. */
    address: [1, ip],
    /** The link's own address. IPv6 without a peer has `address` only. */
    local: [2, ip],
    label: [3, string({ max: 15 })],
    broadcast: [4, ip],
    anycast: [5, ip],
    cacheinfo: [6, cacheinfo, { volatile: true }],
    multicast: [7, ip, { readOnly: true }],
    flags: [8, addressFlags],
    /** Metric of the prefix route. */
    metric: [9, u32, { since: '4.18' }],
    targetNetnsid: [10, s32],
    protocol: [
      11,
      enumeration(u8, { unspec: 0, kernelLo: 1, kernelRa: 2, kernelLl: 3 }, { open: true }),
      { since: '5.18' }
    ]
  }
)
