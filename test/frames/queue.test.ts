import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { describe, expect, onTestFinished, test } from 'vitest'
import { FrameBatch, FrameQueue, type Tap } from '../../lib/index.js'
import { answerFrame, udpFrame } from '../support/frames.js'
import { slowDown } from '../tap/support/bridged.js'
import { openTap } from '../tap/support/devices.js'
import { ping, sendRaw } from '../tap/support/kernel-stack.js'
import { needsTun } from '../tap/support/needs.js'
import { ip, ipLink } from '../tap/support/system.js'

needsTun()

const guest = { mac: '02:00:00:00:00:02', ip: '192.0.2.2' }
/** An experimental EtherType (IEEE 802), which the kernel sends nothing of. */
const frameOf = (length: number, mark: number) => {
  const frame = Buffer.alloc(length, mark)
  Buffer.from('ffffffffffff02000000000188b5', 'hex').copy(frame)
  return frame
}

/** What the kernel counted: `rx` is what it got from the descriptor. */
function packets(name: string, direction: 'rx' | 'tx'): number {
  return JSON.parse(ip(undefined, '-s', '-j', 'link', 'show', 'dev', name))[0].stats64[direction].packets
}

/** All frames that come to a device until nothing has come for a while. */
async function collect(tap: Tap, milliseconds = 300): Promise<Buffer[]> {
  const queue = tap.frames()
  const batch = queue.createBatch()
  const frames: Buffer[] = []
  for (const end = Date.now() + milliseconds; Date.now() < end; ) {
    if (queue.readBatch(batch) === 0) await new Promise(resolve => setTimeout(resolve, 5))
    for (const frame of batch) if (frame[12] === 0x88 && frame[13] === 0xb5) frames.push(Buffer.from(frame))
  }
  return frames
}

/** Two devices that are ports of a bridge: what is written to one comes out of the other. */
async function bridged(options: Parameters<typeof Tap.open>[0] = {}): Promise<[Tap, Tap]> {
  ip(undefined, 'link', 'add', 'br0', 'type', 'bridge', 'forward_delay', '0', 'mcast_snooping', '0')
  onTestFinished(() => void ip(undefined, 'link', 'delete', 'br0'))
  ip(undefined, 'link', 'set', 'br0', 'up')
  const port = (name: string) => openTap({ name, master: 'br0', up: true, ...options })
  return [await port('portA'), await port('portB')]
}

describe('readBatch', () => {
  test('reads what a raw socket sent, in order, whole, and counts it', async () => {
    const tap = await openTap({ name: 'read0', up: true, ipv6: false })
    const sent = [60, 61, 512, 1514].map((length, at) => frameOf(length, at + 1))
    await sendRaw('read0', sent)
    const queue = tap.frames()
    const batch = queue.createBatch()
    expect(queue.readBatch(batch)).toBe(4)
    expect([...batch].map(frame => Buffer.from(frame))).toEqual(sent)
    expect(queue.readBatch(batch)).toBe(0)
    expect(batch.length).toBe(0)
    expect(queue.counters.toJSON()).toMatchObject({ rxFrames: 4, rxBytes: 60 + 61 + 512 + 1514, rxTruncated: 0 })
    expect(packets('read0', 'tx')).toBe(4)
  })

  test('leaves what does not fit for the next call', async () => {
    const tap = await openTap({ name: 'read0', up: true, ipv6: false })
    await sendRaw(
      'read0',
      Array.from({ length: 10 }, (_, at) => frameOf(60, at))
    )
    const queue = tap.frames()
    const batch = queue.createBatch({ frames: 4 })
    const marks: number[] = []
    const sizes: number[] = []
    for (let read = queue.readBatch(batch); read > 0; read = queue.readBatch(batch)) {
      sizes.push(read)
      for (const frame of batch) marks.push(frame[20] as number)
    }
    expect(sizes).toEqual([4, 4, 2])
    expect(marks).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  test('counts a frame that is longer than the room, and keeps none of it', async () => {
    const tap = await openTap({ name: 'read0', up: true, ipv6: false })
    await sendRaw('read0', [frameOf(200, 1), frameOf(201, 2), frameOf(60, 3)])
    const queue = tap.frames()
    const batch = queue.createBatch({ room: 200 })
    queue.readBatch(batch)
    expect([...batch].map(frame => frame[20])).toEqual([1, 3])
    expect(queue.counters.rxTruncated).toBe(1)
  })

  test('comes back from a flood of frames that are too long', async () => {
    const tap = await openTap({ name: 'read0', up: true, ipv6: false })
    await sendRaw('read0', [...Array.from({ length: 20 }, () => frameOf(300, 1)), frameOf(60, 2)])
    const queue = tap.frames()
    const batch = queue.createBatch({ frames: 8, room: 200 })
    expect(queue.readBatch(batch)).toBe(0)
    expect(queue.counters.rxTruncated).toBe(8)
    for await (const { length } of queue.batches({ frames: 8, room: 200 })) {
      expect(length).toBe(1)
      break
    }
    expect(queue.counters).toMatchObject({ rxTruncated: 20, rxFrames: 1 })
  })

  test.each([10, 12, 20])('puts a virtio-net header of %d bytes before each frame', async size => {
    const tap = await openTap({ name: 'read0', up: true, ipv6: false, vnetHeader: size })
    await sendRaw('read0', [frameOf(64, 7)])
    const queue = tap.frames()
    expect(queue.vnetHeaderSize).toBe(size)
    const batch = queue.createBatch()
    queue.readBatch(batch)
    expect(Buffer.from(batch.frame(0))).toEqual(frameOf(64, 7))
    expect(batch.vnetHeaderBytes(0)).toEqual(new Uint8Array(size))
  })

  test('refuses a batch without the headers of the device', async () => {
    const tap = await openTap({ vnetHeader: 12 })
    expect(() => tap.frames().readBatch(new FrameBatch())).toThrow(expect.objectContaining({ path: 'batch' }))
  })
})

describe('writeBatch', () => {
  test('writes a part of a batch, in order', async () => {
    const [a, b] = await bridged()
    const queue = a.frames()
    const batch = queue.createBatch()
    for (let at = 0; at < 10; at++) batch.push(frameOf(60 + at, at))
    expect(queue.writeBatch(batch, 2, 9)).toBe(7)
    const received = await collect(b)
    expect(received).toEqual(Array.from({ length: 7 }, (_, at) => frameOf(62 + at, at + 2)))
    expect(queue.counters.toJSON()).toMatchObject({ txFrames: 7, txRefused: 0 })
    expect(queue.writeError).toBeUndefined()
  })

  test('says what was written and why the rest was not', async () => {
    const tap = await openTap({ name: 'down0' })
    const queue = tap.frames()
    const batch = queue.createBatch()
    batch.push(frameOf(60, 1))
    expect(queue.writeBatch(batch)).toBe(0)
    expect(queue.writeErrorCode).toBe('EIO')
    expect(queue.writeError).toMatchObject({ code: 'EIO', errno: -5, syscall: 'write', link: 'down0' })
    expect(queue.counters.txRefused).toBe(1)
  })

  test('stops at a frame that the kernel refuses, and goes on behind it', async () => {
    const tap = await openTap({ name: 'write0', up: true, ipv6: false })
    const queue = tap.frames()
    const batch = queue.createBatch()
    batch.push(frameOf(60, 1))
    batch.push(new Uint8Array(3))
    batch.push(frameOf(60, 2))
    expect(queue.writeBatch(batch)).toBe(1)
    expect(queue.writeErrorCode).toBe('EINVAL')
    expect(queue.writeBatch(batch, 2)).toBe(1)
    expect(packets('write0', 'rx')).toBe(2)
  })

  test.each([
    [0, 12],
    [12, 10],
    [10, 20]
  ])('takes frames with a header of %d bytes to a device with one of %d', async (given, wanted) => {
    const [a, b] = await bridged({ vnetHeader: wanted })
    const batch = new FrameBatch({ vnetHeaderSize: given })
    batch.push(frameOf(80, 5))
    expect(a.frames().writeBatch(batch)).toBe(1)
    expect(await collect(b)).toEqual([frameOf(80, 5)])
  })

  test('keeps a frame that asks for an offload from a device that cannot be asked', async () => {
    const [a] = await bridged()
    const batch = new FrameBatch({ vnetHeaderSize: 10 })
    const needsChecksum = Uint8Array.of(1, 0, 0, 0, 0, 0, 34, 0, 6, 0)
    batch.push(frameOf(80, 5), needsChecksum)
    batch.push(frameOf(80, 6))
    const queue = a.frames()
    expect(queue.writeBatch(batch)).toBe(0)
    expect(queue.writeErrorCode).toBe('EOPNOTSUPP')
    expect(queue.writeBatch(batch, 1)).toBe(1)
  })

  test('reads no byte outside of the slab, whatever the tables say', async () => {
    const tap = await openTap({ name: 'write0', up: true, ipv6: false })
    const queue = tap.frames()
    const batch = queue.createBatch({ room: 1514, bytes: 2000 })
    for (const [offset, length] of [
      [1990, 60],
      [0xffffffff, 60],
      [0, 0xffffffff],
      [2001, 0]
    ]) {
      batch.length = 1
      batch.offsets[0] = offset as number
      batch.lengths[0] = length as number
      expect(queue.writeBatch(batch)).toBe(0)
      expect(queue.writeErrorCode).toBe('EINVAL')
    }
    expect(packets('write0', 'rx')).toBe(0)
  })

  test.each([0, 10, 12])('nor while another thread changes them (headers of %d bytes)', async vnetHeaderSize => {
    const tap = await openTap({ name: 'write0', up: true, ipv6: false, vnetHeader: 12 })
    const queue = tap.frames()
    const batch = new FrameBatch({ frames: 1, vnetHeaderSize })
    batch.push(frameOf(60, 1))
    const { offsets, lengths } = batch
    const program = `
      const { offsets, lengths } = require('node:worker_threads').workerData
      const [offset] = offsets
      require('node:worker_threads').parentPort.postMessage('changing')
      while (true) {
        offsets[0] = 0xfffffff0
        lengths[0] = 60
        offsets[0] = offset
        lengths[0] = 0xffffffff
      }`
    const worker = new Worker(program, { eval: true, workerData: { offsets, lengths } })
    onTestFinished(async () => void (await worker.terminate()))
    await once(worker, 'message')
    const codes = new Set<string | undefined>()
    let written = 0
    for (const end = performance.now() + 300; performance.now() < end; ) {
      written += queue.writeBatch(batch)
      codes.add(queue.writeErrorCode)
    }
    expect([...codes].filter(code => code !== 'EINVAL' && code !== undefined)).toEqual([])
    expect(queue.counters).toMatchObject({ txFrames: written, txBytes: 60 * written })
  })

  test('write() waits where the kernel has no room, and loses nothing', async context => {
    const [a, b] = await bridged({ sndbuf: 4096 })
    slowDown(context, b.name)
    const queue = a.frames()
    const batch = queue.createBatch()
    for (let at = 0; at < 64; at++) {
      const frame = frameOf(1000, at)
      // To one: of a frame to all the kernel makes copies, which are not counted as the sender's.
      frame[0] = 0x02
      batch.push(frame)
    }
    const received = collect(b, 1000)
    await queue.write(batch)
    expect((await received).length).toBe(64)
    // It was told to wait.
    expect(queue.counters.txRefused).toBeGreaterThan(0)
    expect(queue.writeErrorCode).toBe('EAGAIN')
  })

  test('write() writes nothing once it is aborted', async () => {
    const tap = await openTap({ name: 'write0', up: true, ipv6: false })
    const queue = tap.frames()
    const batch = queue.createBatch()
    batch.push(frameOf(60, 1))
    const reason = new Error('enough')
    await expect(queue.write(batch, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(queue.counters.txFrames).toBe(0)
  })
})

describe('iteration', () => {
  test('answers ARP and pings of the kernel’s stack', async () => {
    const tap = await openTap({ name: 'iter0', up: true, ipv6: false })
    ip(undefined, 'address', 'add', '192.0.2.1/24', 'dev', 'iter0')
    const queue = tap.frames()
    const answers = queue.createBatch()
    const answering = (async () => {
      for await (const batch of queue) {
        answers.clear()
        for (const frame of batch) {
          const answer = answerFrame(Buffer.from(frame), guest)
          if (answer) answers.push(answer)
        }
        await queue.write(answers)
      }
    })()
    expect(await ping(guest.ip, { count: 3 })).toBe(3)
    await tap.close()
    await answering
  })

  test('lets timers run under a flood, and has every frame that the kernel kept', async () => {
    const [a, b] = await bridged({ txqlen: 10_000 })
    const feeding = a.frames()
    const feed = feeding.createBatch()
    for (let at = 0; at < 64; at++) feed.push(frameOf(60, at))
    let ticks = 0
    const ticking = setInterval(() => ticks++, 1)
    let frames = 0
    const started = performance.now()
    for await (const batch of b.frames().batches({ budget: 1 })) {
      frames += batch.length
      // Never empty: the next batch is written before this one is counted.
      feeding.writeBatch(feed)
      if (frames > 60_000) break
      if (frames === batch.length) feeding.writeBatch(feed)
    }
    clearInterval(ticking)
    const elapsed = performance.now() - started
    expect(ticks).toBeGreaterThan(elapsed / 20)
  }, 60_000)

  test.each(['thrown', 'aborted'])('can be taken up again after it was %s out of', async how => {
    const tap = await openTap({ name: 'iter0', up: true, ipv6: false })
    const queue = tap.frames()
    await sendRaw('iter0', [frameOf(60, 1)])
    const stopping = new AbortController()
    const reason = new Error('enough')
    const reading = async () => {
      for await (const _ of queue.batches({ signal: stopping.signal })) {
        if (how === 'thrown') throw reason
        setTimeout(() => stopping.abort(reason), 20)
      }
    }
    await expect(reading()).rejects.toBe(reason)
    await sendRaw('iter0', [frameOf(60, 2)])
    for await (const frame of queue.each()) {
      expect(frame[20]).toBe(2)
      break
    }
  })

  test('ends when the queue is closed, and when it is broken off it can be taken up again', async () => {
    const tap = await openTap({ name: 'iter0', up: true, ipv6: false })
    const queue = tap.frames()
    await sendRaw('iter0', [frameOf(60, 1), frameOf(60, 2)])
    for await (const _ of queue) break
    const rest = (async () => {
      for await (const _ of queue.batches()) {
        // Nothing comes.
      }
      return 'ended'
    })()
    queue.close()
    expect(await rest).toBe('ended')
    expect(tap.frames()).not.toBe(queue)
  })

  test('is for one at a time', async () => {
    const tap = await openTap({ up: true, ipv6: false })
    const queue = tap.frames()
    const stop = new AbortController()
    const first = queue.batches({ signal: stop.signal }).next()
    await expect(queue.batches().next()).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' })
    stop.abort(new Error('enough'))
    await expect(first).rejects.toThrow('enough')
  })

  test.each([{ busyPoll: -1 }, { budget: 'long' }, { frmaes: 3 }])('refuses %o', async options => {
    const tap = await openTap()
    await expect(
      tap
        .frames()
        .batches(options as object)
        .next()
    ).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path: Object.keys(options)[0] })
  })

  test('busy polling gets the frames as well', async () => {
    const tap = await openTap({ name: 'iter0', up: true, ipv6: false })
    const frames: number[] = []
    const reading = (async () => {
      for await (const frame of tap.frames().each({ busyPoll: 500 })) {
        frames.push(frame[20] as number)
        if (frames.length === 5) return
      }
    })()
    for (let at = 0; at < 5; at++) await sendRaw('iter0', [frameOf(60, at)])
    await reading
    expect(frames).toEqual([0, 1, 2, 3, 4])
  })
})

describe('a queue', () => {
  test('has frames of its own', async () => {
    const tap = await openTap({ name: 'many0', queues: 2, up: true, ipv6: false })
    expect(tap.frames({ queue: 1 })).not.toBe(tap.frames({ queue: 0 }))
    expect(tap.frames({ queue: 1 })).toBe(tap.frames({ queue: 1 }))
    expect(() => tap.frames({ queue: 2 })).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
  })

  test('is closed with its device, at once', async () => {
    const tap = await openTap()
    const queue = tap.frames()
    const closing = tap.close()
    expect(queue.closed).toBe(true)
    expect(() => queue.readBatch(queue.createBatch())).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
    await closing
    expect(() => tap.frames()).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
  })

  test('can be had by its descriptor, which keeps the device', async () => {
    const tap = await openTap({ name: 'dup0', up: true, ipv6: false, vnetHeader: 12 })
    const queue = await FrameQueue.duplicate(tap.fd)
    onTestFinished(() => queue.close())
    await tap.close()
    expect(queue.vnetHeaderSize).toBe(12)
    await sendRaw('dup0', [frameOf(60, 1)])
    expect(queue.readBatch(queue.createBatch())).toBe(1)
  })

  test.each([
    ['is not open', 999_999, 'EBADF'],
    ['is no such device', 1, 'ENOTTY']
  ])('not by one that %s', async (_, fd, code) => {
    await expect(FrameQueue.duplicate(fd)).rejects.toMatchObject({ code })
  })

  test('shows its mirror what it reads and what it wrote', async () => {
    const [a, b] = await bridged()
    const queue = a.frames()
    const seen: string[] = []
    queue.mirror = (batch, from, to, direction) => {
      for (let at = from; at < to; at++) {
        const offset = batch.offsets[at] as number
        const frame = batch.bytes.subarray(offset, offset + (batch.lengths[at] as number))
        if (frame.length < 14 || frame[12] === 0x88) seen.push(`${direction} ${frame[20]}`)
      }
    }
    const batch = queue.createBatch()
    batch.push(frameOf(60, 3))
    batch.push(new Uint8Array(3))
    queue.writeBatch(batch)
    const other = b.frames()
    const reply = other.createBatch()
    reply.push(frameOf(60, 4))
    other.writeBatch(reply)
    await collect(a, 50)
    expect(seen).toEqual(['outbound 3', 'inbound 4'])
  })
})

describe('forward', () => {
  // With a mirror each frame is written by itself.
  test.each([false, true])('moves frames by verdict (mirrored: %s)', async mirrored => {
    const { DROP, FLOOD, REFUSED } = await import('../../lib/index.js')
    const from = await openTap({ name: 'from0', up: true, ipv6: false })
    const ports = [
      from,
      await openTap({ name: 'to1', up: true, ipv6: false }),
      await openTap({ name: 'to2', up: true, ipv6: false }),
      await openTap({ name: 'down3' })
    ]
    await sendRaw(
      'from0',
      Array.from({ length: 6 }, (_, at) => frameOf(100, at))
    )
    const queues = ports.map(port => port.frames())
    const queue = queues[0] as FrameQueue
    let seen = 0
    const mirror = (_: unknown, from: number, to: number) => {
      seen += to - from
    }
    if (mirrored) for (const port of queues) port.mirror = mirror
    const batch = queue.createBatch()
    expect(queue.readBatch(batch)).toBe(6)
    const verdicts = Int32Array.of(1, 2, DROP, FLOOD, 3, 4)
    // 1, 2, and the flooded one to both of them.
    expect(queue.forward(batch, verdicts, queues)).toBe(4)
    expect([...verdicts]).toEqual([1, 2, DROP, REFUSED, REFUSED, REFUSED])
    expect(queues.map(port => port.counters.txFrames)).toEqual([0, 2, 2, 0])
    expect(queues.map(port => port.counters.txRefused)).toEqual([0, 0, 0, 2])
    expect(packets('to1', 'rx')).toBe(2)
    expect(packets('to2', 'rx')).toBe(2)
    expect(packets('from0', 'rx')).toBe(0)
    expect(seen).toBe(mirrored ? 6 + 4 : 0)
  })

  test.each([false, true])('counts what a port that is closed did not get (mirrored: %s)', async mirrored => {
    const { FLOOD, REFUSED } = await import('../../lib/index.js')
    const [a, b] = await bridged()
    const [from, open, closed] = [a.frames(), b.frames(), (await openTap({ name: 'to2', up: true })).frames()]
    if (mirrored) open.mirror = () => {}
    closed.close()
    const batch = from.createBatch()
    batch.push(frameOf(60, 1))
    batch.push(frameOf(60, 2))
    const verdicts = Int32Array.of(2, FLOOD)
    expect(from.forward(batch, verdicts, [from, open, closed])).toBe(1)
    expect([...verdicts]).toEqual([REFUSED, REFUSED])
    expect(closed.counters).toMatchObject({ txFrames: 0, txRefused: 2 })
    expect(closed.writeErrorCode).toBe('EBADF')
  })

  test('refuses too few verdicts, and ports that are none', async () => {
    const [a, b] = await bridged()
    const queue = a.frames()
    const batch = queue.createBatch()
    batch.push(frameOf(60, 1))
    batch.push(frameOf(60, 1))
    expect(() => queue.forward(batch, new Int32Array(1), [b.frames()])).toThrow(
      expect.objectContaining({ path: 'verdicts' })
    )
    expect(() => queue.forward(batch, new Int32Array(2), [{} as FrameQueue])).toThrow(TypeError)
  })
})

test('a frame of UDP that was written arrives at a socket of the kernel', async () => {
  const { createSocket } = await import('node:dgram')
  const tap = await openTap({ name: 'udp0', up: true, ipv6: false })
  ip(undefined, 'address', 'add', '192.0.2.1/24', 'dev', 'udp0')
  const socket = createSocket('udp4')
  onTestFinished(() => void socket.close())
  await new Promise<void>(resolve => socket.bind(7777, '192.0.2.1', resolve))
  const message = new Promise<string>(resolve => socket.once('message', data => resolve(String(data))))
  const host = { mac: ipLink('udp0')?.address as string, ip: '192.0.2.1' }
  const queue = tap.frames()
  const batch = queue.createBatch()
  batch.push(udpFrame(guest, host, 7777, Buffer.from('hello')))
  expect(queue.writeBatch(batch)).toBe(1)
  expect(await message).toBe('hello')
})
