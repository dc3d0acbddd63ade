/** IP addresses of links. */
import { describe, expect } from 'vitest'
import type { AddAddress } from '../../lib/index.js'
import type { Parsed } from '../support/ip.js'
import { test as base, type Namespace } from '../support/namespace.js'
import { attributeIn } from '../support/raw-netlink.js'
import { isDump, NLM_F_DUMP, traffic } from '../support/trace.js'

const RTM_GETADDR = 22
const NLM_F_REQUEST = 1
const AF_INET = 2

/** A namespace with a pair of links that are up, so that addresses take effect. */
const test = base.extend<{ link: Namespace }>({
  link: async ({ ns }, use) => {
    ns.tools.ip('link add name a type veth peer name b')
    for (const how of ['addrgenmode none', 'up']) {
      for (const name of ['a', 'b']) ns.tools.ip(`link set dev ${name} ${how}`)
    }
    await use(ns)
  }
})

const shown = ({ tools }: Namespace): Parsed[] => tools.ipJson('address show dev a')[0].addr_info

/** What we add, and what iproute2 shows of it. */
const CASES: [title: string, options: Partial<AddAddress> & { address: string }, expected: object][] = [
  ['IPv4', { address: '192.0.2.1/24' }, { family: 'inet', local: '192.0.2.1', prefixlen: 24, scope: 'global' }],
  ['IPv4 without a prefix length', { address: '192.0.2.1' }, { local: '192.0.2.1', prefixlen: 32 }],
  ['broadcast', { address: '192.0.2.1/24', broadcast: '192.0.2.255' }, { broadcast: '192.0.2.255' }],
  ['label', { address: '192.0.2.1/24', label: 'a:one' }, { label: 'a:one' }],
  ['scope', { address: '192.0.2.1/24', scope: 'link' }, { scope: 'link' }],
  ['a scope by number', { address: '192.0.2.1/24', scope: 200 }, { scope: 'site' }],
  [
    'peer',
    { address: '192.0.2.1', peer: '198.51.100.0/24' },
    { local: '192.0.2.1', address: '198.51.100.0', prefixlen: 24 }
  ],
  ['metric', { address: '192.0.2.1/24', metric: 77 }, { metric: 77 }],
  ['no prefix route', { address: '192.0.2.1/24', noprefixroute: true }, { noprefixroute: true }],
  [
    'lifetimes',
    { address: '192.0.2.1/24', validLifetime: 3600, preferredLifetime: 1800 },
    { dynamic: true, valid_life_time: 3600, preferred_life_time: 1800 }
  ],
  ['IPv6', { address: '2001:db8::1/64', nodad: true }, { family: 'inet6', local: '2001:db8::1', prefixlen: 64 }],
  ['no duplicate address detection', { address: '2001:db8::1/64', nodad: true }, { nodad: true, tentative: undefined }],
  ['home address', { address: '2001:db8::1/64', nodad: true, home: true }, { home: true }],
  ['temporary addresses', { address: '2001:db8::1/64', nodad: true, mngtmpaddr: true }, { mngtmpaddr: true }],
  [
    'IPv6 peer',
    { address: '2001:db8::1', peer: '2001:db8::2/128', nodad: true },
    { local: '2001:db8::1', address: '2001:db8::2', prefixlen: 128 }
  ],
  [
    'IPv6 lifetimes',
    { address: '2001:db8::1/64', nodad: true, validLifetime: 3600, preferredLifetime: 0 },
    { deprecated: true, valid_life_time: 3600, preferred_life_time: 0 }
  ],
  ['IPv6 metric', { address: '2001:db8::1/64', nodad: true, metric: 88 }, { metric: 88 }]
]

describe('addresses.add', () => {
  test.for(CASES)('%s', async ([, options, expected], { link }) => {
    const began = performance.now()
    await link.net.addresses.add({ link: 'a', ...options })
    const [address] = shown(link)
    // Lifetimes run while we look, which takes a busy machine its time; whole seconds are rounded.
    const passed = (performance.now() - began) / 1000 + 1
    for (const [key, value] of Object.entries(expected)) {
      if (key.endsWith('life_time') && (value as number) > 0) {
        expect((value as number) - address[key], key).toBeGreaterThanOrEqual(0)
        expect((value as number) - address[key], key).toBeLessThanOrEqual(passed)
      } else expect(address[key], key).toEqual(value)
    }
  })

  test('no prefix route means none', async ({ link }) => {
    await link.net.addresses.add({ link: 'a', address: '192.0.2.1/24', noprefixroute: true })
    await link.net.addresses.add({ link: 'a', address: '198.51.100.1/24' })
    expect(link.tools.ipJson('route show').map(route => route.dst)).toEqual(['198.51.100.0/24'])
  })

  test('the protocol that made it', async ({ link }) => {
    await link.net.addresses.add({ link: 'a', address: '192.0.2.1/24', protocol: 77 })
    // iproute2 6.1 does not show it: the kernel's own bytes are looked at (IFA_PROTO is 11).
    const request = Buffer.alloc(16 + 8)
    request.writeUInt32LE(request.length, 0)
    request.writeUInt16LE(RTM_GETADDR, 4)
    request.writeUInt16LE(NLM_F_REQUEST | NLM_F_DUMP, 6)
    request.writeUInt8(AF_INET, 16)
    const [reply] = await link.net.socket.raw(request, { dump: true })
    if (!reply) throw new Error('no address')
    const body = Buffer.from(reply.data.buffer, reply.data.byteOffset + reply.start + 8, reply.end - reply.start - 8)
    expect(attributeIn(body, 11)?.readUInt8()).toBe(77)
    expect((await link.net.addresses.list({ link: 'a' }))[0]?.protocol).toBe(77)
  })

  test('an address that is there is EEXIST', async ({ link }) => {
    link.tools.ip('address add 192.0.2.1/24 dev a')
    await expect(link.net.addresses.add({ link: 'a', address: '192.0.2.1/24' })).rejects.toMatchObject({
      code: 'EEXIST',
      errno: -17,
      syscall: 'RTM_NEWADDR'
    })
  })
})

describe('addresses.replace', () => {
  test('adds and changes', async ({ link }) => {
    await link.net.addresses.replace({ link: 'a', address: '192.0.2.1/24', validLifetime: 1000 })
    expect(shown(link)).toHaveLength(1)
    expect(shown(link)[0].valid_life_time).toBeLessThanOrEqual(1000)
    await link.net.addresses.replace({ link: 'a', address: '192.0.2.1/24' })
    expect(shown(link)).toHaveLength(1)
    expect(shown(link)[0].valid_life_time).toBe(0xffffffff)
  })
})

describe('addresses.delete', () => {
  test('removes one of several', async ({ link }) => {
    for (const address of ['192.0.2.1/24', '198.51.100.1/24', '2001:db8::1/64', '2001:db8::2/64']) {
      link.tools.ip(`address add ${address} dev a nodad`.replace(/(\d\/24 dev a) nodad/, '$1'))
    }
    await link.net.addresses.delete({ link: 'a', address: '198.51.100.1/24' })
    await link.net.addresses.delete({ link: 'a', address: '2001:db8::1/64' })
    expect(shown(link).map(address => address.local)).toEqual(['192.0.2.1', '2001:db8::2'])
  })

  test('of a point-to-point address', async ({ link }) => {
    link.tools.ip('address add 192.0.2.1 peer 198.51.100.1 dev a')
    link.tools.ip('address add 192.0.2.1 peer 198.51.100.2 dev a')
    await link.net.addresses.delete({ link: 'a', address: '192.0.2.1', peer: '198.51.100.1' })
    expect(shown(link).map(address => address.address)).toEqual(['198.51.100.2'])
  })

  test('of an address that is not there is EADDRNOTAVAIL', async ({ link }) => {
    await expect(link.net.addresses.delete({ link: 'a', address: '192.0.2.1/24' })).rejects.toMatchObject({
      code: 'EADDRNOTAVAIL',
      errno: -99,
      syscall: 'RTM_DELADDR'
    })
  })
})

describe('addresses.list', () => {
  test('has all of a namespace, of a family, of a link', async ({ link: { net, tools } }) => {
    tools.ip('link set dev lo up')
    tools.ip('address add 192.0.2.1/24 dev a')
    tools.ip('address add 2001:db8::1/64 dev b nodad')
    const texts = async (filter?: object) => (await net.addresses.list(filter)).map(String).toSorted()
    expect(await texts()).toEqual(['127.0.0.1/8', '192.0.2.1/24', '2001:db8::1/64', '::1/128'].toSorted())
    expect(await texts({ family: 'inet' })).toEqual(['127.0.0.1/8', '192.0.2.1/24'])
    expect(await texts({ link: 'b' })).toEqual(['2001:db8::1/64'])
    expect(await texts({ link: 'b', family: 'inet' })).toEqual([])
  })

  test('the filter by link is in the kernel', async ({ link: { net, tools } }) => {
    for (let at = 1; at < 20; at++) tools.ip(`address add 192.0.2.${at}/24 dev a`)
    tools.ip('address add 198.51.100.1/24 dev b')
    const { sent, received } = await traffic(() => net.addresses.list({ link: 'b' }))
    // What the kernel finds inconsistent is asked for again.
    const dumps = sent.filter(isDump).length
    expect(dumps).toBeGreaterThan(0)
    expect(received.filter(message => message.type === 'RTM_NEWADDR')).toHaveLength(dumps)
  })
})
