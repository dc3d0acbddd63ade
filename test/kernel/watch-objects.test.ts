/** Addresses, routes, neighbours and forwarding entries that are watched: the state that events make is the kernel's. */
import { describe, expect } from 'vitest'
import type { Watch, WatchChange, WatchedLists, WatchOptions } from '../../lib/index.js'
import { watchedRoutes } from '../../lib/link/watch/kinds/routes.js'
import { type Namespace, test } from '../support/namespace.js'
import { Follower, settled, take, takeChange, takeUntil } from '../support/watching.js'

/** What is told shall be due to announcements alone. */
const NEVER = { recheck: Number.POSITIVE_INFINITY }
const MAC = '02:00:00:00:00:09'

/** Without IPv6, unless it is asked for: its announcements, which come when they come, would be hints to all else as well. */
function make({ tools }: Namespace, { ipv6 = false } = {}): void {
  for (const which of ['all', 'default']) {
    if (!ipv6) tools.exec('sysctl', '-qw', `net.ipv6.conf.${which}.disable_ipv6=1`)
  }
  tools.ip('link add name br0 type bridge')
  tools.ip('link add name a type veth peer name b')
  for (const name of ['lo', 'br0', 'a', 'b']) tools.ip(`link set dev ${name} up`)
}

/** Follows in the background until the namespace is closed. */
async function follow(ns: Namespace, options: WatchOptions): Promise<Follower> {
  const follower = new Follower()
  const watch = ns.net.watch({ ...options, ...NEVER }) as Watch
  follower.apply(await take(watch))
  follower.follow(watch).catch(error => expect(error.code).toBe('ERR_CLOSED'))
  return follower
}

const words = async <L extends keyof WatchedLists>(watch: Watch<L>, last: string) => await takeUntil(watch, last)

describe('addresses', () => {
  test('added, changed and removed', async ({ ns }) => {
    make(ns)
    await using watch = ns.net.watch({ addresses: true, ...NEVER })
    await take(watch)
    ns.tools.ip('addr add 192.0.2.1/24 dev a label a:1')
    const added = (await takeChange(watch, 'added address 192.0.2.1/24')) as WatchChange<'address'>
    expect(added.after).toMatchObject({ label: 'a:1', index: ns.tools.link('a').ifindex })
    ns.tools.ip('addr change 192.0.2.1/24 dev a metric 77')
    const changed = (await takeChange(watch, 'changed address 192.0.2.1/24')) as WatchChange<'address'>
    expect([changed.before?.metric, changed.after?.metric]).toEqual([undefined, 77])
    ns.tools.ip('addr del 192.0.2.1/24 dev a')
    const removed = (await takeChange(watch, 'removed address 192.0.2.1/24')) as WatchChange<'address'>
    expect(removed.before?.metric).toBe(77)
  })

  test('a lifetime that counts down or is renewed is no change', async ({ ns }) => {
    make(ns)
    ns.tools.ip('addr add 192.0.2.1/24 dev br0 valid_lft 1000 preferred_lft 900')
    await using watch = ns.net.watch({ addresses: { index: [ns.tools.link('br0').ifindex] }, ...NEVER })
    await take(watch)
    ns.tools.ip('addr change 192.0.2.1/24 dev br0 valid_lft 2000 preferred_lft 1900')
    ns.tools.ip('addr add 192.0.2.2/24 dev a')
    ns.tools.ip('addr add 192.0.2.3/24 dev br0')
    expect(await words(watch, 'added address 192.0.2.3/24')).toEqual(['added address 192.0.2.3/24'])
  })

  test('go with their link', async ({ ns }) => {
    make(ns, { ipv6: true })
    ns.tools.ip('addr add 192.0.2.1/24 dev a')
    ns.tools.ip('addr add 2001:db8::1/64 dev a nodad')
    const follower = await follow(ns, { addresses: true })
    ns.tools.ip('link set dev a down')
    expect(await settled(follower, ns.net, ['address'])).toEqual({})
    ns.tools.ip('link del dev a')
    expect(await settled(follower, ns.net, ['address'])).toEqual({})
    expect(follower.has('address', (it: { index: number }) => it.index > 2)).toBe(
      ns.tools.ipJson('addr show').some(link => link.ifindex > 2 && link.addr_info.length > 0)
    )
  })
})

describe('rules', () => {
  test('added, changed and removed', async ({ ns }) => {
    make(ns)
    await using watch = ns.net.watch({ rules: true, ...NEVER })
    const snapshot = await take(watch)
    expect(snapshot).toMatchObject({ event: 'snapshot' })
    expect(watch.snapshot().rules.map(rule => rule.tableId)).toEqual(
      (await ns.net.rules.list()).map(rule => rule.tableId)
    )
    ns.tools.ip('rule add from 192.0.2.0/24 iif a table 77 pref 10')
    const added = (await takeChange(watch, 'added rule inet 10')) as WatchChange<'rule'>
    expect(added.after).toMatchObject({ from: '192.0.2.0/24', tableId: 77, iifname: 'a' })
    expect(added.after?.flags.iifDetached).toBe(false)
    ns.tools.ip('-6 rule add fwmark 7 table 78 pref 20')
    await takeChange(watch, 'added rule inet6 20')
    ns.tools.ip('link del dev a')
    const changed = (await takeChange(watch, 'changed rule inet 10')) as WatchChange<'rule'>
    expect(changed.after?.flags.iifDetached).toBe(true)
    ns.tools.ip('rule del pref 10')
    const removed = (await takeChange(watch, 'removed rule inet 10')) as WatchChange<'rule'>
    expect(removed.before?.tableId).toBe(77)
  })

  test('of one priority', async ({ ns }) => {
    make(ns)
    const follower = await follow(ns, { rules: true })
    for (const table of [71, 72, 73]) ns.tools.ip(`rule add from 192.0.2.0/24 table ${table} pref 10`)
    expect(await settled(follower, ns.net, ['rule'])).toEqual({})
    ns.tools.ip('rule del table 72')
    expect(await settled(follower, ns.net, ['rule'])).toEqual({})
  })
})

describe('routes', () => {
  test('of both families, each once, whenever all are read', async ({ ns }) => {
    ns.tools.ip('link set dev lo up')
    ns.tools.ip('route add 198.51.100.0/24 dev lo table 77')
    ns.tools.ip('-6 route add 2001:db8:1::/64 dev lo table 77')
    await using watch = ns.net.watch({ routes: { table: 77 }, recheck: Number.POSITIVE_INFINITY })
    expect(await take(watch)).toMatchObject({
      routes: [{ destination: '198.51.100.0/24' }, { destination: '2001:db8:1::/64' }]
    })
    watch.refresh()
    expect(await take(watch)).toEqual({ event: 'resync', reason: 'refresh' })
    expect(watch.snapshot().routes).toHaveLength(2)
    // One request for all: a kernel without IPv6 would tell the others again if it were asked for those.
    expect(watchedRoutes({}).readAll(null)).toHaveLength(1)
  })

  test('added, changed and removed', async ({ ns }) => {
    make(ns)
    ns.tools.ip('addr add 192.0.2.1/24 dev a')
    await using watch = ns.net.watch({ routes: { table: 254 }, ...NEVER })
    await take(watch)
    ns.tools.ip('route add 198.51.100.0/24 via 192.0.2.2')
    const added = (await takeChange(watch, 'added route 198.51.100.0/24')) as WatchChange<'route'>
    expect(added.after).toMatchObject({ gateway: '192.0.2.2', tableId: 254 })
    ns.tools.ip('route change 198.51.100.0/24 via 192.0.2.3')
    const changed = (await takeChange(watch, 'changed route 198.51.100.0/24')) as WatchChange<'route'>
    expect([changed.before?.gateway, changed.after?.gateway]).toEqual(['192.0.2.2', '192.0.2.3'])
    ns.tools.ip('route add 203.0.113.0/24 dev a table 77')
    ns.tools.ip('route del 198.51.100.0/24')
    expect(await words(watch, 'removed route 198.51.100.0/24')).toEqual(['removed route 198.51.100.0/24'])
  })

  const causes: [string, string[], string[]][] = [
    ['a link that goes down', [], ['link set dev a down']],
    ['a link that goes away', [], ['link del dev a']],
    [
      'a source address that goes away',
      ['route add 198.51.100.0/24 dev b src 192.0.2.1'],
      ['addr del 192.0.2.1/24 dev a']
    ],
    [
      'a next hop that goes away',
      ['nexthop add id 7 via 192.0.2.2 dev a', 'route add 198.51.100.0/24 nhid 7'],
      ['nexthop del id 7']
    ],
    ['a carrier that is lost', ['route add 198.51.100.0/24 dev a'], ['link set dev b down']],
    ['an append', ['route add 198.51.100.0/24 dev a'], ['route append 198.51.100.0/24 dev b']],
    [
      'several ways',
      ['route add 198.51.100.0/24 nexthop dev a nexthop dev b'],
      ['route replace 198.51.100.0/24 dev b']
    ],
    [
      'IPv6 ways',
      ['-6 route add 2001:db8:1::/64 dev a', '-6 route append 2001:db8:1::/64 via 2001:db8::2 dev a'],
      ['-6 route del 2001:db8:1::/64 dev a']
    ]
  ]
  test.for(causes)('without a word of theirs: %s', async ([, before, cause], { ns }) => {
    const ipv6 = before.some(command => command.startsWith('-6'))
    make(ns, { ipv6 })
    ns.tools.ip('addr add 192.0.2.1/24 dev a')
    if (ipv6) ns.tools.ip('addr add 2001:db8::1/64 dev a nodad')
    ns.tools.ip('route add 203.0.113.0/24 dev a table 77')
    for (const command of before) ns.tools.ip(command)
    const follower = await follow(ns, { routes: true })
    expect(await settled(follower, ns.net, ['route'])).toEqual({})
    const lines = follower.lines('route')
    for (const command of cause) ns.tools.ip(command)
    expect(await settled(follower, ns.net, ['route'])).toEqual({})
    expect(follower.lines('route')).not.toEqual(lines)
  })
})

describe('neighbours', () => {
  test('added, changed and removed, also with their link', async ({ ns }) => {
    make(ns, { ipv6: true })
    await using watch = ns.net.watch({ neighbours: true, ...NEVER })
    await take(watch)
    ns.tools.ip(`neigh add 192.0.2.9 lladdr ${MAC} dev a`)
    const added = (await takeChange(watch, 'added neighbour 192.0.2.9')) as WatchChange<'neighbour'>
    expect(added.after).toMatchObject({ lladdr: MAC, state: { permanent: true } })
    ns.tools.ip(`neigh change 192.0.2.9 lladdr ${MAC} dev a nud stale`)
    const changed = (await takeChange(watch, 'changed neighbour 192.0.2.9')) as WatchChange<'neighbour'>
    expect([changed.before?.state.permanent, changed.after?.state.stale]).toEqual([true, true])
    ns.tools.ip(`neigh add 2001:db8::9 lladdr ${MAC} dev b`)
    await takeChange(watch, 'added neighbour 2001:db8::9')
    ns.tools.ip('link del dev a')
    const rest = [await take(watch), await take(watch)].map(event => event.event === 'removed' && event.before.dst)
    expect(rest.toSorted()).toEqual(['192.0.2.9', '2001:db8::9'])
  })

  test('an entry that ages through delay is told once it is stale or reachable', async ({ ns }) => {
    make(ns)
    ns.tools.ip('address add 192.0.2.1/24 dev a')
    ns.tools.ip(`neigh add 192.0.2.9 lladdr ${MAC} dev a nud stale`)
    await using watch = ns.net.watch({ neighbours: { index: [ns.tools.link('a').ifindex] }, ...NEVER })
    await take(watch)
    // Who sends to it makes it so, for five seconds.
    ns.tools.exec('bash', '-c', 'echo > /dev/udp/192.0.2.9/9')
    expect(ns.tools.ip('neigh show 192.0.2.9')).toContain('DELAY')
    ns.tools.ip(`neigh add 192.0.2.10 lladdr ${MAC} dev a`)
    expect(await words(watch, 'added neighbour 192.0.2.10')).toEqual(['added neighbour 192.0.2.10'])
  })
})

describe('forwarding entries', () => {
  test('added, moved to another port, and removed', async ({ ns }) => {
    make(ns)
    ns.tools.ip('link add name c type veth peer name d')
    for (const name of ['a', 'c']) ns.tools.ip(`link set dev ${name} master br0`)
    await using watch = ns.net.watch({ fdb: true, ...NEVER })
    await take(watch)
    ns.tools.bridge(`fdb add ${MAC} dev a master static`)
    const added = (await takeChange(watch, `added fdb ${MAC}`)) as WatchChange<'fdb'>
    expect(added.after).toMatchObject({ index: ns.tools.link('a').ifindex, master: ns.tools.link('br0').ifindex })
    ns.tools.bridge(`fdb replace ${MAC} dev c master static`)
    const moved = (await takeChange(watch, `changed fdb ${MAC}`)) as WatchChange<'fdb'>
    expect([moved.before?.index, moved.after?.index]).toEqual(['a', 'c'].map(name => ns.tools.link(name).ifindex))
    expect(moved.key).toBe(added.key)
    ns.tools.bridge(`fdb del ${MAC} dev c master`)
    await takeChange(watch, `removed fdb ${MAC}`)
  })

  test('one that moves away from a chosen port is gone', async ({ ns }) => {
    make(ns)
    ns.tools.ip('link add name c type veth peer name d')
    for (const name of ['a', 'c']) ns.tools.ip(`link set dev ${name} master br0`)
    ns.tools.bridge(`fdb add ${MAC} dev a master static`)
    await using watch = ns.net.watch({ fdb: { index: [ns.tools.link('a').ifindex] }, ...NEVER })
    await take(watch)
    ns.tools.bridge(`fdb replace ${MAC} dev c master static`)
    await takeChange(watch, `removed fdb ${MAC}`)
  })

  test('are flushed when a port leaves, goes down or is deleted', async ({ ns }) => {
    make(ns)
    for (const name of ['a', 'b']) ns.tools.ip(`link set dev ${name} master br0`)
    for (const name of ['a', 'b']) ns.tools.bridge(`fdb add 02:00:00:00:01:0${name} dev ${name} master dynamic`)
    const follower = await follow(ns, { fdb: true })
    for (const command of ['link set dev a nomaster', 'link set dev b down', 'link del dev b', 'link del dev br0']) {
      ns.tools.ip(command)
      expect(await settled(follower, ns.net, ['fdb']), command).toEqual({})
    }
  })

  test('of a VXLAN, with several destinations', async ({ ns }) => {
    make(ns)
    ns.tools.ip('link add name vx type vxlan id 7 dstport 4789')
    ns.tools.ip('link set dev vx up')
    const follower = await follow(ns, { fdb: true })
    for (const command of [
      'append 00:00:00:00:00:00 dev vx dst 192.0.2.9',
      'append 00:00:00:00:00:00 dev vx dst 192.0.2.10',
      'del 00:00:00:00:00:00 dev vx dst 192.0.2.9'
    ]) {
      ns.tools.bridge(`fdb ${command}`)
      expect(await settled(follower, ns.net, ['fdb']), command).toEqual({})
    }
    const entries = ns.tools.bridgeJson('fdb show dev vx').filter(entry => entry.dst)
    expect(entries.map(entry => entry.dst)).toEqual(['192.0.2.10'])
  })
})

test('all at once', async ({ ns }) => {
  make(ns, { ipv6: true })
  const objects = ['link', 'address', 'route', 'neighbour', 'fdb'] as const
  const follower = await follow(ns, { links: true, addresses: true, routes: true, neighbours: true, fdb: true })
  ns.tools.ip('link set dev a master br0')
  ns.tools.ip('addr add 192.0.2.1/24 dev br0')
  ns.tools.ip(`neigh add 192.0.2.9 lladdr ${MAC} dev br0`)
  ns.tools.ip('route add 198.51.100.0/24 via 192.0.2.9')
  expect(await settled(follower, ns.net, [...objects])).toEqual({})
  ns.tools.ip('link del dev br0')
  expect(await settled(follower, ns.net, [...objects])).toEqual({})
})
