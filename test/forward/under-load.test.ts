/** What is changed while frames go through changes nothing for the others. */
import { describe, expect, test } from 'vitest'
import type { SwitchPort } from '../../lib/index.js'
import { openTap } from '../tap/support/devices.js'
import { needsTun } from '../tap/support/needs.js'
import { openPipe, openSwitch } from './support/forwarders.js'
import { someTime, transfer } from './support/frames.js'

needsTun()

const COUNT = 30_000
const whole = { frames: COUNT, wrong: 0, inOrder: true }

const device = (name: string, queues = 1) => openTap({ name, queues, up: true, ipv6: false, txqlen: COUNT + 1000 })

/** Repeats something until a transfer is over. */
async function meanwhile<T>(transfers: Promise<T>, change: (times: number) => Promise<void>): Promise<[T, number]> {
  let over = false
  const result = transfers.finally(() => {
    over = true
  })
  let times = 0
  while (!over) await change(times++)
  return [await result, times]
}

describe('frames between two ports of a switch arrive whole and in order', { timeout: 60_000 }, () => {
  test.each([undefined, 2])('while others are added, changed and removed, with %s threads', async threads => {
    const taps = await Promise.all(['load-a', 'load-b', 'load-c', 'load-d'].map(name => device(name)))
    const [a, b, c, d] = taps as [(typeof taps)[0], (typeof taps)[0], (typeof taps)[0], (typeof taps)[0]]
    const sw = await openSwitch({ ports: [a, b], threads })
    const both = Promise.all([
      transfer({ link: 'load-a' }, { link: 'load-b' }, COUNT),
      transfer({ link: 'load-b' }, { link: 'load-a' }, COUNT)
    ])
    const [result, times] = await meanwhile(both, async () => {
      const added = await Promise.all([sw.addPort(c), sw.addPort(d, { isolated: true })])
      for (const port of added) {
        port.set({ learning: false, flood: false })
        port.pause()
        port.set({ flood: true, stormLimit: 10 })
        port.resume()
      }
      sw.table()
      sw.flush()
      await Promise.all(added.map(port => sw.removePort(port)))
    })
    expect(result).toEqual([whole, whole])
    expect(times).toBeGreaterThan(5)
    const [first, second] = sw.ports as [SwitchPort, SwitchPort]
    expect(first.counters.rxFrames + second.counters.rxFrames).toBe(2 * COUNT)
  })

  test('while they are paused and resumed themselves', async () => {
    const sw = await openSwitch({ ports: [await device('load-a'), await device('load-b')] })
    const pipe = await openPipe(await device('load-c'), await device('load-d'))
    const both = Promise.all([
      transfer({ link: 'load-a' }, { link: 'load-b' }, COUNT),
      transfer({ link: 'load-c' }, { link: 'load-d' }, COUNT)
    ])
    const [first] = sw.ports as [SwitchPort]
    const [result, times] = await meanwhile(both, async () => {
      // What comes meanwhile waits in the device.
      first.pause()
      pipe.pause()
      await someTime(2)
      first.resume()
      pipe.resume()
      await someTime(5)
    })
    expect(result).toEqual([whole, whole])
    expect(times).toBeGreaterThan(5)
  })
})

test('counters only grow, and add up, while they are read', { timeout: 60_000 }, async () => {
  const pipe = await openPipe(await device('load-a', 2), await device('load-b', 2))
  let last = 0
  const [result] = await meanwhile(transfer({ link: 'load-a' }, { link: 'load-b' }, COUNT), async () => {
    const { rxFrames, txFrames } = { txFrames: pipe.b.counters.txFrames, rxFrames: pipe.a.counters.rxFrames }
    expect(txFrames).toBeGreaterThanOrEqual(last)
    expect(rxFrames).toBeGreaterThanOrEqual(txFrames)
    last = txFrames
    await someTime(1)
  })
  expect(result).toMatchObject({ frames: COUNT, wrong: 0 })
  expect(pipe.counters).toMatchObject({ rxFrames: COUNT, txFrames: COUNT })
})
