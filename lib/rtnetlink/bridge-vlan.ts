/** VLANs of bridges and their ports: RTM_SETLINK, RTM_DELLINK and RTM_GETLINK of AF_BRIDGE (linux/if_bridge.h). */
import { attributes } from '../codec/attributes.js'
import { bitset } from '../codec/enumeration.js'
import { u16, u32 } from '../codec/integers.js'
import { message } from '../codec/message.js'
import { struct } from '../codec/struct.js'
import { linkMessage } from './link.js'

/** BRIDGE_VLAN_INFO_*. Two entries are the ends of a range. */
const vlanFlags = bitset(u16, { master: 1, pvid: 2, untagged: 4, rangeBegin: 8, rangeEnd: 16, brentry: 32 })

/** struct bridge_vlan_info */
const vlanInfo = struct('bridge_vlan_info', { flags: vlanFlags, vid: u16 })

export const bridgeVlanMessage = message(linkMessage.header, {
  /** RTEXT_FILTER_BRVLAN is 2. */
  extMask: [29, u32, { writeOnly: true }],
  afSpec: [26, attributes({ vlans: [2, vlanInfo, { repeated: true }] })]
})
