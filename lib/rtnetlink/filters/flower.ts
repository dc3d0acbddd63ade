/** Matches fields of a frame's headers: TCA_FLOWER_* of linux/pkt_cls.h, net/sched/cls_flower.c. */
import { ipv4, ipv6, mac } from '../../codec/addresses.js'
import { attributes, type In } from '../../codec/attributes.js'
import { bitset } from '../../codec/enumeration.js'
import { be16, be32, u8, u16, u32 } from '../../codec/integers.js'
import { bytes, interfaceName } from '../../codec/strings.js'
import { type ActionSettings, actions, actionsFrom, actionsOf } from '../tc-action.js'
import { handle } from '../tc-handle.js'
import { filterKind } from '../tc-kind.js'

declare module '../tc-kind.js' {
  interface FilterKinds {
    flower: typeof flower
  }
}

/** Without its mask, a whole field has to match. The EtherType is also the filter's `protocol`. */
const options = attributes({
  classid: [1, handle],
  indev: [2, interfaceName],
  act: [3, actions],
  ethDst: [4, mac],
  ethDstMask: [5, mac],
  ethSrc: [6, mac],
  ethSrcMask: [7, mac],
  ethType: [8, be16],
  ipProto: [9, u8],
  ipv4Src: [10, ipv4],
  ipv4SrcMask: [11, ipv4],
  ipv4Dst: [12, ipv4],
  ipv4DstMask: [13, ipv4],
  ipv6Src: [14, ipv6],
  ipv6SrcMask: [15, ipv6],
  ipv6Dst: [16, ipv6],
  ipv6DstMask: [17, ipv6],
  tcpSrc: [18, be16],
  tcpDst: [19, be16],
  udpSrc: [20, be16],
  udpDst: [21, be16],
  flags: [22, bitset(u32, { skipHw: 1, skipSw: 2, inHw: 4, notInHw: 8, verbose: 16 })],
  vlanId: [23, be16],
  vlanPrio: [24, u8],
  vlanEthType: [25, be16],
  encKeyId: [26, be32],
  encIpv4Src: [27, ipv4],
  encIpv4SrcMask: [28, ipv4],
  encIpv4Dst: [29, ipv4],
  encIpv4DstMask: [30, ipv4],
  encIpv6Src: [31, ipv6],
  encIpv6SrcMask: [32, ipv6],
  encIpv6Dst: [33, ipv6],
  encIpv6DstMask: [34, ipv6],
  tcpSrcMask: [35, be16],
  tcpDstMask: [36, be16],
  udpSrcMask: [37, be16],
  udpDstMask: [38, be16],
  sctpSrcMask: [39, be16],
  sctpDstMask: [40, be16],
  sctpSrc: [41, be16],
  sctpDst: [42, be16],
  encUdpSrcPort: [43, be16],
  encUdpSrcPortMask: [44, be16],
  encUdpDstPort: [45, be16],
  encUdpDstPortMask: [46, be16],
  keyFlags: [47, be32],
  keyFlagsMask: [48, be32],
  icmpv4Code: [49, u8],
  icmpv4CodeMask: [50, u8],
  icmpv4Type: [51, u8],
  icmpv4TypeMask: [52, u8],
  icmpv6Code: [53, u8],
  icmpv6CodeMask: [54, u8],
  icmpv6Type: [55, u8],
  icmpv6TypeMask: [56, u8],
  arpSip: [57, ipv4],
  arpSipMask: [58, ipv4],
  arpTip: [59, ipv4],
  arpTipMask: [60, ipv4],
  arpOp: [61, u8],
  arpOpMask: [62, u8],
  arpSha: [63, mac],
  arpShaMask: [64, mac],
  arpTha: [65, mac],
  arpThaMask: [66, mac],
  mplsTtl: [67, u8],
  mplsBos: [68, u8],
  mplsTc: [69, u8],
  mplsLabel: [70, u32],
  tcpFlags: [71, be16],
  tcpFlagsMask: [72, be16],
  ipTos: [73, u8],
  ipTosMask: [74, u8],
  ipTtl: [75, u8],
  ipTtlMask: [76, u8],
  cvlanId: [77, be16],
  cvlanPrio: [78, u8],
  cvlanEthType: [79, be16],
  encIpTos: [80, u8],
  encIpTosMask: [81, u8],
  encIpTtl: [82, u8],
  encIpTtlMask: [83, u8],
  encOpts: [84, bytes()],
  encOptsMask: [85, bytes()],
  inHwCount: [86, u32, { readOnly: true }],
  portSrcMin: [87, be16],
  portSrcMax: [88, be16],
  portDstMin: [89, be16],
  portDstMax: [90, be16],
  ctState: [91, u16],
  ctStateMask: [92, u16],
  ctZone: [93, u16],
  ctZoneMask: [94, u16],
  ctMark: [95, u32],
  ctMarkMask: [96, u32],
  ctLabels: [97, bytes({ size: 16 })],
  ctLabelsMask: [98, bytes({ size: 16 })],
  mplsOpts: [99, bytes()],
  hash: [100, u32, { since: '5.15' }],
  hashMask: [101, u32, { since: '5.15' }],
  numOfVlans: [102, u8, { since: '5.19' }],
  pppoeSid: [103, be16, { since: '5.19' }],
  pppProto: [104, be16, { since: '5.19' }],
  l2tpv3Sid: [105, be32, { since: '6.1' }],
  l2Miss: [106, u8, { since: '6.5' }],
  cfm: [107, bytes(), { since: '6.5' }],
  spi: [108, be32, { since: '6.6' }],
  spiMask: [109, be32, { since: '6.6' }],
  encFlags: [110, be32, { since: '6.11' }],
  encFlagsMask: [111, be32, { since: '6.11' }]
})

type Matches = Omit<In<(typeof options)['table']>, 'act'>

export interface FlowerSettings extends Matches {
  actions?: ActionSettings[] | undefined
}

export const flower = filterKind<FlowerSettings, typeof options>({
  name: 'flower',
  options,
  toOptions: ({ actions, ...matches }) => ({ ...matches, act: actionsFrom(actions) }),
  toSettings(view) {
    const { act: _, inHwCount: _count, ...matches } = view.toJSON()
    return { ...matches, actions: actionsOf(view.act) } as FlowerSettings
  }
})
