/** A pool of TAPs: there at once, refilled behind, drained at the end. */
import { expect, onTestFinished, test, vi } from 'vitest'
import { Tap, TapPool, type TapPoolOptions } from '../../lib/index.js'
import { ping } from './support/kernel-stack.js'
import { needsTun } from './support/needs.js'
import { createNetns } from './support/netns.js'
import { ip, ipLink, ipLinks, newFiles, openFiles } from './support/system.js'

needsTun()

const names = (netns: string) =>
  ipLinks(netns)
    .map(link => link.ifname)
    .filter(name => name.startsWith('pool'))

function createBridge(): string {
  const netns = createNetns()
  ip(netns, 'link', 'add', 'br0', 'up', 'type', 'bridge')
  ip(netns, 'address', 'add', '192.0.2.1/24', 'dev', 'br0')
  return netns
}

async function openPool(options: TapPoolOptions): Promise<TapPool> {
  const pool = await TapPool.open(options)
  onTestFinished(() => pool.close())
  return pool
}

function owned(tap: Tap | undefined): Tap {
  if (!tap) throw new Error('none was ready')
  onTestFinished(() => tap.close())
  return tap
}

test('ready ports are taken without waiting, and made anew behind', async () => {
  const netns = createBridge()
  const pool = await openPool({ name: 'pool%d', netns, master: 'br0', mtu: 1400, up: true, size: 4 })
  expect(pool.ready).toBe(4)
  expect(names(netns)).toHaveLength(4)
  const taken = [owned(pool.takeNow()), owned(pool.takeNow()), owned(pool.takeNow())]
  expect(pool.ready).toBe(1)
  for (const { name, index } of taken) {
    expect(ipLink(name, netns)).toMatchObject({ ifindex: index, master: 'br0', mtu: 1400 })
    expect(ipLink(name, netns)?.flags).toContain('UP')
  }
  await expect.poll(() => pool.ready).toBe(4)
  expect(names(netns)).toHaveLength(7)
  expect(new Set(taken.map(({ name }) => name)).size).toBe(3)
})

test('settings that come late', async () => {
  const netns = createBridge()
  const pool = await openPool({ name: 'pool%d', netns, master: 'br0', up: true, size: 2 })
  const tap = owned(
    await pool.take({ address: '02:00:00:00:00:09', alias: 'guest 7', addresses: ['198.51.100.1/24'], mtu: 1300 })
  )
  expect(ipLink(tap.name, netns)).toMatchObject({ address: '02:00:00:00:00:09', ifalias: 'guest 7', mtu: 1300 })
  expect(ip(netns, 'address', 'show', 'dev', tap.name)).toContain('198.51.100.1/24')
})

test('an alias that comes late leaves the owner', async () => {
  const netns = createBridge()
  const pool = await openPool({ name: 'pool%d', netns, owner: 'vmm', size: 1, refillBelow: 0 })
  const tap = owned(await pool.take({ alias: 'guest 7' }))
  expect(ipLink(tap.name, netns)?.ifalias).toBe('linkwright:vmm guest 7')
})

test('a setting that fails closes the TAP', async () => {
  const netns = createBridge()
  const pool = await openPool({ name: 'pool%d', netns, size: 1, refillBelow: 0 })
  const [name] = names(netns)
  await expect(pool.take({ mtu: 20 })).rejects.toMatchObject({ code: 'EINVAL' })
  expect(names(netns)).not.toContain(name)
})

test('who comes when it is empty waits for the next', async () => {
  const netns = createBridge()
  const pool = await openPool({ name: 'pool%d', netns, size: 2 })
  const taps = await Promise.all(Array.from({ length: 20 }, () => pool.take()))
  for (const tap of taps) owned(tap)
  expect(new Set(taps.map(({ index }) => index)).size).toBe(20)
  await expect.poll(() => pool.ready).toBe(2)
})

test('who comes in the moment that it is full is not forgotten', async () => {
  const netns = createBridge()
  const pool = await openPool({ name: 'pool%d', netns, size: 1 })
  let late: Promise<Tap> | undefined
  const original = Tap.openMany
  const openMany = vi.spyOn(Tap, 'openMany').mockImplementationOnce(async (...given) => {
    const results = await original.apply(Tap, given)
    const look = (left: number) => {
      if (pool.ready === 1) {
        owned(pool.takeNow())
        late = pool.take()
      } else if (left > 0) queueMicrotask(() => look(left - 1))
    }
    look(20)
    return results
  })
  owned(pool.takeNow())
  await expect.poll(() => late).toBeDefined()
  openMany.mockRestore()
  owned(await late)
})

test('a TAP that was deleted meanwhile is not handed out', async () => {
  const netns = createBridge()
  const pool = await openPool({ name: 'pool%d', netns, size: 3, refillBelow: 0 })
  ip(netns, 'link', 'delete', 'pool2')
  expect([owned(pool.takeNow()).name, owned(pool.takeNow()).name]).toEqual(['pool1', 'pool0'])
  expect(pool.takeNow()).toBeUndefined()
})

test('frames that came for nobody are gone', async () => {
  const netns = createBridge()
  const pool = await openPool({ name: 'pool%d', netns, master: 'br0', up: true, size: 1, refillBelow: 0 })
  const control = owned(await Tap.open({ name: 'control0', netns, master: 'br0', up: true })).frames()
  // ARP requests for somebody who is not there go to every port.
  expect(await ping('192.0.2.7', { netns, count: 1 })).toBe(0)
  expect(control.readBatch(control.createBatch())).toBeGreaterThan(0)
  const frames = owned(pool.takeNow()).frames()
  expect(frames.readBatch(frames.createBatch())).toBe(0)
})

test('what cannot be made is told to those who wait', async () => {
  const netns = createBridge()
  const pool = await openPool({ name: 'pool%d', netns, master: 'br0', size: 1, refillBelow: 0 })
  owned(pool.takeNow())
  ip(netns, 'link', 'delete', 'br0')
  await expect(pool.take()).rejects.toMatchObject({ code: 'ENODEV' })
  ip(netns, 'link', 'add', 'br0', 'type', 'bridge')
  expect(ipLink(owned(await pool.take()).name, netns)?.master).toBe('br0')
})

test('closing leaves what was taken, and nothing else', async () => {
  const netns = createBridge()
  const before = openFiles()
  const pool = await TapPool.open({ name: 'pool%d', netns, size: 40 })
  const tap = owned(pool.takeNow())
  const waiting = Promise.allSettled(Array.from({ length: 60 }, () => pool.take()))
  await pool.close()
  const results = await waiting
  for (const result of results) if (result.status === 'fulfilled') await result.value.close()
  expect(results.some(result => result.status === 'rejected' && result.reason.code === 'ERR_CLOSED')).toBe(true)
  expect(names(netns)).toEqual([tap.name])
  expect(() => pool.takeNow()).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
  await tap.close()
  await expect.poll(() => newFiles(before)).toEqual([])
})

test('giving up waiting', async () => {
  const netns = createBridge()
  const pool = await openPool({ name: 'pool%d', netns, size: 1, refillBelow: 0 })
  owned(pool.takeNow())
  const controller = new AbortController()
  const taking = pool.take({}, { signal: controller.signal })
  controller.abort(new Error('enough'))
  await expect(taking).rejects.toThrow('enough')
})

test('a pool that cannot be filled leaves nothing', async () => {
  const netns = createBridge()
  await expect(TapPool.open({ name: 'pool%d', netns, master: 'nobody' })).rejects.toMatchObject({ code: 'ENODEV' })
  expect(names(netns)).toEqual([])
  for (const wrong of [
    { size: 0 },
    { refillBelow: 17 },
    { name: 'pool0' },
    { netns: { new: true } },
    { persist: true }
  ]) {
    await expect(TapPool.open(wrong as TapPoolOptions)).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
      path: Object.keys(wrong)[0]
    })
  }
})
