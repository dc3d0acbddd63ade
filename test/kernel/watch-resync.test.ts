/** Watches that miss announcements find out what they missed. */
import { execFileSync } from 'node:child_process'
import { describe, expect } from 'vitest'
import { type Namespace, test } from '../support/namespace.js'
import { deviations, Follower, inWords, settled, take, takeUntil } from '../support/watching.js'

const OPTIONS = { receiveBuffer: 1, recheck: Number.POSITIVE_INFINITY }

/** Many commands while the event loop stands still, so that announcements pile up. */
function batch(ns: Namespace, commands: string[]): void {
  execFileSync('ip', ['-n', ns.name, '-batch', '-'], { input: commands.join('\n') })
}

describe('after an overflow', () => {
  test('one resync, and exactly the differences', async ({ ns }) => {
    batch(ns, [
      'link add name a type veth peer name b',
      'link add name gone type bridge',
      'link add name same type bridge'
    ])
    await using watch = ns.net.watch({ links: true, ...OPTIONS })
    await take(watch)
    batch(ns, [
      ...Array.from({ length: 200 }, (_, i) => `link set dev a mtu ${1300 + i}`),
      'link del dev gone',
      'link add name new type bridge',
      ...Array.from({ length: 50 }, (_, i) => `link set dev same mtu ${i % 2 ? 1500 : 1400}`)
    ])
    expect(await take(watch)).toEqual({ event: 'resync', reason: 'overflow' })
    const differences = [await take(watch), await take(watch), await take(watch)]
    expect(differences.map(inWords).toSorted()).toEqual(['added link new', 'changed link a', 'removed link gone'])
    expect(differences.find(event => event.event === 'changed')).toMatchObject({
      before: { mtu: 1500 },
      after: { mtu: 1499 }
    })
    ns.tools.ip('link add name end type bridge')
    expect(await takeUntil(watch, 'added link end')).toEqual(['added link end'])
  })

  test('it goes on, however often', async ({ ns }) => {
    ns.tools.ip('link add name a type veth peer name b')
    await using watch = ns.net.watch({ links: true, ...OPTIONS })
    const follower = new Follower()
    follower.apply(await take(watch))
    for (let round = 0; round < 5; round++) {
      batch(
        ns,
        Array.from({ length: 60 }, (_, i) => `link set dev a mtu ${1300 + 60 * round + i}`)
      )
      ns.tools.ip(`link add name end${round} type bridge`)
      while (!follower.has('link', (link: { name?: string }) => link.name === `end${round}`))
        follower.apply(await take(watch))
      expect(await deviations(follower, ns.net, ['link'])).toEqual({})
    }
    expect(follower.counts['resync']).toBeGreaterThan(1)
  })

  test('of all sorts of objects', async ({ ns }) => {
    batch(ns, [
      'link set dev lo up',
      'link add name a type veth peer name b',
      'link add name br0 type bridge',
      'link set dev a master br0',
      'link set dev a up',
      'link set dev b up',
      'link set dev br0 up'
    ])
    const watch = ns.net.watch({ addresses: true, routes: true, neighbours: true, fdb: true, ...OPTIONS })
    const follower = new Follower()
    follower.apply(await take(watch))
    const many = Array.from({ length: 60 }, (_, i) => i + 1)
    batch(ns, [
      ...many.map(i => `addr add 192.0.2.${i}/24 dev br0`),
      ...many.map(i => `neigh add 192.0.2.${100 + i} lladdr 02:00:00:00:00:${10 + i} dev br0`),
      ...many.map(i => `route add 198.51.100.${i} dev br0`),
      'addr del 192.0.2.7/24 dev br0'
    ])
    execFileSync('bridge', ['-n', ns.name, '-batch', '-'], {
      input: many.map(i => `fdb add 02:00:00:00:01:${10 + i} dev a master static`).join('\n')
    })
    const reasons: string[] = []
    const done = () => follower.has('fdb', (it: { lladdr?: string }) => it.lladdr === '02:00:00:00:01:70')
    while (!done()) {
      const event = await take(watch)
      if (event.event === 'resync') reasons.push(event.reason)
      follower.apply(event)
    }
    expect(reasons).toContain('overflow')
    void follower.follow(watch)
    const objects = ['address', 'route', 'neighbour', 'fdb'] as const
    expect(await settled(follower, ns.net, [...objects])).toEqual({})
    await watch.close()
  })
})
