import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { VxlanPort, type VxlanPortOptions } from '../../lib/index.js'
import { inside, ip, PYTHON } from '../tap/support/system.js'
import { DatagramPeer } from './support/datagram-peer.js'
import { until } from './support/frames.js'
import { closedAfterwards, numberedFrame, probe } from './support/probe.js'
import { parseTcp, unfinishedTcp } from './support/tcp-frames.js'
import { createUnderlay, type Underlay } from './support/underlay.js'

const VNI = 0xabcdef
const PORT = 4789

/** RFC 7348, section 5. */
const header = (vni: number, flags = 0x08000000) => {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32BE(flags, 0)
  bytes.writeUInt32BE(vni * 256, 4)
  return bytes
}
const encapsulated = (frame: Buffer, vni = VNI, flags?: number) => Buffer.concat([header(vni, flags), frame])

/** A port in one namespace, another program's socket in the other. */
async function scene(options: Partial<VxlanPortOptions> = {}): Promise<{
  underlay: Underlay
  port: VxlanPort
  far: Awaited<ReturnType<typeof probe>>
  peer: DatagramPeer
  to: { address: string; port: number }
}> {
  const underlay = createUnderlay()
  const { a, b } = underlay
  const peer = await DatagramPeer.open(b.netns, b.ipv4, PORT)
  const port = closedAfterwards(
    await VxlanPort.open({ vni: VNI, netns: a.netns, remote: { address: b.ipv4 }, ...options })
  )
  return { underlay, port, far: await probe(port), peer, to: { address: a.ipv4, port: PORT } }
}

test('frames go out behind the header of RFC 7348, from and to port 4789', async () => {
  const { far, peer } = await scene()
  const frames = [60, 60, 60, 1400, 14].map((length, number) => numberedFrame(number, length))
  far.send(...frames)
  const received = await peer.receives(frames.length)
  expect(received.map(({ data }) => data)).toEqual(frames.map(frame => encapsulated(frame)))
  expect(new Set(received.map(({ port }) => port))).toEqual(new Set([PORT]))
})

test('frames come from any port of the remote; reserved bits mean nothing', async () => {
  const { underlay, port, far, peer, to } = await scene()
  const other = await DatagramPeer.open(underlay.b.netns, underlay.b.ipv4)
  peer.send(to, encapsulated(numberedFrame(1)))
  expect(await far.receive()).toEqual(numberedFrame(1))
  other.send(to, encapsulated(numberedFrame(2)))
  expect(await far.receive()).toEqual(numberedFrame(2))
  const bits = encapsulated(numberedFrame(3), VNI, 0xffffffff)
  bits.writeUInt8(0xff, 7)
  other.send(to, bits)
  expect(await far.receive()).toEqual(numberedFrame(3))
  expect(port.faults).toMatchObject({ malformed: 0, foreign: 0 })
})

test('joined datagrams come apart again, and those of another VNI among them are dropped', async () => {
  const { port, far, peer, to } = await scene()
  const datagrams = [1, 2, 3].map(number => encapsulated(numberedFrame(number, 200), number === 2 ? 7 : VNI))
  peer.send(to, Buffer.concat(datagrams), 208)
  expect(await far.receiveMany(2)).toEqual([numberedFrame(1, 200), numberedFrame(3, 200)])
  expect(port.faults).toMatchObject({ foreign: 1 })
})

test('what is no frame of this network does no harm', async () => {
  const { underlay, port, far, peer, to } = await scene()
  ip(underlay.b.netns, 'address', 'add', '192.0.2.99/24', 'dev', 'wire')
  const stranger = await DatagramPeer.open(underlay.b.netns, '192.0.2.99', PORT)
  const malformed = [
    Buffer.alloc(0),
    header(VNI).subarray(0, 7),
    header(VNI),
    encapsulated(Buffer.alloc(13)),
    encapsulated(numberedFrame(1), VNI, 0),
    encapsulated(numberedFrame(1), VNI, 0xf7ffffff)
  ]
  const foreign = [encapsulated(numberedFrame(1), VNI - 1), encapsulated(numberedFrame(1), 0)]
  for (const datagram of [...malformed, ...foreign]) peer.send(to, datagram)
  stranger.send(to, encapsulated(numberedFrame(1)))
  await expect.poll(() => port.faults).toMatchObject({ malformed: malformed.length, foreign: foreign.length + 1 })
  peer.send(to, encapsulated(numberedFrame(2)))
  expect(await far.receive()).toEqual(numberedFrame(2))
  expect(await far.receive(200)).toBeUndefined()
})

const FLOOD = `
import socket, sys
flood = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
flood.bind((sys.argv[1], 0))
while True: flood.sendto(b"x" * 100, (sys.argv[2], 4789))
`

test('a flood of a stranger’s does not hold up the peer', { timeout: 60_000 }, async () => {
  const { underlay, port, far, peer, to } = await scene()
  ip(underlay.b.netns, 'address', 'add', '192.0.2.99/24', 'dev', 'wire')
  const [command, ...args] = inside(underlay.b.netns, PYTHON, '-c', FLOOD, '192.0.2.99', to.address)
  const flood = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const ended = once(flood, 'exit')
  try {
    await until(() => port.faults.foreign > 10_000, 'it floods')
    const delays: number[] = []
    for (let number = 0; number < 50; number++) {
      const begin = performance.now()
      peer.send(to, encapsulated(numberedFrame(number)))
      expect(await far.receive()).toEqual(numberedFrame(number))
      delays.push(performance.now() - begin)
    }
    const [median = 0] = delays.sort((one, other) => one - other).slice(25)
    expect(median).toBeLessThan(50)
  } finally {
    flood.kill('SIGKILL')
    await ended
  }
  await until(() => far.pipe.a.counters.drops.malformed === port.faults.foreign, 'each is counted as a drop')
})

test('it says what the path leaves to packets in the tunnel', async () => {
  const { underlay, port } = await scene()
  expect(port.mtu).toBe(1450)
  const { a, b } = underlay
  const six = closedAfterwards(
    await VxlanPort.open({ vni: VNI, netns: a.netns, remote: { address: b.ipv6 }, local: { address: a.ipv6 } })
  )
  expect(six.mtu).toBe(1430)
})

describe('what the kernel’s device leaves to a card', () => {
  test.each([
    ['IPv4', 4, undefined],
    ['IPv6', 6, undefined],
    ['IPv4 with a tag', 4, 7]
  ] as const)('a checksum is computed: %s', async (_, version, tag) => {
    const { far, peer, to } = await scene()
    const payload = randomBytes(99)
    peer.send(to, encapsulated(unfinishedTcp(version, payload, tag)))
    const frame = (await far.receive()) as Buffer
    expect(parseTcp(frame)).toEqual({ sequence: 1, payload, right: true })
  })

  test('a checksum that is right stays as it is, and so does one that is wrong', async () => {
    const { far, peer, to } = await scene()
    const frame = unfinishedTcp(4, randomBytes(99))
    for (const field of [0, 0x1234, 0xffff]) {
      frame.writeUInt16BE(field, 14 + 20 + 16)
      peer.send(to, encapsulated(frame))
      expect(await far.receive()).toEqual(frame)
    }
  })

  test.each([
    ['IPv4, the path’s MTU', 4, undefined, 1450],
    ['IPv6, the path’s MTU', 6, undefined, 1450],
    ['IPv4, an MTU of 600', 4, 600, 600]
  ] as const)('a super-frame is split: %s', async (_, version, mtu, expected) => {
    const { far, peer, to } = await scene({ mtu })
    const payload = randomBytes(20_000)
    peer.send(to, encapsulated(unfinishedTcp(version, payload)))
    const headers = (version === 4 ? 20 : 40) + 20
    const segments = (await far.receiveMany(Math.ceil(payload.length / (expected - headers)))).map(parseTcp)
    expect(segments.every(({ right }) => right)).toBe(true)
    expect(segments.map(({ sequence }) => sequence)).toEqual(segments.map((_, at) => 1 + at * (expected - headers)))
    expect(Buffer.concat(segments.map(segment => segment.payload))).toEqual(payload)
  })
})
