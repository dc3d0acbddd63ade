/** Links: `struct ifinfomsg` and IFLA_* of linux/if_link.h. */
import { mac } from '../codec/addresses.js'
import { attributes, choice, listOf } from '../codec/attributes.js'
import { bitset, enumeration } from '../codec/enumeration.js'
import { bool, s32, u8, u16, u32, u64 } from '../codec/integers.js'
import { message } from '../codec/message.js'
import { alternativeName, bytes, interfaceName, string } from '../codec/strings.js'
import { padding, struct } from '../codec/struct.js'
import { findLinkKind, findPortKind } from './link-kind.js'

/** IFF_* of linux/if.h, by iproute2's names. */
export const linkFlags = bitset(u32, {
  up: 0x1,
  broadcast: 0x2,
  debug: 0x4,
  loopback: 0x8,
  pointopoint: 0x10,
  notrailers: 0x20,
  running: 0x40,
  noarp: 0x80,
  promisc: 0x100,
  allmulti: 0x200,
  master: 0x400,
  slave: 0x800,
  multicast: 0x1000,
  portsel: 0x2000,
  automedia: 0x4000,
  dynamic: 0x8000,
  lowerUp: 0x10000,
  dormant: 0x20000,
  echo: 0x40000
})

/** struct ifinfomsg. `change` masks `flags`: only its bits are taken over. */
const header = struct('ifinfomsg', {
  family: u8,
  _pad: padding(1),
  type: u16,
  index: s32,
  flags: linkFlags,
  change: u32
})

/** RFC 2863 operational state, IF_OPER_* of linux/if.h. */
export const operstate = enumeration(u8, {
  unknown: 0,
  notpresent: 1,
  down: 2,
  lowerlayerdown: 3,
  testing: 4,
  dormant: 5,
  up: 6
})

/** struct rtnl_link_stats64, the counters of a link. Older kernels leave out the last ones. */
export const stats64 = struct('rtnl_link_stats64', {
  rxPackets: u64,
  txPackets: u64,
  rxBytes: u64,
  txBytes: u64,
  rxErrors: u64,
  txErrors: u64,
  rxDropped: u64,
  txDropped: u64,
  multicast: u64,
  collisions: u64,
  rxLengthErrors: u64,
  rxOverErrors: u64,
  rxCrcErrors: u64,
  rxFrameErrors: u64,
  rxFifoErrors: u64,
  rxMissedErrors: u64,
  txAbortedErrors: u64,
  txCarrierErrors: u64,
  txFifoErrors: u64,
  txHeartbeatErrors: u64,
  txWindowErrors: u64,
  rxCompressed: u64,
  txCompressed: u64,
  rxNohandler: u64,
  rxOtherhostDropped: u64
})

const map = struct('rtnl_link_ifmap', {
  memStart: u64,
  memEnd: u64,
  baseAddr: u64,
  irq: u16,
  dma: u8,
  port: u8,
  _pad: padding(4)
})

export const linkinfo = attributes({
  kind: [1, string({ nul: false, max: 15 })],
  data: [2, choice('kind', kind => findLinkKind(kind)?.data)],
  xstats: [3, bytes(), { readOnly: true, volatile: true }],
  portKind: [4, string({ nul: false, max: 15 })],
  portData: [5, choice('portKind', findPortKind)]
})

const xdp = attributes({
  fd: [1, s32],
  attached: [2, enumeration(u8, { none: 0, driver: 1, skb: 2, hardware: 3, multiple: 4 }), { readOnly: true }],
  flags: [3, bitset(u32, { updateIfNoexist: 1, skbMode: 2, driverMode: 4, hardwareMode: 8, replace: 16 })],
  progId: [4, u32, { readOnly: true }],
  driverProgId: [5, u32, { readOnly: true }],
  skbProgId: [6, u32, { readOnly: true }],
  hardwareProgId: [7, u32, { readOnly: true }],
  expectedFd: [8, s32]
})

/** IFLA_INET6_* */
const inet6 = attributes({
  /** IF_RS_SENT (0x10) is set when the last router solicitation has gone out. */
  flags: [1, u32, { readOnly: true, volatile: 0x10 }],
  conf: [2, bytes(), { readOnly: true }],
  stats: [3, bytes(), { readOnly: true, volatile: true }],
  cacheinfo: [5, bytes(), { readOnly: true, volatile: true }],
  icmp6stats: [6, bytes(), { readOnly: true, volatile: true }],
  token: [7, bytes({ size: 16 })],
  addrGenMode: [8, enumeration(u8, { eui64: 0, none: 1, stablePrivacy: 2, random: 3 })],
  raMtu: [9, u32, { readOnly: true, since: '5.15' }]
})

/** Attributes of a link by address family: AF_INET and AF_INET6. */
const afSpec = attributes({ inet: [2, bytes()], inet6: [10, inet6] })

/** RTEXT_FILTER_*: what a request wants to see. */
const extMask = bitset(u32, {
  vf: 1,
  brvlan: 2,
  brvlanCompressed: 4,
  skipStats: 8,
  mrp: 16,
  cfmConfig: 32,
  cfmStatus: 64,
  mst: 128
})

export const linkMessage = message(header, {
  address: [1, mac],
  broadcast: [2, mac],
  name: [3, interfaceName],
  mtu: [4, u32],
  /** Ifindex of the lower device. */
  link: [5, u32],
  qdisc: [6, string(), { readOnly: true }],
  stats: [7, bytes(), { readOnly: true, volatile: true }],
  cost: [8, bytes(), { readOnly: true }],
  priority: [9, bytes(), { readOnly: true }],
  /** Ifindex of the bridge, bond or VRF that the link is a port of; 0 releases it. */
  master: [10, u32],
  wireless: [11, bytes(), { readOnly: true }],
  protinfo: [12, bytes()],
  /** Length of the transmit queue, in frames. */
  txqlen: [13, u32],
  map: [14, map],
  weight: [15, u32],
  operstate: [16, operstate],
  linkmode: [17, enumeration(u8, { default: 0, dormant: 1, testing: 2 })],
  linkinfo: [18, linkinfo],
  netnsPid: [19, u32, { writeOnly: true }],
  alias: [20, string({ nul: false, max: 255 })],
  numVf: [21, u32, { readOnly: true }],
  vfinfoList: [22, bytes()],
  stats64: [23, stats64, { readOnly: true, volatile: true }],
  vfPorts: [24, bytes()],
  portSelf: [25, bytes()],
  afSpec: [26, afSpec],
  group: [27, u32],
  netnsFd: [28, u32, { writeOnly: true }],
  extMask: [29, extMask, { writeOnly: true }],
  promiscuity: [30, u32, { readOnly: true }],
  numTxQueues: [31, u32, { createOnly: true }],
  numRxQueues: [32, u32, { createOnly: true }],
  carrier: [33, bool],
  physPortId: [34, bytes(), { readOnly: true }],
  carrierChanges: [35, u32, { readOnly: true, volatile: true }],
  physSwitchId: [36, bytes(), { readOnly: true }],
  linkNetnsid: [37, s32],
  physPortName: [38, string(), { readOnly: true }],
  protoDown: [39, bool],
  gsoMaxSegs: [40, u32],
  gsoMaxSize: [41, u32],
  xdp: [43, xdp],
  event: [44, u32, { readOnly: true }],
  newNetnsid: [45, s32, { readOnly: true }],
  targetNetnsid: [46, s32],
  carrierUpCount: [47, u32, { readOnly: true, volatile: true }],
  carrierDownCount: [48, u32, { readOnly: true, volatile: true }],
  newIfindex: [49, s32, { readOnly: true }],
  minMtu: [50, u32, { readOnly: true }],
  maxMtu: [51, u32, { readOnly: true }],
  /** Alternative names, in RTM_NEWLINKPROP and RTM_DELLINKPROP. */
  propList: [52, listOf([53, alternativeName], { nestedFlag: true }), { since: '5.5' }],
  altIfname: [53, alternativeName, { since: '5.5' }],
  permAddress: [54, mac, { readOnly: true, since: '5.6' }],
  protoDownReason: [55, attributes({ mask: [1, u32], value: [2, u32] }), { since: '5.9' }],
  parentDevName: [56, string(), { since: '5.14' }],
  parentDevBusName: [57, string(), { since: '5.14' }],
  groMaxSize: [58, u32, { since: '5.19' }],
  tsoMaxSize: [59, u32, { readOnly: true, since: '6.0' }],
  tsoMaxSegs: [60, u32, { readOnly: true, since: '6.0' }],
  allmulti: [61, u32, { readOnly: true, since: '6.0' }],
  devlinkPort: [62, bytes(), { readOnly: true, since: '6.2' }],
  gsoIpv4MaxSize: [63, u32, { since: '6.3' }],
  groIpv4MaxSize: [64, u32, { since: '6.3' }],
  dpllPin: [65, bytes(), { readOnly: true, since: '6.7' }],
  maxPacingOffloadHorizon: [66, u64, { readOnly: true, since: '6.13' }],
  netnsImmutable: [67, u8, { readOnly: true, since: '6.15' }],
  headroom: [68, u16, { readOnly: true, since: '6.18' }],
  tailroom: [69, u16, { readOnly: true, since: '6.18' }]
})
