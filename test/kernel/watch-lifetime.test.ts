/** Watches end as they are told, and leave nothing. */
import { readdirSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { Netlink, type WatchOptions } from '../../lib/index.js'
import { until } from '../forward/support/frames.js'
import { test } from '../support/namespace.js'
import { take } from '../support/watching.js'

/** Open sockets of this process. */
function sockets(): number {
  return readdirSync('/proc/self/fd').filter(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:')
    } catch {
      return false
    }
  }).length
}

/** Runs `use`, which closes what it opens. */
async function leavesNothing(use: () => Promise<void>): Promise<void> {
  const before = sockets()
  await use()
  await until(() => sockets() <= before, 'its sockets are closed')
}

describe('leaves no socket', () => {
  test('when it is left early', async ({ ns }) => {
    await leavesNothing(async () => {
      const before = sockets()
      for await (const event of ns.net.watch({ links: true })) {
        expect(event.event).toBe('snapshot')
        expect(sockets()).toBe(before + 2)
        break
      }
    })
  })

  test('when it was never begun', async ({ ns }) => {
    await leavesNothing(async () => {
      const watch = ns.net.watch({ links: true })
      await watch.close()
      expect(await watch.next()).toEqual({ done: true, value: undefined })
    })
  })

  test('when it is closed while waited for, and while it opens', async ({ ns }) => {
    await leavesNothing(async () => {
      const watch = ns.net.watch({ links: true })
      await take(watch)
      const next = watch.next()
      await watch.close()
      expect(await next).toEqual({ done: true, value: undefined })
      for (let turns = 0; turns < 8; turns++) {
        const opening = ns.net.watch({ links: true })
        const first = opening.next()
        for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
        await opening.close()
        await first
      }
    })
  })

  test('when it is disposed of', async ({ ns }) => {
    await leavesNothing(async () => {
      await using watch = ns.net.watch({ links: true })
      await take(watch)
    })
  })

  test('when it is aborted, with the reason', async ({ ns }) => {
    await leavesNothing(async () => {
      const controller = new AbortController()
      const watch = ns.net.watch({ links: true, signal: controller.signal })
      await take(watch)
      const next = watch.next()
      const reason = new Error('enough')
      setTimeout(() => controller.abort(reason), 20)
      await expect(next).rejects.toBe(reason)
      expect(await watch.next()).toEqual({ done: true, value: undefined })
      const late = ns.net.watch({ links: true, signal: controller.signal })
      await expect(late.next()).rejects.toBe(reason)
    })
  })

  test('when the Netlink is closed', async ({ ns }) => {
    await leavesNothing(async () => {
      const net = await Netlink.open({ netns: ns.name })
      const watch = net.watch({ links: true })
      await take(watch)
      const next = watch.next()
      const later = net.watch({ links: true })
      net.close()
      await expect(next).rejects.toMatchObject({ code: 'ERR_CLOSED' })
      await expect(later.next()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    })
  })

  test('when it is aborted with changes left to take', async ({ ns }) => {
    await leavesNothing(async () => {
      const controller = new AbortController()
      const watch = ns.net.watch({ links: true, signal: controller.signal })
      await take(watch)
      for (let i = 0; i < 4; i++) ns.tools.ip(`link add name b${i} type bridge`)
      await take(watch)
      controller.abort(new Error('enough'))
      await expect(watch.next()).rejects.toThrow('enough')
    })
  })
})

test('lets the event loop turn, and other requests be answered, while it waits', async ({ ns }) => {
  await using watch = ns.net.watch({ links: true })
  await take(watch)
  const next = watch.next()
  await sleep(20)
  await ns.net.links.create({ kind: 'bridge', name: 'br0' })
  expect((await next).value).toMatchObject({ event: 'added', after: { name: 'br0' } })
})

test('several at a time', async ({ ns }) => {
  await using one = ns.net.watch({ links: true })
  await using other = ns.net.watch({ links: { kind: 'bridge' } })
  await Promise.all([take(one), take(other)])
  ns.tools.ip('link add name br0 type bridge')
  expect(await Promise.all([take(one), take(other)])).toMatchObject([
    { after: { name: 'br0' } },
    { after: { name: 'br0' } }
  ])
})

describe('waitFor', () => {
  test('what is so already, and what becomes so', async ({ ns }) => {
    await leavesNothing(async () => {
      const lo = await ns.net.waitFor({ links: true }, ({ links }) => links.length === 1)
      expect(lo.links[0]?.name).toBe('lo')
      const waiting = ns.net.waitFor({ links: { name: ['br0'] }, addresses: true }, ({ links, addresses }) =>
        addresses.some(address => address.index === links[0]?.index)
      )
      ns.tools.ip('link add name br0 type bridge')
      ns.tools.ip('addr add 192.0.2.1/24 dev br0')
      expect((await waiting).addresses.map(String)).toContain('192.0.2.1/24')
    })
  })

  test('gives up after a time, and when aborted', async ({ ns }) => {
    await leavesNothing(async () => {
      const never = ns.net.waitFor({ links: true }, () => false, { timeout: 50 })
      await expect(never).rejects.toMatchObject({ code: 'ERR_TIMEOUT' })
      const reason = new Error('enough')
      const signal = AbortSignal.abort(reason)
      await expect(ns.net.waitFor({ links: true }, () => false, { signal })).rejects.toBe(reason)
    })
  })

  test('throws what the condition throws', async ({ ns }) => {
    await leavesNothing(async () => {
      const failing = ns.net.waitFor({ links: true }, () => {
        throw new Error('on purpose')
      })
      await expect(failing).rejects.toThrow('on purpose')
    })
  })
})

const wrong: [string, object][] = [
  ['links', {}],
  ['links.index', { links: { index: ['lo'] } }],
  ['links.kin', { links: { kin: 'bridge' } }],
  ['routes.table', { routes: { table: 0 } }],
  ['addresses', { addresses: 'lo' }],
  ['namespaces', { links: true, namespaces: 'some' }],
  ['receiveBuffer', { links: true, receiveBuffer: -1 }],
  ['recheck', { links: true, recheck: 0 }],
  ['signal', { links: true, signal: 1 }],
  ['link', { link: true }]
]
test.for(wrong)('refuses a wrong %s', ([path, options], { ns }) => {
  expect(() => ns.net.watch(options as WatchOptions)).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE', path })
  )
})
