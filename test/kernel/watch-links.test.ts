/** Links that are watched: what is told, against what `ip` shows. */
import { describe, expect } from 'vitest'
import type { LinkInterest, WatchChange } from '../../lib/index.js'
import { test } from '../support/namespace.js'
import { take, takeChange, takeUntil } from '../support/watching.js'

test('a snapshot first, as the list gives it', async ({ ns }) => {
  ns.tools.ip('link add name br0 type bridge')
  await using watch = ns.net.watch({ links: true })
  const event = await take(watch)
  if (event.event !== 'snapshot') throw new Error('no snapshot')
  expect(event.links.map(link => link.toJSON())).toEqual((await ns.net.links.list()).map(link => link.toJSON()))
  expect(event.links.map(link => link.name)).toEqual(ns.tools.linkNames())
  expect('addresses' in event).toBe(false)
})

describe('changes', () => {
  test('added, changed and removed, with before and after', async ({ ns }) => {
    await using watch = ns.net.watch({ links: true })
    await take(watch)
    ns.tools.ip('link add name br0 type bridge')
    const added = await take(watch)
    expect(added).toMatchObject({ event: 'added', object: 'link', nsid: null, after: { name: 'br0', kind: 'bridge' } })
    expect((added as WatchChange).before).toBeUndefined()

    ns.tools.ip('link set dev br0 mtu 1400')
    const changed = (await take(watch)) as WatchChange<'link'>
    expect(changed).toMatchObject({ event: 'changed', before: { mtu: 1500 }, after: { mtu: 1400 } })
    expect(changed.key).toBe((added as WatchChange).key)

    ns.tools.ip('link del dev br0')
    const removed = (await take(watch)) as WatchChange<'link'>
    expect(removed).toMatchObject({ event: 'removed', before: { name: 'br0', mtu: 1400 } })
    expect(removed.after).toBeUndefined()
  })

  test.for([
    ['a name', 'link set dev a name c', { name: 'c' }],
    ['an MTU', 'link set dev a mtu 1300', { mtu: 1300 }],
    ['an alias', 'link set dev a alias words', { alias: 'words' }],
    ['a group', 'link set dev a group 77', { group: 77 }],
    ['a queue length', 'link set dev a txqueuelen 77', { txqlen: 77 }],
    ['an address', 'link set dev a address 02:00:00:00:00:99', { address: '02:00:00:00:00:99' }],
    ['up', 'link set dev a up', { up: true }],
    ['a master', 'link set dev a master br0', { portKind: 'bridge' }],
    ['no master', 'link set dev p nomaster', { master: undefined, portKind: undefined }],
    ['a setting as a port', 'link set dev p type bridge_slave cost 77', { port: { cost: 77 } }],
    ['an alternative name', 'link property add dev a altname another', { altnames: ['another'] }],
    ['a setting of its kind', 'link set dev br0 type bridge ageing_time 1000', { data: { ageingTime: 1000 } }],
    [
      'how it makes IPv6 addresses',
      'link set dev a addrgenmode random',
      { afSpec: { inet6: { addrGenMode: 'random' } } }
    ]
  ] as const)('%s', async ([, command, expected], { ns }) => {
    ns.tools.ip('link add name a type veth peer name b')
    ns.tools.ip('link add name p type veth peer name q')
    ns.tools.ip('link add name br0 type bridge')
    ns.tools.ip('link set dev p master br0')
    // Of links that are down the kernel announces little.
    for (const name of ['p', 'q', 'br0']) ns.tools.ip(`link set dev ${name} up`)
    if (!command.endsWith('up')) ns.tools.ip('link set dev a up')
    await using watch = ns.net.watch({ links: true, recheck: Number.POSITIVE_INFINITY })
    await take(watch)
    ns.tools.ip(command)
    const [, name] = / dev (\S+)/.exec(command) as unknown as [string, string]
    for (;;) {
      const event = await take(watch)
      expect(event.event).toBe('changed')
      // Others may only now be known to be up.
      if (event.event !== 'changed' || event.before.name !== name || !holds(event.after, expected)) continue
      expect(holds(event.before, expected)).toBe(false)
      return
    }
  })

  function holds(view: object, expected: object): boolean {
    return Object.entries(expected).every(([key, value]) => {
      const got = (view as Record<string, unknown>)[key]
      return value !== null && typeof value === 'object' && !Array.isArray(value)
        ? holds(got as object, value)
        : JSON.stringify(got) === JSON.stringify(value)
    })
  }

  test.for([
    ['an alias', 'link set dev a alias words', { alias: 'words' }],
    ['a group', 'link set dev a group 77', { group: 77 }],
    ['an alternative name', 'link property add dev a altname another', { altnames: ['another'] }],
    ['a limit of GSO', 'link set dev a gso_max_size 32768', { gsoMaxSize: 32768 }]
  ] as const)('%s of a link that is down, which the kernel says nothing of', async ([, command, expected], { ns }) => {
    ns.tools.ip('link add name a type veth peer name b')
    await using watch = ns.net.watch({ links: { name: ['a'] }, recheck: 50 })
    await take(watch)
    ns.tools.ip(command)
    const event = await take(watch)
    expect(event.event === 'changed' && holds(event.after, expected)).toBe(true)
  })

  test('of a lower device, whose counts the kernel says nothing of', async ({ ns }) => {
    ns.tools.ip('link add name low type veth peer name other')
    ns.tools.ip('link set dev low up')
    for (const name of ['m1', 'm2']) {
      ns.tools.ip(`link add link low name ${name} type macvlan mode bridge`)
      ns.tools.ip(`link set dev ${name} up`)
    }
    ns.tools.ip('link set dev m1 allmulticast on')
    await using watch = ns.net.watch({ links: true, recheck: Number.POSITIVE_INFINITY })
    await take(watch)
    ns.tools.ip('link set dev m2 allmulticast on')
    const change = (await takeChange(watch, 'changed link low')) as WatchChange<'link'>
    expect([change.before?.allmulti, change.after?.allmulti]).toEqual([1, 2])
  })

  test('that are read again when asked for', async ({ ns }) => {
    ns.tools.ip('link add name a type veth peer name b')
    await using watch = ns.net.watch({ links: true, recheck: Number.POSITIVE_INFINITY })
    await take(watch)
    ns.tools.ip('link set dev a alias words')
    watch.refresh()
    expect(await take(watch)).toEqual({ event: 'resync', reason: 'refresh' })
    expect(await take(watch)).toMatchObject({ event: 'changed', after: { alias: 'words' } })
  })

  test('of a bridge, by a port that joins it', async ({ ns }) => {
    ns.tools.ip('link add name br0 address 02:00:00:00:00:01 type bridge')
    ns.tools.ip('link add name a mtu 1400 type veth peer name b')
    await using watch = ns.net.watch({ links: true })
    await take(watch)
    ns.tools.ip('link set dev a master br0')
    const changed = await takeChange(watch, 'changed link br0')
    expect((changed as WatchChange<'link'>).after?.mtu).toBe(ns.tools.link('br0').mtu)
  })
})

describe('is told nothing', () => {
  test('of what changes nothing, and of counters', async ({ ns }) => {
    ns.tools.ip('link add name a type veth peer name b')
    for (const name of ['a', 'b', 'lo']) ns.tools.ip(`link set dev ${name} up`)
    ns.tools.ip('addr add 192.0.2.1/24 dev a')
    await using watch = ns.net.watch({ links: { name: ['a', 'end'] } })
    await take(watch)
    ns.tools.ip('link set dev a up')
    ns.tools.ip('link set dev a mtu 1500')
    ns.tools.ip('link set dev a txqueuelen 1000')
    const before = ns.tools.sysfs('a/statistics/tx_packets')
    ns.tools.ip('neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev a')
    ns.tools.exec('bash', '-c', 'for i in 1 2 3; do echo > /dev/udp/192.0.2.9/9; done')
    expect(Number(ns.tools.sysfs('a/statistics/tx_packets'))).toBeGreaterThan(Number(before))
    ns.tools.ip('link add name end type bridge')
    const told = await takeUntil(watch, 'added link end')
    // The state of the carrier may still settle.
    expect(told.filter(words => words !== 'changed link a')).toEqual(['added link end'])
    expect(told.length).toBeLessThan(4)
  })

  test('of what came and went before it was asked', async ({ ns }) => {
    await using watch = ns.net.watch({ links: true })
    await take(watch)
    for (let i = 0; i < 5; i++) {
      ns.tools.ip('link add name br0 type bridge')
      ns.tools.ip('link del dev br0')
    }
    ns.tools.ip('link add name end type bridge')
    expect(await takeUntil(watch, 'added link end')).toEqual(['added link end'])
  })

  test('of the steps of what is told as one', async ({ ns }) => {
    ns.tools.ip('link add name br0 type bridge')
    await using watch = ns.net.watch({ links: true })
    await take(watch)
    for (let mtu = 1300; mtu < 1320; mtu++) ns.tools.ip(`link set dev br0 mtu ${mtu}`)
    const change = await take(watch)
    expect(change).toMatchObject({ event: 'changed', before: { mtu: 1500 }, after: { mtu: 1319 } })
    ns.tools.ip('link add name end type bridge')
    expect(await takeUntil(watch, 'added link end')).toEqual(['added link end'])
  })
})

describe('only', () => {
  const cases: [string, (index: number) => LinkInterest][] = [
    ['an ifindex', index => ({ index: [index] })],
    ['a name', () => ({ name: ['wanted'] })],
    ['a kind', () => ({ kind: 'veth', name: ['wanted'] })],
    ['a master', () => ({ master: 'br0' })]
  ]
  test.for(cases)('%s', async ([, interest], { ns }) => {
    ns.tools.ip('link add name br0 type bridge')
    ns.tools.ip('link add name wanted type veth peer name other')
    ns.tools.ip('link set dev wanted master br0')
    await using watch = ns.net.watch({ links: interest(ns.tools.link('wanted').ifindex) })
    const snapshot = await take(watch)
    expect(snapshot.event === 'snapshot' && snapshot.links.map(link => link.name)).toEqual(['wanted'])
    ns.tools.ip('link set dev other mtu 1400')
    ns.tools.ip('link add name another type bridge')
    ns.tools.ip('link set dev wanted mtu 1300')
    expect(await take(watch)).toMatchObject({ event: 'changed', after: { name: 'wanted', mtu: 1300 } })
    ns.tools.ip('link del dev wanted')
    expect(await take(watch)).toMatchObject({ event: 'removed', before: { name: 'wanted' } })
  })

  test('what comes to match, for as long', async ({ ns }) => {
    ns.tools.ip('link add name br0 type bridge')
    ns.tools.ip('link add name a type veth peer name b')
    await using watch = ns.net.watch({ links: { master: 'br0' } })
    await take(watch)
    ns.tools.ip('link set dev a master br0')
    expect(await take(watch)).toMatchObject({ event: 'added', after: { name: 'a' } })
    ns.tools.ip('link set dev a nomaster')
    expect(await take(watch)).toMatchObject({ event: 'removed', before: { name: 'a' } })
  })
})
