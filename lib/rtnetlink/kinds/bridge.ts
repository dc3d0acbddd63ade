/** Bridges: IFLA_BR_* of linux/if_link.h. Times are in hundredths of a second (USER_HZ). */
import { ipv4, ipv6, mac } from '../../codec/addresses.js'
import { attributes } from '../../codec/attributes.js'
import { enumeration, maskedBits } from '../../codec/enumeration.js'
import { be16, bool, bool32, flag, u8, u16, u32, u64 } from '../../codec/integers.js'
import { bridgeId, multicastRouter } from '../bridge-port.js'
import { clock32, clock64 } from '../clock.js'
import { linkKind } from '../link-kind.js'

declare module '../link-kind.js' {
  interface LinkKinds {
    bridge: typeof bridge
  }
}

const querierState = attributes({
  ipAddress: [1, ipv4],
  ipPort: [2, u32],
  ipOtherTimer: [3, u64, { volatile: true }],
  ipv6Address: [5, ipv6],
  ipv6Port: [6, u32],
  ipv6OtherTimer: [7, u64, { volatile: true }]
})

/** Needs CONFIG_BRIDGE_VLAN_FILTERING or CONFIG_BRIDGE_NETFILTER. */
const optional = { optional: true } as const

export const bridge = linkKind('bridge', {
  /** 200 to 3000 with the spanning tree on; 0 is fine without. */
  forwardDelay: [1, clock32],
  /** 100 to 1000 */
  helloTime: [2, clock32],
  /** 600 to 4000 */
  maxAge: [3, clock32],
  /** How long a learned address is kept; 0: for ever. */
  ageingTime: [4, clock32],
  /** The spanning tree protocol. */
  stp: [5, bool32],
  priority: [6, u16],
  vlanFiltering: [7, bool, optional],
  vlanProtocol: [8, enumeration(be16, { '802.1Q': 0x8100, '802.1ad': 0x88a8 }), optional],
  /** Which of 01:80:c2:00:00:0X are forwarded, a bit each. */
  groupFwdMask: [9, u16],
  rootId: [10, bridgeId, { readOnly: true }],
  bridgeId: [11, bridgeId, { readOnly: true }],
  rootPort: [12, u16, { readOnly: true }],
  rootPathCost: [13, u32, { readOnly: true }],
  topologyChange: [14, bool, { readOnly: true }],
  topologyChangeDetected: [15, bool, { readOnly: true }],
  helloTimer: [16, u64, { readOnly: true, volatile: true }],
  tcnTimer: [17, u64, { readOnly: true, volatile: true }],
  topologyChangeTimer: [18, u64, { readOnly: true, volatile: true }],
  gcTimer: [19, u64, { readOnly: true, volatile: true }],
  /** Where the spanning tree's frames go to: 01:80:c2:00:00:0X, X not 1, 2 or 3. */
  groupAddress: [20, mac],
  /** Forgets all learned addresses. */
  fdbFlush: [21, flag, { writeOnly: true }],
  mcastRouter: [22, multicastRouter],
  mcastSnooping: [23, bool],
  mcastQueryUseIfaddr: [24, bool],
  mcastQuerier: [25, bool],
  /** Ignored by the kernel since 4.20 (always 16). */
  mcastHashElasticity: [26, u32],
  /** A power of two. */
  mcastHashMax: [27, u32],
  mcastLastMemberCount: [28, u32],
  mcastStartupQueryCount: [29, u32],
  mcastLastMemberInterval: [30, clock64],
  mcastMembershipInterval: [31, clock64],
  mcastQuerierInterval: [32, clock64],
  mcastQueryInterval: [33, clock64],
  mcastQueryResponseInterval: [34, clock64],
  mcastStartupQueryInterval: [35, clock64],
  nfCallIptables: [36, bool, optional],
  nfCallIp6tables: [37, bool, optional],
  nfCallArptables: [38, bool, optional],
  vlanDefaultPvid: [39, u16, optional],
  vlanStatsEnabled: [41, bool, optional],
  mcastStatsEnabled: [42, bool],
  /** 2 or 3 */
  mcastIgmpVersion: [43, u8],
  /** 1 or 2 */
  mcastMldVersion: [44, u8],
  vlanStatsPerPort: [45, bool, { since: '4.20', optional: true }],
  /** BR_BOOLOPT_*; those that are not named stay as they are. */
  boolopt: [
    46,
    maskedBits(u32, {
      noLinkLocalLearn: 1,
      mcastVlanSnooping: 2,
      mstEnable: 4,
      mdbOffloadFailNotification: 8,
      fdbLocalVlan0: 16
    }),
    { since: '5.0' }
  ],
  mcastQuerierState: [47, querierState, { readOnly: true, since: '5.15' }],
  fdbNLearned: [48, u32, { readOnly: true, since: '6.7', volatile: true }],
  /** 0: no limit. */
  fdbMaxLearned: [49, u32, { since: '6.7' }],
  stpMode: [50, enumeration(u32, { auto: 0, user: 1, kernel: 2 }), { since: '7.1' }]
})
