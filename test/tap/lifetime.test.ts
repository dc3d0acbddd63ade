import { closeSync, readSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Tap } from '../../lib/index.js'
import { openNetlink, openTap } from './support/devices.js'
import { needsTun } from './support/needs.js'
import { fdInfoName, ipLink, openFiles } from './support/system.js'

needsTun()

describe('close()', () => {
  test('is idempotent, and both wait for the end', async () => {
    const tap = await Tap.open({ name: 'life0', queues: 3 })
    expect(tap.closed).toBe(false)
    const closings = [tap.close(), tap.close()]
    expect(tap.closed).toBe(true)
    await Promise.race(closings)
    expect(ipLink('life0')).toBeUndefined()
    await Promise.all([...closings, tap.close()])
    expect(openFiles()).not.toContain('/dev/net/tun')
  })

  test('by Symbol.asyncDispose and Symbol.dispose', async () => {
    {
      await using tap = await Tap.open({ name: 'life0' })
      expect(ipLink(tap.name)).toBeDefined()
    }
    expect(ipLink('life0')).toBeUndefined()
    {
      using tap = await Tap.open({ name: 'life0' })
      expect(ipLink(tap.name)).toBeDefined()
    }
    await expect.poll(() => ipLink('life0')).toBeUndefined()
  })

  test('never blocks this thread', async () => {
    const taps = await Promise.all(Array.from({ length: 24 }, () => Tap.open({ up: true, ipv6: false })))
    const before = performance.eventLoopUtilization()
    const began = performance.now()
    await Promise.all(taps.map(tap => tap.close()))
    const took = performance.now() - began
    // Otherwise the kernel was so fast that nothing is shown.
    expect(took).toBeGreaterThan(20)
    // The rest of the time it waited for events, ready for others.
    expect(performance.eventLoopUtilization(before).active).toBeLessThan(took / 3)
    expect(openFiles()).not.toContain('/dev/net/tun')
  })
})

describe('after close()', () => {
  test('everything says ERR_CLOSED', async () => {
    const tap = await Tap.open({ name: 'life0', queues: 2 })
    await tap.close()
    const closed = { code: 'ERR_CLOSED' }
    expect(tap.fds).toEqual([])
    expect(() => tap.fd).toThrow(expect.objectContaining(closed))
    expect(() => tap.release()).toThrow(expect.objectContaining(closed))
    await expect(tap.describe()).rejects.toMatchObject(closed)
    await expect(tap.addQueues(1)).rejects.toMatchObject(closed)
    await expect(tap.setCarrier(true)).rejects.toMatchObject(closed)
    await expect(tap.setPersist(true)).rejects.toMatchObject(closed)
    await expect(tap.setOffloads({})).rejects.toMatchObject(closed)
    await expect(tap.setFilter(null)).rejects.toMatchObject(closed)
    await expect(tap.detachQueue(0)).rejects.toMatchObject(closed)
    await expect(tap.setVnetHeaderSize(12)).rejects.toMatchObject(closed)
    await expect(tap.setSndbuf(1000)).rejects.toMatchObject(closed)
    await expect(tap.setVnetEndian('little')).rejects.toMatchObject(closed)
  })

  test('queues that come late are closed', async () => {
    for (let turns = 0; turns < 20; turns++) {
      const tap = await Tap.open({ name: 'life0', queues: 2 })
      const adding = tap.addQueues(4).catch(error => expect(error.code).toMatch(/^(ERR_CLOSED|EBADFD?)$/))
      for (let turn = 0; turn < turns; turn++) await new Promise(resolve => setImmediate(resolve))
      await tap.close()
      await adding
      expect(openFiles()).not.toContain('/dev/net/tun')
      expect(ipLink('life0')).toBeUndefined()
    }
  })
})

describe('release()', () => {
  test('gives the descriptors up', async () => {
    const tap = await Tap.open({ name: 'life0', queues: 2 })
    const fds = tap.release()
    expect(tap.closed).toBe(true)
    expect(tap.fds).toEqual([])
    await tap.close()
    expect(fds.map(fdInfoName)).toEqual(['life0', 'life0'])
    expect(() => tap.release()).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
    for (const fd of fds) closeSync(fd)
    expect(ipLink('life0')).toBeUndefined()
  })
})

describe('a device that is collected while open', () => {
  test('is closed, with a warning', async () => {
    const warnings: (Error & { code?: string })[] = []
    const listener = (warning: Error) => warnings.push(warning)
    process.on('warning', listener)
    onTestFinished(() => {
      process.off('warning', listener)
    })
    await (async () => {
      await Tap.open({ name: 'life0' })
    })()
    await expect
      .poll(
        async () => {
          global.gc?.()
          await delay(1)
          return warnings.some(({ code }) => code === 'LINKWRIGHT_LEAK')
        },
        { timeout: 10_000 }
      )
      .toBe(true)
    expect(warnings.map(({ message }) => message)).toContain('Tap life0 was garbage-collected while open; call close()')
    await expect.poll(() => ipLink('life0')).toBeUndefined()
  })
})

describe('a device that is deleted while open', () => {
  test('reads fail with EBADFD, and descriptors say so', async () => {
    const tap = await openTap({ name: 'life0', up: true })
    const net = await openNetlink()
    await net.links.delete('life0')
    expect(() => readSync(tap.fd, Buffer.alloc(2000))).toThrow(expect.objectContaining({ errno: -77 }))
    await expect(tap.describe()).rejects.toMatchObject({
      code: 'EBADFD',
      errno: -77,
      syscall: 'ioctl(TUNGETIFF)',
      link: 'life0'
    })
    await tap.close()
    expect(openFiles()).not.toContain('/dev/net/tun')
  })

  test('further queues are refused, not made on another device', async () => {
    const tap = await openTap({ name: 'life0', queues: 2 })
    const net = await openNetlink()
    await net.links.delete('life0')
    await expect(tap.addQueues(1)).rejects.toMatchObject({ code: 'EBADFD' })
    expect(ipLink('life0')).toBeUndefined()
  })
})
