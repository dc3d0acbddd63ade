/** VXLAN links: IFLA_VXLAN_* of linux/if_link.h. What the kernel refuses to change later is `createOnly`. */
import { ipv4, ipv6 } from '../../codec/addresses.js'
import { enumeration } from '../../codec/enumeration.js'
import { be16, be32, bool, flag, u8, u32 } from '../../codec/integers.js'
import { bytes } from '../../codec/strings.js'
import { struct } from '../../codec/struct.js'
import { linkKind } from '../link-kind.js'

declare module '../link-kind.js' {
  interface LinkKinds {
    vxlan: typeof vxlan
  }
}

const portRange = struct('ifla_vxlan_port_range', { low: be16, high: be16 })
const createOnly = { createOnly: true } as const

export const vxlan = linkKind('vxlan', {
  /** The VXLAN network identifier, 24 bits. */
  id: [1, u32, createOnly],
  /** Unicast or multicast address of the other side (IFLA_VXLAN_GROUP). */
  remote: [2, ipv4],
  /** Ifindex of the link that carries the tunnel (IFLA_VXLAN_LINK). */
  dev: [3, u32],
  local: [4, ipv4],
  ttl: [5, u8],
  tos: [6, u8],
  learning: [7, bool],
  /** Seconds until a learned address is forgotten. */
  ageing: [8, u32],
  /** Most addresses that are learned; 0: no limit. */
  limit: [9, u32, createOnly],
  /** UDP source ports. */
  portRange: [10, portRange, createOnly],
  proxy: [11, bool, createOnly],
  rsc: [12, bool, createOnly],
  l2miss: [13, bool, createOnly],
  l3miss: [14, bool, createOnly],
  /** UDP destination port (IFLA_VXLAN_PORT; `port` is a bridge port's). The kernel's default is 8472, IANA's 4789. */
  dstPort: [15, be16, createOnly],
  remote6: [16, ipv6],
  local6: [17, ipv6],
  udpCsum: [18, bool, createOnly],
  udpZeroCsum6Tx: [19, bool, createOnly],
  udpZeroCsum6Rx: [20, bool, createOnly],
  remcsumTx: [21, bool, createOnly],
  remcsumRx: [22, bool, createOnly],
  gbp: [23, flag, createOnly],
  remcsumNopartial: [24, flag, createOnly],
  /** Tunnel metadata comes from outside (`external`). */
  collectMetadata: [25, bool, createOnly],
  /** IPv6 flow label. */
  label: [26, be32],
  /** Generic protocol extension: with `collectMetadata` and without `learning`. */
  gpe: [27, flag, createOnly],
  ttlInherit: [28, flag, createOnly],
  df: [29, enumeration(u8, { unset: 0, set: 1, inherit: 2 })],
  vnifilter: [30, bool, { createOnly: true, since: '5.18' }],
  localbypass: [31, bool, { since: '6.5' }],
  labelPolicy: [32, enumeration(u32, { fixed: 0, inherit: 1 }), { since: '6.7' }],
  reservedBits: [33, bytes({ size: 8 }), { createOnly: true, since: '6.14' }],
  /** Multicast goes by the routes for it. The kernel does not report it. */
  mcRoute: [34, bool, { writeOnly: true, since: '6.17' }]
})
