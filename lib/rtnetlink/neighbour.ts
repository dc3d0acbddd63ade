/** Neighbours and forwarding entries: `struct ndmsg` and NDA_* of linux/neighbour.h. */
import { ip, mac } from '../codec/addresses.js'
import { attributes } from '../codec/attributes.js'
import { bitset } from '../codec/enumeration.js'
import { be16, flag, s32, u8, u16, u32 } from '../codec/integers.js'
import { message } from '../codec/message.js'
import { padding, struct } from '../codec/struct.js'
import { family } from './family.js'

/** NUD_*: what is known of the neighbour. `{}` is NUD_NONE. */
export const neighbourState = bitset(u16, {
  incomplete: 0x01,
  reachable: 0x02,
  stale: 0x04,
  delay: 0x08,
  probe: 0x10,
  failed: 0x20,
  noarp: 0x40,
  permanent: 0x80
})

/** NTF_* */
export const neighbourFlags = bitset(u8, {
  use: 0x01,
  self: 0x02,
  master: 0x04,
  proxy: 0x08,
  extLearned: 0x10,
  offloaded: 0x20,
  sticky: 0x40,
  router: 0x80
})

/** Hundredths of a second since the entry was confirmed, used and updated. */
const cacheinfo = struct('nda_cacheinfo', { confirmed: u32, used: u32, updated: u32, refcnt: u32 })

export const neighbourMessage = message(
  struct('ndmsg', {
    family,
    _pad1: padding(1),
    _pad2: padding(2),
    index: s32,
    state: neighbourState,
    flags: neighbourFlags,
    type: u8
  }),
  {
    dst: [1, ip],
    lladdr: [2, mac],
    cacheinfo: [3, cacheinfo, { readOnly: true, volatile: true }],
    probes: [4, u32, { volatile: true }],
    vlan: [5, u16],
    port: [6, be16],
    vni: [7, u32],
    /** Ifindex of the link that a VXLAN entry goes out by. */
    ifindex: [8, u32],
    /** Ifindex of the bridge. */
    master: [9, u32],
    linkNetnsid: [10, s32, { readOnly: true }],
    srcVni: [11, u32],
    protocol: [12, u8, { since: '5.2' }],
    nhId: [13, u32, { since: '5.8' }],
    fdbExt: [
      14,
      attributes({ activityNotify: [1, u8], dontRefresh: [2, flag] }, { nestedFlag: true }),
      { since: '5.13' }
    ],
    flagsExt: [15, bitset(u32, { managed: 1, locked: 2, extValidated: 4 }), { since: '5.16' }],
    stateMask: [16, u16, { since: '5.19' }],
    flagsMask: [17, u8, { since: '5.19' }]
  }
)
