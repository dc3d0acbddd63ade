/** Statistics of links: `struct if_stats_msg` and IFLA_STATS_* of linux/if_link.h. */
import { attributes } from '../codec/attributes.js'
import { bitset } from '../codec/enumeration.js'
import { u8, u16, u32, u64 } from '../codec/integers.js'
import { message } from '../codec/message.js'
import { bytes } from '../codec/strings.js'
import { padding, struct } from '../codec/struct.js'
import { stats64 } from './link.js'

/** What of a VLAN the bridge, or one of its ports, has received and sent. */
const vlan = struct('bridge_vlan_xstats', {
  rxBytes: u64,
  rxPackets: u64,
  txBytes: u64,
  txPackets: u64,
  vid: u16,
  flags: u16,
  _pad: padding(4)
})

/** A counter for each direction, seen from the bridge. */
const both = struct('u64[2]', { rx: u64, tx: u64 })

const mcast = struct('br_mcast_stats', {
  igmpV1Queries: both,
  igmpV2Queries: both,
  igmpV3Queries: both,
  igmpLeaves: both,
  igmpV1Reports: both,
  igmpV2Reports: both,
  igmpV3Reports: both,
  igmpParseErrors: u64,
  mldV1Queries: both,
  mldV2Queries: both,
  mldLeaves: both,
  mldV1Reports: both,
  mldV2Reports: both,
  mldParseErrors: u64,
  mcastBytes: both,
  mcastPackets: both
})

const stp = struct('bridge_stp_xstats', {
  transitionBlk: u64,
  transitionFwd: u64,
  rxBpdu: u64,
  txBpdu: u64,
  rxTcn: u64,
  txTcn: u64
})

/** LINK_XSTATS_TYPE_*: what a bridge or bond counts beyond every link's counters, and BRIDGE_XSTATS_* in it. */
const xstats = attributes({
  bridge: [
    1,
    attributes({
      vlan: [1, vlan, { readOnly: true, repeated: true }],
      mcast: [2, mcast, { readOnly: true }],
      stp: [4, stp, { readOnly: true }]
    })
  ],
  bond: [2, bytes(), { readOnly: true }]
})

/**
 * Statistics of one link. In a request, `filterMask` says which to send: RTM_GETSTATS with NLM_F_DUMP asks for those of all
 * links.
 */
export const statisticsMessage = message(
  struct('if_stats_msg', {
    family: u8,
    _pad1: padding(1),
    _pad2: padding(2),
    index: u32,
    filterMask: bitset(u32, { link64: 1, linkXstats: 2, linkXstatsSlave: 4, linkOffloadXstats: 8, afSpec: 16 })
  }),
  {
    link64: [1, stats64, { readOnly: true }],
    /** Of a bridge or bond itself. */
    linkXstats: [2, xstats, { readOnly: true }],
    /** Of a port of one. */
    linkXstatsSlave: [3, xstats, { readOnly: true }],
    linkOffloadXstats: [4, bytes(), { readOnly: true }],
    afSpec: [5, bytes(), { readOnly: true }]
  }
)
