/** What guests may not send, by name: each passes a port that is not guarded. */
import * as f from './guest-frames.js'

/** Who the guest is. */
export const ME = {
  mac: '52:54:00:00:00:01',
  ip: '192.0.2.7',
  ip6: '2001:db8::7',
  linkLocal: 'fe80::5054:ff:fe00:1'
} as const
export const IPS = [ME.ip, '198.51.100.8', '10.1.0.0/24', ME.ip6, '2001:db8:1::/64']

/** Whom it would like to be, and whom it talks to. */
export const VICTIM = {
  mac: '52:54:00:00:00:02',
  ip: '192.0.2.1',
  ip6: '2001:db8::1',
  linkLocal: 'fe80::1'
} as const
const ALL = 'ff:ff:ff:ff:ff:ff'
export const ALL_NODES = '33:33:00:00:00:01'
const NODES = 'ff02::1'

const { arp, ethernet, ETHERTYPE, ipv4, ipv4Fragment, packet6, icmp6, nd, plain, udp, UDP, ICMPV6 } = f
const RARP = 0x8035

const arpFrame = (fields: Partial<f.ArpFields>, source: string = ME.mac) =>
  ethernet(ALL, source, ETHERTYPE.arp, arp({ senderMac: ME.mac, senderIp: ME.ip, ...fields }))
const rarpFrame = (fields: Partial<f.ArpFields>) => {
  const zero = { senderIp: '0.0.0.0', targetIp: '0.0.0.0' }
  return ethernet(ALL, ME.mac, RARP, arp({ operation: 3, senderMac: ME.mac, targetMac: ME.mac, ...zero, ...fields }))
}
const ip4Frame = (packet: Buffer, source: string = ME.mac) => ethernet(ALL, source, ETHERTYPE.ipv4, packet)
const ip6Frame = (packet: Buffer, source: string = ME.mac) => ethernet(ALL_NODES, source, ETHERTYPE.ipv6, packet)
const data = Buffer.from('a datagram that is no fragment')
const datagram = (from: number, to: number) => udp(from, to, data)

type Wrap = (chain: f.Chain) => f.Chain
const same: Wrap = chain => chain
const icmpFrame = (type: number, body: Buffer, source: string = ME.linkLocal, wrap: Wrap = same, to: string = NODES) =>
  ip6Frame(packet6(source, to, wrap(plain(ICMPV6, icmp6(source, to, type, body)))))
const udp6Frame = (from: number, to: number, source: string = ME.linkLocal, wrap: Wrap = same) =>
  ip6Frame(packet6(source, NODES, wrap(plain(UDP, datagram(from, to)))))

const ra = nd.ra(f.sourceOption(ME.mac))
const echo = Buffer.alloc(12)

/** A message that is cut in two, behind the headers that `wrap` puts into the part that is cut. */
function halves(type: number, body: Buffer, cut: number, wrap: Wrap = same): [Buffer, Buffer] {
  const whole = wrap(plain(ICMPV6, icmp6(ME.linkLocal, NODES, type, body)))
  const part = (from: number, to: number | undefined, more: boolean) =>
    ip6Frame(
      packet6(ME.linkLocal, NODES, f.fragment({ next: whole.next, bytes: whole.bytes.subarray(from, to) }, from, more))
    )
  return [part(0, cut, true), part(cut, undefined, false)]
}

const [raFirst] = halves(f.RA, ra, 16)
/** The first half has nothing but options (RFC 7113, 2.2). */
const [hiddenFirst, hiddenLater] = halves(f.RA, ra, 24, chain => f.destinationOptions(chain, 24))
/** The first half ends within the options. */
const [torn] = halves(f.RA, ra, 16, chain => f.destinationOptions(chain, 24))
const [naFirst] = halves(f.NA, nd.na(ME.linkLocal, f.targetOption(ME.mac)), 16)

export const attacks: Record<string, Buffer> = {
  'source MAC of another': ip4Frame(ipv4(ME.ip, VICTIM.ip, UDP, datagram(1, 2)), VICTIM.mac),
  'source MAC of nobody': ip4Frame(ipv4(ME.ip, VICTIM.ip, UDP, datagram(1, 2)), '52:54:00:99:99:99'),
  'ARP from another MAC': arpFrame({}, VICTIM.mac),
  'IPv6 from another MAC': ethernet(
    ALL_NODES,
    VICTIM.mac,
    ETHERTYPE.ipv6,
    packet6(ME.ip6, NODES, plain(ICMPV6, icmp6(ME.ip6, NODES, 128, echo)))
  ),

  'ARP with the sender MAC of another': arpFrame({ senderMac: VICTIM.mac }),
  'ARP request with the sender IP of another': arpFrame({ senderIp: VICTIM.ip }),
  'ARP reply with the sender IP of another': arpFrame({ operation: 2, senderIp: VICTIM.ip }),
  'gratuitous ARP for another': arpFrame({ senderIp: VICTIM.ip, targetIp: VICTIM.ip }),
  'ARP just outside of the prefix': arpFrame({ senderIp: '10.1.1.0' }),
  'ARP probe for the address of another': arpFrame({ senderIp: '0.0.0.0', targetIp: VICTIM.ip }),
  'ARP reply from 0.0.0.0': arpFrame({ operation: 2, senderIp: '0.0.0.0', targetIp: ME.ip }),
  'ARP to oneself in the name of another': arpFrame({ senderIp: VICTIM.ip, targetIp: ME.ip }),
  'ARP to the prefix in the name of another': arpFrame({ senderIp: VICTIM.ip, targetIp: '10.1.0.5' }),
  'ARP reply from 0.0.0.0 to the prefix': arpFrame({ operation: 2, senderIp: '0.0.0.0', targetIp: '10.1.0.5' }),
  'ARP of another hardware': arpFrame({ htype: 6 }),
  'ARP of another protocol': arpFrame({ ptype: 0x86dd }),
  'ARP with long hardware addresses': arpFrame({ hlen: 8 }),
  'ARP with short hardware addresses': arpFrame({ hlen: 0 }),
  'ARP with long protocol addresses': arpFrame({ plen: 16 }),
  'ARP with an operation of RARP': arpFrame({ operation: 4 }),
  'ARP cut off in the sender': arpFrame({}).subarray(0, 14 + 12),
  'ARP cut off behind its header': arpFrame({}).subarray(0, 14 + 8),
  'RARP for another': rarpFrame({ senderMac: VICTIM.mac, targetMac: VICTIM.mac }),
  'RARP with the sender of another': rarpFrame({ senderMac: VICTIM.mac }),
  'RARP with the target of another': rarpFrame({ targetMac: VICTIM.mac }),
  'RARP with a sender IP': rarpFrame({ senderIp: VICTIM.ip }),
  'RARP with a target IP': rarpFrame({ targetIp: VICTIM.ip }),
  'RARP reply': rarpFrame({ operation: 4 }),

  'IPv4 from another': ip4Frame(ipv4(VICTIM.ip, '192.0.2.99', UDP, datagram(1, 2))),
  'TCP from another': ip4Frame(ipv4(VICTIM.ip, '192.0.2.99', f.TCP, Buffer.alloc(20))),
  'ICMP from another': ip4Frame(ipv4(VICTIM.ip, '192.0.2.99', 1, Buffer.from([8, 0, 0xf7, 0xff, 0, 0, 0, 0]))),
  'IPv4 just outside of the prefix': ip4Frame(ipv4('10.1.1.0', VICTIM.ip, UDP, datagram(1, 2))),
  'IPv4 from nobody': ip4Frame(ipv4('0.0.0.0', VICTIM.ip, UDP, datagram(68, 67))),
  'IPv4 broadcast from nobody': ip4Frame(ipv4('0.0.0.0', '255.255.255.255', UDP, datagram(1, 2))),
  'a DHCP request from another': ip4Frame(ipv4(VICTIM.ip, '255.255.255.255', UDP, datagram(68, 67))),
  'a DHCP request from another port': ip4Frame(ipv4('0.0.0.0', '255.255.255.255', UDP, datagram(1, 67))),
  'a DHCP offer from nobody': ip4Frame(ipv4('0.0.0.0', '255.255.255.255', UDP, datagram(68, 68))),
  'IGMP from another': ip4Frame(ipv4(VICTIM.ip, '224.0.0.22', 2, Buffer.alloc(16))),
  'a fragment from another': ip4Frame(ipv4Fragment(VICTIM.ip, '192.0.2.99', UDP, data.subarray(0, 16), 64, false)),

  'a DHCP offer': ip4Frame(ipv4(ME.ip, '255.255.255.255', UDP, datagram(67, 68))),
  'a DHCP offer from another port': ip4Frame(ipv4(ME.ip, '255.255.255.255', UDP, datagram(1067, 68))),
  'a DHCP offer to a relay': ip4Frame(ipv4(ME.ip, VICTIM.ip, UDP, datagram(67, 67))),
  'the first fragment of a DHCP offer': ip4Frame(
    ipv4Fragment(ME.ip, '255.255.255.255', UDP, datagram(67, 68).subarray(0, 16), 0, true)
  ),
  'a DHCP offer from a forged server': ip4Frame(ipv4(VICTIM.ip, '255.255.255.255', UDP, datagram(67, 68))),

  'IPv6 from another': icmpFrame(128, echo, VICTIM.ip6),
  'IPv6 from the link-local address of another': icmpFrame(128, echo, VICTIM.linkLocal),
  'IPv6 just outside of the prefix': icmpFrame(128, echo, '2001:db8:1:1::1'),
  'UDP over IPv6 from another': udp6Frame(1, 2, VICTIM.ip6),
  'IPv6 from nobody': icmpFrame(128, echo, '::'),
  'UDP over IPv6 from nobody': udp6Frame(546, 547, '::'),
  'IPv6 from another behind options': icmpFrame(128, echo, VICTIM.ip6, f.hopByHop),

  'an advertisement for the gateway': icmpFrame(f.NA, nd.na(VICTIM.linkLocal, f.targetOption(ME.mac))),
  'an advertisement for the gateway without an option': icmpFrame(f.NA, nd.na(VICTIM.ip6), ME.ip6),
  'an advertisement from the gateway': icmpFrame(
    f.NA,
    nd.na(VICTIM.linkLocal, f.targetOption(ME.mac)),
    VICTIM.linkLocal
  ),
  'an advertisement with the MAC of another': icmpFrame(f.NA, nd.na(ME.linkLocal, f.targetOption(VICTIM.mac))),
  'an advertisement with a second option': icmpFrame(
    f.NA,
    nd.na(ME.linkLocal, f.targetOption(ME.mac), f.targetOption(VICTIM.mac))
  ),
  'an advertisement with something before the option': icmpFrame(
    f.NA,
    nd.na(ME.linkLocal, f.nonceOption, f.targetOption(VICTIM.mac))
  ),
  'an advertisement for the gateway behind options': icmpFrame(
    f.NA,
    nd.na(VICTIM.linkLocal),
    ME.linkLocal,
    f.destinationOptions
  ),
  'an advertisement with the MAC of another behind options': icmpFrame(
    f.NA,
    nd.na(ME.linkLocal, f.targetOption(VICTIM.mac)),
    ME.linkLocal,
    f.hopByHop
  ),
  'an advertisement in a fragment of its own': icmpFrame(
    f.NA,
    nd.na(VICTIM.linkLocal, f.targetOption(ME.mac)),
    ME.linkLocal,
    f.fragment
  ),
  'the first half of an advertisement': naFirst,
  'an advertisement from nobody': icmpFrame(f.NA, nd.na(VICTIM.linkLocal), '::'),
  'an advertisement with the option of a solicitation': icmpFrame(f.NA, nd.na(ME.linkLocal, f.sourceOption(ME.mac))),
  'an advertisement for the gateway with the option of a solicitation': icmpFrame(
    f.NA,
    nd.na(VICTIM.linkLocal, f.sourceOption(ME.mac))
  ),
  'an advertisement for oneself from nobody': icmpFrame(f.NA, nd.na(ME.linkLocal), '::'),
  'an advertisement for the prefix from nobody': icmpFrame(f.NA, nd.na('2001:db8:1::5'), '::'),
  'an empty ping from nobody': icmpFrame(128, Buffer.alloc(4), '::'),
  'a solicitation with the option of an advertisement': icmpFrame(
    f.NS,
    nd.ns(VICTIM.ip6, f.targetOption(ME.mac)),
    ME.ip6
  ),
  'a solicitation with its own and another option': icmpFrame(
    f.NS,
    nd.ns(VICTIM.ip6, f.sourceOption(ME.mac), f.sourceOption(VICTIM.mac)),
    ME.ip6
  ),
  'a solicitation that is cut short': icmpFrame(f.NS, Buffer.alloc(4), ME.ip6),
  'a solicitation that is cut and has an option': icmpFrame(f.NS, nd.rs(f.sourceOption(ME.mac)), ME.ip6),
  'a router solicitation with two options': icmpFrame(f.RS, nd.rs(f.sourceOption(ME.mac), f.sourceOption(VICTIM.mac))),
  'a router solicitation as long as an advertisement': icmpFrame(
    f.RS,
    nd.rs(f.sourceOption(ME.mac), f.sourceOption(ME.mac), f.targetOption(ME.mac))
  ),
  'a router solicitation with the option of an advertisement': icmpFrame(f.RS, nd.rs(f.targetOption(ME.mac))),
  'DAD for another': icmpFrame(f.NS, nd.ns(VICTIM.linkLocal), '::'),
  'DAD for another, with a nonce': icmpFrame(f.NS, nd.ns(VICTIM.ip6, f.nonceOption), '::'),
  'DAD for another behind options': icmpFrame(f.NS, nd.ns(VICTIM.ip6), '::', f.destinationOptions),
  'a solicitation with the MAC of another': icmpFrame(f.NS, nd.ns(VICTIM.ip6, f.sourceOption(VICTIM.mac)), ME.ip6),
  'a solicitation from another': icmpFrame(f.NS, nd.ns(ME.ip6, f.sourceOption(ME.mac)), VICTIM.ip6),
  'a solicitation with two options': icmpFrame(
    f.NS,
    nd.ns(VICTIM.ip6, f.nonceOption, f.sourceOption(VICTIM.mac)),
    ME.ip6
  ),
  'a router solicitation with the MAC of another': icmpFrame(f.RS, nd.rs(f.sourceOption(VICTIM.mac))),
  'a router solicitation from nobody with a MAC': icmpFrame(f.RS, nd.rs(f.sourceOption(VICTIM.mac)), '::'),
  'a redirect': icmpFrame(f.REDIRECT, nd.redirect(ME.linkLocal, '2001:db8:9::1')),
  'a redirect from the gateway': icmpFrame(f.REDIRECT, nd.redirect(ME.linkLocal, '2001:db8:9::1'), VICTIM.linkLocal),

  'a router advertisement': icmpFrame(f.RA, ra),
  'a router advertisement from a global address': icmpFrame(f.RA, ra, ME.ip6),
  'a router advertisement from nobody': icmpFrame(f.RA, ra, '::'),
  'a router advertisement behind hop-by-hop options': icmpFrame(f.RA, ra, ME.linkLocal, f.hopByHop),
  'a router advertisement behind destination options': icmpFrame(f.RA, ra, ME.linkLocal, f.destinationOptions),
  'a router advertisement behind many headers': icmpFrame(f.RA, ra, ME.linkLocal, chain =>
    f.hopByHop(f.destinationOptions(f.routing(f.destinationOptions(chain, 64))))
  ),
  'a router advertisement behind a routing header': icmpFrame(f.RA, ra, ME.linkLocal, f.routing),
  'a router advertisement in a fragment of its own': icmpFrame(f.RA, ra, ME.linkLocal, f.fragment),
  'a router advertisement in a fragment behind options': icmpFrame(f.RA, ra, ME.linkLocal, chain =>
    f.hopByHop(f.fragment(f.destinationOptions(chain)))
  ),
  'a router advertisement in two fragment headers': icmpFrame(f.RA, ra, ME.linkLocal, chain =>
    f.fragment(f.fragment(chain))
  ),
  'a router advertisement behind HIP': icmpFrame(f.RA, ra, ME.linkLocal, chain => f.other(139, chain)),
  'a router advertisement behind Shim6': icmpFrame(f.RA, ra, ME.linkLocal, chain => f.other(140, chain)),
  'the first half of a router advertisement': raFirst,
  'the half of a router advertisement that has options only': hiddenFirst,
  'the half of a router advertisement behind options': hiddenLater,
  'the half of a router advertisement that ends in options': torn,
  'a first fragment with nothing in it': icmpFrame(f.RA, ra, ME.linkLocal, () =>
    f.fragment(plain(ICMPV6, Buffer.alloc(0)), 0, true)
  ),

  'a DHCPv6 reply': udp6Frame(547, 546),
  'a DHCPv6 reply from another port': udp6Frame(1547, 546),
  'a DHCPv6 reply to a relay': udp6Frame(547, 547),
  'a DHCPv6 reply behind options': udp6Frame(547, 546, ME.linkLocal, f.destinationOptions),
  'a DHCPv6 reply in a fragment of its own': udp6Frame(547, 546, ME.linkLocal, f.fragment),
  'the half of a DHCPv6 reply that has options only': ip6Frame(
    packet6(
      ME.linkLocal,
      NODES,
      f.fragment({ next: 60, bytes: f.destinationOptions(plain(UDP, Buffer.alloc(0)), 24).bytes }, 0, true)
    )
  ),

  LLDP: ethernet(ALL, ME.mac, 0x88cc, data),
  'an experimental type': ethernet(ALL, ME.mac, 0x88b5, data),
  'a PPPoE discovery': ethernet(ALL, ME.mac, 0x8863, data),
  'LLC with a length': ethernet(ALL, ME.mac, 40, Buffer.concat([Buffer.from([0x42, 0x42, 3]), Buffer.alloc(37)])),
  'IPv4 in SNAP': ethernet(
    ALL,
    ME.mac,
    8 + 38,
    Buffer.concat([
      Buffer.from([0xaa, 0xaa, 3, 0, 0, 0, 8, 0]),
      ipv4(ME.ip, VICTIM.ip, UDP, udp(67, 68, Buffer.alloc(10)))
    ])
  )
}

export const honest: Record<string, Buffer> = {
  'an ARP request': arpFrame({}),
  'an ARP reply': arpFrame({ operation: 2, targetMac: VICTIM.mac }),
  'a gratuitous ARP': arpFrame({ targetIp: ME.ip }),
  'an ARP probe': arpFrame({ senderIp: '0.0.0.0', targetIp: ME.ip }),
  'an ARP probe for an address of the prefix': arpFrame({ senderIp: '0.0.0.0', targetIp: '10.1.0.200' }),
  'ARP from the second address': arpFrame({ senderIp: '198.51.100.8' }),
  'ARP from the prefix': arpFrame({ senderIp: '10.1.0.255' }),
  'a padded ARP request': Buffer.concat([arpFrame({}), Buffer.alloc(18)]),
  RARP: rarpFrame({}),

  'a DHCP discover': ip4Frame(ipv4('0.0.0.0', '255.255.255.255', UDP, datagram(68, 67))),
  'a DHCP renewal': ip4Frame(ipv4(ME.ip, VICTIM.ip, UDP, datagram(68, 67))),
  UDP: ip4Frame(ipv4(ME.ip, VICTIM.ip, UDP, datagram(1024, 53))),
  TCP: ip4Frame(ipv4(ME.ip, VICTIM.ip, f.TCP, Buffer.alloc(20))),
  GRE: ip4Frame(ipv4(ME.ip, VICTIM.ip, 47, Buffer.alloc(20))),
  'UDP from the second address': ip4Frame(ipv4('198.51.100.8', VICTIM.ip, UDP, datagram(1024, 53))),
  'UDP from the prefix': ip4Frame(ipv4('10.1.0.9', VICTIM.ip, UDP, datagram(1024, 53))),
  'a first fragment': ip4Frame(ipv4Fragment(ME.ip, VICTIM.ip, UDP, datagram(1024, 53).subarray(0, 16), 0, true)),
  'a later fragment': ip4Frame(ipv4Fragment(ME.ip, VICTIM.ip, UDP, data.subarray(0, 16), 16, false)),
  'a later fragment that looks like a DHCP offer': ip4Frame(
    ipv4Fragment(ME.ip, VICTIM.ip, UDP, datagram(67, 68).subarray(0, 16), 16, false)
  ),
  'IGMP without an address': ip4Frame(ipv4('0.0.0.0', '224.0.0.22', 2, Buffer.alloc(16))),

  'DAD for the link-local address': icmpFrame(f.NS, nd.ns(ME.linkLocal), '::'),
  'DAD with a nonce': icmpFrame(f.NS, nd.ns(ME.ip6, f.nonceOption), '::'),
  'DAD for an address of the prefix': icmpFrame(f.NS, nd.ns('2001:db8:1::abcd'), '::'),
  'a solicitation': icmpFrame(f.NS, nd.ns(VICTIM.ip6, f.sourceOption(ME.mac)), ME.ip6),
  'a solicitation without an option': icmpFrame(f.NS, nd.ns(VICTIM.linkLocal)),
  'an advertisement': icmpFrame(f.NA, nd.na(ME.ip6, f.targetOption(ME.mac)), ME.ip6),
  'an advertisement of one address from another': icmpFrame(f.NA, nd.na(ME.ip6, f.targetOption(ME.mac))),
  'an advertisement without an option': icmpFrame(f.NA, nd.na(ME.linkLocal)),
  'an advertisement for the prefix': icmpFrame(f.NA, nd.na('2001:db8:1::5', f.targetOption(ME.mac)), '2001:db8:1::5'),
  'a router solicitation': icmpFrame(f.RS, nd.rs(f.sourceOption(ME.mac))),
  'a router solicitation without an option': icmpFrame(f.RS, nd.rs()),
  'a router solicitation from nobody': icmpFrame(f.RS, nd.rs(), '::'),
  MLDv2: icmpFrame(143, Buffer.alloc(24), ME.linkLocal, f.hopByHop),
  'MLDv2 from nobody': icmpFrame(143, Buffer.alloc(24), '::', f.hopByHop),
  MLDv1: icmpFrame(131, Buffer.alloc(20), ME.linkLocal, f.hopByHop),
  'a ping': icmpFrame(128, echo, ME.ip6),
  'a ping from the prefix': icmpFrame(128, echo, '2001:db8:1::5'),
  'a ping behind options': icmpFrame(128, echo, ME.ip6, f.destinationOptions),
  'a DHCPv6 solicitation': udp6Frame(546, 547),
  'UDP over IPv6': udp6Frame(1024, 53, ME.ip6),
  'TCP over IPv6': ip6Frame(packet6(ME.ip6, VICTIM.ip6, plain(f.TCP, Buffer.alloc(20)))),
  'the first half of a large ping': halves(128, Buffer.alloc(60), 32)[0],
  'the second half of a large ping': halves(128, Buffer.alloc(60), 32)[1],
  'a later fragment of UDP': ip6Frame(packet6(ME.ip6, VICTIM.ip6, f.fragment(plain(UDP, data.subarray(0, 16)), 64))),
  'a later fragment that looks like a DHCPv6 reply': ip6Frame(
    packet6(ME.ip6, VICTIM.ip6, f.fragment(plain(UDP, datagram(547, 546).subarray(0, 16)), 64))
  ),
  'a later fragment that looks like a router advertisement': ip6Frame(
    packet6(ME.ip6, VICTIM.ip6, f.fragment(plain(ICMPV6, Buffer.alloc(16, f.RA)), 64))
  ),
  'no next header': ip6Frame(packet6(ME.ip6, VICTIM.ip6, plain(59, Buffer.alloc(0))))
}
