/** What becomes of readers whose device goes away or is given away under them. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, onTestFinished, test } from 'vitest'
import { FrameQueue, type Tap } from '../../lib/index.js'
import { openMacvtap, openNetlink, openTap } from '../tap/support/devices.js'
import { sendRaw } from '../tap/support/kernel-stack.js'
import { needsMacvtap, needsTun } from '../tap/support/needs.js'
import { createNetns } from '../tap/support/netns.js'
import { ip } from '../tap/support/system.js'

const frame = Buffer.concat([Buffer.from('ffffffffffff02000000000188b5', 'hex'), Buffer.alloc(50)])

/** Reads until it ends; `undefined` if it just ended, else its error. */
async function readAll(queue: FrameQueue): Promise<unknown> {
  try {
    for await (const _ of queue) {
      // Whatever comes.
    }
    return undefined
  } catch (error) {
    return error
  }
}

const someTime = (milliseconds: number) => new Promise(resolve => setTimeout(resolve, milliseconds))

async function processorTime(milliseconds: number): Promise<number> {
  const before = process.cpuUsage()
  await someTime(milliseconds)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

describe('a TAP', () => {
  needsTun()

  test('that is deleted ends its reader with EBADFD', async () => {
    const tap = await openTap({ name: 'gone0', up: true, ipv6: false })
    const reading = readAll(tap.frames())
    ip(undefined, 'link', 'delete', 'gone0')
    expect(await reading).toMatchObject({ code: 'EBADFD', syscall: 'read', link: 'gone0' })
    const queue = tap.frames()
    const batch = queue.createBatch()
    batch.push(frame)
    expect(queue.writeBatch(batch)).toBe(0)
    expect(queue.writeErrorCode).toBe('EBADFD')
  })

  test('that goes down keeps its reader, which costs nothing, and goes on when it is up again', async () => {
    const tap = await openTap({ name: 'down0', up: true, ipv6: false })
    const queue = tap.frames()
    let frames = 0
    const reading = (async () => {
      for await (const batch of queue) frames += batch.length
    })()
    ip(undefined, 'link', 'set', 'down0', 'down')
    expect(await processorTime(300)).toBeLessThan(150)
    expect(frames).toBe(0)
    ip(undefined, 'link', 'set', 'down0', 'up')
    await sendRaw('down0', [frame])
    await expect.poll(() => frames).toBe(1)
    await tap.close()
    await reading
  })

  test('keeps its namespace, whose name may go', async () => {
    const netns = `frames-${process.pid}`
    ip(undefined, 'netns', 'add', netns)
    const tap = await openTap({ name: 'kept0', netns, up: true, ipv6: false })
    const reading = readAll(tap.frames())
    ip(undefined, 'netns', 'delete', netns)
    await someTime(200)
    expect((await tap.describe()).name).toBe('kept0')
    await tap.close()
    expect(await reading).toBeUndefined()
  })

  test('that a child reads as well shares its frames with it, and both end', async () => {
    const tap = await openTap({ name: 'shared0', up: true, ipv6: false })
    const child = spawn(
      '/usr/bin/python3',
      ['-c', 'import os, select, sys\nselect.select([3], [], [])\nsys.stdout.buffer.write(os.read(3, 2000))'],
      { stdio: ['ignore', 'pipe', 'inherit', tap.fd] }
    )
    const exited = once(child, 'exit')
    const reading = readAll(tap.frames())
    // Whoever is quicker has it: send until the child had one.
    const sending = setInterval(() => void sendRaw('shared0', [frame]).catch(() => {}), 50)
    await exited
    clearInterval(sending)
    await someTime(200)
    await tap.close()
    expect(await reading).toBeUndefined()
  })

  test('an idle reader does not keep the processor busy', async () => {
    const tap = await openTap({ name: 'idle0', up: true, ipv6: false })
    const reading = readAll(tap.frames())
    await sendRaw('idle0', [frame])
    await someTime(50)
    expect(await processorTime(300)).toBeLessThan(150)
    await tap.close()
    await reading
  })

  test('nobody sees frames of a queue that is closed while they wait', async () => {
    const tap = await openTap({ name: 'closed0', up: true, ipv6: false })
    const queue = tap.frames()
    const waiting = queue.readable()
    queue.close()
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await expect(queue.readable()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    expect(await readAll(queue)).toBeUndefined()
  })

  test('that is deleted wakes whoever waits, every time', async () => {
    const tap = await openTap({ name: 'gone0', up: true, ipv6: false })
    const queue = tap.frames()
    const waiting = queue.readable()
    ip(undefined, 'link', 'delete', 'gone0')
    await waiting
    await queue.readable()
    expect(() => queue.readBatch(queue.createBatch())).toThrow(expect.objectContaining({ code: 'EBADFD' }))
  })

  test('whose queue was parked goes on when it is used again', async () => {
    const tap = await openTap({ name: 'parked0', queues: 2, up: true, ipv6: false })
    const queue = tap.frames({ queue: 1 })
    const next = queue.batches().next()
    await someTime(20)
    await tap.detachQueue(1)
    await sendRaw('parked0', [frame])
    expect(queue.counters.rxFrames).toBe(0)
    // From now on all frames come here.
    await tap.attachQueue(1)
    await tap.detachQueue(0)
    await sendRaw('parked0', [frame])
    expect((await next).value).toMatchObject({ length: 1 })
  })

  test('two wait for the same queue, for reading and for writing', async () => {
    const tap: Tap = await openTap({ name: 'both0', up: true, ipv6: false })
    const queue = tap.frames()
    const readable = queue.readable()
    await queue.writable()
    await sendRaw('both0', [frame])
    await readable
  })
})

describe('a macvtap', () => {
  needsMacvtap()

  async function macvtap(netns?: string) {
    const place = netns === undefined ? {} : { netns }
    const net = await openNetlink(place)
    await net.links.create({ kind: 'veth', name: 'lower0', up: true, peer: { name: 'lower1', up: true } })
    onTestFinished(() => net.links.delete('lower0'))
    const link = await net.links.create({ kind: 'macvtap', name: 'mvt0', link: 'lower0', mode: 'bridge', up: true })
    return openMacvtap(link, place)
  }

  test.each([[undefined], ['another']])('that is deleted ends its reader with ENOLINK (namespace: %s)', async where => {
    const netns = where === undefined ? undefined : createNetns()
    const device = await macvtap(netns)
    const queue = device.frames()
    const reading = readAll(queue)
    await someTime(100)
    ip(netns, 'link', 'delete', 'mvt0')
    expect(await reading).toMatchObject({ code: 'ENOLINK', link: 'mvt0' })
    expect(() => queue.readBatch(queue.createBatch())).toThrow(expect.objectContaining({ code: 'ENOLINK' }))
  })

  test('that was deleted before anybody read is noticed as well', async () => {
    const device = await macvtap()
    ip(undefined, 'link', 'delete', 'mvt0')
    expect(await readAll(device.frames())).toMatchObject({ code: 'ENOLINK' })
  })

  test('that is deleted is told to those who only read and write, and takes no more frames', async () => {
    const { REFUSED } = await import('../../lib/index.js')
    const queue = (await macvtap()).frames()
    const batch = queue.createBatch()
    batch.push(frame)
    expect(queue.writeBatch(batch)).toBe(1)
    ip(undefined, 'link', 'delete', 'mvt0')
    const read = () => {
      try {
        return queue.readBatch(queue.createBatch())
      } catch (error) {
        return (error as { code?: string }).code
      }
    }
    await expect.poll(read).toBe('ENOLINK')
    expect(() => queue.writeBatch(batch)).toThrow(expect.objectContaining({ code: 'ENOLINK' }))
    const { txFrames } = queue.counters
    const from = (await openTap({ up: true, ipv6: false })).frames()
    const verdicts = Int32Array.of(0)
    expect(from.forward(batch, verdicts, [queue])).toBe(0)
    expect([...verdicts]).toEqual([REFUSED])
    expect(queue.counters).toMatchObject({ txFrames, txRefused: 1 })
  })

  test('that is deleted ends the reader of a duplicate, who does not know its namespace', async () => {
    const device = await macvtap()
    const queue = await FrameQueue.duplicate(device.fd)
    onTestFinished(() => queue.close())
    const reading = readAll(queue)
    ip(undefined, 'link', 'delete', 'mvt0')
    expect(await reading).toMatchObject({ code: 'ENOLINK', link: 'mvt0' })
  })

  test('that only changes stays', async () => {
    const device = await macvtap()
    const queue = device.frames()
    const reading = readAll(queue)
    ip(undefined, 'link', 'set', 'mvt0', 'down')
    ip(undefined, 'link', 'set', 'mvt0', 'up')
    await someTime(100)
    await device.close()
    expect(await reading).toBeUndefined()
  })
})
