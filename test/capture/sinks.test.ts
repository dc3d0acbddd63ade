/** Where captures go, at whatever pace they are taken. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, readFileSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Capture, FrameBatch, readCapture } from '../../lib/index.js'
import { pattern, wireFrame } from '../frames/support/flows.js'
import { tempFolder } from '../tap/support/needs.js'
import { run } from '../tap/support/system.js'
import { countSoFar, readAll } from './support/packets.js'
import { needsTshark, tcpdump, tshark } from './support/tools.js'

const frame = wireFrame({ version: 4, protocol: 'udp' }, pattern(1400))

function batch(): FrameBatch {
  const frames = new FrameBatch()
  while (frames.length < 64) frames.push(frame)
  return frames
}

/** Collects what it is given, when it is let. */
class Gate extends Writable {
  readonly chunks: Buffer[] = []
  #held: (() => void)[] | undefined = []

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.chunks.push(chunk)
    if (this.#held) this.#held.push(done)
    else done()
  }

  open(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const done of held) done()
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks)
  }
}

test('a file that is made is for its owner only, one that is there keeps its mode', async () => {
  const [made, there] = [join(tempFolder(), 'made.pcapng'), join(tempFolder(), 'there.pcapng')]
  writeFileSync(there, '', { mode: 0o640 })
  for (const path of [made, there]) await (await Capture.open(path)).close()
  expect([made, there].map(path => statSync(path).mode & 0o777)).toEqual([0o600, 0o640])
})

describe('a slow stream', () => {
  test('costs frames of the capture, which are counted, and no more memory than agreed', async context => {
    needsTshark(context)
    const gate = new Gate()
    const capture = await Capture.open(gate, { buffer: 2 * 1024 * 1024 })
    const [one, two] = [capture.add('one'), capture.add('two')]
    const before = process.memoryUsage().arrayBuffers
    const frames = batch()
    for (let i = 0; i < 400; i++) {
      one.write(frames, 'inbound', BigInt(i + 1))
      if (i % 2) two.write(frames, 'outbound', BigInt(i + 1))
      if (i % 100 === 0) await sleep(1)
    }
    // 55 MB went by.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * 1024 * 1024)
    const { frames: kept, dropped } = capture.counters
    expect(kept + dropped).toBe(600 * 64)
    expect(dropped).toBeGreaterThan(30_000)
    expect(kept).toBeGreaterThan(1000)
    gate.open()
    await capture.flush()
    for (const link of [one, two]) expect(link.write(frames, 'inbound', 1000n)).toBe(64)
    await capture.close()
    expect(gate.writableFinished).toBe(true)

    const packets = await readAll(gate.bytes)
    expect(packets.length).toBe(kept + 128)
    for (const link of [one, two]) {
      const own = packets.filter(packet => packet.interface.name === link.name)
      expect(own.length).toBe(link.counters.frames)
      // The first frame after a gap says how wide it is.
      expect(own.reduce((sum, packet) => sum + packet.dropped, 0)).toBe(link.counters.dropped)
      expect(own[0]?.interface.statistics).toEqual({
        received: BigInt(link.counters.frames + link.counters.dropped),
        dropped: BigInt(link.counters.dropped)
      })
      for (const { bytes } of own) if (Buffer.compare(bytes, frame) !== 0) throw new Error('another frame')
    }
    const path = join(tempFolder(), 'gaps.pcapng')
    writeFileSync(path, gate.bytes)
    expect(tshark(path, 'frame.number').length).toBe(packets.length)
    expect(
      run('tshark', '-r', path, '-Y', 'frame.drop_count > 0', '-T', 'fields', '-e', 'frame.number').trim().split('\n')
        .length
    ).toBe(2)
  })

  test('is described later when there was no room for an interface', async () => {
    const gate = new Gate()
    const capture = await Capture.open(gate, { buffer: 1024 * 1024 })
    const one = capture.add('one')
    while (one.writeFrame(frame));
    // A long description does not fit any more.
    const late = capture.add('late', { comment: 'x'.repeat(60_000) })
    const never = capture.add('never', { comment: 'y'.repeat(60_000) })
    expect(late.writeFrame(frame)).toBe(false)
    gate.open()
    await capture.flush()
    expect(late.writeFrame(frame, { timestamp: 7n })).toBe(true)
    await capture.close()
    const packets = await readAll(gate.bytes)
    expect(packets.at(-1)).toMatchObject({ timestamp: 7n, dropped: 1 })
    expect(packets.at(-1)?.interface).toMatchObject({ id: 1, name: 'late', statistics: { received: 2n, dropped: 1n } })
    expect(gate.bytes.includes('never')).toBe(true)
    expect(never.counters.frames).toBe(0)
  })

  test('that takes nothing is given up by a signal', async () => {
    const gate = new Gate()
    const capture = await Capture.open(gate)
    capture.add('one').write(batch())
    const reason = new Error('enough')
    const stopping = new AbortController()
    const closing = capture.close({ signal: stopping.signal })
    await sleep(20)
    stopping.abort(reason)
    await expect(closing).rejects.toBe(reason)
    expect(gate.destroyed).toBe(true)
    await expect(capture.close()).rejects.toBe(reason)
  })
})

describe('what is captured comes out', () => {
  test('soon, though it is little', async () => {
    const path = join(tempFolder(), 'live.pcapng')
    await using capture = await Capture.open(path, { flushInterval: 10 })
    const link = capture.add('one')
    for (let i = 1; i <= 3; i++) {
      link.writeFrame(frame)
      for (const end = Date.now() + 3000; (await countSoFar(path)) < i && Date.now() < end; ) await sleep(10)
      expect(await countSoFar(path)).toBe(i)
    }
  })

  test('at once, if asked to', async () => {
    const path = join(tempFolder(), 'live.pcapng')
    await using capture = await Capture.open(path, { flushInterval: 60_000 })
    capture.add('one').writeFrame(frame)
    expect(readFileSync(path).length).toBe(0)
    await capture.flush()
    expect(tcpdump(path).length).toBe(1)
    await capture.flush()
    expect(tcpdump(path).length).toBe(1)
  })

  test('in full under load: a hundred megabytes', async () => {
    const path = join(tempFolder(), 'large.pcapng')
    const capture = await Capture.open(path, { buffer: 16 * 1024 * 1024 })
    const link = capture.add('one')
    const frames = batch()
    for (let i = 0; i < 1000; i++) {
      link.write(frames)
      if (i % 50 === 0) await capture.flush()
    }
    await capture.close()
    expect(capture.counters).toMatchObject({ frames: 64_000, dropped: 0 })
    let count = 0
    for await (const packet of readCapture(path)) if (packet.bytes.length === frame.length) count++
    expect(count).toBe(64_000)
  })
})

test('nothing of earlier frames is left in the padding of later ones', async () => {
  const gate = new Gate()
  gate.open()
  const capture = await Capture.open(gate, { buffer: 1024 * 1024 })
  const link = capture.add('one')
  const ones = Buffer.alloc(60, 0xff)
  // Through every byte of the memory, which is then used again.
  for (let i = 0; i < 30_000; i++) {
    link.writeFrame(ones, { timestamp: 0n })
    if (i % 5000 === 0) await capture.flush()
  }
  await capture.flush()
  gate.chunks.length = 0
  for (let i = 0; i < 4000; i++) link.writeFrame(Buffer.alloc(i % 8), { timestamp: 0n })
  await capture.flush()
  expect(gate.bytes.length).toBeGreaterThan(4000 * 32)
  expect(gate.bytes.includes(0xff)).toBe(false)
  await capture.close()
})

describe('streams', () => {
  test('of Node, which may keep what they are given', async () => {
    const through = new PassThrough({ highWaterMark: 64 * 1024 * 1024 })
    const capture = await Capture.open(through, { buffer: 1024 * 1024, flushInterval: 1 })
    const link = capture.add('one')
    for (let i = 0; i < 3000; i++) {
      const marked = Buffer.from(frame)
      marked.writeUInt32BE(i, 60)
      link.writeFrame(marked)
      // What waits in the stream must not be written over by what follows.
      if (i % 300 === 299) await capture.flush()
    }
    await capture.close()
    const packets = await readAll(through)
    expect(packets.map(({ bytes }) => Buffer.from(bytes).readUInt32BE(60))).toEqual(
      Array.from({ length: 3000 }, (_, i) => i)
    )
  })

  test('of Node, left open', async () => {
    const gate = new Gate()
    gate.open()
    const capture = await Capture.open(gate, { end: false })
    capture.add('one').writeFrame(frame)
    await capture.close()
    expect(gate.writableEnded).toBe(false)
    expect(gate.listenerCount('error') + gate.listenerCount('close')).toBe(0)
    const second = await Capture.open(gate, { end: true })
    second.add('two').writeFrame(frame)
    await second.close()
    expect((await readAll(gate.bytes)).map(packet => packet.interface.name)).toEqual(['one', 'two'])
  })

  test.each([true, false])('of the web, ended: %s', async end => {
    const chunks: Uint8Array[] = []
    let closed = false
    const stream = new WritableStream<Uint8Array>({
      async write(chunk) {
        await sleep(1)
        chunks.push(chunk)
      },
      close() {
        closed = true
      }
    })
    const capture = await Capture.open(stream, { end })
    const link = capture.add('one')
    for (let i = 0; i < 100; i++) {
      link.write(batch())
      if (i % 10 === 0) await capture.flush()
    }
    await capture.close()
    expect(closed).toBe(end)
    expect(stream.locked).toBe(false || end)
    const packets = await readAll(Buffer.concat(chunks))
    expect(packets.length).toBe(capture.counters.frames)
  })

  test('through a socket, to somebody who reads as it comes', async () => {
    const server = createServer()
    server.listen(join(tempFolder(), 's'))
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const incoming = once(server, 'connection') as Promise<[Socket]>
    const capture = await Capture.open(connect(server.address() as string), { flushInterval: 5 })
    const [socket] = await incoming
    const reading = readCapture(socket)
    const link = capture.add('one')
    for (let i = 1n; i < 20n; i++) {
      link.writeFrame(frame, { timestamp: i })
      expect((await reading.next()).value).toMatchObject({ timestamp: i })
    }
    await capture.close()
    expect((await reading.next()).done).toBe(true)
  })
})

describe('a FIFO', () => {
  test('is read while the capture runs', async () => {
    const path = join(tempFolder(), 'fifo')
    run('mkfifo', path)
    const reader = spawn('tcpdump', ['-r', path, '-n', '-l', '-U'], { stdio: ['ignore', 'pipe', 'ignore'] })
    let output = ''
    reader.stdout.setEncoding('utf8').on('data', text => {
      output += text
    })
    const ended = once(reader, 'close')
    let capture: Capture | undefined
    for (const end = Date.now() + 5000; !capture && Date.now() < end; await sleep(20)) {
      capture = await Capture.open(path, { flushInterval: 5 }).catch(error => {
        expect(error).toMatchObject({ code: 'ENXIO', diagnosis: 'nobody reads this FIFO yet' })
        return undefined
      })
    }
    const link = capture?.add('one')
    link?.writeFrame(frame)
    for (const end = Date.now() + 5000; !output.includes('UDP, length 1400') && Date.now() < end; ) await sleep(10)
    expect(output).toContain('192.0.2.1.4000 > 192.0.2.2.5000: UDP, length 1400')
    link?.writeFrame(frame)
    await capture?.close()
    await ended
    expect(output.match(/UDP, length 1400/g)?.length).toBe(2)
  })

  test('whose reader leaves ends the capture, not the program', async () => {
    const path = join(tempFolder(), 'fifo')
    run('mkfifo', path)
    const reader = spawn('cat', [path], { stdio: ['ignore', 'ignore', 'inherit'] })
    let capture: Capture | undefined
    for (const end = Date.now() + 5000; !capture && Date.now() < end; await sleep(20)) {
      capture = await Capture.open(path, { flushInterval: 1 }).catch(() => undefined)
    }
    const link = capture?.add('one')
    reader.kill()
    await once(reader, 'close')
    for (const end = Date.now() + 5000; !capture?.error && Date.now() < end; await sleep(5)) link?.writeFrame(frame)
    expect(capture?.error).toMatchObject({ code: 'EPIPE' })
    expect(link?.writeFrame(frame)).toBe(false)
    expect(link?.counters.dropped).toBeGreaterThan(0)
    await expect(capture?.close()).rejects.toMatchObject({ code: 'EPIPE' })
  })
})

describe('what fails', () => {
  test('is a full disk', async () => {
    const capture = await Capture.open('/dev/full')
    const link = capture.add('one')
    expect(link.writeFrame(frame)).toBe(true)
    await expect(capture.flush()).rejects.toMatchObject({ code: 'ENOSPC', syscall: 'write(/dev/full)' })
    expect(capture.error).toMatchObject({ code: 'ENOSPC' })
    expect(link.writeFrame(frame)).toBe(false)
    link.mirror(batch(), 0, 64, 'inbound')
    expect(link.counters).toMatchObject({ frames: 1, dropped: 65 })
    await expect(capture.close()).rejects.toMatchObject({ code: 'ENOSPC' })
    await expect(capture.close()).rejects.toMatchObject({ code: 'ENOSPC' })
  })

  test('is a stream with an error of its own', async () => {
    const stream = new Writable({ write: (_chunk, _encoding, done) => done(new Error('no paper')) })
    const capture = await Capture.open(stream)
    await expect(capture.flush()).rejects.toThrow('no paper')
    expect(capture.error?.message).toBe('no paper')
    await expect(capture.close()).rejects.toThrow('no paper')
  })

  test('is a stream that somebody else closes or ends', async () => {
    const closed = new Gate()
    const one = await Capture.open(closed)
    one.add('one').write(batch())
    const flushing = one.flush()
    closed.destroy()
    await expect(flushing).rejects.toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' })
    const ended = new Gate()
    ended.open()
    const two = await Capture.open(ended)
    ended.end()
    await expect(two.close()).rejects.toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' })
  })

  test('is a stream of the web', async () => {
    const stream = new WritableStream({ write: () => Promise.reject(new Error('torn')) })
    const capture = await Capture.open(stream)
    capture.add('one').writeFrame(frame)
    await capture.flush().catch(() => {})
    await expect(capture.close()).rejects.toThrow('torn')
  })

  test('is the filter, which ends the capture and not the traffic', async () => {
    const capture = await Capture.open(join(tempFolder(), 'f.pcapng'))
    const link = capture.add('one', {
      filter: () => {
        throw new Error('a mistake')
      }
    })
    expect(() => link.write(batch())).toThrow('a mistake')
    link.mirror(batch(), 0, 64, 'inbound')
    expect(capture.error?.message).toBe('a mistake')
    await expect(capture.close()).rejects.toThrow('a mistake')
  })
})

test('a file stream of Node', async () => {
  const path = join(tempFolder(), 'stream.pcapng')
  await using capture = await Capture.open(createWriteStream(path))
  capture.add('one').write(batch())
  await capture.close()
  expect(tcpdump(path).length).toBe(64)
})
