/**
 * What is asked of a guest's frames. A rule does not match where the bytes that it reads are not there: so what is good is
 * named, and all else is dropped at the end of each chain. What is inside of a VLAN tag is told by `meta protocol`, since
 * `ether type` is that of the tag.
 */
import { nft as n } from '../../../firewall/nft.js'
import type { Statement } from '../../../firewall/statements.js'

type Rule = readonly Statement[]

const DROP: Rule = [n.counter, n.drop]

/** What the guest says it is, if that is one of its addresses. */
function own(
  family: 'ipv4' | 'ipv6',
  field: 'ip saddr' | 'ip6 saddr' | 'arp saddr ip' | '@th,64,128',
  verdict: Statement,
  ...when: Statement[]
): Rule[] {
  return [
    [...when, n.iif(`@any-${family}`), verdict],
    [...when, n.concat(['iif', field], `@${family}`), verdict],
    [...when, n.concat(['iif', field], `@${family}-prefixes`), verdict]
  ]
}

const RARP = 0x8035

const guest: Rule[] = [
  [n.concat(['iif', 'ether saddr'], '@macs', '!='), ...DROP],
  [n.ether.type('8021ad'), ...DROP],
  [n.ether.type('8021q'), n.iif.not('@vlan-tags'), ...DROP],
  [
    n.vmap('meta protocol', [
      ['ip', { goto: 'ipv4' }],
      ['ip6', { goto: 'ipv6' }],
      ['arp', { goto: 'arp' }],
      [RARP, { goto: 'rarp' }]
    ])
  ],
  DROP
]

/** Ethernet and IPv4, with addresses of their lengths. */
const ARP_HEADER = n.payload('@nh,0,48')
const isArp = n.meta.protocol('arp')

const arp: Rule[] = [
  [
    ARP_HEADER('0x000108000604'),
    isArp,
    n.arp.operation(['request', 'reply']),
    n.concat(['iif', 'arp saddr ether'], '@macs'),
    n.goto('arp-sender')
  ],
  DROP
]

const isProbe = [isArp, n.arp.operation('request'), n.arp.saddrIp('0.0.0.0')]

const arpSender: Rule[] = [
  ...own('ipv4', 'arp saddr ip', n.accept, isArp),
  // Whether the address is free (RFC 5227).
  [...isProbe, n.concat(['iif', 'arp daddr ip'], '@ipv4'), n.accept],
  [...isProbe, n.concat(['iif', 'arp daddr ip'], '@ipv4-prefixes'), n.accept],
  DROP
]

/** A guest that has moved tells bridges where it is, as QEMU does it: for its own MAC address, without IP addresses. */
const rarp: Rule[] = [
  [
    n.payload('@nh,0,64')('0x0001080006040003'),
    n.concat(['iif', '@nh,64,48'], '@macs'),
    n.payload('@nh,112,32')(0),
    n.concat(['iif', '@nh,144,48'], '@macs'),
    n.payload('@nh,192,32')(0),
    n.accept
  ],
  DROP
]

const ipv4: Rule[] = [
  [n.ip.saddr('0.0.0.0'), n.ip.daddr('255.255.255.255'), n.udp.sport(68), n.udp.dport(67), n.accept],
  // RFC 3376, 4.2.13: a host without an address.
  [n.ip.saddr('0.0.0.0'), n.meta.l4proto('igmp'), n.accept],
  ...own('ipv4', 'ip saddr', n.goto('ipv4-payload')),
  DROP
]

/** Further fragments come first: what would be ports in them is data. The first one has the ports, or is dropped. */
const ipv4Payload: Rule[] = [
  [n.meta.protocol('ip'), n.meta.l4proto.not('udp'), n.accept],
  [n.meta.protocol('ip'), n.meta.l4proto('udp'), n.masked('ip frag-off', 0x1fff, 0, '!='), n.accept],
  [n.meta.protocol('ip'), n.udp.sport.not(67), n.udp.dport.not(68), n.accept],
  [n.meta.l4proto('udp'), n.iif('@dhcp-servers'), n.accept],
  DROP
]

const FRAGMENT = 44
/** Where the fragment header comes first: with anything before it the packet is nobody's honest one. */
const isLaterFragment = [n.ip6.nexthdr(FRAGMENT), n.masked('@nh,336,16', 0xfff8, 0, '!=')]
const ICMPV6 = 'ipv6-icmp'
const isIpv6 = n.meta.protocol('ip6')
/** Further headers may follow that the kernel does not know to follow. */
const [HIP, SHIM6] = [139, 140]

const ipv6: Rule[] = [
  [n.ip6.saddr('::'), n.goto('ipv6-unspecified')],
  ...own('ipv6', 'ip6 saddr', n.goto('ipv6-payload')),
  DROP
]

/** Whose address is not its own yet: DAD (RFC 4862), MLD (RFC 3590), router solicitations. */
const ipv6Unspecified: Rule[] = [
  [isIpv6, n.icmpv6.type(['mld-listener-report', 'mld-listener-done', 'mld2-listener-report']), n.accept],
  [n.ip6.nexthdr.not(ICMPV6), ...DROP],
  [isIpv6, n.icmpv6.type('nd-router-solicit'), n.ip6.length(8), n.accept],
  ...own('ipv6', '@th,64,128', n.accept, isIpv6, n.icmpv6.type('nd-neighbor-solicit')),
  DROP
]

const ipv6Payload: Rule[] = [
  [
    n.vmap('meta l4proto', [
      [ICMPV6, { goto: 'icmpv6' }],
      ['udp', { goto: 'ipv6-udp' }],
      [HIP, 'drop'],
      [SHIM6, 'drop']
    ])
  ],
  // Unless the header chain leads nowhere.
  [n.meta.l4proto.not(ICMPV6), n.accept],
  DROP
]

const ipv6Udp: Rule[] = [
  [...isLaterFragment, n.accept],
  [isIpv6, n.udp.sport.not(547), n.udp.dport.not(546), n.accept],
  [n.iif('@dhcp-servers'), n.accept],
  DROP
]

const icmpv6: Rule[] = [
  [...isLaterFragment, n.accept],
  [
    isIpv6,
    n.vmap('icmpv6 type', [
      ['nd-router-solicit', { goto: 'nd' }],
      ['nd-neighbor-solicit', { goto: 'nd' }],
      ['nd-neighbor-advert', { goto: 'nd' }],
      ['nd-router-advert', { goto: 'nd-router' }],
      ['nd-redirect', { goto: 'nd-router' }]
    ])
  ],
  // Where there is a type to be read.
  [isIpv6, n.icmpv6.type.not('nd-router-advert'), n.accept],
  DROP
]

const ndRouter: Rule[] = [[n.iif('@routers'), n.accept], DROP]

/** A link-layer address option as the only one, of the guest's own address. */
const optionAt = (bit: 64 | 192, type: 1 | 2): Rule => [
  n.payload(`@th,${bit},16`)((type << 8) | 1),
  n.concat(['iif', `@th,${bit + 16},48`], '@macs')
]
const SOURCE = 1
const TARGET = 2

/** Without extension headers, fragments among them (RFC 6980), and as long as nothing is hidden behind the option. */
const nd: Rule[] = [
  [n.ip6.nexthdr.not(ICMPV6), ...DROP],
  [isIpv6, n.icmpv6.type('nd-router-solicit'), n.ip6.length(8), n.accept],
  [isIpv6, n.icmpv6.type('nd-router-solicit'), n.ip6.length(16), ...optionAt(64, SOURCE), n.accept],
  [isIpv6, n.icmpv6.type('nd-neighbor-solicit'), n.ip6.length(24), n.accept],
  [isIpv6, n.icmpv6.type('nd-neighbor-solicit'), n.ip6.length(32), ...optionAt(192, SOURCE), n.accept],
  [isIpv6, n.icmpv6.type('nd-neighbor-advert'), n.ip6.length(24), n.goto('nd-target')],
  [isIpv6, n.icmpv6.type('nd-neighbor-advert'), n.ip6.length(32), ...optionAt(192, TARGET), n.goto('nd-target')],
  DROP
]

const ndTarget: Rule[] = [...own('ipv6', '@th,64,128', n.accept), DROP]

/** By the names of their chains, those that are gone to before those that go there. */
export const rules: Readonly<Record<string, readonly Rule[]>> = {
  'nd-target': ndTarget,
  'nd-router': ndRouter,
  nd,
  icmpv6,
  'ipv6-udp': ipv6Udp,
  'ipv6-payload': ipv6Payload,
  'ipv6-unspecified': ipv6Unspecified,
  ipv6,
  'ipv4-payload': ipv4Payload,
  ipv4,
  rarp,
  'arp-sender': arpSender,
  arp,
  guest
}
