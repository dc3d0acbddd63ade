/**
 * A storm of changes against a watch with the smallest receive buffer and a consumer that stalls: afterwards the consumer
 * has what a fresh dump shows, byte for byte.
 *
 * Longer with STORM_SEEDS (how many, and the first: `100,1`) and STORM_CHANGES (of each).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Link, Netlink, WatchInterest, WatchOptions } from '../../lib/index.js'
import { createNamespace } from '../support/namespace.js'
import { random } from '../support/random.js'
import { storm, stormOfTables, sweep } from '../support/storm.js'
import { Follower, settled, type Told } from '../support/watching.js'

const [SEEDS = 3, FIRST = 1] = (process.env['STORM_SEEDS'] ?? '3,1').split(',').map(Number)
const CHANGES = Number(process.env['STORM_CHANGES'] ?? 1500)
const seeds = Array.from({ length: SEEDS }, (_, i) => FIRST + i)

/** Keeps the processor from the event loop, so that announcements pile up. */
function block(milliseconds: number): void {
  const end = performance.now() + milliseconds
  while (performance.now() < end);
}

/** Takes changes as they come, and stalls at random. */
async function consume(
  follower: Follower,
  net: Netlink,
  seed: number,
  interest: WatchInterest,
  signal: AbortSignal
): Promise<void> {
  const draw = random(seed)
  // What is told is due to announcements and losses alone.
  const options: WatchOptions = { ...interest, receiveBuffer: 1, recheck: Number.POSITIVE_INFINITY, signal }
  for await (const event of net.watch(options)) {
    follower.apply(event as Told)
    const dice = draw(40)
    if (dice === 0) block(draw(80))
    else if (dice === 1) await sleep(draw(150))
  }
}

describe(`${CHANGES} changes of links`, () => {
  test.each(seeds)('seed %i', { timeout: 600_000 }, async seed => {
    await using ns = await createNamespace()
    const controller = new AbortController()
    const follower = new Follower()
    const done = consume(follower, ns.net, seed, { links: true }, controller.signal)
    done.catch(() => {})
    while (!follower.counts['snapshot']) await Promise.race([sleep(5), done])
    await storm(ns, seed, CHANGES)
    // Whatever is under way by the kernel's timers (the state of carriers) is over after a second.
    await sleep(1500)
    await sweep(ns.net)
    await ns.net.links.create({ kind: 'bridge', name: 'end' })
    const isThere = () => follower.has('link', (link: Link) => link.name === 'end')
    for (let tries = 0; !isThere() && tries < 1000; tries++) await Promise.race([sleep(20), done])
    if (process.env['STORM_SEEDS']) console.log(`seed ${seed}:`, JSON.stringify(follower.counts))
    // It may be among many changes that were read together and are not all taken yet.
    expect(await settled(follower, ns.net, ['link'], 10_000)).toEqual({})
    controller.abort()
    await expect(done).rejects.toMatchObject({ name: 'AbortError' })
    expect(follower.counts['resync'] ?? 0).toBeGreaterThan(0)
  })
})

describe(`${CHANGES} changes of addresses, routes, neighbours and forwarding entries`, () => {
  test.each(seeds)('seed %i', { timeout: 600_000 }, async seed => {
    await using ns = await createNamespace()
    const controller = new AbortController()
    const follower = new Follower()
    const interest = { addresses: true, routes: true, neighbours: true, fdb: true }
    const done = consume(follower, ns.net, seed, interest, controller.signal)
    done.catch(() => {})
    while (!follower.counts['snapshot']) await Promise.race([sleep(5), done])
    await stormOfTables(ns, seed, CHANGES)
    const objects = ['address', 'route', 'neighbour', 'fdb'] as const
    const left = await settled(follower, ns.net, [...objects], 10_000)
    if (process.env['STORM_SEEDS']) console.log(`seed ${seed}:`, JSON.stringify(follower.counts))
    expect(left).toEqual({})
    controller.abort()
    await expect(done).rejects.toMatchObject({ name: 'AbortError' })
    expect(follower.counts['resync'] ?? 0).toBeGreaterThan(0)
  })
})
