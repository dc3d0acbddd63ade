/** Routes. */
import { describe, expect } from 'vitest'
import type { AddRoute } from '../../lib/index.js'
import type { Parsed } from '../support/ip.js'
import { test as base, type Namespace } from '../support/namespace.js'
import { traffic } from '../support/trace.js'

/** A namespace with two links that are up and have addresses. */
const test = base.extend<{ host: Namespace }>({
  host: async ({ ns }, use) => {
    ns.tools.ip('link add name a type veth peer name b')
    for (const how of ['addrgenmode none', 'up']) {
      for (const name of ['a', 'b']) ns.tools.ip(`link set dev ${name} ${how}`)
    }
    ns.tools.ip('address add 192.0.2.1/24 dev a')
    ns.tools.ip('address add 192.0.2.7/24 dev a')
    ns.tools.ip('address add 203.0.113.1/24 dev b')
    ns.tools.ip('address add 2001:db8::1/64 dev a nodad')
    ns.tools.ip('address add 2001:db8:1::1/64 dev b nodad')
    await use(ns)
  }
})

/** The routes that we made: protocol `static`, or as said. */
const shown = ({ tools }: Namespace, options = 'table all', protocol = 'static'): Parsed[] =>
  ['-4', '-6'].flatMap(family => tools.ipJson(`${family} route show ${options} proto ${protocol}`))

const TO = '198.51.100.0/24'
const TO6 = '2001:db8:ffff::/48'

const CASES: [title: string, options: AddRoute, expected: object][] = [
  ['on a link', { destination: TO, link: 'a' }, { dst: TO, dev: 'a', scope: 'link' }],
  ['by a gateway', { destination: TO, gateway: '192.0.2.2' }, { dst: TO, gateway: '192.0.2.2', dev: 'a' }],
  ['default', { destination: 'default', gateway: '192.0.2.2' }, { dst: 'default', gateway: '192.0.2.2' }],
  ['to one host', { destination: '198.51.100.9', link: 'a' }, { dst: '198.51.100.9' }],
  [
    'a gateway that is only said to be on the link',
    { destination: TO, gateway: '10.9.9.9', link: 'b', onlink: true },
    { gateway: '10.9.9.9', dev: 'b', flags: ['onlink'] }
  ],
  ['the address to send from', { destination: TO, link: 'a', prefsrc: '192.0.2.7' }, { prefsrc: '192.0.2.7' }],
  ['scope', { destination: TO, link: 'a', scope: 'host', type: 'unicast' }, { scope: 'host' }],
  ['priority', { destination: TO, link: 'a', priority: 77 }, { metric: 77 }],
  ['a table', { destination: TO, link: 'a', table: 42 }, { table: '42' }],
  ['a table above 255', { destination: TO, link: 'a', table: 100_000 }, { table: '100000' }],
  ['type of service', { destination: TO, link: 'a', tos: 0x10 }, { tos: '0x10' }],
  ['blackhole', { destination: TO, type: 'blackhole' }, { type: 'blackhole' }],
  ['unreachable', { destination: TO, type: 'unreachable' }, { type: 'unreachable' }],
  ['prohibit', { destination: TO, type: 'prohibit' }, { type: 'prohibit' }],
  ['throw', { destination: TO, type: 'throw', table: 42 }, { type: 'throw' }],
  ['local', { destination: '198.51.100.9', type: 'local', link: 'a', table: 42 }, { type: 'local', scope: 'host' }],
  [
    'metrics',
    { destination: TO, link: 'a', metrics: { mtu: 1400, advmss: 1300, initcwnd: 20 } },
    { metrics: [{ mtu: 1400, advmss: 1300, initcwnd: 20 }] }
  ],
  [
    'a gateway of the other family',
    { destination: TO, via: '2001:db8::2', link: 'a' },
    { via: { family: 'inet6', host: '2001:db8::2' } }
  ],
  ['IPv6 on a link', { destination: TO6, link: 'a' }, { dst: TO6, dev: 'a' }],
  ['IPv6 by a gateway', { destination: TO6, gateway: '2001:db8::2' }, { dst: TO6, gateway: '2001:db8::2', dev: 'a' }],
  ['IPv6 default', { destination: 'default', gateway: '2001:db8::2' }, { dst: 'default', gateway: '2001:db8::2' }],
  ['::/0', { destination: '::/0', gateway: '2001:db8::2' }, { dst: 'default', gateway: '2001:db8::2' }],
  [
    'a default that says its family',
    { destination: 'default', family: 'inet6', link: 'a' },
    { dst: 'default', dev: 'a' }
  ],
  ['IPv6 preference', { destination: TO6, gateway: '2001:db8::2', pref: 'high' }, { pref: 'high' }],
  ['IPv6 source prefix', { destination: TO6, link: 'a', source: '2001:db8:5::/64' }, { from: '2001:db8:5::/64' }],
  ['IPv6 blackhole', { destination: TO6, type: 'blackhole' }, { type: 'blackhole' }],
  ['IPv6 metrics', { destination: TO6, link: 'a', metrics: { mtu: 1300, hoplimit: 9 } }, {}],
  ['IPv6 in a table', { destination: TO6, link: 'a', table: 100_000, priority: 5 }, { table: '100000', metric: 5 }]
]

describe('routes.add', () => {
  test.for(CASES)('%s', async ([title, options, expected], { host, skip }) => {
    if (title === 'IPv6 source prefix' && !host.tools.can('-6 route add 2001:db8:9::/64 from 2001:db8:8::/64 dev a')) {
      skip('this kernel has no IPv6 source routing')
    }
    await host.net.routes.add(options)
    const routes = shown(host)
    expect(routes).toHaveLength(1)
    expect(routes[0]).toMatchObject(expected)
    if (options.metrics) expect(routes[0].metrics[0]).toMatchObject(options.metrics)
  })

  test('congestion control', async ({ host }) => {
    await host.net.routes.add({ destination: TO, link: 'a', metrics: { congctl: 'reno' } })
    // Not among what `ip -j` prints.
    expect(host.tools.ip('route show proto static')).toMatch(/congctl reno/)
    expect((await host.net.routes.list({ protocol: 'static' }))[0]?.metrics?.congctl).toBe('reno')
  })

  test('by several ways', async ({ host }) => {
    await host.net.routes.add({
      destination: TO,
      nexthops: [
        { gateway: '192.0.2.2', link: 'a', weight: 3 },
        { gateway: '203.0.113.2', weight: 256 },
        { gateway: '10.1.1.1', link: 'b', flags: { onlink: true } }
      ]
    })
    expect(shown(host)[0].nexthops).toMatchObject([
      { gateway: '192.0.2.2', dev: 'a', weight: 3 },
      { gateway: '203.0.113.2', dev: 'b', weight: 256 },
      { gateway: '10.1.1.1', dev: 'b', weight: 1, flags: ['onlink'] }
    ])
    const [route] = await host.net.routes.list({ protocol: 'static' })
    const index = (name: string) => host.tools.link(name).ifindex
    expect(route?.multipath?.map(hop => [hop.gateway, hop.index, hop.weight, hop.flags.onlink])).toEqual([
      ['192.0.2.2', index('a'), 3, false],
      ['203.0.113.2', index('b'), 256, false],
      ['10.1.1.1', index('b'), 1, true]
    ])
  })

  test('by a next hop object', async ({ host }) => {
    host.tools.ip('nexthop add id 77 via 192.0.2.2 dev a')
    await host.net.routes.add({ destination: TO, nhId: 77 })
    expect(shown(host)[0]).toMatchObject({ dst: TO, nhid: 77, gateway: '192.0.2.2' })
    expect((await host.net.routes.list({ protocol: 'static' }))[0]?.nhId).toBe(77)
  })

  test('for a time', async ({ host }) => {
    await host.net.routes.add({ destination: TO6, link: 'a', expires: 600 })
    expect(shown(host)[0].expires).toBeGreaterThan(595)
    expect(shown(host)[0].expires).toBeLessThanOrEqual(600)
  })

  test('by a protocol', async ({ host }) => {
    await host.net.routes.add({ destination: TO, link: 'a', protocol: 'bgp' })
    await host.net.routes.add({ destination: '198.51.101.0/24', link: 'a', protocol: 77 })
    expect(shown(host, 'table all', 'bgp')[0].dst).toBe(TO)
    expect(shown(host, 'table all', '77')[0].dst).toBe('198.51.101.0/24')
  })

  test('that is there is EEXIST', async ({ host }) => {
    host.tools.ip(`route add ${TO} dev a`)
    await expect(host.net.routes.add({ destination: TO, link: 'b' })).rejects.toMatchObject({
      code: 'EEXIST',
      syscall: 'RTM_NEWROUTE'
    })
  })

  test("by a gateway that is on no link is refused in the kernel's words", async ({ host }) => {
    await expect(host.net.routes.add({ destination: TO, gateway: '10.9.9.9' })).rejects.toMatchObject({
      code: 'ENETUNREACH',
      extack: 'Nexthop has invalid gateway'
    })
  })
})

describe('changing routes', () => {
  test('replace', async ({ host }) => {
    await host.net.routes.replace({ destination: TO, gateway: '192.0.2.2' })
    await host.net.routes.replace({ destination: TO, gateway: '203.0.113.2' })
    expect(shown(host).map(route => route.gateway)).toEqual(['203.0.113.2'])
  })

  test('append', async ({ host }) => {
    await host.net.routes.add({ destination: TO, gateway: '192.0.2.2' })
    await host.net.routes.append({ destination: TO, gateway: '203.0.113.2' })
    expect(shown(host).map(route => route.gateway)).toEqual(['192.0.2.2', '203.0.113.2'])
  })

  test('append, IPv6', async ({ host }) => {
    await host.net.routes.add({ destination: TO6, gateway: '2001:db8::2' })
    await host.net.routes.append({ destination: TO6, gateway: '2001:db8:1::2' })
    const gateways = shown(host).flatMap(route => route.nexthops?.map((hop: Parsed) => hop.gateway) ?? route.gateway)
    expect(gateways.toSorted()).toEqual(['2001:db8:1::2', '2001:db8::2'])
  })

  test('delete what matches', async ({ host }) => {
    host.tools.ip(`route add ${TO} via 192.0.2.2 metric 10 proto static`)
    host.tools.ip(`route add ${TO} via 192.0.2.3 metric 20 proto static`)
    host.tools.ip(`route add ${TO} via 192.0.2.3 table 100000 proto static`)
    host.tools.ip(`route add ${TO6} via 2001:db8::2 proto static`)
    await host.net.routes.delete({ destination: TO, priority: 20 })
    await host.net.routes.delete({ destination: TO, table: 100_000 })
    await host.net.routes.delete({ destination: TO6 })
    expect(shown(host).map(route => route.gateway)).toEqual(['192.0.2.2'])
    await host.net.routes.delete({ destination: TO })
    expect(shown(host)).toEqual([])
  })

  test('delete of what is not there is ESRCH', async ({ host }) => {
    await expect(host.net.routes.delete({ destination: TO })).rejects.toMatchObject({ code: 'ESRCH', errno: -3 })
  })
})

describe('routes.list', () => {
  test.for(['inet', 'inet6'] as const)('is what iproute2 shows of %s', async (family, { host }) => {
    const flag = family === 'inet' ? '-4' : '-6'
    const key = (dst: string, dev: string | undefined, type = 'unicast') => `${type} ${dst} ${dev ?? ''}`
    const names = new Map((await host.net.links.list()).map(link => [link.index, link.name]))
    for (const [ours, theirs] of [
      [254, 'main'],
      [255, 'local'],
      [0, 'all']
    ] as const) {
      const listed = await host.net.routes.list({ family, table: ours })
      const expected = host.tools.ipJson(`${flag} route show table ${theirs}`)
      expect(
        listed.map(({ destination, oif, type }) =>
          key(destination.replace(/\/(32|128)$/, ''), names.get(oif ?? 0), String(type))
        )
      ).toEqual(expected.map(route => key(route.dst, route.dev, route.type)))
      expect(listed.length).toBeGreaterThan(0)
    }
  })

  test('filters in the kernel', async ({ host }) => {
    for (let at = 0; at < 20; at++) host.tools.ip(`route add 10.${at}.0.0/16 dev a proto static`)
    host.tools.ip('route add 10.77.0.0/16 dev b proto bgp')
    host.tools.ip('route add blackhole 10.78.0.0/16 proto bgp')
    host.tools.ip('route add 10.79.0.0/16 dev b table 100000')
    const list = async (filter: object) => {
      const { result, received } = await traffic(() => host.net.routes.list({ family: 'inet', ...filter }))
      const replies = received.filter(message => message.type === 'RTM_NEWROUTE')
      expect(replies).toHaveLength((result as unknown[]).length)
      return (result as { destination: string }[]).map(route => route.destination)
    }
    expect(await list({ protocol: 'bgp' })).toEqual(['10.77.0.0/16', '10.78.0.0/16'])
    expect(await list({ protocol: 186 })).toEqual(['10.77.0.0/16', '10.78.0.0/16'])
    expect(await list({ type: 'blackhole' })).toEqual(['10.78.0.0/16'])
    expect(await list({ link: 'b' })).toEqual(['10.77.0.0/16', '203.0.113.0/24'])
    expect(await list({ table: 100_000 })).toEqual(['10.79.0.0/16'])
  })

  test('of a table that was never used is empty', async ({ host }) => {
    expect(await host.net.routes.list({ table: 4711 })).toEqual([])
  })

  test('metrics are read', async ({ host }) => {
    host.tools.ip(`route add ${TO} dev a proto static mtu 1400 hoplimit 9 quickack 1 rto_min 50ms`)
    const [route] = await host.net.routes.list({ protocol: 'static' })
    expect(route?.metrics?.toJSON()).toEqual({ lock: 1 << 13, mtu: 1400, hoplimit: 9, quickack: 1, rtoMin: 50 })
  })
})

describe('routes.lookup', () => {
  test.for(['192.0.2.99', '198.51.100.9', '192.0.2.7', '127.0.0.1', '2001:db8::99', '2001:db8::1'])(
    'of %s is what iproute2 gets',
    async (address, { host }) => {
      host.tools.ip('link set dev lo up')
      host.tools.ip('route add default via 203.0.113.9')
      host.tools.ip(`route add ${TO} via 192.0.2.2`)
      const [theirs] = host.tools.ipJson(`route get ${address}`)
      const ours = await host.net.routes.lookup(address)
      expect({
        dst: ours.dst,
        type: ours.type,
        dev: host.tools.ipJson(`link show`).find(link => link.ifindex === ours.oif)?.ifname,
        gateway: ours.gateway,
        prefsrc: ours.prefsrc,
        table: ours.tableId
      }).toEqual({
        dst: theirs.dst,
        type: theirs.type ?? 'unicast',
        dev: theirs.dev,
        gateway: theirs.gateway,
        prefsrc: theirs.prefsrc,
        table: theirs.table === 'local' ? 255 : 254
      })
    }
  )

  test('without a route is ENETUNREACH', async ({ ns }) => {
    await expect(ns.net.routes.lookup('198.51.100.9')).rejects.toMatchObject({
      code: 'ENETUNREACH',
      syscall: 'RTM_GETROUTE'
    })
  })
})
