/** Super-frames and checksums on the way through a forwarder. */
import { describe, expect, test } from 'vitest'
import type { Tap, TapOptions, Tun } from '../../lib/index.js'
import { atLeast } from '../support/features.js'
import { openTap, openTun } from '../tap/support/devices.js'
import { needsTun } from '../tap/support/needs.js'
import { createNetns } from '../tap/support/netns.js'
import { ip } from '../tap/support/system.js'
import { openPipe, openSwitch } from './support/forwarders.js'
import { until } from './support/frames.js'
import { type Host, tcp, udp } from './support/streams.js'

needsTun()

const BYTES = 20_000_000
const MTU = 1500
const TSO = { csum: true, tso4: true, tso6: true }
const ALL = { ...TSO, uso4: true, uso6: true }
/** Super-frames both ways. */
const WITH: TapOptions = { vnetHeader: 12, offloads: TSO }
const WITHOUT: TapOptions = {}

/** A host with a device of ours, in a namespace of its own. */
async function host<D extends Tap | Tun>(
  open: (options: TapOptions) => Promise<D>,
  number: number,
  options: TapOptions
): Promise<Host & { device: D; ip6: Host }> {
  const netns = createNetns()
  const device = await open({ name: 'off0', netns, up: true, mtu: MTU, txqlen: 10_000, ...options })
  const [address, address6] = [`192.0.2.${number}`, `2001:db8::${number}`]
  ip(netns, 'address', 'add', `${address}/24`, 'dev', 'off0')
  ip(netns, 'address', 'add', `${address6}/64`, 'dev', 'off0', 'nodad')
  return { netns, address, device, ip6: { netns, address: address6 } }
}

describe('TCP through a pipe arrives whole', () => {
  test('in super-frames, where both sides take them', async () => {
    const [left, right] = [await host(openTap, 1, WITH), await host(openTap, 2, { ...WITH, vnetHeader: 10 })]
    const pipe = await openPipe(left.device, right.device)
    expect(await tcp(left, right, BYTES)).toBe(true)
    expect(await tcp(right.ip6, left.ip6, BYTES)).toBe(true)
    for (const { counters } of [pipe.a, pipe.b]) {
      expect(counters.rxBytes).toBeGreaterThan(BYTES)
      // Many segments in a frame.
      expect(counters.rxFrames).toBeLessThan(BYTES / MTU / 2)
      expect(counters).toMatchObject({ split: 0, completed: 0 })
      expect(counters.drops.error).toBe(0)
    }
  })

  test.each([
    ['a device without a header', WITHOUT, {}],
    ['a device that shall get none', WITH, { offloads: false as const }]
  ])('split, for %s', async (_, options, given) => {
    const [left, right] = [await host(openTap, 1, WITH), await host(openTap, 2, options)]
    const pipe = await openPipe(left.device, { port: right.device, ...given })
    expect(await tcp(left, right, BYTES)).toBe(true)
    expect(await tcp(left.ip6, right.ip6, BYTES)).toBe(true)
    const { split, completed, txFrames, drops } = pipe.b.counters
    expect(split).toBeGreaterThan(100)
    // SYN and FIN, at least.
    expect(completed).toBeGreaterThanOrEqual(4)
    expect(txFrames).toBeGreaterThan((2 * BYTES) / MTU)
    expect(txFrames).toBeGreaterThan(pipe.a.counters.rxFrames)
    expect(drops).toMatchObject({ error: 0, oversize: 0 })
  })

  test('split, and no longer than the port takes', async () => {
    const [left, right] = [await host(openTap, 1, WITH), await host(openTap, 2, WITHOUT)]
    const pipe = await openPipe(left.device, { port: right.device, maxFrame: MTU + 14 })
    expect(await tcp(left, right, BYTES)).toBe(true)
    expect(pipe.b.counters.split).toBeGreaterThan(100)
    expect(pipe.b.counters.drops.oversize).toBe(0)
  })

  test('whole, if no segment is longer than the port takes', async () => {
    const jumbo = { ...WITH, mtu: 9000 }
    const [left, right] = [await host(openTap, 1, jumbo), await host(openTap, 2, jumbo)]
    const pipe = await openPipe(left.device, { port: right.device, maxFrame: 9014 })
    expect(await tcp(left, right, BYTES)).toBe(true)
    expect(pipe.b.counters).toMatchObject({ split: 0, drops: { oversize: 0 } })
    await pipe.close()
    const narrow = await openPipe(left.device, { port: right.device, maxFrame: MTU + 14 })
    const sending = tcp(left, right, 100_000).catch(() => false)
    await until(() => narrow.b.counters.drops.oversize > 0, 'longer ones are not given to it')
    const { txBytes, txFrames } = narrow.b.counters
    expect(txBytes).toBeLessThanOrEqual(txFrames * (MTU + 14))
    await narrow.close()
    // The connection is given up with the namespace.
    void sending
  })

  test('with checksums completed, where only those are left', async () => {
    const left = await host(openTap, 1, { vnetHeader: true, offloads: { csum: true } })
    const right = await host(openTap, 2, WITHOUT)
    const pipe = await openPipe(left.device, right.device)
    expect(await tcp(left, right, BYTES)).toBe(true)
    const { completed, split, drops } = pipe.b.counters
    expect(completed).toBeGreaterThan(BYTES / MTU)
    expect(split).toBe(0)
    expect(drops.error).toBe(0)
  })

  test('merged, where only the receiver takes super-frames', async () => {
    const [left, right] = [await host(openTap, 1, WITHOUT), await host(openTap, 2, WITH)]
    const pipe = await openPipe(left.device, right.device, { merge: true })
    expect(await tcp(left, right, BYTES)).toBe(true)
    expect(await tcp(right, left, BYTES)).toBe(true)
    expect(pipe.b.counters.txFrames).toBeLessThan(pipe.a.counters.rxFrames)
    // The same bytes of data, and fewer headers.
    expect(pipe.b.counters.txBytes).toBeLessThan(pipe.a.counters.rxBytes)
    expect(pipe.a.counters.split).toBeGreaterThan(100)
  })

  test('between TUNs, whole and split', async () => {
    const [left, right] = [await host(openTun, 1, WITH), await host(openTun, 2, WITHOUT)]
    const pipe = await openPipe(left.device, right.device, { merge: true })
    expect(await tcp(left, right, BYTES)).toBe(true)
    expect(await tcp(right.ip6, left.ip6, BYTES)).toBe(true)
    expect(pipe.b.counters.split).toBeGreaterThan(100)
    expect(pipe.b.counters.drops.error).toBe(0)
  })
})

describe('UDP super-frames (USO)', () => {
  const COUNT = 2000
  const SIZE = 1200
  const whole = { datagrams: COUNT, wrong: 0 }
  /** The kernel keeps few frames for somebody whose address it is still asking for. */
  const acquaint = async (one: Host, other: Host) => expect(await tcp(one, other, 1)).toBe(true)

  test('pass whole', async ({ skip }) => {
    if (!atLeast('6.2')) skip('USO came with Linux 6.2')
    const options = { vnetHeader: true, offloads: ALL }
    const [left, right] = [await host(openTap, 1, options), await host(openTap, 2, options)]
    const pipe = await openPipe(left.device, right.device)
    await acquaint(left, right)
    expect(await udp(left, right, COUNT, SIZE)).toEqual(whole)
    expect(pipe.b.counters.txFrames).toBeLessThan(COUNT / 4)
  })

  test('are split', async ({ skip }) => {
    if (!atLeast('6.2')) skip('USO came with Linux 6.2')
    const [left, right] = [await host(openTap, 1, { vnetHeader: true, offloads: ALL }), await host(openTap, 2, WITHOUT)]
    const pipe = await openPipe(left.device, right.device)
    await acquaint(left, right)
    await acquaint(left.ip6, right.ip6)
    expect(await udp(left, right, COUNT, SIZE)).toEqual(whole)
    expect(await udp(left.ip6, right.ip6, COUNT, SIZE)).toEqual(whole)
    // A thread counts frames when it has written all that it had read: the receiver may be told before.
    await expect.poll(() => pipe.b.counters.txFrames, { timeout: 5000 }).toBeGreaterThanOrEqual(2 * COUNT)
    expect(pipe.b.counters.split).toBeGreaterThan(20)
  })
})

test('a switch sends the same super-frame whole to one port and split to another', async () => {
  const hosts = [await host(openTap, 1, WITH), await host(openTap, 2, WITH), await host(openTap, 3, WITHOUT)]
  const [one, two, three] = hosts as [(typeof hosts)[0], (typeof hosts)[0], (typeof hosts)[0]]
  // Nobody is learned, so all of it goes everywhere.
  const ports = hosts.map(({ device }) => ({ port: device, learning: false }))
  const sw = await openSwitch({ ports })
  expect(await tcp(one, two, BYTES)).toBe(true)
  expect(await tcp(one, three, BYTES)).toBe(true)
  expect(await tcp(three, two, BYTES)).toBe(true)
  const [, second, third] = sw.ports
  expect(second?.counters.split).toBe(0)
  expect(third?.counters.split).toBeGreaterThan(100)
  expect(sw.counters.drops.error).toBe(0)
})
