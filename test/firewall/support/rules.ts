/** Rules of every kind, with the text that nft has for them. */

import type { Statement } from '../../../lib/firewall/statements.js'
import { nft } from '../../../lib/index.js'

export type Place =
  | 'inet'
  | 'ip'
  | 'ip6'
  | 'bridge'
  | 'netdev'
  | 'arp'
  | 'ip postrouting'
  | 'ip prerouting'
  | 'inet postrouting'

/** What a chain for rules has to be. */
export const CHAINS: Record<Place, { family: 'ip' | 'ip6' | 'inet' | 'bridge' | 'netdev' | 'arp'; chain: object }> = {
  inet: { family: 'inet', chain: { hook: 'forward', priority: 0 } },
  ip: { family: 'ip', chain: { hook: 'forward', priority: 0 } },
  ip6: { family: 'ip6', chain: { hook: 'forward', priority: 0 } },
  bridge: { family: 'bridge', chain: { hook: 'prerouting', priority: -300 } },
  netdev: { family: 'netdev', chain: { hook: 'ingress', priority: 0, devs: ['lo'] } },
  arp: { family: 'arp', chain: { hook: 'input', priority: 0 } },
  'ip postrouting': { family: 'ip', chain: { type: 'nat', hook: 'postrouting', priority: 'srcnat' } },
  'ip prerouting': { family: 'ip', chain: { type: 'nat', hook: 'prerouting', priority: 'dstnat' } },
  'inet postrouting': { family: 'inet', chain: { type: 'nat', hook: 'postrouting', priority: 100 } }
}

export interface Sample {
  place: Place
  statements: Statement[]
  text: string
}

const { ct, ip, ip6, tcp, udp, th, icmp, icmpv6, ether, vlan, arp, meta, accept, drop } = nft
const MAC = '52:54:00:12:34:56'

const rows: [Place, string, ...Statement[]][] = [
  ['inet', 'ip saddr 10.0.0.1 accept', ip.saddr('10.0.0.1'), accept],
  ['inet', 'ip saddr 10.0.0.0/24 accept', ip.saddr('10.0.0.0/24'), accept],
  ['inet', 'ip saddr 10.0.0.0/17 accept', ip.saddr('10.0.0.0/17'), accept],
  ['inet', 'ip daddr != 10.0.0.1-10.0.0.9 drop', ip.daddr.not('10.0.0.1-10.0.0.9'), drop],
  ['inet', 'ip daddr 10.0.0.1-10.0.0.9 drop', ip.daddr('10.0.0.1-10.0.0.9'), drop],
  ['inet', 'ip6 saddr != fe80::/10 drop', ip6.saddr.not('fe80::/10'), drop],
  ['inet', 'ip6 daddr 2001:db8::/64 accept', ip6.daddr('2001:db8::/64'), accept],
  ['inet', 'ip saddr { 10.0.0.1, 10.0.0.2 } accept', ip.saddr(['10.0.0.2', '10.0.0.1']), accept],
  [
    'inet',
    'ip saddr { 10.0.0.0/24, 10.1.0.1, 10.2.0.1-10.2.0.7 } accept',
    ip.saddr(['10.2.0.1-10.2.0.7', '10.0.0.0/24', '10.1.0.1']),
    accept
  ],
  ['inet', 'ip protocol udp accept', ip.protocol('udp'), accept],
  ['inet', 'ip ttl 64 accept', ip.ttl(64), accept],
  ['inet', 'ip6 hoplimit 255 accept', ip6.hoplimit(255), accept],
  ['inet', 'ip length 100-200 accept', ip.length('100-200'), accept],
  ['inet', 'tcp dport 80 accept', tcp.dport(80), accept],
  ['inet', 'tcp dport 80-90 accept', tcp.dport('80-90'), accept],
  ['inet', 'tcp dport != 1024-65535 accept', tcp.dport.not('1024-65535'), accept],
  ['inet', 'tcp dport > 1024 accept', tcp.dport.above(1024), accept],
  ['inet', 'tcp sport < 1024 accept', tcp.sport.below(1024), accept],
  ['inet', 'tcp dport != { 22, 80-90 } accept', tcp.dport.not([22, '80-90']), accept],
  ['inet', 'tcp flags syn accept', tcp.flags('syn'), accept],
  ['inet', 'tcp flags syn / syn,ack accept', nft.masked('tcp flags', ['syn', 'ack'], ['syn']), accept],
  ['inet', 'udp dport { 53, 67 } accept', udp.dport([67, 53]), accept],
  ['inet', 'meta l4proto { tcp, udp } th dport 53 accept', meta.l4proto(['tcp', 'udp']), th.dport(53), accept],
  ['inet', 'meta l4proto ipv6-icmp accept', meta.l4proto('icmpv6'), accept],
  ['inet', 'meta nfproto ipv6 accept', meta.nfproto('ipv6'), accept],
  ['inet', 'icmp type echo-request accept', icmp.type('echo-request'), accept],
  [
    'inet',
    'icmpv6 type { nd-router-advert, nd-neighbor-advert } accept',
    icmpv6.type(['nd-neighbor-advert', 'nd-router-advert']),
    accept
  ],
  [
    'inet',
    'icmpv6 type nd-neighbor-advert @nh,528,48 != 0x525400123456 drop',
    icmpv6.type('nd-neighbor-advert'),
    nft.payload('@nh,528,48').not(MAC),
    drop
  ],
  ['inet', 'ct state established,related accept', ct.state('related', 'established'), accept],
  ['inet', 'ct state ! new drop', ct.state.not('new'), drop],
  ['inet', 'ct state { established, new } drop', { match: 'ct state', value: { set: ['new', 'established'] } }, drop],
  ['inet', 'ct status dnat accept', ct.status('dnat'), accept],
  ['inet', 'ct direction original accept', ct.direction('original'), accept],
  ['inet', 'ct mark 0x00000002 accept', ct.mark(2), accept],
  ['inet', 'meta mark 0x00000001 accept', meta.mark(1), accept],
  ['inet', 'meta mark != 0x00000010-0x00000020 drop', meta.mark.not('16-32'), drop],
  ['inet', 'meta pkttype broadcast drop', meta.pkttype('broadcast'), drop],
  ['inet', 'iifname "eth0" accept', nft.iifname('eth0'), accept],
  ['inet', 'iifname "vnet*" accept', nft.iifname('vnet*'), accept],
  ['inet', 'oifname != "br0" accept', nft.oifname.not('br0'), accept],
  ['inet', 'iifname { "a", "b" } drop', nft.iifname(['b', 'a']), drop],
  ['inet', 'iifgroup 5 accept', nft.iifgroup(5), accept],
  ['inet', `ether saddr != ${MAC} drop`, ether.saddr.not(MAC), drop],
  [
    'inet',
    'ip saddr . tcp dport { 10.0.0.1 . 80 } accept',
    nft.concat(['ip saddr', 'tcp dport'], [['10.0.0.1', 80]]),
    accept
  ],
  ['inet', 'fib daddr type local accept', nft.fib.daddrType('local'), accept],
  ['inet', 'fib saddr . iif oif missing drop', nft.fib.saddrIif('missing'), drop],
  [
    'inet',
    'ct state vmap { invalid : drop, established : accept, new : jump other }',
    nft.vmap('ct state', [
      ['new', { jump: 'other' }],
      ['established', 'accept'],
      ['invalid', 'drop']
    ])
  ],
  [
    'inet',
    'tcp dport vmap { 1-2 : accept, 5 : goto other }',
    nft.vmap('tcp dport', [
      ['1-2', 'accept'],
      [5, { goto: 'other' }]
    ])
  ],
  ['inet', 'limit rate over 10/second drop', nft.limit({ rate: 10, per: 'second', over: true }), drop],
  ['inet', 'limit rate 3/minute burst 7 packets accept', nft.limit({ rate: 3, per: 'minute', burst: 7 }), accept],
  ['inet', 'limit rate 10 kbytes/second accept', nft.limit({ rate: 10_240, per: 'second', bytes: true }), accept],
  [
    'inet',
    'limit rate 1 mbytes/second burst 10 kbytes accept',
    nft.limit({ rate: 1_048_576, per: 'second', bytes: true, burst: 10_240 }),
    accept
  ],
  ['inet', 'quota over 10 mbytes drop', nft.quota({ bytes: 10_485_760, over: true }), drop],
  ['inet', 'counter packets 0 bytes 0 drop', nft.counter, drop],
  ['inet', 'reject', nft.reject()],
  ['inet', 'reject with icmpx admin-prohibited', nft.reject('icmpx admin-prohibited')],
  ['inet', 'reject with icmp host-unreachable', nft.reject('icmp host-unreachable')],
  ['inet', 'meta l4proto tcp reject with tcp reset', nft.reject('tcp reset')],
  ['inet', 'meta mark set 0x00000007', meta.mark.set(7)],
  ['inet', 'ct mark set 0x00000007', ct.mark.set(7)],
  ['inet', 'udp dport 68 udp checksum set 0', udp.dport(68), udp.checksum.set(0)],
  [
    'inet',
    'tcp flags syn tcp option maxseg size set rt mtu',
    tcp.flags('syn'),
    nft.set('tcp option maxseg size', 'rt mtu')
  ],
  ['inet', 'jump other', nft.jump('other')],
  ['inet', 'goto other', nft.goto('other')],
  ['inet', 'return', nft.return],
  ['inet', 'continue', nft.continue],
  ['inet', 'log', nft.log()],
  ['inet', 'log prefix "a b" level debug drop', nft.log({ prefix: 'a b', level: 'debug' }), drop],
  ['inet', 'log prefix "x" group 2 drop', nft.log({ prefix: 'x', group: 2 }), drop],
  [
    'ip',
    'ip saddr 10.0.0.0/8 reject with icmp net-unreachable',
    ip.saddr('10.0.0.0/8'),
    nft.reject('icmp net-unreachable')
  ],
  ['ip', 'reject', nft.reject()],
  ['ip', 'icmp type echo-request accept', icmp.type('echo-request'), accept],
  ['ip6', 'reject', nft.reject()],
  ['ip6', 'reject with icmpv6 addr-unreachable', nft.reject('icmpv6 addr-unreachable')],
  ['ip6', 'icmpv6 type nd-router-solicit accept', icmpv6.type(133), accept],
  ['arp', 'arp daddr ip 192.0.2.1 drop', arp.daddrIp('192.0.2.1'), drop],
  ['arp', `arp operation request arp saddr ether ${MAC} drop`, arp.operation('request'), arp.saddrEther(MAC), drop],
  ['bridge', `ether saddr != ${MAC} drop`, ether.saddr.not(MAC), drop],
  ['bridge', 'ether type != { ip, arp, ip6 } drop', ether.type.not(['arp', 'ip', 'ip6']), drop],
  ['bridge', 'arp saddr ip != 10.0.0.1 drop', arp.saddrIp.not('10.0.0.1'), drop],
  ['bridge', `arp saddr ether != ${MAC} drop`, arp.saddrEther.not(MAC), drop],
  ['bridge', 'ip saddr != { 10.0.0.1, 10.0.0.2 } drop', ip.saddr.not(['10.0.0.1', '10.0.0.2']), drop],
  ['bridge', 'ip6 saddr fe80::1 drop', ip6.saddr('fe80::1'), drop],
  ['bridge', 'ip saddr 0.0.0.0 udp dport 67 accept', ip.saddr('0.0.0.0'), udp.dport(67), accept],
  [
    'bridge',
    'udp sport 67 udp dport 68 ip saddr 10.0.0.1 drop',
    udp.sport(67),
    udp.dport(68),
    ip.saddr('10.0.0.1'),
    drop
  ],
  ['bridge', 'icmpv6 type nd-router-advert drop', icmpv6.type('nd-router-advert'), drop],
  [
    'bridge',
    'icmpv6 type nd-neighbor-advert @nh,528,48 != 0x525400123456 drop',
    icmpv6.type('nd-neighbor-advert'),
    nft.payload('@nh,528,48').not('0x525400123456'),
    drop
  ],
  ['bridge', 'ether type 8021q drop', ether.type('vlan'), drop],
  ['bridge', 'vlan id 5 ip saddr 10.0.0.1 drop', vlan.id(5), ip.saddr('10.0.0.1'), drop],
  [
    'bridge',
    'ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00 drop',
    nft.masked('ether daddr', '01:00:00:00:00:00', '01:00:00:00:00:00'),
    drop
  ],
  ['netdev', 'ip saddr 10.0.0.1 drop', ip.saddr('10.0.0.1'), drop],
  ['netdev', `ether saddr != ${MAC} drop`, ether.saddr.not(MAC), drop],
  ['netdev', 'arp saddr ip 10.0.0.1 drop', arp.saddrIp('10.0.0.1'), drop],
  ['netdev', 'vlan id 5 drop', vlan.id(5), drop],
  ['netdev', 'icmp type echo-request drop', icmp.type('echo-request'), drop],
  [
    'netdev',
    'limit rate over 10 kbytes/second drop',
    nft.limit({ rate: 10_240, per: 'second', bytes: true, over: true }),
    drop
  ],
  [
    'ip postrouting',
    'meta l4proto tcp ip saddr 10.0.0.0/24 ip daddr != 10.0.0.0/24 counter packets 0 bytes 0 masquerade to :1024-65535',
    meta.l4proto('tcp'),
    ip.saddr('10.0.0.0/24'),
    ip.daddr.not('10.0.0.0/24'),
    nft.counter,
    nft.masquerade({ toPorts: '1024-65535' })
  ],
  ['ip postrouting', 'masquerade', nft.masquerade()],
  ['ip postrouting', 'masquerade random,persistent', nft.masquerade({ random: true, persistent: true })],
  ['ip postrouting', 'masquerade fully-random', nft.masquerade({ fullyRandom: true })],
  ['ip postrouting', 'snat to 192.0.2.1', nft.snat({ to: '192.0.2.1' })],
  ['ip postrouting', 'snat to 192.0.2.1-192.0.2.8 random', nft.snat({ to: '192.0.2.1-192.0.2.8', random: true })],
  [
    'ip postrouting',
    'meta l4proto tcp snat to 192.0.2.1-192.0.2.8:100-200',
    meta.l4proto('tcp'),
    nft.snat({ to: '192.0.2.1-192.0.2.8', toPorts: '100-200' })
  ],
  ['ip prerouting', 'tcp dport 80 dnat to 10.0.0.1:8080', tcp.dport(80), nft.dnat({ to: '10.0.0.1', toPorts: 8080 })],
  ['ip prerouting', 'tcp dport 80 redirect to :8080', tcp.dport(80), nft.redirect({ toPorts: 8080 })],
  ['ip prerouting', 'redirect', nft.redirect()],
  ['inet postrouting', 'snat ip to 192.0.2.1', nft.snat({ to: '192.0.2.1' })],
  ['inet postrouting', 'snat ip6 to fe80::1-fe80::2', nft.snat({ to: 'fe80::1-fe80::2' })],
  [
    'inet postrouting',
    'meta l4proto tcp snat ip6 to [fe80::1]:80',
    meta.l4proto('tcp'),
    nft.snat({ to: 'fe80::1', toPorts: 80 })
  ]
]

export const samples: Sample[] = rows.map(([place, text, ...statements]) => ({ place, text, statements }))
