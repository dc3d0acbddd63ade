/** Ports of a bridge: IFLA_BRPORT_* of linux/if_link.h. Times are in hundredths of a second (USER_HZ). */
import { mac } from '../codec/addresses.js'
import { enumeration } from '../codec/enumeration.js'
import { be16, bool, flag, u8, u16, u32, u64 } from '../codec/integers.js'
import { struct } from '../codec/struct.js'
import { portKind } from './link-kind.js'

/** struct ifla_bridge_id */
export const bridgeId = struct('ifla_bridge_id', { priority: be16, address: mac })

/** MDB_RTR_TYPE_* of linux/if_bridge.h */
export const multicastRouter = enumeration(u8, { disabled: 0, tempQuery: 1, permanent: 2, temporary: 3 })

export const bridgePort = portKind('bridge', {
  /** BR_STATE_*; set it only with the kernel's spanning tree off. */
  state: [1, enumeration(u8, { disabled: 0, listening: 1, learning: 2, forwarding: 3, blocking: 4 })],
  priority: [2, u16],
  cost: [3, u32],
  /** Frames may leave by the port they came in (hairpin). */
  hairpin: [4, bool],
  /** BPDUs that come in disable the port. */
  guard: [5, bool],
  /** The port may not become the root port (root block). */
  rootBlock: [6, bool],
  fastLeave: [7, bool],
  learning: [8, bool],
  flood: [9, bool],
  proxyArp: [10, bool],
  learningSync: [11, bool],
  proxyArpWifi: [12, bool],
  rootId: [13, bridgeId, { readOnly: true }],
  bridgeId: [14, bridgeId, { readOnly: true }],
  designatedPort: [15, u16, { readOnly: true }],
  designatedCost: [16, u16, { readOnly: true }],
  id: [17, u16, { readOnly: true }],
  no: [18, u16, { readOnly: true }],
  topologyChangeAck: [19, bool, { readOnly: true }],
  configPending: [20, bool, { readOnly: true }],
  messageAgeTimer: [21, u64, { readOnly: true, volatile: true }],
  forwardDelayTimer: [22, u64, { readOnly: true, volatile: true }],
  holdTimer: [23, u64, { readOnly: true, volatile: true }],
  /** Forgets the addresses learned on the port. */
  fdbFlush: [24, flag, { writeOnly: true }],
  mcastRouter: [25, multicastRouter],
  mcastFlood: [27, bool],
  mcastToUnicast: [28, bool],
  vlanTunnel: [29, bool],
  bcastFlood: [30, bool, { since: '4.14' }],
  groupFwdMask: [31, u16, { since: '4.15' }],
  neighSuppress: [32, bool, { since: '4.15' }],
  /** Isolated ports exchange frames with ports that are not isolated only. */
  isolated: [33, bool, { since: '4.18' }],
  /** Ifindex of the port that takes over when this one loses its carrier; 0 for none. */
  backupPort: [34, u32, { since: '4.19' }],
  mrpRingOpen: [35, bool, { readOnly: true, since: '5.8' }],
  mrpInOpen: [36, bool, { readOnly: true, since: '5.9' }],
  mcastEhtHostsLimit: [37, u32, { since: '5.12' }],
  mcastEhtHostsCnt: [38, u32, { readOnly: true, since: '5.12', volatile: true }],
  /** Only frames from addresses with an FDB entry on the port come in. */
  locked: [39, bool, { since: '5.18' }],
  /** MAC authentication bypass, on a locked port that learns. */
  mab: [40, bool, { since: '6.2' }],
  mcastNGroups: [41, u32, { readOnly: true, since: '6.3', volatile: true }],
  mcastMaxGroups: [42, u32, { since: '6.3' }],
  neighVlanSuppress: [43, bool, { since: '6.4' }],
  backupNhid: [44, u32, { since: '6.6' }],
  neighForwardGrat: [45, bool, { since: '7.2' }]
})
