import { describe, expect, test } from 'vitest'
import { UdpPort, type UdpPortOptions } from '../../lib/index.js'
import { DatagramPeer } from './support/datagram-peer.js'
import { until } from './support/frames.js'
import { closedAfterwards, numberedFrame, type Probe, probe } from './support/probe.js'
import { createUnderlay, snmp, type Underlay } from './support/underlay.js'

type Family = 'ipv4' | 'ipv6'

/** A port in one namespace, another program's socket in the other. */
async function scene(
  options: Partial<UdpPortOptions> = {},
  family: Family = 'ipv4'
): Promise<{ underlay: Underlay; port: UdpPort; far: Awaited<ReturnType<typeof probe>>; peer: DatagramPeer }> {
  const underlay = createUnderlay()
  const peer = await DatagramPeer.open(underlay.b.netns, underlay.b[family])
  const port = closedAfterwards(
    await UdpPort.open({
      netns: underlay.a.netns,
      remote: { address: underlay.b[family], port: peer.port },
      ...options
    })
  )
  return { underlay, port, far: await probe(port), peer }
}

const local = (port: UdpPort, underlay: Underlay, family: Family = 'ipv4') => ({
  address: underlay.a[family],
  port: port.local.port
})

async function receivesNothingElse(far: Probe): Promise<void> {
  expect(await far.receive(200)).toBeUndefined()
}

describe.each<Family>(['ipv4', 'ipv6'])('over %s', family => {
  test('a datagram is a frame and nothing else, both ways', async () => {
    const { underlay, port, far, peer } = await scene({}, family)
    const frames = [60, 14, 1400, 60, 60, 1000, 999].map((length, number) => numberedFrame(number, length))
    far.send(...frames)
    const received = await peer.receives(frames.length)
    expect(received.map(({ data }) => data)).toEqual(frames)
    expect(new Set(received.map(datagram => datagram.port))).toEqual(new Set([port.local.port]))
    for (const frame of frames) peer.send(local(port, underlay, family), frame)
    expect(await far.receiveMany(frames.length)).toEqual(frames)
    expect(far.pipe.a.counters).toMatchObject({ rxFrames: frames.length, txFrames: frames.length })
    expect(port.faults).toEqual({ malformed: 0, foreign: 0, tooLong: 0, unsegmented: 0, kernelDrops: 0 })
  })

  test('joined datagrams come apart again', async () => {
    const { underlay, port, far, peer } = await scene({}, family)
    const frames = Array.from({ length: 40 }, (_, number) => numberedFrame(number, number === 39 ? 77 : 500))
    peer.send(local(port, underlay, family), Buffer.concat(frames), 500)
    expect(await far.receiveMany(frames.length)).toEqual(frames)
  })

  test('it says what the path leaves to packets in the tunnel', async () => {
    const { port } = await scene({}, family)
    expect(port.mtu).toBe(1500 - (family === 'ipv4' ? 20 : 40) - 8 - 14)
  })
})

describe('what does no harm', () => {
  test('datagrams too short for a frame, by themselves and joined with others', async () => {
    const { underlay, port, far, peer } = await scene()
    const to = local(port, underlay)
    for (const length of [0, 1, 13]) peer.send(to, Buffer.alloc(length))
    peer.send(to, Buffer.concat([numberedFrame(1, 100), numberedFrame(2, 100), Buffer.alloc(13)]), 100)
    peer.send(to, Buffer.alloc(130), 13)
    peer.send(to, numberedFrame(3))
    expect(await far.receiveMany(3)).toEqual([numberedFrame(1, 100), numberedFrame(2, 100), numberedFrame(3)])
    await receivesNothingElse(far)
    expect(port.faults).toMatchObject({ malformed: 3 + 1 + 10, foreign: 0 })
    expect(far.pipe.a.counters).toMatchObject({ rxFrames: 3, drops: { malformed: 3 + 1 + 10 } })
  })

  test('many of them at once, with a frame behind them', async () => {
    const { underlay, port, far, peer } = await scene()
    const to = local(port, underlay)
    const COUNT = 16 * 16 - 1
    far.pipe.pause()
    for (let number = 0; number < COUNT; number++) peer.send(to, Buffer.alloc(13))
    peer.send(to, numberedFrame(1))
    await until(() => snmp(underlay.b.netns, 'Udp', 'OutDatagrams') === COUNT + 1, 'all are sent, and wait')
    far.pipe.resume()
    expect(await far.receive()).toEqual(numberedFrame(1))
    expect(port.faults).toMatchObject({ malformed: COUNT })
  })

  test('datagrams of somebody else', async () => {
    const { underlay, port, far, peer } = await scene()
    const to = local(port, underlay)
    const others = [
      await DatagramPeer.open(underlay.b.netns, underlay.b.ipv4),
      await DatagramPeer.open(underlay.a.netns, underlay.a.ipv4, peer.port)
    ]
    for (const other of others) other.send(to, numberedFrame(1))
    peer.send(to, numberedFrame(2))
    expect(await far.receive()).toEqual(numberedFrame(2))
    await receivesNothingElse(far)
  })

  test('the longest datagram there is', async () => {
    const { underlay, port, far, peer } = await scene()
    peer.send(local(port, underlay), numberedFrame(1, 65_507))
    expect(await far.receive()).toEqual(numberedFrame(1, 65_507))
  })
})

describe('frames above the path’s MTU', () => {
  test('are dropped and counted, and others are not', async () => {
    const { port, far, peer } = await scene()
    // 1,472 bytes fit with the headers of IPv4 and UDP.
    const frames = [1472, 1473, 60, 3000, 3000, 1472].map((length, number) => numberedFrame(number, length))
    far.send(...frames)
    expect((await peer.receives(3)).map(({ data }) => data.length)).toEqual([1472, 60, 1472])
    expect(port.faults).toMatchObject({ tooLong: 3 })
    expect(far.pipe.a.counters).toMatchObject({ txFrames: 3, drops: { error: 3 } })
  })

  test('are sent in fragments if that is wanted, though the kernel does not segment them', async () => {
    const { port, far, peer } = await scene({ fragment: true })
    const frames = Array.from({ length: 6 }, (_, number) => numberedFrame(number, 3000))
    far.pipe.pause()
    far.send(...frames)
    far.pipe.resume()
    expect((await peer.receives(6)).map(({ data }) => data)).toEqual(frames)
    expect(port.faults).toMatchObject({ tooLong: 0 })
    expect(port.faults.unsegmented).toBeGreaterThan(0)
  })
})

test('a peer that was away is reached when it is back', async () => {
  const underlay = createUnderlay()
  const { a, b } = underlay
  const remote = { address: b.ipv4, port: 4567 }
  const port = closedAfterwards(await UdpPort.open({ netns: a.netns, remote }))
  const far = await probe(port)
  for (let number = 0; number < 5; number++) far.send(numberedFrame(number))
  await until(() => far.pipe.b.counters.rxFrames === 5, 'the frames are sent to nobody')
  const peer = await DatagramPeer.open(b.netns, b.ipv4, remote.port)
  far.send(numberedFrame(9))
  expect((await peer.receives(1)).map(({ data }) => data)).toEqual([numberedFrame(9)])
  peer.send(local(port, underlay), numberedFrame(10))
  expect(await far.receive()).toEqual(numberedFrame(10))
})

test('ports share a local port, each with a peer of its own', async () => {
  const { a, b } = createUnderlay()
  const peers = [await DatagramPeer.open(b.netns, b.ipv4), await DatagramPeer.open(b.netns, b.ipv4)]
  const ports: UdpPort[] = []
  for (const peer of peers) {
    const remote = { address: b.ipv4, port: peer.port }
    const options = { netns: a.netns, remote, local: { port: 4000 }, reusePort: true }
    ports.push(closedAfterwards(await UdpPort.open(options)))
  }
  const probes = await Promise.all(ports.map(port => probe(port)))
  for (const [at, peer] of peers.entries()) {
    peer.send({ address: a.ipv4, port: 4000 }, numberedFrame(at))
    expect(await (probes[at] as Probe).receive()).toEqual(numberedFrame(at))
  }
})
