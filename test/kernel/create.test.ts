/** Creating links: what they get, and what stays when it fails. */
import { setTimeout } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import type { CreateLink, Link } from '../../lib/index.js'
import { has } from '../support/features.js'
import { test } from '../support/namespace.js'
import { isDump, traffic } from '../support/trace.js'

async function* oneByOne(specs: CreateLink[]): AsyncGenerator<CreateLink> {
  yield* specs
}

describe('create', () => {
  test('everything in one message', async ({ ns }) => {
    ns.tools.ip('link add name br0 type bridge')
    const bridge = ns.tools.link('br0').ifindex
    const { result, sent } = await traffic(() =>
      ns.net.links.create({
        kind: 'ifb',
        name: 'port',
        index: 77,
        mtu: 1400,
        address: '02:00:00:00:00:07',
        txqlen: 33,
        group: 42,
        numTxQueues: 3,
        master: bridge,
        // Without IPv6 a port comes up in a second message.
        ipv6: true,
        up: true
      })
    )
    // The link is read again: the answer to a creation comes before it has its master.
    expect(sent.filter(message => message.type !== 'RTM_GETLINK').map(message => message.type)).toEqual(['RTM_NEWLINK'])
    expect(sent.some(isDump)).toBe(false)
    expect(result).toMatchObject({ index: 77, name: 'port', mtu: 1400, kind: 'ifb' })
    const shown = ns.tools.link('port')
    expect(shown).toMatchObject({
      ifindex: 77,
      mtu: 1400,
      address: '02:00:00:00:00:07',
      txqlen: 33,
      group: '42',
      num_tx_queues: 3,
      master: 'br0'
    })
    expect(shown.flags).toContain('UP')
  })

  test('what the kernel ignores at creation follows, before the link comes up', async ({ ns }) => {
    await ns.net.links.create({
      kind: 'veth',
      name: 'a',
      alias: 'of tenant blue',
      afSpec: { inet6: { addrGenMode: 'none' } },
      up: true,
      peer: { name: 'b', alias: 'the other end', afSpec: { inet6: { addrGenMode: 'none' } }, up: true }
    })
    expect(ns.tools.link('a')).toMatchObject({ ifalias: 'of tenant blue', inet6_addr_gen_mode: 'none' })
    expect(ns.tools.link('b')).toMatchObject({ ifalias: 'the other end', inet6_addr_gen_mode: 'none' })
    expect(ns.tools.link('a').flags).toEqual(expect.arrayContaining(['UP', 'LOWER_UP']))
    await setTimeout(200)
    for (const name of ['a', 'b']) expect(ns.tools.ipJson(`-6 address show dev ${name}`)).toEqual([])
  })

  test('the returned link is as the kernel has it', async ({ ns }) => {
    ns.tools.ip('link add name br0 type bridge')
    const link = await ns.net.links.create({ kind: 'ifb', name: 'port', master: 'br0', up: true })
    const again = await ns.net.links.get('port')
    expect([link.master, link.up, link.mtu]).toEqual([again.master, again.up, again.mtu])
    expect(link.master).toBe(ns.tools.link('br0').ifindex)
  })

  test('a name by the kernel, and one by a pattern', async ({ ns }) => {
    const first = await ns.net.links.create({ kind: 'bridge' })
    const second = await ns.net.links.create({ kind: 'bridge' })
    ns.tools.ip('link add name foo0 type bridge')
    const third = await ns.net.links.create({ kind: 'bridge', name: 'foo%d' })
    expect([first.name, second.name, third.name]).toEqual(['bridge0', 'bridge1', 'foo1'])
    const indexes = Object.fromEntries(ns.tools.ipJson('link show').map(link => [link.ifname, link.ifindex]))
    expect([first.index, second.index, third.index]).toEqual([indexes.bridge0, indexes.bridge1, indexes.foo1])
  })

  test('a name that is taken is EEXIST and changes nothing', async ({ ns }) => {
    ns.tools.ip('link add name br0 mtu 1400 type bridge')
    const create = ns.net.links.create({ kind: 'bridge', name: 'br0', mtu: 1300, up: true })
    await expect(create).rejects.toMatchObject({ code: 'EEXIST', errno: -17, link: 'br0', syscall: 'RTM_NEWLINK' })
    expect(ns.tools.link('br0').mtu).toBe(1400)
    expect(ns.tools.link('br0').flags).not.toContain('UP')
  })

  test('an ifindex that is taken changes nothing', async ({ ns }) => {
    ns.tools.ip('link add name br0 index 55 mtu 1400 type bridge')
    const create = ns.net.links.create({ kind: 'bridge', name: 'br1', index: 55, mtu: 1300 })
    // The kernel looks for the link to change by ifindex before it thinks of creating one.
    await expect(create).rejects.toMatchObject({ code: 'EEXIST' })
    expect(ns.tools.link('br0')).toMatchObject({ ifindex: 55, mtu: 1400 })
    expect(ns.tools.linkNames()).not.toContain('br1')
  })

  test('an ifindex that is taken in another namespace changes nothing', async ({ ns, other }) => {
    other.tools.ip('link add name br0 index 55 type bridge')
    const create = ns.net.links.create({ kind: 'bridge', name: 'br1', index: 55, netns: other.name })
    // Since Linux 6.15 links are made where they shall be; before, they were moved there.
    await expect(create).rejects.toMatchObject({ code: expect.stringMatching(/^(EEXIST|EBUSY)$/) })
    expect([...ns.tools.linkNames(), ...other.tools.linkNames()]).not.toContain('br1')
  })

  test.for(['dummy', 'ifb', 'bridge', 'veth'] as const)('kind %s, or a typed error', async (kind, { ns }) => {
    const create = ns.net.links.create({ kind, name: 'x0' })
    if (has(kind)) {
      await create
      expect(ns.tools.link('x0').linkinfo.info_kind).toBe(kind)
    } else {
      await expect(create).rejects.toMatchObject({ code: 'EOPNOTSUPP', errno: -95, extack: 'Unknown device type' })
      expect(ns.tools.linkNames()).not.toContain('x0')
    }
  })

  test('TUN and TAP devices are refused with the way to make them', async ({ ns }) => {
    const { result, sent } = await traffic(() => ns.net.links.create({ kind: 'tun', name: 'tap0' } as never))
    expect(result).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path: 'kind' })
    expect((result as Error).message).toMatch(/Tap\.open/)
    expect(sent).toEqual([])
  })
})

test('attributes of a kind that have no name are sent as they are', async ({ ns }) => {
  // IFLA_BR_AGEING_TIME, as if we did not know it.
  const ageingTime = (value: number) => [{ type: 4, data: Buffer.from(Uint32Array.of(value).buffer) }]
  await ns.net.links.create({ kind: 'bridge', name: 'br0', helloTime: 300, unknownData: ageingTime(4320) })
  expect(ns.tools.link('br0').linkinfo.info_data).toMatchObject({ ageing_time: 4320, hello_time: 300 })
  await ns.net.links.set('br0', { kind: 'bridge', unknownData: ageingTime(4330) })
  expect(ns.tools.link('br0').linkinfo.info_data.ageing_time).toBe(4330)
})

describe('a creation in steps is undone wholly', () => {
  test('when the settings of the port are refused', async ({ ns }) => {
    ns.tools.ip('link add name br0 type bridge')
    const create = ns.net.links.create({ kind: 'veth', name: 'a', master: 'br0', port: { state: 'listening' } })
    await expect(create).rejects.toMatchObject({ code: 'ENETDOWN' })
    expect(ns.tools.linkNames().toSorted()).toEqual(['br0', 'lo'])
  })

  test('when the peer cannot become a port in its namespace', async ({ ns, other }) => {
    const create = ns.net.links.create({
      kind: 'veth',
      name: 'a',
      peer: { name: 'b', netns: other.name, master: 'no-bridge', up: true }
    })
    await expect(create).rejects.toMatchObject({ code: 'ENODEV' })
    expect([...ns.tools.linkNames(), ...other.tools.linkNames()]).toEqual(['lo', 'lo'])
  })

  test('when the kernel ignores an attribute', async ({ ns }) => {
    const create = ns.net.links.create({ kind: 'bridge', name: 'br0', mcastHashElasticity: 8 }, { verify: true })
    await expect(create).rejects.toMatchObject({ code: 'ERR_NOT_APPLIED', path: 'mcastHashElasticity' })
    expect(ns.tools.linkNames()).toEqual(['lo'])
  })

  test('when the kernel ignores it in another namespace', async ({ ns, other }) => {
    const options = { kind: 'bridge', name: 'br0', mcastHashElasticity: 8, netns: other.name } as const
    await expect(ns.net.links.create(options, { verify: true })).rejects.toMatchObject({ code: 'ERR_NOT_APPLIED' })
    expect(other.tools.linkNames()).toEqual(['lo'])
  })
})

describe('createMany', () => {
  test('has a result per item, in order', async ({ ns }) => {
    ns.tools.ip('link add name taken type bridge')
    const all: CreateLink[] = [
      { kind: 'bridge', name: 'br0' },
      { kind: 'bridge', name: 'taken' },
      { kind: 'bridge', name: 'a-name-of-more-than-15-bytes' },
      { kind: 'ifb', name: 'port', master: 'no-bridge' },
      { kind: 'veth', name: 'a', port: { state: 'listening' } },
      { kind: 'bridge', name: 'br1', up: true }
    ]
    const results = await ns.net.links.createMany(all)
    expect(results.map(result => (result.status === 'fulfilled' ? result.value.name : result.reason.code))).toEqual([
      'br0',
      'EEXIST',
      'ERR_INVALID_ARG_VALUE',
      'ENODEV',
      expect.stringMatching(/^E/),
      'br1'
    ])
    expect(ns.tools.linkNames().toSorted()).toEqual(['br0', 'br1', 'lo', 'taken'])
  })

  test('settles also for a single wrong item', async ({ ns }) => {
    const results = await ns.net.links.createMany([{ kind: 'bridge', name: 'with space' }])
    expect(results).toMatchObject([{ status: 'rejected', reason: { code: 'ERR_INVALID_ARG_VALUE', path: 'name' } }])
  })

  test.for([
    ['a list', (specs: CreateLink[]) => specs],
    ['what comes by and by', oneByOne]
  ] as const)('finds what it has made itself: %s', async ([, source], { ns }) => {
    const specs = [
      { kind: 'veth', name: 'v0', peer: { name: 'p0' } },
      { kind: 'bridge', name: 'br0' },
      { kind: 'macvlan', name: 'm0', link: 'p0', mode: 'bridge' },
      ...Array.from({ length: 4 }, (_, i) => ({ kind: 'bridge', name: `other${i}` })),
      ...Array.from({ length: 80 }, (_, i) => ({ kind: 'ifb', name: `port${i}`, master: `other${i % 4}` })),
      { kind: 'ifb', name: 'port', master: 'br0' }
    ] as CreateLink[]
    const results = await ns.net.links.createMany(source(specs))
    expect(results.filter(({ status }) => status === 'rejected')).toEqual([])
    const masters = specs.map(({ name }) => ns.tools.link(name as string).master)
    expect(masters).toEqual(specs.map(({ master }) => master))
  })

  test('refers to thousands of others in few exchanges, and to what is not there', async ({ ns }) => {
    const bridges = Array.from({ length: 60 }, (_, i) => ({ kind: 'bridge', name: `br${i}` }) as const)
    await ns.net.links.createMany(bridges)
    // More than are looked up together; emulated, that would take a minute.
    const ports = process.env['LINKWRIGHT_VM'] === '1' ? 120 : 1200
    const specs = [
      ...Array.from({ length: ports }, (_, i) => ({ kind: 'ifb', name: `port${i}`, master: `br${i % 60}` }) as const),
      { kind: 'ifb', name: 'alone', master: 'missing' } as const,
      { kind: 'ifb', name: 'wrong', master: 'much too long for any name '.repeat(9) } as const
    ]
    const { result: results, sent } = await traffic(() => ns.net.links.createMany(specs))
    const result = results as PromiseSettledResult<Link>[]
    expect(result.slice(0, ports).filter(({ status }) => status === 'rejected')).toEqual([])
    expect(result[ports]).toMatchObject({ reason: { code: 'ENODEV', link: 'missing', item: ports } })
    expect(result[ports + 1]).toMatchObject({ reason: { code: 'ERR_INVALID_ARG_VALUE' } })
    const shown = JSON.parse(ns.tools.ip('-j link show type bridge_slave')) as { ifname: string; master: string }[]
    expect(Object.fromEntries(shown.map(link => [link.ifname, link.master]))).toEqual(
      Object.fromEntries(specs.slice(0, ports).map(({ name, master }) => [name, master]))
    )
    // Each bridge is found once.
    const names = sent.filter(({ type }) => type === 'RTM_GETLINK').map(message => message.decode()?.['name'])
    const found = names.filter(name => typeof name === 'string' && name.startsWith('br'))
    expect(found.toSorted()).toEqual(bridges.map(({ name }) => name).toSorted())
  })

  test('makes hundreds', async ({ ns }) => {
    const all: CreateLink[] = Array.from({ length: 150 }, (_, at) => ({ kind: 'ifb', name: `i${at}`, mtu: 1000 + at }))
    const results = await ns.net.links.createMany(all)
    expect(results.every(result => result.status === 'fulfilled')).toBe(true)
    const shown = ns.tools.ipJson('link show type ifb')
    expect(Object.fromEntries(shown.map(link => [link.ifname, link.mtu]))).toEqual(
      Object.fromEntries(all.map(({ name, mtu }) => [name, mtu]))
    )
    expect(results.map(result => (result.status === 'fulfilled' ? result.value.index : 0))).toEqual(
      all.map(({ name }) => shown.find(link => link.ifname === name).ifindex)
    )
  })
})
