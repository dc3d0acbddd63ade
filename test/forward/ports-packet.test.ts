import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { PacketPort, type PacketPortOptions, type Pipe } from '../../lib/index.js'
import { has } from '../support/features.js'
import { ping } from '../tap/support/kernel-stack.js'
import { needsTun } from '../tap/support/needs.js'
import { createNetns } from '../tap/support/netns.js'
import { ip, ipLinks } from '../tap/support/system.js'
import { openPipe } from './support/forwarders.js'
import { until } from './support/frames.js'
import { closedAfterwards, numberedFrame, probe } from './support/probe.js'
import { needsChecksum, sendFrames, superFrame } from './support/raw.js'
import { transferTcp } from './support/tcp.js'
import { parseTcp, unfinishedTcp } from './support/tcp-frames.js'
import { openStation, SUPER_FRAMES } from './support/underlay.js'

interface Host {
  netns: string
  /** The end of its wire in the middle. */
  link: string
}

/** A host behind a wire whose other end is in the middle; it has `eth0`. */
function addHost(middle: string, link: string, ...addresses: string[]): Host {
  const netns = createNetns()
  ip(netns, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', link, 'netns', middle)
  // Only what a test sends is to be on the wire.
  if (addresses.length === 0) ip(netns, 'link', 'set', 'eth0', 'addrgenmode', 'none')
  ip(netns, 'link', 'set', 'eth0', 'up')
  ip(middle, 'link', 'set', link, 'addrgenmode', 'none')
  ip(middle, 'link', 'set', link, 'up')
  for (const address of addresses) {
    ip(netns, 'address', 'add', address, 'dev', 'eth0', ...(address.includes(':') ? ['nodad'] : []))
  }
  return { netns, link }
}

async function openPort(netns: string, link: PacketPortOptions['link'], options: Partial<PacketPortOptions> = {}) {
  return closedAfterwards(await PacketPort.open({ netns, link, ...options }))
}

const sentBy = (netns: string, link: string): number =>
  JSON.parse(ip(netns, '-s', '-j', 'link', 'show', link))[0].stats64.tx.packets

const addressesOf = (number: number) => [`10.7.0.${number}/24`, `fd07::${number}/64`]

async function expectWhole(one: string, other: string): Promise<void> {
  expect(await ping('10.7.0.2', { netns: one })).toBe(3)
  expect(await ping('fd07::1', { netns: other })).toBe(3)
  for (const prefix of ['10.7.0.', 'fd07::']) {
    const there = await transferTcp(one, other, `${prefix}2`)
    expect(there.received).toBe(there.sent)
    const back = await transferTcp(other, one, `${prefix}1`)
    expect(back.received).toBe(back.sent)
  }
}

function expectNothingDropped(pipe: Pipe): void {
  for (const { counters } of [pipe.a, pipe.b]) {
    expect(Object.values(counters.drops).every(count => count === 0)).toBe(true)
  }
}

describe.each<[string, Partial<PacketPortOptions>]>([
  ['super-frames', {}],
  ['finished frames', { offload: 'off' }],
  ['past the queueing discipline', { qdiscBypass: true }]
])('two wires, joined: %s', (_, options) => {
  test('pings and TCP pass whole', { timeout: 60_000 }, async () => {
    const middle = createNetns()
    const one = addHost(middle, 'wire1', ...addressesOf(1))
    const other = addHost(middle, 'wire2', ...addressesOf(2))
    const ports = [await openPort(middle, one.link, options), await openPort(middle, other.link, options)] as const
    const pipe = await openPipe(...ports)
    await expectWhole(one.netns, other.netns)
    expectNothingDropped(pipe)
    expect(pipe.b.counters.txFrames > 0 && pipe.a.counters.txFrames > 0).toBe(true)
    // What a link has sent is what its port was given.
    const sent = () => sentBy(middle, other.link)
    await until(() => sent() === pipe.b.counters.txFrames, `${sent()} of ${pipe.b.counters.txFrames} are on the wire`)
    if (options.offload === 'off') expect(pipe.b.counters.split).toBeGreaterThan(0)
    else expect(pipe.b.counters.split).toBe(0)
  })
})

describe.each([
  ['with headers', SUPER_FRAMES],
  ['without', {}]
])('a wire and a TAP %s', (_, options) => {
  needsTun()

  test('pings and TCP pass whole', { timeout: 60_000 }, async () => {
    const middle = createNetns()
    const host = addHost(middle, 'wire1', ...addressesOf(1))
    const station = createNetns()
    const tap = await openStation(station, addressesOf(2), options)
    const port = await openPort(middle, host.link)
    const pipe = await openPipe(port, tap)
    await expectWhole(host.netns, station)
    expectNothingDropped(pipe)
    expect(port.faults).toEqual({ malformed: 0, foreign: 0, tooLong: 0, unsegmented: 0, kernelDrops: 0 })
  })
})

describe('tags that were taken out of frames', () => {
  const tagged = (frame: Buffer, ...tags: [number, number][]) => {
    const bytes = tags.map(([type, tag]) => Buffer.from([type >> 8, type & 0xff, tag >> 8, tag & 0xff]))
    return Buffer.concat([frame.subarray(0, 12), ...bytes, frame.subarray(12)])
  }

  test('are put back', async () => {
    const middle = createNetns()
    const { netns, link } = addHost(middle, 'wire1')
    const far = await probe(await openPort(middle, link))
    const frames = [
      numberedFrame(1),
      tagged(numberedFrame(2), [0x8100, 7]),
      tagged(numberedFrame(3), [0x8100, 0xe064]),
      tagged(numberedFrame(4), [0x88a8, 5]),
      tagged(numberedFrame(5), [0x88a8, 5], [0x8100, 7])
    ]
    await sendFrames(netns, 'eth0', frames)
    expect(await far.receiveMany(frames.length)).toEqual(frames)
    far.send(...frames)
    await until(() => far.pipe.a.counters.txFrames === frames.length, 'frames with tags are sent')
  })

  test('do not displace a checksum that is to be computed', async () => {
    const middle = createNetns()
    const { netns, link } = addHost(middle, 'wire1')
    const far = await probe(await openPort(middle, link))
    const payload = randomBytes(500)
    await sendFrames(netns, 'eth0', [unfinishedTcp(4, payload)], needsChecksum(14 + 20, 16))
    await sendFrames(netns, 'eth0', [unfinishedTcp(4, payload, 7)], needsChecksum(14 + 4 + 20, 16))
    const [plain, withTag] = (await far.receiveMany(2)) as [Buffer, Buffer]
    expect(parseTcp(plain)).toEqual({ sequence: 1, payload, right: true })
    expect(withTag.readUInt32BE(12)).toBe(0x81000007)
    expect(parseTcp(withTag)).toEqual({ sequence: 1, payload, right: true })
    expect(far.pipe.b.counters.completed).toBe(2)
  })
})

test('what the stack beside it sends is not seen, what it receives is', async () => {
  const middle = createNetns()
  const { netns, link } = addHost(middle, 'wire1', '10.7.0.1/24')
  ip(middle, 'address', 'add', '10.7.0.2/24', 'dev', link)
  const far = await probe(await openPort(middle, link))
  expect(await ping('10.7.0.1', { netns: middle })).toBe(3)
  const seen = await far.receiveMany(4)
  const addresses = ipLinks(middle)
    .filter(({ ifname }) => ifname === link)
    .map(({ address }) => address.replaceAll(':', ''))
  expect(seen.length).toBeGreaterThanOrEqual(3)
  expect(seen.some(frame => addresses.includes(frame.toString('hex', 6, 12)))).toBe(false)
  expect(await ping('10.7.0.2', { netns })).toBe(3)
})

test('frames that are too long are dropped and counted', async () => {
  const middle = createNetns()
  const { link } = addHost(middle, 'wire1')
  const port = await openPort(middle, link)
  const far = await probe(port)
  far.send(numberedFrame(1, 1514), numberedFrame(2, 2000), numberedFrame(3, 100))
  await until(() => far.pipe.a.counters.txFrames === 2, 'the others are sent')
  expect(port.faults).toMatchObject({ tooLong: 1 })
  expect(far.pipe.a.counters.drops).toMatchObject({ error: 1 })
})

describe('a TAP’s queue', () => {
  needsTun()

  test('that is full refuses frames, which are counted as that', async () => {
    const middle = createNetns()
    await openStation(middle, [], { txqlen: 10 })
    const far = await probe(await openPort(middle, 'tap0', { qdiscBypass: true }))
    for (let number = 0; number < 30; number++) {
      far.send(numberedFrame(number))
      await until(() => far.pipe.b.counters.rxFrames === number + 1, 'it is read')
    }
    await until(() => {
      const { txFrames, drops } = far.pipe.a.counters
      return txFrames + drops.refused === 30
    }, 'each is sent or counted')
    expect(far.pipe.a.counters.drops).toMatchObject({ error: 0 })
    expect(far.pipe.a.counters.drops.refused).toBeGreaterThan(0)
  })
})

test('a link is found by name, by ifindex, and as an object; promiscuous mode is left with the port', async () => {
  const middle = createNetns()
  const { link } = addHost(middle, 'wire1')
  const promiscuity = () => ipLinks(middle).find(({ ifname }) => ifname === link) as unknown as { promiscuity: number }
  const byName = await openPort(middle, link)
  expect(promiscuity()).toMatchObject({ promiscuity: 1 })
  const byIndex = await openPort(middle, byName.index, { promiscuous: false })
  const byObject = await openPort(middle, { index: byName.index }, { promiscuous: false })
  for (const port of [byName, byIndex, byObject]) expect(port).toMatchObject({ link, index: byName.index })
  expect(promiscuity()).toMatchObject({ promiscuity: 1 })
  await byName.close()
  expect(promiscuity()).toMatchObject({ promiscuity: 0 })
})

describe('the link', () => {
  test('goes down and comes up again', async () => {
    const middle = createNetns()
    const { netns, link } = addHost(middle, 'wire1')
    const far = await probe(await openPort(middle, link))
    const down = once(far.pipe.a, 'down')
    ip(middle, 'link', 'set', link, 'down')
    await down
    far.send(numberedFrame(1))
    await until(() => far.pipe.a.counters.drops.down === 1, 'the frame is dropped')
    const up = once(far.pipe.a, 'up')
    ip(middle, 'link', 'set', link, 'up')
    await up
    far.send(numberedFrame(2))
    await until(() => far.pipe.a.counters.txFrames === 1, 'the next frame is sent')
    await sendFrames(netns, 'eth0', [numberedFrame(3)])
    expect(await far.receive()).toEqual(numberedFrame(3))
  })

  test.each([
    ['is deleted', 'up'],
    ['is deleted while it is down', 'down']
  ])('%s', async (_, state) => {
    const middle = createNetns()
    const { link } = addHost(middle, 'wire1')
    const far = await probe(await openPort(middle, link))
    ip(middle, 'link', 'set', link, state)
    const gone = once(far.pipe.a, 'gone')
    ip(middle, 'link', 'delete', link)
    const [error] = await gone
    expect(error).toMatchObject({ code: expect.stringMatching(/^(ENODEV|ENXIO)$/) })
    expect(far.pipe.a.state).toBe('gone')
  })

  test('may be down from the beginning', async () => {
    const middle = createNetns()
    const { netns, link } = addHost(middle, 'wire1')
    ip(middle, 'link', 'set', link, 'down')
    const far = await probe(await openPort(middle, link))
    ip(middle, 'link', 'set', link, 'up')
    await sendFrames(netns, 'eth0', [numberedFrame(1)])
    expect(await far.receive()).toEqual(numberedFrame(1))
  })
})

test.skipIf(!has('vxlan'))(
  'a super-frame inside of a tunnel is refused and counted; other frames of it pass',
  async () => {
    const middle = createNetns()
    const { netns, link } = addHost(middle, 'wire1', '192.0.2.1/24')
    const vxlan = 'link add vx0 type vxlan id 7 local 192.0.2.1 remote 192.0.2.2 dstport 4789 dev eth0'
    ip(netns, ...vxlan.split(' '))
    ip(netns, 'link', 'set', 'vx0', 'addrgenmode', 'none')
    ip(netns, 'link', 'set', 'vx0', 'up')
    ip(netns, 'neighbour', 'add', '192.0.2.2', 'lladdr', '02:00:00:00:00:02', 'dev', 'eth0')
    const port = await openPort(middle, link)
    const far = await probe(port)
    const payload = randomBytes(20_000)
    await sendFrames(netns, 'vx0', [unfinishedTcp(4, payload)], superFrame(14 + 20, 1380))
    await expect.poll(() => port.faults.malformed).toBe(1)
    await sendFrames(netns, 'vx0', [unfinishedTcp(4, payload.subarray(0, 500))], needsChecksum(14 + 20, 16))
    let frame: Buffer
    // What the host says of its own accord may come before.
    do frame = (await far.receive()) as Buffer
    while (frame.readUInt16BE(12) !== 0x0800)
    expect(parseTcp(frame.subarray(14 + 20 + 8 + 8))).toEqual({
      sequence: 1,
      payload: payload.subarray(0, 500),
      right: true
    })
  }
)
