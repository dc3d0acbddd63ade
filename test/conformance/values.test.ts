/** Named values, flags and verbs, compared with the kernel's headers. */
import { describe, expect, it } from 'vitest'
import '../../lib/rtnetlink/kinds/index.js'
import type { AttributeEntry, AttributeTable } from '../../lib/codec/attributes.js'
import * as netlinkConstants from '../../lib/netlink/constants.js'
import { gact } from '../../lib/rtnetlink/actions/gact.js'
import { mirred } from '../../lib/rtnetlink/actions/mirred.js'
import { addressFlags, addressMessage, scope } from '../../lib/rtnetlink/address.js'
import { bridgePort, multicastRouter } from '../../lib/rtnetlink/bridge-port.js'
import { family } from '../../lib/rtnetlink/family.js'
import { matchall } from '../../lib/rtnetlink/filters/matchall.js'
import { u32Structs } from '../../lib/rtnetlink/filters/u32.js'
import { bridge } from '../../lib/rtnetlink/kinds/bridge.js'
import { tun } from '../../lib/rtnetlink/kinds/tun.js'
import { vlan } from '../../lib/rtnetlink/kinds/vlan.js'
import { vxlan } from '../../lib/rtnetlink/kinds/vxlan.js'
import { linkFlags, linkMessage, operstate } from '../../lib/rtnetlink/link.js'
import { macvlanData } from '../../lib/rtnetlink/macvlan-data.js'
import { neighbourFlags, neighbourMessage, neighbourState } from '../../lib/rtnetlink/neighbour.js'
import { routeFlags, routeMessage, routeProtocol, routeType } from '../../lib/rtnetlink/route.js'
import { ruleAction, ruleFlags } from '../../lib/rtnetlink/rule.js'
import { statisticsMessage } from '../../lib/rtnetlink/statistics.js'
import { control } from '../../lib/rtnetlink/tc-action.js'
import { ratespec } from '../../lib/rtnetlink/tc-rate.js'
import { filterProtocol } from '../../lib/rtnetlink/traffic-control.js'
import { RTM } from '../../lib/rtnetlink/verbs.js'
import { IFF, TUN_F } from '../../lib/tap/tun-constants.js'
import { encode } from '../support/fake-kernel.js'
import { compilerMissing, constants, enumOf } from '../support/headers.js'

const missing = compilerMissing()

type Values = Record<string, number>

/** The names and numbers of an enumeration or of bits. */
function valuesOf(codec: unknown): Values {
  const { values, bits, expects } = codec as { values?: Values; bits?: Values; expects: string }
  if (values ?? bits) return (values ?? bits) as Values
  // Bits with a mask tell their names in what they expect, and their numbers when they are written.
  const names = expects.replace('an object of booleans out of ', '').split(', ')
  return Object.fromEntries(names.map(name => [name, number(encode(codec as never, { [name]: true }).subarray(0, 4))]))
}

function number(bytes: Buffer): number {
  return new Uint32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + 4))[0] as number
}

const inside = (entry: AttributeEntry): AttributeTable => (entry[1] as unknown as { table: AttributeTable }).table
const xdp = inside(linkMessage.attributes.xdp)
const inet6 = inside(inside(linkMessage.attributes.afSpec)['inet6'] as AttributeEntry)

interface Subject {
  values: Values
  prefix: string
  names?: Record<string, string>
  /** The headers have the number of the bit. */
  bitNumbers?: boolean
  /** Names that no header has (yet). */
  newer?: string[]
  /** A member of the enum, to look for constants that we lack; with those that are no values. */
  whole?: { member: string; except?: string[] }
}

const link = linkMessage.attributes
const subjects: Record<string, Subject> = {
  'link flags': {
    values: linkFlags.bits,
    prefix: 'IFF_',
    names: { pointopoint: 'POINTOPOINT' },
    whole: { member: 'IFF_UP' }
  },
  operstate: { values: operstate.values, prefix: 'IF_OPER_', whole: { member: 'IF_OPER_UP' } },
  linkmode: { values: valuesOf(link.linkmode[1]), prefix: 'IF_LINK_MODE_', whole: { member: 'IF_LINK_MODE_DEFAULT' } },
  // A bit for each attribute of the answer.
  'statistics filter': {
    values: Object.fromEntries(
      Object.entries(valuesOf(statisticsMessage.header.fields.filterMask)).map(([name, bit]) => [
        name,
        Math.log2(bit) + 1
      ])
    ),
    prefix: 'IFLA_STATS_',
    names: { link64: 'LINK_64' }
  },
  extMask: { values: valuesOf(link.extMask[1]), prefix: 'RTEXT_FILTER_' },
  'xdp attached': {
    values: valuesOf(xdp['attached']?.[1]),
    prefix: 'XDP_ATTACHED_',
    names: { driver: 'DRV', hardware: 'HW', multiple: 'MULTI' },
    whole: { member: 'XDP_ATTACHED_DRV' }
  },
  'xdp flags': {
    values: valuesOf(xdp['flags']?.[1]),
    prefix: 'XDP_FLAGS_',
    names: { driverMode: 'DRV_MODE', hardwareMode: 'HW_MODE' }
  },
  addrGenMode: {
    values: valuesOf(inet6['addrGenMode']?.[1]),
    prefix: 'IN6_ADDR_GEN_MODE_',
    whole: { member: 'IN6_ADDR_GEN_MODE_NONE' }
  },
  'macvlan mode': {
    values: valuesOf(macvlanData.mode[1]),
    prefix: 'MACVLAN_MODE_',
    whole: { member: 'MACVLAN_MODE_VEPA' }
  },
  'macvlan macaddrMode': {
    values: valuesOf(macvlanData.macaddrMode[1]),
    prefix: 'MACVLAN_MACADDR_',
    names: { delete: 'DEL' },
    whole: { member: 'MACVLAN_MACADDR_ADD' }
  },
  'macvlan flags': { values: valuesOf(macvlanData.flags[1]), prefix: 'MACVLAN_FLAG_' },
  'bridge port state': { values: valuesOf(bridgePort.table.state[1]), prefix: 'BR_STATE_' },
  multicastRouter: {
    values: multicastRouter.values,
    prefix: 'MDB_RTR_TYPE_',
    names: { tempQuery: 'TEMP_QUERY', permanent: 'PERM', temporary: 'TEMP' },
    whole: { member: 'MDB_RTR_TYPE_PERM' }
  },
  boolopt: {
    values: valuesOf(bridge.data.table.boolopt[1]),
    prefix: 'BR_BOOLOPT_',
    names: { noLinkLocalLearn: 'NO_LL_LEARN' },
    bitNumbers: true,
    newer: ['mdbOffloadFailNotification', 'fdbLocalVlan0'],
    whole: { member: 'BR_BOOLOPT_NO_LL_LEARN' }
  },
  'vlan flags': {
    values: valuesOf(vlan.data.table.flags[1]),
    prefix: 'VLAN_FLAG_',
    whole: { member: 'VLAN_FLAG_GVRP' }
  },
  'vlan protocol': {
    values: valuesOf(vlan.data.table.protocol[1]),
    prefix: 'ETH_P_',
    names: { '802.1Q': '8021Q', '802.1ad': '8021AD' }
  },
  'bridge vlan protocol': {
    values: valuesOf(bridge.data.table.vlanProtocol[1]),
    prefix: 'ETH_P_',
    names: { '802.1Q': '8021Q', '802.1ad': '8021AD' }
  },
  'vxlan df': { values: valuesOf(vxlan.data.table.df[1]), prefix: 'VXLAN_DF_', whole: { member: 'VXLAN_DF_SET' } },
  'tun type': { values: valuesOf(tun.data.table.type[1]), prefix: 'IFF_' },
  'address flags': {
    values: addressFlags.bits,
    prefix: 'IFA_F_',
    names: { home: 'HOMEADDRESS', mngtmpaddr: 'MANAGETEMPADDR', autojoin: 'MCAUTOJOIN' }
  },
  'address protocol': {
    values: valuesOf(addressMessage.attributes.protocol[1]),
    prefix: 'IFAPROT_',
    names: { kernelLo: 'KERNEL_LO', kernelRa: 'KERNEL_RA', kernelLl: 'KERNEL_LL' }
  },
  scope: {
    values: scope.values,
    prefix: 'RT_SCOPE_',
    names: { global: 'UNIVERSE' },
    whole: { member: 'RT_SCOPE_SITE' }
  },
  'route type': {
    values: routeType.values,
    prefix: 'RTN_',
    whole: { member: 'RTN_UNICAST' }
  },
  'route protocol': { values: routeProtocol.values, prefix: 'RTPROT_', newer: ['ovn'] },
  'route flags (next hop)': {
    values: pick(routeFlags.bits, value => value < 0x100),
    prefix: 'RTNH_F_',
    names: { nexthopOffload: 'OFFLOAD', nexthopTrap: 'TRAP' }
  },
  'route flags': {
    values: pick(routeFlags.bits, value => value >= 0x100),
    prefix: 'RTM_F_',
    names: { offloadFailed: 'OFFLOAD_FAILED' }
  },
  'route pref': { values: valuesOf(routeMessage.attributes.pref[1]), prefix: 'ICMPV6_ROUTER_PREF_' },
  'neighbour state': { values: neighbourState.bits, prefix: 'NUD_' },
  'neighbour flags': { values: neighbourFlags.bits, prefix: 'NTF_' },
  'neighbour flags, continued': {
    values: valuesOf(neighbourMessage.attributes.flagsExt[1]),
    prefix: 'NTF_EXT_',
    newer: ['locked', 'extValidated']
  },
  family: {
    values: pick(family.values, value => value < 128),
    prefix: 'AF_'
  },
  'family of multicast routing': {
    values: pick(family.values, value => value >= 128),
    prefix: 'RTNL_FAMILY_'
  },
  'rule action': { values: pick(ruleAction.values, value => value !== 1), prefix: 'FR_ACT_' },
  'rule action, of a table': {
    values: { table: ruleAction.values.table },
    prefix: 'FR_ACT_',
    names: { table: 'TO_TBL' }
  },
  'rule flags': { values: ruleFlags.bits, prefix: 'FIB_RULE_' },
  'filter protocol': {
    values: filterProtocol.values,
    prefix: 'ETH_P_',
    names: { '802.1Q': '8021Q', '802.1ad': '8021AD' }
  },
  'fate of a frame': { values: control.values, prefix: 'TC_ACT_', names: { continue: 'UNSPEC', drop: 'SHOT' } },
  'mirred action': {
    values: valuesOf(mirred.options?.table.parms[1].fields.eaction),
    prefix: 'TCA_',
    names: { egressRedirect: 'EGRESS_REDIR', ingressRedirect: 'INGRESS_REDIR' }
  },
  'gact probability': { values: valuesOf(gact.options?.table.prob[1].fields.ptype), prefix: 'PGACT_' },
  'link layer': {
    values: valuesOf(ratespec.fields.linklayer),
    prefix: 'TC_LINKLAYER_',
    whole: { member: 'TC_LINKLAYER_ATM' }
  },
  'flags of filters': { values: valuesOf(matchall.options?.table.flags[1]), prefix: 'TCA_CLS_FLAGS_' },
  'flags of u32': { values: u32Structs.selector.fields.flags.bits, prefix: 'TC_U32_' },
  verbs: { values: RTM, prefix: '' },
  'netlink constants': {
    values: { ...netlinkConstants },
    prefix: '',
    names: { NLMSG_HEADER: 'NLMSG_HDRLEN' }
  },
  'TUNSETIFF flags': { values: IFF, prefix: 'IFF_', newer: ['NO_CARRIER'] },
  'TUNSETOFFLOAD flags': {
    values: TUN_F,
    prefix: 'TUN_F_',
    newer: ['USO4', 'USO6', 'UDP_TUNNEL_GSO', 'UDP_TUNNEL_GSO_CSUM']
  }
}

function pick(values: Values, wanted: (value: number) => boolean): Values {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => wanted(value)))
}

function constantOf({ prefix, names }: Subject, name: string): string {
  if (names?.[name]) return prefix + names[name]
  // Constants under their own name stay.
  if (name === name.toUpperCase()) return prefix + name
  return prefix + name.replace(/[A-Z]/g, letter => `_${letter}`).toUpperCase()
}

describe.skipIf(missing)(`values are those of the kernel's headers${missing ? ` (skipped: ${missing})` : ''}`, () => {
  it.for(Object.entries(subjects))('%s', async ([, subject], context) => {
    const names = new Map(Object.keys(subject.values).map(name => [name, constantOf(subject, name)]))
    const whole = subject.whole ? enumOf(subject.whole.member) : []
    const known = constants([...names.values(), ...whole])
    const wrong: string[] = []
    const newer: string[] = []
    for (const [name, constant] of names) {
      const value = known.get(constant)
      const expected = value !== undefined && subject.bitNumbers ? 2 ** value : value
      if (value === undefined && subject.newer?.includes(name)) newer.push(name)
      else if (expected !== subject.values[name])
        wrong.push(`${name}: ${subject.values[name]}, ${constant} is ${value}`)
    }
    expect(wrong).toEqual([])
    if (newer.length > 0) await context.annotate(`not in these headers, not checked: ${newer.join(', ')}`)
    const covered = new Set(names.values())
    expect(whole.filter(name => !covered.has(name) && !/^__|_MAX$/.test(name))).toEqual([])
  })
})
