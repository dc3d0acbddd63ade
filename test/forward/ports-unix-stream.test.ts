/** The framing of QEMU's `-netdev stream`, with a socket of Node's own as the peer. */
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { addon } from '../../lib/addon.js'
import { UnixPort, type UnixPortOptions } from '../../lib/index.js'
import { tempFolder } from '../tap/support/needs.js'
import { openSwitch } from './support/forwarders.js'
import { until } from './support/frames.js'
import { closedAfterwards, numberedFrame, Probe, probe } from './support/probe.js'

const record = (frame: Buffer, length = frame.length) => {
  const prefix = Buffer.alloc(4)
  prefix.writeUInt32BE(length)
  return Buffer.concat([prefix, frame])
}

/** Takes a stream apart. What is left over is in the last item. */
function records(stream: Buffer): Buffer[] {
  const found: Buffer[] = []
  while (stream.length >= 4 && stream.length >= 4 + stream.readUInt32BE()) {
    const end = 4 + stream.readUInt32BE()
    found.push(stream.subarray(4, end))
    stream = stream.subarray(end)
  }
  return stream.length > 0 ? [...found, stream] : found
}

class Peer {
  readonly socket: Socket
  readonly #chunks: Buffer[] = []

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => {})
    socket.on('data', chunk => this.#chunks.push(chunk))
    onTestFinished(() => {
      socket.destroy()
    })
  }

  get received(): Buffer[] {
    return records(Buffer.concat(this.#chunks))
  }
}

/** A port that has connected to a server of Node's. */
async function connectPeer(options: UnixPortOptions = {}) {
  const path = join(tempFolder(), 'socket')
  const server = createServer().listen(path)
  await once(server, 'listening')
  const connected = once(server, 'connection')
  const port = closedAfterwards(await UnixPort.connect(path, options))
  const [socket] = await connected
  server.close()
  return { port, peer: new Peer(socket) }
}

async function scene(options: UnixPortOptions = {}) {
  const { port, peer } = await connectPeer(options)
  return { port, peer, far: await probe(port) }
}

test('each frame comes behind its length, both ways', async () => {
  const { peer, far } = await scene()
  const frames = [60, 14, 1514, 100].map((length, number) => numberedFrame(number, length))
  far.send(...frames)
  await until(() => peer.received.length === frames.length, 'all arrive')
  expect(peer.received).toEqual(frames)
  peer.socket.write(Buffer.concat(frames.map(frame => record(frame))))
  expect(await far.receiveMany(frames.length)).toEqual(frames)
})

test('it does not matter how the stream is cut', async () => {
  const { peer, far } = await scene()
  const frames = [60, 200, 14].map((length, number) => numberedFrame(number, length))
  for (const byte of Buffer.concat(frames.map(frame => record(frame)))) {
    peer.socket.write(Buffer.from([byte]))
    await new Promise(setImmediate)
  }
  expect(await far.receiveMany(frames.length)).toEqual(frames)
})

test('more than a buffer of frames in one piece', async () => {
  const { peer, far } = await scene()
  const frames = Array.from({ length: 9 }, (_, number) => numberedFrame(number, 60_000))
  peer.socket.write(Buffer.concat(frames.map(frame => record(frame))))
  expect(await far.receiveMany(frames.length)).toEqual(frames)
})

describe('what is no frame', () => {
  test('is skipped where the next one can be found', async () => {
    const { port, peer, far } = await scene()
    peer.socket.write(
      Buffer.concat([
        record(Buffer.alloc(0)),
        record(Buffer.alloc(13)),
        record(Buffer.alloc(65_601)),
        record(Buffer.alloc(69_632)),
        record(numberedFrame(1))
      ])
    )
    expect(await far.receive()).toEqual(numberedFrame(1))
    expect(port.faults).toMatchObject({ malformed: 4 })
  })

  test.each([69_633, 0x7fffffff, 0x80000000, 0xfffffffb, 0xffffffff])('ends the port: a length of %i', async length => {
    const { peer, far } = await scene()
    const gone = once(far.pipe.a, 'gone')
    peer.socket.write(Buffer.concat([record(numberedFrame(1)), record(numberedFrame(2), length)]))
    expect(await far.receive()).toEqual(numberedFrame(1))
    expect((await gone)[0]).toMatchObject({ code: 'EPROTO' })
    expect(await far.receive(100)).toBeUndefined()
  })
})

describe('a peer that goes', () => {
  test('is told of, though nothing is sent', async () => {
    const { peer, far } = await scene()
    const gone = once(far.pipe.a, 'gone')
    peer.socket.destroy()
    expect((await gone)[0]).toMatchObject({ code: expect.stringMatching(/^(EPIPE|ECONNRESET)$/) })
    expect(far.pipe.a.state).toBe('gone')
  })

  test('in the midst of a frame', async () => {
    const { peer, far } = await scene()
    const gone = once(far.pipe.a, 'gone')
    peer.socket.end(record(numberedFrame(1, 1000)).subarray(0, 500))
    expect((await gone)[0]).toMatchObject({ code: 'EPIPE' })
    expect(await far.receive(100)).toBeUndefined()
  })
})

test('a peer that does not read makes frames wait, then drop, and gets whole ones all the same', async () => {
  const { peer, far } = await scene({ sendBuffer: 40_000 })
  peer.socket.pause()
  const sent: number[] = []
  // Above what the kernel takes in one piece, so that it takes parts.
  for (let number = 0; number < 30; number++) {
    far.send(numberedFrame(number, 50_000))
    sent.push(number)
    await until(() => far.pipe.b.counters.rxFrames === sent.length, 'it is read')
  }
  await until(() => {
    const { txFrames, drops } = far.pipe.a.counters
    return txFrames + drops.refused === 30
  }, 'all are sent or dropped')
  const { txFrames, drops } = far.pipe.a.counters
  expect(drops.refused).toBeGreaterThan(0)
  peer.socket.resume()
  await until(() => peer.received.length >= txFrames, 'what was sent arrives, the last one perhaps in part')
  // Whatever came in parts is finished by what comes after it.
  far.send(numberedFrame(99, 60))
  await until(() => peer.received.some(frame => frame.equals(numberedFrame(99))), 'the last one arrives')
  expect(peer.received).toHaveLength(txFrames + 1)
  const numbers = peer.received.map(frame => frame.readUInt32BE(14))
  expect(peer.received).toEqual(numbers.map(number => numberedFrame(number, number === 99 ? 60 : 50_000)))
  expect(numbers).toEqual([...new Set(numbers)].sort((one, other) => one - other))
})

test('the rest of the last frame follows when the peer reads', async () => {
  const { port, peer } = UnixPort.pair('stream', { sendBuffer: 8000 })
  onTestFinished(() => peer.close())
  const far = await probe(closedAfterwards(port))
  const [fd] = peer.fds as [number]
  const buffer = Buffer.alloc(70_000)
  const chunks: Buffer[] = []
  const read = () => {
    const received = addon().unixReceive(fd, buffer)
    if (received) chunks.push(Buffer.from(buffer.subarray(0, received.bytes)))
    return Buffer.concat(chunks).length
  }
  // Above what the kernel takes while nobody reads.
  const frame = numberedFrame(1, 30_000)
  far.send(frame)
  await until(() => read() === 4 + frame.length, 'all of it arrives')
  expect(Buffer.concat(chunks)).toEqual(record(frame))
})

test('the rest of a frame follows when the peer speaks, though no other frame does', async () => {
  const { peer, far } = await scene({ sendBuffer: 40_000 })
  peer.socket.pause()
  let number = 0
  while (far.pipe.a.counters.drops.refused === 0) {
    far.send(numberedFrame(number++, 50_000))
    await until(() => {
      const { txFrames, drops } = far.pipe.a.counters
      return txFrames + drops.refused === number
    }, 'it is sent or dropped')
  }
  const { txFrames } = far.pipe.a.counters
  peer.socket.resume()
  await until(() => peer.received.length >= txFrames, 'all but a rest arrive')
  peer.socket.write(record(numberedFrame(1)))
  expect(await far.receive()).toEqual(numberedFrame(1))
  await until(() => peer.received.every(frame => frame.length === 50_000), 'the rest arrives')
  expect(peer.received).toHaveLength(txFrames)
})

test('frames of several threads do not come into each other', async () => {
  const { port, peer } = await connectPeer({ sendBuffer: 40_000 })
  const stations = Array.from({ length: 4 }, () => Probe.open())
  const hub = await openSwitch({ ports: [port, ...stations.map(station => station.port)], patience: 1000 })
  // Each station has an address of its own, and what it sends is for somebody behind the stream.
  const frames = stations.map((_, at) =>
    Array.from({ length: 200 }, (_, number) => {
      const frame = numberedFrame(at * 1000 + number, 100 + ((number * 997) % 1400))
      frame.writeUInt8(0x10 + at, 11)
      return frame
    })
  )
  // Behind the stream is who they send to: nothing is flooded from then on.
  const hello = numberedFrame(1)
  hello.copy(hello, 6, 0, 6)
  Buffer.from('ffffffffffff', 'hex').copy(hello)
  peer.socket.write(record(hello))
  await until(() => hub.table().length === 1, 'it is learned')
  for (let number = 0; number < 200; number++) {
    for (const [at, station] of stations.entries()) station.send(frames[at]?.[number] as Buffer)
    if (number % 5 === 4) await new Promise(resolve => setTimeout(resolve, 2))
  }
  await until(() => peer.received.length === 800, 'all arrive')
  for (const [at, wanted] of frames.entries()) {
    expect(peer.received.filter(frame => frame[11] === 0x10 + at)).toEqual(wanted)
  }
})

describe('listen', () => {
  test('takes the first that connects, and its path is gone then', async () => {
    const path = join(tempFolder(), 'socket')
    const listening = UnixPort.listen(path)
    const socket = connect(path)
    const port = closedAfterwards(await listening)
    const peer = new Peer(socket)
    expect(existsSync(path)).toBe(false)
    const far = await probe(port)
    far.send(numberedFrame(1))
    await until(() => peer.received.length === 1, 'it arrives')
    expect(peer.received).toEqual([numberedFrame(1)])
  })

  test('is given up with a signal', async () => {
    const path = join(tempFolder(), 'socket')
    const controller = new AbortController()
    const listening = UnixPort.listen(path, { signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(listening).rejects.toThrow('enough')
    expect(existsSync(path)).toBe(false)
  })

  test('leaves a path alone that exists', async () => {
    const path = join(tempFolder(), 'socket')
    writeFileSync(path, 'mine')
    await expect(UnixPort.listen(path)).rejects.toMatchObject({ code: 'EADDRINUSE', diagnosis: expect.any(String) })
    expect(existsSync(path)).toBe(true)
  })
})

test('the other end of a pair is for a child', async () => {
  const { port, peer } = UnixPort.pair('stream')
  closedAfterwards(port)
  const far = await probe(port)
  far.send(numberedFrame(1))
  const buffer = Buffer.alloc(100)
  await until(() => far.pipe.a.counters.txFrames === 1, 'it is sent')
  expect(addon().unixReceive(peer.fds[0] as number, buffer)).toMatchObject({ bytes: 64 })
  expect(buffer.subarray(0, 64)).toEqual(record(numberedFrame(1)))
  const gone = once(far.pipe.a, 'gone')
  await peer.close()
  await gone
})

describe('adopt', () => {
  test('takes a connected socket over', async () => {
    const [own, other] = addon().unixPair(1)
    const peer = addon().adoptDescriptors([other])
    onTestFinished(() => peer.close())
    const far = await probe(closedAfterwards(UnixPort.adopt(own)))
    expect(addon().unixSend(other, record(numberedFrame(1)), [])).toBe(64)
    expect(await far.receive()).toEqual(numberedFrame(1))
  })
})
