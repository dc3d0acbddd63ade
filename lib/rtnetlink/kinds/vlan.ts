/** VLAN links: IFLA_VLAN_* of linux/if_link.h. */
import { listOf } from '../../codec/attributes.js'
import { enumeration, maskedBits } from '../../codec/enumeration.js'
import { be16, u16, u32 } from '../../codec/integers.js'
import { struct } from '../../codec/struct.js'
import { linkKind } from '../link-kind.js'

declare module '../link-kind.js' {
  interface LinkKinds {
    vlan: typeof vlan
  }
}

/** struct ifla_vlan_qos_mapping: socket priority to PCP, or the other way round. */
const qosMapping = struct('ifla_vlan_qos_mapping', { from: u32, to: u32 })

type Mapping = { from: number; to: number }

/** What maps to something else than 0, the kernel's own choice. */
const mapped = (list: Mapping[]) => JSON.stringify(list.filter(({ to }) => to !== 0).sort((a, b) => a.from - b.from))

/** The kernel adds what is given to the mappings that are there. */
const qosMap = {
  ...listOf([1, qosMapping]),
  isSame: (wanted: unknown, got: unknown) => mapped(wanted as Mapping[]) === mapped(got as Mapping[])
}

export const vlan = linkKind(
  'vlan',
  {
    /** 0 to 4094 */
    id: [1, u16, { createOnly: true }],
    flags: [2, maskedBits(u32, { reorderHdr: 1, gvrp: 2, looseBinding: 4, mvrp: 8, bridgeBinding: 16 })],
    egressQos: [3, qosMap],
    ingressQos: [4, qosMap],
    protocol: [5, enumeration(be16, { '802.1Q': 0x8100, '802.1ad': 0x88a8 }), { createOnly: true }]
  },
  { required: ['id'], lower: true }
)
