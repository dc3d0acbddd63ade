/** Rules without a kernel: bytes by hand from the definitions of linux/netfilter/nf_tables.h, refusals, texts. */
import { describe, expect, it } from 'vitest'
import { encodeRule } from '../../lib/firewall/encode.js'
import { canonical } from '../../lib/firewall/same.js'
import { encodeChanges } from '../../lib/firewall/transaction.js'
import { changeText, type NftChange, type NftStatement, nft, ruleText } from '../../lib/index.js'
import { expressions } from '../../lib/nftables/expression.js'
import { decode, encode, thrown } from '../support/fake-kernel.js'

/** struct nlattr by hand: host order, as everything in netlink's own headers. */
function attr(type: number, ...payload: Buffer[]): Buffer {
  const body = Buffer.concat(payload)
  const header = Buffer.from(Uint16Array.of(body.length + 4, type).buffer)
  return Buffer.concat([header, body, Buffer.alloc(-body.length & 3)])
}
const NESTED = 0x8000
const nest = (type: number, ...inside: Buffer[]) => attr(NESTED | type, ...inside)
const be32 = (value: number) => Buffer.from([value >>> 24, value >>> 16, value >>> 8, value])
const be64 = (value: number) => Buffer.concat([be32(0), be32(value)])
const text = (value: string) => Buffer.from(`${value}\0`)
const host32 = (value: number) => Buffer.from(Uint32Array.of(value).buffer)
/** NFTA_LIST_ELEM with NFTA_EXPR_NAME and NFTA_EXPR_DATA. */
const expr = (name: string, ...data: Buffer[]) => nest(1, attr(1, text(name)), nest(2, ...data))
/** NFTA_DATA_VALUE */
const value = (type: number, ...bytes: number[]) => nest(type, attr(1, Buffer.from(bytes)))

const bytesOf = (...statements: NftStatement[]) => {
  const encoded = encodeRule('inet', statements)
  return encode(expressions, encoded.expressions).toString('hex')
}
const hex = (...parts: Buffer[]) => Buffer.concat(parts).toString('hex')

describe('bytes', () => {
  // NFT_META_NFPROTO 15, NFPROTO_IPV4 2; NFT_PAYLOAD_NETWORK_HEADER 1; NFT_CMP_NEQ 1; NF_DROP 0
  it('ip saddr != 10.1.0.0/16 drop', () => {
    expect(bytesOf(nft.ip.saddr.not('10.1.0.0/16'), nft.drop)).toBe(
      hex(
        expr('meta', attr(2, be32(15)), attr(1, be32(1))),
        expr('cmp', attr(1, be32(1)), attr(2, be32(0)), value(3, 2)),
        expr('payload', attr(2, be32(1)), attr(3, be32(12)), attr(4, be32(2)), attr(1, be32(1))),
        expr('cmp', attr(1, be32(1)), attr(2, be32(1)), value(3, 10, 1)),
        expr('immediate', attr(1, be32(0)), nest(2, nest(2, attr(1, be32(0)))))
      )
    )
  })

  // NFT_CT_STATE 0, bits 2 | 4 in host order; NFT_BITWISE_MASK_XOR 0; NFT_JUMP -3
  it('ct state established,related jump other', () => {
    expect(bytesOf(nft.ct.state('established', 'related'), nft.jump('other'))).toBe(
      hex(
        expr('ct', attr(2, be32(0)), attr(1, be32(1))),
        expr(
          'bitwise',
          attr(1, be32(1)),
          attr(2, be32(1)),
          attr(3, be32(4)),
          attr(6, be32(0)),
          nest(4, attr(1, host32(6))),
          nest(5, attr(1, host32(0)))
        ),
        expr('cmp', attr(1, be32(1)), attr(2, be32(1)), nest(3, attr(1, host32(0)))),
        expr('immediate', attr(1, be32(0)), nest(2, nest(2, attr(1, be32(0xfffffffd)), attr(2, text('other')))))
      )
    )
  })

  // NFT_LIMIT_PKTS 0, NFT_LIMIT_F_INV 1
  it('limit rate over 10/minute burst 5 packets', () => {
    expect(bytesOf(nft.limit({ rate: 10, per: 'minute', over: true }))).toBe(
      hex(expr('limit', attr(1, be64(10)), attr(2, be64(60)), attr(3, be32(5)), attr(4, be32(0)), attr(5, be32(1))))
    )
  })

  // NF_NAT_RANGE_PROTO_SPECIFIED 2
  it('masquerade to :1024-65535', () => {
    expect(bytesOf(nft.masquerade({ toPorts: '1024-65535' }))).toBe(
      hex(
        expr('immediate', attr(1, be32(1)), value(2, 4, 0)),
        expr('immediate', attr(1, be32(2)), value(2, 0xff, 0xff)),
        expr('masq', attr(2, be32(1)), attr(3, be32(2)), attr(1, be32(2)))
      )
    )
  })

  // NFT_PAYLOAD_TRANSPORT_HEADER 2, NFT_PAYLOAD_CSUM_INET 1, IPPROTO_UDP 17, NFT_META_L4PROTO 16
  it('udp checksum set 0', () => {
    expect(bytesOf(nft.udp.checksum.set(0))).toBe(
      hex(
        expr('meta', attr(2, be32(16)), attr(1, be32(1))),
        expr('cmp', attr(1, be32(1)), attr(2, be32(0)), value(3, 17)),
        expr('immediate', attr(1, be32(1)), value(2, 0, 0)),
        expr(
          'payload',
          attr(2, be32(2)),
          attr(3, be32(6)),
          attr(4, be32(2)),
          attr(5, be32(1)),
          attr(6, be32(1)),
          attr(7, be32(6)),
          attr(8, be32(0))
        )
      )
    )
  })

  it('a comment is type 0, length, text with its NUL', () => {
    const rule = { family: 'ip', table: 't', chain: 'c', statements: [], comment: 'hi' } as const
    const { requests } = encodeChanges([{ add: { rule } }], new Map(), true)
    expect(Buffer.from(requests[0]?.bytes ?? []).toString('hex')).toContain(hex(attr(7, Buffer.of(0, 3), text('hi'))))
  })

  it('an interval is its beginning and the value behind its end', () => {
    const { sets } = encodeRule('inet', [nft.tcp.dport([22, '80-90', '91-99', 65_535])])
    expect(sets[0]?.elements).toEqual([
      { key: { value: '0016' } },
      { key: { value: '0017' }, flags: { intervalEnd: true } },
      { key: { value: '0050' } },
      { key: { value: '0064' }, flags: { intervalEnd: true } },
      { key: { value: 'ffff' } }
    ])
    expect(sets[0]?.attributes).toMatchObject({
      keyType: 13,
      keyLen: 2,
      flags: { anonymous: true, constant: true, interval: true }
    })
  })

  it('an expression that nobody knows stays as it is', () => {
    const unknown = expr('numgen', attr(1, be32(1)), attr(2, be32(7)))
    const read = (decode(expressions, unknown) as { toJSON(): unknown }[]).map(view => view.toJSON())
    expect(read).toEqual([{ name: 'numgen', data: hex(attr(1, be32(1)), attr(2, be32(7))) }])
    expect(hex(encode(expressions, read))).toBe(hex(unknown))
  })
})

describe('what goes without saying', () => {
  it('is said once', () => {
    const names = encodeRule('inet', [
      nft.ip.saddr('10.0.0.1'),
      nft.tcp.dport(1),
      nft.ip.daddr('10.0.0.2'),
      nft.tcp.sport(2)
    ])
    expect(names.expressions.filter(({ name }) => name === 'meta')).toHaveLength(2)
  })

  it('is left out where it was said', () => {
    expect(ruleText(canonical('inet', [nft.meta.nfproto('ipv4'), nft.meta.l4proto('tcp'), nft.tcp.dport(80)]))).toBe(
      'meta nfproto ipv4 tcp dport 80'
    )
    expect(canonical('inet', [nft.meta.l4proto('tcp')])).toEqual([nft.meta.l4proto('tcp')])
  })
})

describe('refused', () => {
  it.each<[NftStatement[], string]>([
    [[nft.ip.saddr('10.0.0')], '[0].value'],
    [[nft.ip.saddr('10.0.0.1/8')], '[0].value'],
    [[nft.ip.saddr('10.0.0.0/33')], '[0].value'],
    [[nft.ip.saddr('10.0.0.0/0')], '[0].value'],
    [[nft.ip.saddr('10.0.0.9-10.0.0.1')], '[0].value'],
    [[nft.ip.saddr([])], '[0].value'],
    [[nft.ip6.saddr('fe80::1%eth0')], '[0].value'],
    [[nft.drop, nft.tcp.dport(65_536)], '[1].value'],
    [[nft.tcp.dport(-1)], '[0].value'],
    [[nft.tcp.dport('http')], '[0].value'],
    [[nft.tcp.dport([80, 'x'])], '[0].value[1]'],
    [[nft.tcp.dport(['1-5', '5-9'])], '[0].value'],
    [[nft.tcp.dport.above('1-5')], '[0].value'],
    [[nft.ct.state('old')], '[0].value'],
    [[nft.ct.state()], '[0].value'],
    [[nft.iifname('a-name-too-long-for-a-link')], '[0].value'],
    [[nft.iifname('')], '[0].value'],
    [[nft.iifname(['vnet*'])], '[0].value[0].key'],
    [[nft.ip.saddr('10.0.0.1'), nft.ip6.saddr('fe80::1')], '[1].match'],
    [[nft.tcp.dport(1), nft.udp.dport(1)], '[1].match'],
    [[nft.arp.saddrIp('10.0.0.1')], '[0].match'],
    [[{ match: 'ip source' as never, value: 1 }], '[0].match'],
    [[nft.payload('@nh,3,8')(1)], '[0].match'],
    [[nft.payload('@nh,0,16')('0x12345')], '[0].value'],
    [[{ match: 'tcp dport', op: '=' as never, value: 1 }], '[0].op'],
    [[{ match: 'tcp dport', op: '!', value: 1 }], '[0].op'],
    [[nft.limit({ rate: 0, per: 'second' })], '[0].limit.rate'],
    [[nft.limit({ rate: 1, per: 'year' as never })], '[0].limit.per'],
    [[nft.log({ level: 'loud' as never })], '[0].log.level'],
    [[nft.reject('icmp never' as never)], '[0].reject.with'],
    [[nft.masquerade({ toPorts: '9-1' })], '[0].masquerade.toPorts'],
    [[nft.snat({ to: '10.0.0.0/8' })], '[0].snat.to'],
    [[nft.snat({})], '[0].snat.to'],
    [[nft.meta.mark.set(-1)], '[0].to'],
    [[{ verdict: 'perhaps' as never }], '[0].verdict'],
    [[nft.vmap('iifname', [['a', 'perhaps' as never]])], '[0].map[0]'],
    [[{} as never], '[0]'],
    [[null as never], '[0]']
  ])('%j', (statements, path) => {
    expect(thrown(() => encodeRule('inet', statements))).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path })
  })

  it('a comment that nft could not read', () => {
    const rule = { family: 'ip', table: 't', chain: 'c', statements: [], comment: 'x'.repeat(128) } as const
    expect(thrown(() => encodeChanges([{ add: { rule } }], new Map(), true))).toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE'
    })
  })
})

describe('changes as commands', () => {
  const place = { family: 'ip', table: 'guests' } as const
  it.each<[NftChange, string]>([
    [{ add: { table: { family: 'ip', name: 'guests' } } }, 'add table ip guests'],
    [{ create: { table: { family: 'ip', name: 'guests', comment: 'x' } } }, 'create table ip guests { comment "x"; }'],
    [
      {
        add: {
          chain: { ...place, name: 'nat', type: 'nat', hook: 'postrouting', priority: 'srcnat', policy: 'accept' }
        }
      },
      'add chain ip guests nat { type nat hook postrouting priority srcnat; policy accept; }'
    ],
    [{ add: { chain: { ...place, name: 'c' } } }, 'add chain ip guests c'],
    [
      {
        insert: {
          rule: { ...place, chain: 'c', position: 7, statements: [nft.ip.saddr('10.0.0.0/8'), nft.drop], comment: 'y' }
        }
      },
      'insert rule ip guests c position 7 ip saddr 10.0.0.0/8 drop comment "y"'
    ],
    [{ delete: { rule: { ...place, chain: 'c', handle: 9 } } }, 'delete rule ip guests c handle 9'],
    [{ flush: { chain: { ...place, name: 'c' } } }, 'flush chain ip guests c'],
    [
      {
        add: {
          set: {
            ...place,
            name: 'ports',
            type: 'ifname',
            map: 'verdict',
            elements: [{ key: 'a', value: { jump: 'b' } }]
          }
        }
      },
      'add map ip guests ports { type ifname : verdict; elements = { "a" : jump b }; }'
    ],
    [
      { add: { elements: { ...place, set: 's', elements: [{ key: '10.0.0.1', comment: 'z' }] } } },
      'add element ip guests s { 10.0.0.1 comment "z" }'
    ]
  ])('%j', (change, command) => expect(changeText(change)).toBe(command))
})
