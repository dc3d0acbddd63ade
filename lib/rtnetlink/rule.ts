/** Policy rules: `struct fib_rule_hdr` and FRA_* of linux/fib_rules.h. */
import { ip } from '../codec/addresses.js'
import { bitset, enumeration } from '../codec/enumeration.js'
import { be32, be64, u8, u16, u32 } from '../codec/integers.js'
import { message } from '../codec/message.js'
import { interfaceName } from '../codec/strings.js'
import { padding, struct } from '../codec/struct.js'
import { family } from './family.js'
import { routeProtocol } from './route.js'

/** FR_ACT_* */
export const ruleAction = enumeration(u8, {
  unspec: 0,
  /** Looks the route up in a table. */
  table: 1,
  goto: 2,
  nop: 3,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8
})

/** FIB_RULE_* */
export const ruleFlags = bitset(u32, {
  permanent: 0x1,
  /** Takes what does not match. */
  invert: 0x2,
  /** Its goto leads nowhere. */
  unresolved: 0x4,
  iifDetached: 0x8,
  oifDetached: 0x10,
  findSaddr: 0x10000
})

const uidRange = struct('fib_rule_uid_range', { start: u32, end: u32 })
const portRange = struct('fib_rule_port_range', { start: u16, end: u16 })

export const ruleMessage = message(
  struct('fib_rule_hdr', {
    family,
    dstLength: u8,
    srcLength: u8,
    tos: u8,
    shortTable: u8,
    _pad: padding(2),
    action: ruleAction,
    flags: ruleFlags
  }),
  {
    dst: [1, ip],
    src: [2, ip],
    iifname: [3, interfaceName],
    /** The priority of the rule to go on with. */
    goto: [4, u32],
    priority: [6, u32],
    fwmark: [10, u32],
    /** A realm of routes. */
    flow: [11, u32],
    tunId: [12, be64],
    /** Takes no route by a link of this group. */
    suppressIfgroup: [13, u32],
    /** Takes no route of a prefix of this length or less. */
    suppressPrefixlen: [14, u32],
    table: [15, u32],
    fwmask: [16, u32],
    oifname: [17, interfaceName],
    /** The table is that of the link's VRF. */
    l3mdev: [19, u8, { since: '4.8' }],
    uidRange: [20, uidRange, { since: '4.10' }],
    protocol: [21, routeProtocol, { since: '4.17' }],
    ipProto: [22, u8, { since: '4.17' }],
    sportRange: [23, portRange, { since: '4.17' }],
    dportRange: [24, portRange, { since: '4.17' }],
    dscp: [25, u8, { since: '6.13' }],
    /** IPv6. */
    flowlabel: [26, be32, { since: '6.14' }],
    flowlabelMask: [27, be32, { since: '6.14' }],
    sportMask: [28, u16, { since: '6.15' }],
    dportMask: [29, u16, { since: '6.15' }],
    dscpMask: [30, u8, { since: '6.15' }]
  }
)
