/** What goes through a device, captured beside. */
import { connect } from 'node:net'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { Capture, type FrameQueue } from '../../lib/index.js'
import { answerFrame, answerPacket } from '../support/frames.js'
import { openTap, openTun } from '../tap/support/devices.js'
import { ping } from '../tap/support/kernel-stack.js'
import { needsTun, tempFolder } from '../tap/support/needs.js'
import { ip } from '../tap/support/system.js'
import { watchLink } from './support/live.js'
import { readAll } from './support/packets.js'
import { needsTshark, tcpdump, tshark } from './support/tools.js'

needsTun()

const guest = { mac: '02:00:00:00:00:02', ip: '192.0.2.2' }

/** Answers what comes through a queue until the test is over. */
function respond(queue: FrameQueue, answer: (frame: Buffer) => Buffer | undefined): void {
  const stopping = new AbortController()
  onTestFinished(() => stopping.abort())
  const replies = queue.createBatch()
  const loop = async () => {
    for await (const batch of queue.batches({ signal: stopping.signal })) {
      replies.clear()
      for (const frame of batch) {
        const reply = answer(Buffer.from(frame))
        if (reply) replies.push(reply)
      }
      queue.writeBatch(replies)
    }
  }
  loop().catch(error => {
    if (!stopping.signal.aborted) throw error
  })
}

test('a ping through a TAP is what tcpdump saw on the link itself', async context => {
  needsTshark(context)
  const tap = await openTap({ name: 'mirror0', up: true, ipv6: false })
  ip(undefined, 'address', 'add', '192.0.2.1/24', 'dev', 'mirror0')
  const path = join(tempFolder(), 'ping.pcapng')
  const capture = await Capture.open(path)
  const queue = tap.frames()
  queue.mirror = capture.add(tap.name).mirror
  respond(queue, frame => answerFrame(frame, guest))
  const live = await watchLink('mirror0')
  expect(await ping(guest.ip, { count: 5 })).toBe(5)
  const seen = await live.finish(12)
  await capture.close()
  const ours = tcpdump(path)
  expect(ours.map(({ hex }) => hex)).toEqual(seen.map(({ hex }) => hex))
  expect(ours.filter(({ text }) => /192\.0\.2\.1 > 192\.0\.2\.2: ICMP echo request/.test(text)).length).toBe(5)
  expect(ours.filter(({ text }) => /192\.0\.2\.2 > 192\.0\.2\.1: ICMP echo reply/.test(text)).length).toBe(5)
  // The kernel's clock and ours agree on when.
  for (const [i, { timestamp }] of ours.entries()) {
    const apart = Number(timestamp - (seen[i]?.timestamp ?? 0n)) / 1e6
    expect(Math.abs(apart)).toBeLessThan(250)
  }
  const directions = tshark(path, 'frame.packet_flags_direction', 'icmp.type', 'frame.interface_name')
  const pings = directions.filter(([, type]) => type !== '')
  expect(pings.length).toBe(10)
  for (const [direction, type, name] of pings) {
    expect([direction, name]).toEqual([type === '8' ? '0x00000001' : '0x00000002', 'mirror0'])
  }
})

test('a TUN carries packets without Ethernet', async () => {
  const tun = await openTun({ name: 'mirror0', up: true, ipv6: false })
  ip(undefined, 'address', 'add', '192.0.2.1/24', 'dev', 'mirror0')
  const path = join(tempFolder(), 'tun.pcapng')
  const capture = await Capture.open(path)
  const queue = tun.frames()
  queue.mirror = capture.add(tun.name, { linkType: 'raw' }).mirror
  respond(queue, packet => answerPacket(packet, guest.ip))
  expect(await ping(guest.ip, { count: 3 })).toBe(3)
  await capture.close()
  const texts = tcpdump(path).map(({ text }) => text)
  expect(texts.filter(text => text.includes('192.0.2.1 > 192.0.2.2: ICMP echo request')).length).toBe(3)
  expect(texts.filter(text => text.includes('192.0.2.2 > 192.0.2.1: ICMP echo reply')).length).toBe(3)
})

test('virtio-net headers are left out, and what they say is not', async context => {
  needsTshark(context)
  const offloads = { csum: true, tso4: true }
  const tap = await openTap({ name: 'mirror0', up: true, ipv6: false, vnetHeader: 12, offloads })
  ip(undefined, 'address', 'add', '192.0.2.1/24', 'dev', 'mirror0')
  ip(undefined, 'neighbour', 'add', guest.ip, 'lladdr', guest.mac, 'dev', 'mirror0')
  const path = join(tempFolder(), 'tcp.pcapng')
  const capture = await Capture.open(path)
  const queue = tap.frames()
  queue.mirror = capture.add(tap.name).mirror
  const batch = queue.createBatch()
  const socket = connect({ host: guest.ip, port: 9, localAddress: '192.0.2.1' })
  socket.on('error', () => {})
  for (const end = Date.now() + 3000; capture.counters.frames === 0 && Date.now() < end; await sleep(5)) {
    queue.readBatch(batch)
  }
  socket.destroy()
  await capture.close()
  const [syn] = tshark(path, 'frame.packet_flags', 'eth.dst', 'tcp.flags.syn', 'tcp.dstport')
  expect(syn).toEqual(['0x00000201', guest.mac, '1', '9'])
})

test('mirror() takes name and kind of frames from the queue, and lets it go at the end', async () => {
  const path = join(tempFolder(), 'both.pcapng')
  const capture = await Capture.open(path)
  const queues = [
    (await openTap({ name: 'mirrorA', up: true, ipv6: false })).frames(),
    (await openTun({ name: 'mirrorB', up: true, ipv6: false })).frames(),
    (await openTap({ name: 'mirrorC', up: true, ipv6: false })).frames()
  ]
  const added = queues.map(queue => capture.mirror(queue, { linkType: undefined }))
  expect(added.map(({ name, linkType }) => [name, linkType])).toEqual([
    ['mirrorA', 1],
    ['mirrorB', 101],
    ['mirrorC', 1]
  ])
  const frames = [Buffer.alloc(60, 1), Buffer.concat([Buffer.of(0x45), Buffer.alloc(59, 2)]), Buffer.alloc(60, 3)]
  for (const [at, queue] of queues.entries()) {
    const batch = queue.createBatch()
    batch.push(frames[at] as Buffer)
    expect(queue.writeBatch(batch)).toBe(1)
  }
  const mine = () => {}
  const [first, , last] = queues as [FrameQueue, FrameQueue, FrameQueue]
  last.mirror = mine
  await capture.close()
  expect(first.mirror).toBeUndefined()
  expect(last.mirror).toBe(mine)
  const packets = await readAll(path)
  expect(packets.map(packet => [packet.interface.name, packet.direction, Buffer.from(packet.bytes)])).toEqual(
    ['mirrorA', 'mirrorB', 'mirrorC'].map((name, at) => [name, 'outbound', frames[at]])
  )
})

test('several devices go into one file, each under its name', async () => {
  const path = join(tempFolder(), 'all.pcapng')
  const capture = await Capture.open(path)
  const taps = [await openTap({ name: 'mirrorA', up: true }), await openTap({ name: 'mirrorB', up: true })]
  const written = taps.map((tap, port) => {
    const queue = tap.frames()
    queue.mirror = capture.add(tap.name).mirror
    const batch = queue.createBatch()
    for (let i = 0; i < 10; i++) batch.push(Buffer.alloc(60 + i, port + 1))
    expect(queue.writeBatch(batch, 2, 9)).toBe(7)
    queue.mirror = undefined
    expect(queue.writeBatch(batch)).toBe(10)
    return Array.from({ length: 7 }, (_, i) => Buffer.alloc(62 + i, port + 1).toString('hex'))
  })
  await capture.close()
  const packets = await readAll(path)
  for (const [port, name] of ['mirrorA', 'mirrorB'].entries()) {
    const own = packets.filter(packet => packet.interface.name === name)
    expect(own.map(({ bytes }) => Buffer.from(bytes).toString('hex'))).toEqual(written[port])
    expect(own.every(({ direction }) => direction === 'outbound')).toBe(true)
  }
})

test('a capture that nobody takes costs the traffic neither frames nor memory', async () => {
  const tap = await openTap({ name: 'mirror0', up: true, ipv6: false })
  const stuck = new Writable({ write() {} })
  const capture = await Capture.open(stuck, { buffer: 2 * 1024 * 1024 })
  const queue = tap.frames()
  const link = capture.add(tap.name)
  queue.mirror = link.mirror
  const batch = queue.createBatch()
  while (batch.length < 64) batch.push(Buffer.alloc(1514, 0x88))
  const delay = monitorEventLoopDelay({ resolution: 1 })
  const rounds = 1500
  const grow = async () => {
    globalThis.gc?.()
    const before = process.memoryUsage()
    for (let i = 0; i < rounds; i++) {
      expect(queue.writeBatch(batch)).toBe(64)
      if (i % 20 === 0) await sleep(0)
    }
    globalThis.gc?.()
    const after = process.memoryUsage()
    return after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
  }
  await grow()
  delay.enable()
  const growth = await grow()
  delay.disable()
  // A hundred thousand frames, 145 MB.
  expect(growth).toBeLessThan(1024 * 1024)
  expect(link.counters.frames + link.counters.dropped).toBe(2 * rounds * 64)
  expect(link.counters.dropped).toBeGreaterThan(180_000)
  expect(queue.counters.txFrames).toBe(2 * rounds * 64)
  await expect(capture.close({ signal: AbortSignal.timeout(20) })).rejects.toMatchObject({ name: 'TimeoutError' })
})
