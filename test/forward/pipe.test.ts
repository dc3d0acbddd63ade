/** A pipe between two devices: what comes out is what went in. */
import { describe, expect, test } from 'vitest'
import { Pipe, type Tap } from '../../lib/index.js'
import { openTap, openTun } from '../tap/support/devices.js'
import { tryRead } from '../tap/support/io.js'
import { needsTun } from '../tap/support/needs.js'
import { createNetns } from '../tap/support/netns.js'
import { ip } from '../tap/support/system.js'
import { openPipe } from './support/forwarders.js'
import { frameOf, someTime, transfer, until, Wire } from './support/frames.js'
import { threadNames } from './support/threads.js'

needsTun()

const COUNT = 5000
const A = '02:00:00:00:00:0a'
const B = '02:00:00:00:00:0b'

/** Its queue holds whatever a test sends. */
const device = (name: string, options: Parameters<typeof openTap>[0] = {}) =>
  openTap({ name, up: true, ipv6: false, txqlen: 20_000, ...options })

const pipeThreads = () => threadNames().filter(name => name.startsWith('pipe-')).length

describe('every frame arrives once, unchanged, in order, both ways', () => {
  test.each([
    ['without headers', undefined, undefined],
    ['headers of 10 bytes', 10, 10],
    ['headers of 12 bytes', 12, 12],
    ['headers of 10 and 12 bytes', 10, 12],
    ['a header at one side', 12, undefined]
  ])('%s', async (_, first, second) => {
    const a = await device('pipe-a', { vnetHeader: first })
    const b = await device('pipe-b', { vnetHeader: second })
    const pipe = await openPipe(a, b)
    const whole = { frames: COUNT, wrong: 0, inOrder: true }
    const both = [
      transfer({ link: 'pipe-a' }, { link: 'pipe-b' }, COUNT),
      transfer({ link: 'pipe-b' }, { link: 'pipe-a' }, COUNT)
    ]
    expect(await Promise.all(both)).toEqual([whole, whole])
    for (const port of [pipe.a, pipe.b]) {
      expect(port.counters).toMatchObject({ rxFrames: COUNT, txFrames: COUNT })
      expect(Object.values(port.counters.drops).every(count => count === 0)).toBe(true)
    }
    expect(pipe.a.counters.rxBytes).toBe(pipe.b.counters.txBytes)
    expect(pipe.a.counters.rxBytes).toBe(bytesOfLink('pipe-a'))
  })
})

/** Bytes that the kernel says it sent out of a link, which are those read from its descriptor. */
function bytesOfLink(name: string): number {
  return JSON.parse(ip(undefined, '-s', '-j', 'link', 'show', name))[0].stats64.tx.bytes
}

test('a TUN’s packets pass to another', async () => {
  const [left, right] = [createNetns(), createNetns()]
  const a = await openTun({ name: 'pipe-a', netns: left, up: true, ipv6: false })
  const b = await openTun({ name: 'pipe-b', netns: right, up: true, ipv6: false, vnetHeader: 12 })
  ip(left, 'address', 'add', '192.0.2.1/24', 'dev', 'pipe-a')
  ip(right, 'address', 'add', '192.0.2.2/24', 'dev', 'pipe-b')
  const pipe = await openPipe(a, b)
  const { ping } = await import('../tap/support/kernel-stack.js')
  expect(await ping('192.0.2.2', { netns: left, count: 3 })).toBe(3)
  expect(pipe.a.layer).toBe('ip')
  expect(pipe.b.counters.rxFrames).toBe(3)
})

describe('refused', () => {
  const invalid = (path: string) => expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE', path })

  test('a TUN with a TAP', async () => {
    const tap = await device('pipe-a')
    const tun = await openTun({ name: 'pipe-b' })
    await expect(Pipe.open(tap, tun)).rejects.toEqual(invalid('b'))
    await expect(Pipe.open(tun, tap)).rejects.toEqual(invalid('b'))
    // Neither is held on to.
    await openPipe(tap, await device('pipe-c'))
  })

  test('a queue that is forwarded already', async () => {
    const a = await device('pipe-a', { queues: 2 })
    const b = await device('pipe-b')
    const pipe = await openPipe({ port: a, queues: [0] }, b)
    await expect(Pipe.open(a, await device('pipe-c'))).rejects.toMatchObject({ code: 'EBUSY', link: 'pipe-a' })
    await expect(Pipe.open({ port: a, queues: [1] }, b)).rejects.toMatchObject({ code: 'EBUSY', link: 'pipe-b' })
    await pipe.close()
    await openPipe(a, b)
  })

  test('a device with itself', async () => {
    const a = await device('pipe-a')
    await expect(Pipe.open(a, a)).rejects.toMatchObject({ code: 'EBUSY' })
  })

  test('a closed device', async () => {
    const a = await device('pipe-a')
    const b = await device('pipe-b')
    await b.close()
    await expect(Pipe.open(a, b)).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })

  test('options that are none', async () => {
    const a = await device('pipe-a')
    const b = await device('pipe-b')
    const refusing = (first: unknown, options: unknown = {}) => expect(Pipe.open(first as Tap, b, options as object))
    await refusing(1).rejects.toEqual(invalid('a'))
    await refusing({ port: {} }).rejects.toEqual(invalid('a'))
    await refusing({ port: a, queues: [] }).rejects.toEqual(invalid('a.queues'))
    await refusing({ port: a, queues: [1] }).rejects.toEqual(invalid('a.queues'))
    await refusing({ port: a, maxFrame: 13 }).rejects.toEqual(invalid('a.maxFrame'))
    await refusing({ port: a, offloads: { tso4: true } }).rejects.toEqual(invalid('a.offloads.csum'))
    await refusing({ port: a, isolated: true }).rejects.toEqual(invalid('isolated'))
    await refusing(a, { threads: 0 }).rejects.toEqual(invalid('threads'))
    await refusing(a, { patience: -1 }).rejects.toEqual(invalid('patience'))
    await refusing(a, { busypoll: 1 }).rejects.toEqual(invalid('busypoll'))
    await refusing(a, { signal: AbortSignal.abort() }).rejects.toMatchObject({ name: 'AbortError' })
    expect(pipeThreads()).toBe(0)
  })
})

test('frames longer than a port takes are dropped and counted', async () => {
  const a = await device('pipe-a')
  const b = await device('pipe-b')
  const wire = await Wire.open(['pipe-a', 'pipe-b'])
  const pipe = await openPipe(a, { port: b, maxFrame: 100 })
  const long = frameOf(B, A) + '00'.repeat(41)
  await wire.send('pipe-a', frameOf(B, A, 1), long, frameOf(B, A, 2))
  await until(() => pipe.b.counters.txFrames === 2, 'the short ones are sent')
  expect(pipe.b.counters.drops.oversize).toBe(1)
  expect(await wire.take('pipe-b')).toEqual([frameOf(B, A, 1), frameOf(B, A, 2)])
})

test('paused, it reads nothing; resumed, it goes on with what waits', async () => {
  const pipe = await openPipe(await device('pipe-a'), await device('pipe-b'))
  const wire = await Wire.open(['pipe-a', 'pipe-b'])
  pipe.pause()
  await wire.send('pipe-a', frameOf(B, A, 1))
  await someTime(50)
  expect(pipe.a.counters.rxFrames).toBe(0)
  expect(pipe.a.paused).toBe(true)
  pipe.resume()
  await until(() => pipe.b.counters.txFrames === 1, 'the frame passes')
  expect(await wire.take('pipe-b')).toEqual([frameOf(B, A, 1)])
})

test('what waits at a device when it is opened passes', async () => {
  const [a, b] = [await device('pipe-a'), await device('pipe-b')]
  const wire = await Wire.open(['pipe-a', 'pipe-b'])
  await wire.repeat('pipe-a', frameOf(B, A), 500)
  await wire.repeat('pipe-b', frameOf(A, B), 500)
  const pipe = await openPipe(a, b)
  expect([pipe.a.paused, pipe.b.paused]).toEqual([false, false])
  await until(() => pipe.a.counters.txFrames === 500 && pipe.b.counters.txFrames === 500, 'all pass')
})

describe('queues', () => {
  /** UDP datagrams of several flows, numbered; the kernel chooses the queue of each flow. */
  const flows = (count: number) =>
    Array.from({ length: 256 }, (_, at) => {
      const port = (10_000 + (at % count)).toString(16).padStart(4, '0')
      const number = at.toString(16).padStart(8, '0')
      const ipv4 = `4500002000000000401100000a0000010a000002`
      return `02000000000b02000000000a0800${ipv4}${port}0009000c0000${number}${'00'.repeat(14)}`
    })

  test.each([
    [4, 4, undefined],
    [4, 1, undefined],
    [1, 4, undefined],
    [4, 4, 1],
    [4, 4, 2]
  ])('%i to %i with %s threads: flows keep their order', async (first, second, threads) => {
    const a = await device('pipe-a', { queues: first })
    const b = await device('pipe-b', { queues: second })
    const wire = await Wire.open(['pipe-a', 'pipe-b'])
    const pipe = await openPipe(a, b, { threads })
    await until(() => pipeThreads() === (threads ?? first + second), 'a thread a queue, or as many as may be')
    const sent = flows(16)
    await wire.send('pipe-a', ...sent)
    await until(() => pipe.b.counters.txFrames === sent.length, 'all are sent')
    const got = await wire.take('pipe-b')
    const flowOf = (frame: string) => frame.slice(68, 72)
    for (const flow of new Set(sent.map(flowOf)))
      expect(got.filter(frame => flowOf(frame) === flow)).toEqual(sent.filter(frame => flowOf(frame) === flow))
    expect(got).toHaveLength(sent.length)
    const byQueue = pipe.a.counters.rxFramesByQueue
    expect(byQueue).toHaveLength(first)
    expect(byQueue.filter(Boolean).length).toBeGreaterThan(first > 1 ? 1 : 0)
  })
})

describe('closing', () => {
  test('drains what waits to be read, when told to', async () => {
    const pipe = await openPipe(await device('pipe-a'), await device('pipe-b'))
    const wire = await Wire.open(['pipe-a', 'pipe-b'])
    pipe.pause()
    await wire.repeat('pipe-a', frameOf(B, A), 3000)
    pipe.resume()
    await pipe.close({ drain: true })
    expect(pipe.b.counters.txFrames).toBe(3000)
    expect(await wire.take('pipe-b')).toHaveLength(3000)
  })

  test('leaves what waits to be read to the device, which stays', async () => {
    const a = await device('pipe-a')
    const pipe = await openPipe(a, await device('pipe-b'))
    const wire = await Wire.open(['pipe-a'])
    pipe.pause()
    await wire.send('pipe-a', frameOf(B, A, 7))
    await pipe.close()
    expect(tryRead(a.fd)?.toString('hex')).toBe(frameOf(B, A, 7))
  })

  test('twice is once, its threads are gone, and its ports say so', async () => {
    const pipe = await openPipe(await device('pipe-a'), await device('pipe-b'))
    await until(() => pipeThreads() === 2, 'two threads')
    await Promise.all([pipe.close(), pipe.close({ drain: true })])
    expect(pipeThreads()).toBe(0)
    expect([pipe.closed, pipe.a.state, pipe.b.state]).toEqual([true, 'removed', 'removed'])
  })

  test('takes its time options', async () => {
    const pipe = await openPipe(await device('pipe-a'), await device('pipe-b'))
    expect(() => pipe.close({ timeout: 0 })).toThrow(expect.objectContaining({ path: 'timeout' }))
    expect(pipe.closed).toBe(false)
  })
})

test('threads have the name that is given', async () => {
  await openPipe(await device('pipe-a'), await device('pipe-b'), { name: 'guest7' })
  const both = () => ['guest7-0', 'guest7-1'].every(name => threadNames().includes(name))
  await until(both, 'threads with that name')
})

test('a busy poll ends when it is closed', async () => {
  const pipe = await openPipe(await device('pipe-a'), await device('pipe-b'), { busyPoll: 500_000 })
  const wire = await Wire.open(['pipe-a', 'pipe-b'])
  await wire.send('pipe-a', frameOf(B, A))
  await until(() => pipe.b.counters.txFrames === 1, 'a frame passes')
  const start = performance.now()
  await pipe.close()
  expect(performance.now() - start).toBeLessThan(400)
})
