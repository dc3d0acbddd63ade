/** What native threads move, seen by a mirror. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Capture, type FrameDirection, type Mirror } from '../../lib/index.js'
import { readAll } from '../capture/support/packets.js'
import { openTap, openTun } from '../tap/support/devices.js'
import { ping } from '../tap/support/kernel-stack.js'
import { needsTun, tempFolder } from '../tap/support/needs.js'
import { createNetns } from '../tap/support/netns.js'
import { ip } from '../tap/support/system.js'
import { openPipe, openSwitch } from './support/forwarders.js'
import { frameOf, transfer, until, Wire } from './support/frames.js'

needsTun()

const device = (name: string, options: Parameters<typeof openTap>[0] = {}) =>
  openTap({ name, up: true, ipv6: false, txqlen: 20_000, ...options })

interface Seen {
  hex: string
  direction: FrameDirection
  time: bigint
  original: number
}

/** A mirror that keeps what it is shown. */
function keeper(options: { snapLength?: number } = {}): { mirror: Mirror; seen: Seen[]; lost: () => number } {
  const seen: Seen[] = []
  let lost = 0
  const show: Mirror = (frames, from, to, direction) => {
    lost += frames.lost ?? 0
    for (let i = from; i < to; i++) {
      const offset = frames.offsets[i] as number
      const bytes = frames.bytes.subarray(offset, offset + (frames.lengths[i] as number))
      seen.push({
        hex: Buffer.from(bytes).toString('hex'),
        direction,
        time: frames.timestamps?.[i] as bigint,
        original: frames.originalLengths?.[i] as number
      })
    }
  }
  return { mirror: Object.assign(show, options), seen, lost: () => lost }
}

test('both ends of a pipe between two TUNs, in one capture', async () => {
  const [left, right] = [createNetns(), createNetns()]
  const a = await openTun({ name: 'mir-a', netns: left, up: true, ipv6: false })
  const b = await openTun({ name: 'mir-b', netns: right, up: true, ipv6: false, vnetHeader: 12 })
  ip(left, 'address', 'add', '192.0.2.1/24', 'dev', 'mir-a')
  ip(right, 'address', 'add', '192.0.2.2/24', 'dev', 'mir-b')
  const path = join(tempFolder(), 'pipe.pcapng')
  const capture = await Capture.open(path)
  const pipe = await openPipe(a, b)
  const started = BigInt(Date.now()) * 1_000_000n
  expect(capture.mirror(pipe.a).name).toBe('mir-a')
  capture.mirror(pipe.b)
  expect(await ping('192.0.2.2', { netns: left, count: 3 })).toBe(3)
  await pipe.close()
  await capture.close()
  const packets = await readAll(path)
  const of = (name: string, direction: FrameDirection) =>
    packets
      .filter(packet => packet.interface.name === name && packet.direction === direction)
      .map(({ bytes }) => Buffer.from(bytes).toString('hex'))
  // Echo requests go from a to b, and replies back: type 8 and 0 behind 20 bytes of IPv4.
  expect(of('mir-a', 'inbound').map(hex => hex.slice(40, 42))).toEqual(['08', '08', '08'])
  expect(of('mir-b', 'inbound').map(hex => hex.slice(40, 42))).toEqual(['00', '00', '00'])
  expect(of('mir-b', 'outbound')).toEqual(of('mir-a', 'inbound'))
  expect(of('mir-a', 'outbound')).toEqual(of('mir-b', 'inbound'))
  for (const {
    timestamp,
    interface: { linkType }
  } of packets) {
    expect(linkType).toBe(101)
    expect(timestamp).toBeGreaterThan(started - 5_000_000n)
    expect(timestamp).toBeLessThan(started + 60_000_000_000n)
  }
})

test('the frames of a switch, read and written, cut to what is looked at', async () => {
  const ports = [await device('mir-a'), await device('mir-b'), await device('mir-c', { vnetHeader: 12 })]
  const opened = await openSwitch({ ports })
  const [a, b, c] = opened.ports
  if (!a || !b || !c) throw new Error('there are three')
  const whole = keeper()
  const cut = keeper({ snapLength: 18 })
  const late = keeper()
  b.mirror = whole.mirror
  c.mirror = cut.mirror
  const wire = await Wire.open(['mir-a', 'mir-b', 'mir-c'])
  const [broadcast, reply] = [
    frameOf('ff:ff:ff:ff:ff:ff', '02:00:00:00:00:01', 7),
    frameOf('02:00:00:00:00:01', '02:00:00:00:00:02', 8)
  ]
  await wire.send('mir-a', broadcast)
  await until(() => whole.seen.length === 1 && cut.seen.length === 1, 'the broadcast is seen')
  await wire.send('mir-b', reply)
  await until(() => whole.seen.length === 2, 'the reply is seen')
  expect(whole.seen.map(({ hex, direction, original }) => [hex, direction, original])).toEqual([
    [broadcast, 'outbound', 60],
    [reply, 'inbound', 60]
  ])
  expect(whole.seen[1]?.time).toBeGreaterThan(whole.seen[0]?.time as bigint)
  expect(cut.seen).toMatchObject([{ hex: broadcast.slice(0, 36), direction: 'outbound', original: 60 }])
  // Another takes over, and the first sees nothing more.
  b.mirror = late.mirror
  c.mirror = undefined
  await wire.send('mir-a', broadcast)
  await until(() => late.seen.length === 1, 'the other mirror sees it')
  expect([whole.seen.length, cut.seen.length]).toEqual([2, 1])
})

describe('what is there at the end', () => {
  test('is shown when the mirror is taken away', async () => {
    const opened = await openSwitch({ ports: [await device('mir-a'), await device('mir-b')] })
    const [port] = opened.ports
    if (!port) throw new Error('there are two')
    const kept = keeper()
    port.mirror = kept.mirror
    const wire = await Wire.open(['mir-a'])
    const sent = wire.send('mir-a', frameOf('ff:ff:ff:ff:ff:ff', '02:00:00:00:00:01', 1))
    // The event loop does not turn before it is known to have been forwarded.
    while (port.counters.rxFrames === 0);
    expect(kept.seen).toEqual([])
    while (opened.ports[1]?.counters.txFrames === 0);
    port.mirror = undefined
    expect(kept.seen.map(({ direction }) => direction)).toEqual(['inbound'])
    await sent
  })

  test.each(['removed', 'closed'])('is shown when the port is %s', async how => {
    const [a, b] = [await device('mir-a'), await device('mir-b')]
    const opened = await openSwitch({ ports: [a, b] })
    const [port] = opened.ports
    if (!port) throw new Error('there are two')
    const kept = keeper()
    port.mirror = kept.mirror
    const wire = await Wire.open(['mir-a'])
    await wire.send('mir-a', frameOf('ff:ff:ff:ff:ff:ff', '02:00:00:00:00:01', 1))
    // The event loop does not turn before it is known to have been forwarded.
    while (port.counters.rxFrames === 0);
    const ended = how === 'removed' ? opened.removePort(port) : opened.close()
    await ended
    expect(kept.seen.map(({ direction }) => direction)).toEqual(['inbound'])
    port.mirror = kept.mirror
  })
})

test('nobody waits for a program that does not look, and what it did not see is counted', async () => {
  const COUNT = 5000
  const [a, b] = [await device('mir-a'), await device('mir-b')]
  const pipe = await openPipe(a, b)
  const kept = keeper()
  pipe.b.mirror = kept.mirror
  const transferred = transfer({ link: 'mir-a' }, { link: 'mir-b' }, COUNT)
  await until(() => kept.seen.length > 0, 'frames pass')
  const before = kept.seen.length
  // The event loop stands still until all have passed.
  for (const end = Date.now() + 20_000; pipe.b.counters.txFrames < COUNT && Date.now() < end; );
  expect(await transferred).toEqual({ frames: COUNT, wrong: 0, inOrder: true })
  await until(() => kept.seen.length + kept.lost() === COUNT, 'all are seen or counted')
  // A page of 1024 was filled meanwhile, and what had been taken before.
  expect(kept.lost()).toBeGreaterThan(0)
  expect(kept.seen.length).toBeGreaterThan(before)
})

test('what a program forwards by verdict is shown to those who look at the ports', async () => {
  const taps = [await device('mir-a'), await device('mir-b'), await device('mir-c')]
  const [a, b, c] = taps.map(tap => tap.frames())
  if (!a || !b || !c) throw new Error('there are three')
  const kept = [keeper(), keeper(), keeper()] as const
  for (const [i, queue] of [a, b, c].entries()) queue.mirror = kept[i]?.mirror
  const { DROP, FLOOD, REFUSED } = await import('../../lib/index.js')
  const batch = a.createBatch()
  const frames = [0, 1, 2, 3, 4].map(number => frameOf('ff:ff:ff:ff:ff:ff', '02:00:00:00:00:01', number))
  for (const frame of frames) batch.push(Buffer.from(frame, 'hex'))
  const verdicts = Int32Array.of(1, FLOOD, DROP, 2, 9)
  ip(undefined, 'link', 'set', 'mir-c', 'down')
  // To b; to b and not to c, which is down; nowhere; not to c; to no port.
  expect(a.forward(batch, verdicts, [a, b, c])).toBe(2)
  expect([...verdicts]).toEqual([1, REFUSED, DROP, REFUSED, REFUSED])
  expect(kept.map(({ seen }) => seen.map(({ hex }) => hex))).toEqual([[], [frames[0], frames[1]], []])
  expect(c.counters.txRefused).toBe(2)
})
