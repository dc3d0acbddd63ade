/** Captures that are sent again. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Capture, LinkwrightError, ReplayCounters, replay, type Tap } from '../../lib/index.js'
import { pattern, wireFrame } from '../frames/support/flows.js'
import { slowDown } from '../tap/support/bridged.js'
import { openTap, openTun } from '../tap/support/devices.js'
import { needsTun, tempFolder } from '../tap/support/needs.js'
import { ip } from '../tap/support/system.js'
import {
  describeInterface,
  END,
  enhancedPacket,
  option,
  pcapHeader,
  pcapPacket,
  section,
  simplePacket,
  u32
} from './support/files.js'
import { watchLink } from './support/live.js'

needsTun()

/** An experimental EtherType, which the kernel drops after it was seen. */
function frameOf(mark: number, length = 60): Buffer {
  const frame = Buffer.alloc(length, mark)
  Buffer.from('0200000000020200000000018 8b5'.replace(' ', ''), 'hex').copy(frame)
  frame.writeUInt32BE(mark, 14)
  return frame
}

/** A file with a frame at each of the times, in milliseconds. */
function recording(times: number[], frame = (mark: number) => frameOf(mark)): string {
  const path = join(tempFolder(), 'recording.pcap')
  const packets = times.map((time, mark) => {
    const microseconds = Math.round(1_700_000_000_000_000 + time * 1000)
    return pcapPacket('LE', Math.floor(microseconds / 1e6), microseconds % 1e6, frame(mark))
  })
  writeFileSync(path, Buffer.concat([pcapHeader('LE'), ...packets]))
  return path
}

async function newTap(options: Parameters<typeof openTap>[0] = {}): Promise<Tap> {
  return openTap({ name: 'replay0', up: true, ipv6: false, ...options })
}

const steps = (count: number, milliseconds: number) => Array.from({ length: count }, (_, i) => i * milliseconds)
const marks = (count: number) => Array.from({ length: count }, (_, mark) => frameOf(mark).toString('hex'))

/** How late each frame was, in milliseconds, if the first was not. */
function lateness(seen: { timestamp: bigint }[], times: number[], speed = 1): number[] {
  const [first] = seen
  return seen.map(
    ({ timestamp }, i) =>
      Number(timestamp - (first?.timestamp ?? 0n)) / 1e6 - ((times[i] as number) - (times[0] as number)) / speed
  )
}

/**
 * By how much the second half is later than the first, in milliseconds. The most punctual frame of each counts: others use
 * this machine as well, and may make any frame late, but none early.
 */
function drift(late: number[]): number {
  const half = late.length >> 1
  return Math.min(...late.slice(half)) - Math.min(...late.slice(0, half))
}

/** Lateness of a frame that is more punctual than most. */
function typical(late: number[]): number {
  const sorted = [...late].sort((a, b) => a - b)
  return (sorted[sorted.length >> 3] as number) - (sorted[0] as number)
}

describe('timing', () => {
  test('is kept: pauses, bursts, and no drift, as the kernel saw it', async () => {
    const tap = await newTap()
    const times = [0, 5, 5.5, 6, 20, 20, 20, 40.25, ...steps(300, 2).map(time => 60 + time), 700, 701]
    const live = await watchLink('replay0')
    const start = performance.now()
    const result = await replay(recording(times), tap.frames())
    const took = performance.now() - start
    const seen = await live.finish(times.length)
    expect(seen.map(({ hex }) => hex)).toEqual(marks(times.length))
    expect(result).toMatchObject({ sent: times.length, bytes: 60 * times.length, refused: 0, truncated: 0, skipped: 0 })
    const late = lateness(seen, times)
    expect(Math.abs(drift(late))).toBeLessThan(3)
    expect(typical(late)).toBeLessThan(4)
    expect(took).toBeGreaterThan(700)
    expect(took).toBeLessThan(2000)
    expect(result.maxDelay).toBeGreaterThan(0)
    expect(result.maxDelay).toBeLessThan(took - 600)
  })

  test.each([0.5, 4])('is scaled: %s times as fast', async speed => {
    const tap = await newTap()
    const times = steps(40, 10)
    const live = await watchLink('replay0')
    await replay(recording(times), tap.frames(), { speed })
    const late = lateness(await live.finish(40), times, speed)
    expect(late.length).toBe(40)
    expect(Math.abs(drift(late))).toBeLessThan(8)
  })

  test('may be coarse, and needs less of the processor then', async () => {
    const tap = await newTap()
    const path = recording(steps(200, 3))
    const used = async (precise: boolean) => {
      const before = process.cpuUsage()
      expect(await replay(path, tap.frames(), { precise })).toMatchObject({ sent: 200 })
      const { user, system } = process.cpuUsage(before)
      return user + system
    }
    expect(await used(false)).toBeLessThan((await used(true)) * 0.8)
  })

  test('of a capture without times, or with times that go back, is that of its order', async () => {
    const tap = await newTap()
    const live = await watchLink('replay0')
    const path = join(tempFolder(), 'odd.pcapng')
    const frames = [0, 1, 2, 3, 4].map(mark => frameOf(mark))
    const at = (microseconds: number, i: number) =>
      enhancedPacket('LE', 0, BigInt(1e15 + microseconds), frames[i] as Buffer)
    writeFileSync(
      path,
      Buffer.concat([
        section('LE'),
        describeInterface('LE'),
        simplePacket('LE', frames[0] as Buffer),
        at(5_000_000, 1),
        simplePacket('LE', frames[2] as Buffer),
        at(1, 3),
        at(5_050_000, 4)
      ])
    )
    const start = performance.now()
    expect(await replay(path, tap.frames())).toMatchObject({ sent: 5 })
    expect(performance.now() - start).toBeLessThan(2000)
    const seen = await live.finish(5)
    expect(seen.map(({ hex }) => hex)).toEqual(marks(5))
    expect(lateness(seen.slice(3), [0, 50])[1]).toBeGreaterThan(-5)
  })
})

describe('as fast as it goes', () => {
  test('all frames arrive in order, and nothing else waits', async () => {
    const tap = await newTap()
    const path = recording(steps(20_000, 1000), mark => frameOf(mark, 60 + (mark % 900)))
    const before = JSON.parse(ip(undefined, '-s', '-j', 'link', 'show', 'dev', 'replay0'))[0].stats64.rx.packets
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    const result = await replay(path, tap.frames(), { speed: 'max' })
    delay.disable()
    expect(result).toMatchObject({ sent: 20_000, refused: 0, maxDelay: 0 })
    const after = JSON.parse(ip(undefined, '-s', '-j', 'link', 'show', 'dev', 'replay0'))[0].stats64.rx.packets
    expect(after - before).toBe(20_000)
    expect(delay.percentile(50) / 1e6).toBeLessThan(20)
  })

  test('again and again', async () => {
    const tap = await newTap()
    const live = await watchLink('replay0')
    const path = recording([0, 1000, 2000])
    expect(await replay(path, tap.frames(), { speed: 'max', loop: 3 })).toMatchObject({ sent: 9 })
    expect((await live.finish(9)).map(({ hex }) => hex)).toEqual([...marks(3), ...marks(3), ...marks(3)])
  })
})

test('rounds follow each other in time', async () => {
  const tap = await newTap()
  const live = await watchLink('replay0')
  const start = performance.now()
  await replay(recording([0, 20, 50]), tap.frames(), { loop: 4 })
  expect(performance.now() - start).toBeGreaterThan(200)
  const seen = await live.finish(12)
  const late = lateness(seen, [0, 20, 50, 50, 70, 100, 100, 120, 150, 150, 170, 200])
  expect(Math.abs(drift(late))).toBeLessThan(20)
})

test('until aborted, with the counts so far', async () => {
  const tap = await newTap()
  const counters = new ReplayCounters()
  const stopping = new AbortController()
  const reason = new Error('enough')
  setTimeout(() => stopping.abort(reason), 100)
  const path = recording([0, 1])
  const options = { speed: 'max', loop: Number.POSITIVE_INFINITY, counters, signal: stopping.signal } as const
  await expect(replay(path, tap.frames(), options)).rejects.toBe(reason)
  expect(counters.sent).toBeGreaterThan(100)
  expect(tap.frames().counters.txFrames).toBe(counters.sent)

  const pausing = AbortSignal.timeout(50)
  const start = performance.now()
  const timeout = { name: 'TimeoutError' }
  await expect(replay(recording([0, 60_000]), tap.frames(), { signal: pausing })).rejects.toMatchObject(timeout)
  expect(performance.now() - start).toBeLessThan(2000)
  await expect(replay(path, tap.frames(), { signal: pausing })).rejects.toBe(pausing.reason)
})

describe('frames', () => {
  test('go to devices with a virtio-net header, and to TUN', async () => {
    const tap = await newTap({ vnetHeader: 12 })
    const live = await watchLink('replay0')
    await replay(recording([0, 1]), tap.frames())
    expect((await live.finish(2)).map(({ hex }) => hex)).toEqual(marks(2))
    await openTun({ name: 'replay1', up: true, ipv6: false }).then(async tun => {
      const onTun = await watchLink('replay1')
      const packet = wireFrame({ version: 4, protocol: 'udp', layer: 'ip' }, pattern(30))
      const file = Buffer.concat([
        section('LE'),
        ...[1, 101, 228].map(linkType => describeInterface('LE', linkType)),
        enhancedPacket('LE', 0, 1n, frameOf(0)),
        enhancedPacket('LE', 1, 2n, packet),
        enhancedPacket('LE', 2, 3n, packet)
      ])
      expect(await replay(file, tun.frames())).toMatchObject({ sent: 2, skipped: 1 })
      expect((await onTun.finish(2)).map(({ hex }) => hex)).toEqual([packet.toString('hex'), packet.toString('hex')])
    })
  })

  test('are chosen, cut, and freed of their check sequence', async () => {
    const tap = await newTap()
    const live = await watchLink('replay0')
    const about = [option('LE', 2, 'eth0'), option('LE', 13, Uint8Array.of(4)), END]
    const withFcs = Buffer.concat([frameOf(0), Buffer.from('deadbeef', 'hex')])
    const file = Buffer.concat([
      section('LE'),
      describeInterface('LE', 1, 0, about),
      describeInterface('LE', 1, 0, [option('LE', 2, 'eth1'), END]),
      describeInterface('LE', 1, 0, [option('LE', 2, 'eth0'), END]),
      enhancedPacket('LE', 0, 1n, withFcs),
      enhancedPacket('LE', 0, 2n, frameOf(1), [], 1000),
      enhancedPacket('LE', 1, 3n, frameOf(9)),
      enhancedPacket('LE', 0, 4n, withFcs.subarray(0, 62), [], 64),
      enhancedPacket('LE', 2, 5n, withFcs, [option('LE', 2, u32(4 << 5, 'LE')), END])
    ])
    const result = await replay(file, tap.frames(), { filter: packet => packet.interface.name === 'eth0' })
    expect(result).toMatchObject({ sent: 4, bytes: 240, truncated: 2, skipped: 1, refused: 0 })
    expect((await live.finish(4)).map(({ hex }) => hex)).toEqual(
      [0, 1, 0, 0].map(mark => frameOf(mark).toString('hex'))
    )
  })

  test('that are refused are counted, and the others sent', async () => {
    // With its header, the longest frame does not fit into a batch.
    const tap = await newTap({ vnetHeader: 12 })
    const live = await watchLink('replay0')
    const lengths = [60, 13, 60, 0, 262_144, 60]
    const path = recording(steps(6, 1), mark =>
      Buffer.concat([frameOf(mark), Buffer.alloc(262_144)]).subarray(0, lengths[mark])
    )
    expect(await replay(path, tap.frames())).toMatchObject({ sent: 3, refused: 3 })
    expect((await live.finish(3)).map(({ hex }) => hex)).toEqual([0, 2, 5].map(mark => frameOf(mark).toString('hex')))
  })

  test('to a link that is down are refused', async () => {
    const tap = await newTap({ up: false })
    expect(await replay(recording(steps(100, 0)), tap.frames())).toMatchObject({ sent: 0, refused: 100 })
    ip(undefined, 'link', 'set', 'replay0', 'up')
    expect(await replay(recording(steps(100, 0)), tap.frames())).toMatchObject({ sent: 100, refused: 0 })
  })

  test('wait where the kernel has no room, and none is left out', async context => {
    ip(undefined, 'link', 'add', 'br0', 'type', 'bridge', 'forward_delay', '0', 'mcast_snooping', '0')
    onTestFinished(() => void ip(undefined, 'link', 'delete', 'br0'))
    ip(undefined, 'link', 'set', 'br0', 'up')
    const tap = await newTap({ master: 'br0', sndbuf: 4096 })
    const end = await openTap({ name: 'replay1', master: 'br0', up: true })
    slowDown(context, 'replay1')
    const path = recording(steps(64, 0), mark => frameOf(mark, 1000))
    expect(await replay(path, tap.frames())).toMatchObject({ sent: 64, refused: 0 })
    expect(tap.frames().counters.txRefused).toBeGreaterThan(0)
    const seen: number[] = []
    for await (const frame of end.frames().each()) {
      if (frame.length === 1000 && seen.push(Buffer.from(frame).readUInt32BE(14)) === 64) break
    }
    expect(seen).toEqual(Array.from({ length: 64 }, (_, mark) => mark))
  })

  test('come from a stream as they come', async () => {
    const tap = await newTap()
    const live = await watchLink('replay0')
    async function* slowly(): AsyncGenerator<Uint8Array, void, undefined> {
      yield pcapHeader('LE')
      for (let mark = 0; mark < 5; mark++) {
        yield pcapPacket('LE', 1, mark, frameOf(mark))
        await sleep(10)
      }
    }
    const counters = new ReplayCounters()
    const replaying = replay(Readable.from(slowly()), tap.frames(), { counters })
    await sleep(25)
    expect(counters.sent).toBeGreaterThan(0)
    expect(counters.sent).toBeLessThan(5)
    await replaying
    expect((await live.finish(5)).map(({ hex }) => hex)).toEqual(marks(5))
  })

  test('that were captured while they were written are the same again', async () => {
    const tap = await newTap()
    const path = join(tempFolder(), 'again.pcapng')
    const capture = await Capture.open(path)
    const queue = tap.frames()
    queue.mirror = capture.add('replay0').mirror
    await replay(recording(steps(50, 1)), queue)
    queue.mirror = undefined
    await capture.close()
    const live = await watchLink('replay0')
    expect(await replay(path, queue)).toMatchObject({ sent: 50 })
    expect((await live.finish(50)).map(({ hex }) => hex)).toEqual(marks(50))
  })
})

test('a large file is read again for each round', async () => {
  const tap = await newTap()
  const path = recording(steps(7000, 0), mark => frameOf(mark, 1300))
  expect(await replay(path, tap.frames(), { speed: 'max', loop: 2 })).toMatchObject({ sent: 14_000 })
})

describe('what ends it', () => {
  async function thrown(promise: Promise<unknown>): Promise<LinkwrightError> {
    const error = await promise.then(
      () => undefined,
      error => error
    )
    if (!(error instanceof LinkwrightError)) throw error ?? new Error('nothing was thrown')
    return error
  }

  test('a device that is deleted', async () => {
    const tap = await newTap()
    const counters = new ReplayCounters()
    const replaying = thrown(replay(recording(steps(10_000, 1)), tap.frames(), { counters }))
    await sleep(50)
    ip(undefined, 'link', 'delete', 'replay0')
    expect((await replaying).code).toBe('EBADFD')
    expect(counters.sent).toBeGreaterThan(10)
  })

  test('a queue that is closed', async () => {
    const tap = await newTap()
    const queue = tap.frames()
    const replaying = thrown(replay(recording(steps(10_000, 1)), queue))
    await sleep(30)
    queue.close()
    expect((await replaying).code).toBe('ERR_CLOSED')
  })

  test('a file that is damaged, behind all whole frames', async () => {
    const tap = await newTap()
    const live = await watchLink('replay0')
    const whole = Buffer.concat([pcapHeader('LE'), ...[0, 1, 2].map(mark => pcapPacket('LE', 1, mark, frameOf(mark)))])
    const counters = new ReplayCounters()
    const error = await thrown(replay(whole.subarray(0, -1), tap.frames(), { counters }))
    expect(error).toMatchObject({ code: 'ERR_TRUNCATED_CAPTURE', offset: 24 + 2 * 76 })
    expect(counters.sent).toBe(2)
    expect((await live.finish(2)).length).toBe(2)
  })

  test('a file without frames, however often it is wanted', async () => {
    const tap = await newTap()
    const loop = Number.POSITIVE_INFINITY
    expect(await replay(recording([]), tap.frames(), { loop })).toMatchObject({ sent: 0 })
    expect(await replay(recording([0]), tap.frames(), { loop, linkType: 'raw' })).toMatchObject({ sent: 0, skipped: 1 })
  })

  test.each([1, 2])('a file that is not there, wanted %i times', async loop => {
    const tap = await newTap()
    const error = await thrown(replay('/no/such/file', tap.frames(), { loop }))
    expect(error).toMatchObject({ code: 'ENOENT', syscall: 'open(/no/such/file)' })
  })

  test.each([
    [{ speed: 0 }, 'speed'],
    [{ speed: -1 }, 'speed'],
    [{ speed: Number.POSITIVE_INFINITY }, 'speed'],
    [{ speed: 'fast' as never }, 'speed'],
    [{ loop: 0 }, 'loop'],
    [{ loop: 1.5 }, 'loop'],
    [{ linkType: 'ether' as never }, 'linkType'],
    [{ rate: 1 } as never, 'rate']
  ])('options that make no sense: %j', async (options, path) => {
    const tap = await newTap()
    const error = await thrown(replay(recording([0]), tap.frames(), options))
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path })
  })

  test('a stream that would have to come again', async () => {
    const tap = await newTap()
    const error = await thrown(replay(Readable.from([pcapHeader('LE')]), tap.frames(), { loop: 2 }))
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path: 'loop' })
  })
})
