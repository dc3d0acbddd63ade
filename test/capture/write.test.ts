/** What is written, judged by its bytes, by tcpdump and by Wireshark. */
import { readFileSync } from 'node:fs'
import { endianness } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Capture, FrameBatch, LinkwrightError, VnetHeader } from '../../lib/index.js'
import { FLOWS, pattern, wireFrame } from '../frames/support/flows.js'
import { arpRequest } from '../support/frames.js'
import { tempFolder } from '../tap/support/needs.js'
import { readAll } from './support/packets.js'
import { capinfos, needsTshark, tcpdump, tshark } from './support/tools.js'

const TIME = 1_700_000_000_123_456_789n
const arp = arpRequest({ mac: '02:00:00:00:00:01', ip: '192.0.2.1' }, '192.0.2.9')
const frames = Object.values(FLOWS)
  .filter(flow => flow.layer !== 'ip')
  .map((flow, at) => wireFrame(flow, pattern(at * 37)))

function newPath(): string {
  return join(tempFolder(), 'test.pcapng')
}

function batchOf(list: Uint8Array[], vnetHeader?: Uint8Array): FrameBatch {
  const batch = new FrameBatch({ frames: list.length, vnetHeaderSize: vnetHeader?.length ?? 0 })
  for (const frame of list) batch.push(frame, vnetHeader)
  return batch
}

async function thrown(action: () => unknown): Promise<LinkwrightError> {
  try {
    await action()
  } catch (error) {
    if (error instanceof LinkwrightError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('the bytes', () => {
  test.skipIf(endianness() === 'BE')('of a small capture are those of the format', async () => {
    const path = newPath()
    const capture = await Capture.open(path, { snapLength: 16, comment: 'hello' })
    const eth = capture.add('eth0', { linkType: 1 })
    eth.write(batchOf([Uint8Array.of(1, 2, 3, 4, 5)]), 'inbound', 0x0123456789abcdefn)
    eth.writeFrame(new Uint8Array(17).fill(7), { timestamp: 1n, originalLength: 99 })
    await capture.close()
    const file = readFileSync(path)
    // The section says what made it, which differs from machine to machine.
    const section = file.readUInt32LE(4)
    expect(file.toString('hex', 0, 24)).toBe(`0a0d0d0a${file.toString('hex', 4, 8)}4d3c2b1a01000000ffffffffffffffff`)
    expect(file.toString('hex', 24, 36)).toBe(`01000500${Buffer.from('hello').toString('hex')}000000`)
    expect(file.readUInt32LE(section - 4)).toBe(section)
    const rest = file.subarray(section)
    expect(rest.toString('hex', 0, 152)).toBe(
      [
        // Interface: type, length, Ethernet, 16 bytes of each frame; its name, nanoseconds.
        '01000000 28000000 0100 0000 10000000',
        '0200 0400 65746830 0900 0100 09000000 0000 0000',
        '28000000',
        // Packet: type, length, interface, time, lengths; five bytes and padding; inbound.
        '06000000 34000000 00000000 67452301 efcdab89 05000000 05000000',
        '0102030405 000000',
        '0200 0400 01000000 0000 0000',
        '34000000',
        // Packet: cut to 16 bytes of 99; no options.
        '06000000 30000000 00000000 00000000 01000000 10000000 63000000',
        '07070707070707070707070707070707',
        '30000000',
        // Statistics of interface 0 follow.
        '05000000 58000000 00000000'
      ]
        .join('')
        .replaceAll(' ', '')
    )
    expect(rest.length).toBe(40 + 52 + 48 + 88)
    expect(capture.counters).toEqual({ frames: 2, bytes: 21, dropped: 0, truncated: 1 })
  })
})

describe('tcpdump', () => {
  test('reads the same frames at the same times', async () => {
    const path = newPath()
    const capture = await Capture.open(path)
    const link = capture.add('vnet0')
    expect(link.write(batchOf(frames), 'inbound', TIME)).toBe(frames.length)
    expect(link.writeFrame(arp, { timestamp: TIME + 1n })).toBe(true)
    await capture.close()
    const dumped = tcpdump(path)
    expect(dumped.map(({ hex }) => hex)).toEqual([...frames, arp].map(frame => frame.toString('hex')))
    expect(dumped.map(({ timestamp }) => timestamp)).toEqual([...frames.map(() => TIME), TIME + 1n])
    expect(dumped.at(-1)?.text).toContain('Request who-has 192.0.2.9')
  })

  test('reads IP packets of a TUN', async () => {
    const path = newPath()
    await using capture = await Capture.open(path)
    const packets = [4, 6].map(version =>
      wireFrame({ version: version as 4, protocol: 'udp', layer: 'ip' }, pattern(9))
    )
    capture.add('tun0', { linkType: 'raw' }).write(batchOf(packets), 'outbound')
    await capture.close()
    const dumped = tcpdump(path)
    expect(dumped.map(({ hex }) => hex)).toEqual(packets.map(packet => packet.toString('hex')))
    expect(dumped[0]?.text).toContain('192.0.2.1.4000 > 192.0.2.2.5000: UDP, length 9')
    expect(dumped[1]?.text).toContain('2001:db8::1.4000 > 2001:db8::2.5000')
  })

  test('reads what is captured only in part, and super-frames whole', async () => {
    const path = newPath()
    await using capture = await Capture.open(path, { snapLength: 65_000 })
    const large = wireFrame({ version: 4, protocol: 'tcp' }, pattern(65_000))
    const link = capture.add('vnet0')
    link.write(batchOf([large, arp]))
    await capture.close()
    expect(tcpdump(path).map(({ hex }) => hex)).toEqual([large.toString('hex', 0, 65_000), arp.toString('hex')])
    expect(link.counters).toEqual({ frames: 2, bytes: 65_042, dropped: 0, truncated: 1, filtered: 0 })
  })
})

describe('Wireshark', () => {
  test('sees interfaces, directions, times, comments and queues', async context => {
    needsTshark(context)
    const path = newPath()
    const capture = await Capture.open(path, { comment: 'a whole capture' })
    const one = capture.add('vnet0', { description: 'the guest', comment: 'port 1', filterText: 'only arp' })
    const two = capture.add('tun0', { linkType: 'raw' })
    const packet = wireFrame({ version: 4, protocol: 'udp', layer: 'ip' }, pattern(9))
    one.write(batchOf([arp]), 'inbound', TIME)
    two.write(batchOf([packet]), 'outbound', TIME + 5n)
    one.writeFrame(arp, { timestamp: TIME + 1_000_000_000n, comment: 'näher', queue: 3, originalLength: 100 })
    await capture.close()
    const fields = [
      'frame.interface_name',
      'frame.interface_description',
      'frame.packet_flags_direction',
      'frame.time_epoch',
      'frame.cap_len',
      'frame.len',
      'frame.comment',
      'frame.interface_queue',
      'frame.protocols'
    ]
    expect(tshark(path, ...fields)).toEqual([
      ['vnet0', 'the guest', '0x00000001', '1700000000.123456789', '42', '42', '', '', 'eth:ethertype:arp'],
      ['tun0', '', '0x00000002', '1700000000.123456794', '37', '37', '', '', 'raw:ip:udp:data'],
      ['vnet0', 'the guest', '', '1700000001.123456789', '42', '100', 'näher', '3', 'eth:ethertype:arp']
    ])
    const about = capinfos(path)
    expect(about).toContain('a whole capture')
    expect(about).toMatch(/Capture application: +linkwright/)
    expect(about).toMatch(/Filter string = only arp/)
    expect(about).toMatch(/Comment = port 1/)
    expect(about).toMatch(/Time precision = nanoseconds \(9\)/)
  })

  test('is told what is offloaded', async context => {
    needsTshark(context)
    const path = newPath()
    const capture = await Capture.open(path)
    const link = capture.add('vnet0')
    const tcp = wireFrame({ version: 4, protocol: 'tcp' }, pattern(3000))
    const header = new VnetHeader()
    link.write(batchOf([tcp], Buffer.from(header.bytes)), 'inbound')
    header.needsChecksum = true
    link.write(batchOf([tcp], Buffer.from(header.bytes)), 'inbound')
    header.gsoType = 'tcpv4'
    header.ecn = true
    header.gsoSize = 1448
    link.write(batchOf([tcp], Buffer.concat([header.bytes, Buffer.alloc(2)])))
    const valid = Buffer.from(new VnetHeader().bytes)
    valid[0] = 2
    link.write(batchOf([tcp], valid))
    await capture.close()
    expect(tshark(path, 'frame.packet_flags', 'frame.len')).toEqual([
      ['0x00000001', '3054'],
      ['0x00000201', '3054'],
      ['0x00000a00', '3054'],
      ['0x00000400', '3054']
    ])
  })
})

describe('times', () => {
  test('are those of the clock, to a fraction of a millisecond', async () => {
    const path = newPath()
    const capture = await Capture.open(path)
    const link = capture.add('vnet0')
    const bounds: [number, number][] = []
    for (let i = 0; i < 2000; i++) {
      const before = Date.now()
      link.writeFrame(arp)
      bounds.push([before, Date.now()])
    }
    await capture.close()
    const times = tcpdump(path).map(({ timestamp }) => timestamp)
    expect(times.length).toBe(2000)
    for (const [i, time] of times.entries()) {
      const [before, after] = bounds[i] as [number, number]
      expect(time).toBeGreaterThanOrEqual(BigInt(before) * 1_000_000n)
      expect(time).toBeLessThan(BigInt(after + 1) * 1_000_000n)
      if (i > 0) expect(time).toBeGreaterThanOrEqual(times[i - 1] as bigint)
    }
    // It is not the clock of milliseconds.
    expect(new Set(times).size).toBeGreaterThan(1000)
  })

  test('may come with the frames', async () => {
    const path = newPath()
    const capture = await Capture.open(path)
    const batch = batchOf([arp, arp, arp])
    const timestamps = BigUint64Array.of(5n, TIME, 2n ** 63n)
    const originalLengths = Uint32Array.of(42, 43, 60)
    const { bytes, offsets, lengths, length } = batch
    const link = capture.add('ring')
    expect(link.write({ bytes, offsets, lengths, length, timestamps, originalLengths }, 'inbound')).toBe(3)
    await capture.close()
    expect(link.counters.truncated).toBe(2)
    const dumped = tcpdump(path).map(({ timestamp }) => timestamp)
    expect(dumped.slice(0, 2)).toEqual([5n, TIME])
  })
})

test('tables that reach beyond the memory give what is there', async () => {
  const path = newPath()
  const capture = await Capture.open(path)
  const link = capture.add('ring')
  // Whatever lies in the memory of the capture must not come out instead.
  for (let i = 0; i < 200; i++) link.writeFrame(arp)
  const bytes = new Uint8Array(1000).fill(7)
  const tables = { offsets: Uint32Array.of(990, 500, 2000), lengths: Uint32Array.of(20, 700, 5), length: 3 }
  expect(link.write({ bytes, ...tables })).toBe(3)
  await capture.close()
  const read = (await readAll(path)).slice(200)
  expect(read.map(packet => Buffer.from(packet.bytes).toString('hex'))).toEqual(['07'.repeat(10), '07'.repeat(500), ''])
  expect(read.map(({ originalLength }) => originalLength)).toEqual([20, 700, 5])
  expect(link.counters.truncated).toBe(3)
})

describe('a part of a batch, and a filter', () => {
  test('choose frames', async () => {
    const path = newPath()
    const capture = await Capture.open(path)
    const batch = batchOf([arp, ...frames.slice(0, 3), arp])
    const all = capture.add('all')
    const some = capture.add('some', { filter: (bytes, offset) => bytes[offset + 13] === 0x06 })
    expect(all.write(batch, 'inbound', TIME, 1, 3)).toBe(2)
    expect(some.write(batch)).toBe(2)
    expect(some.writeFrame(frames[0] as Buffer)).toBe(false)
    await capture.close()
    expect(tcpdump(path).map(({ hex }) => hex)).toEqual(
      [frames[0], frames[1], arp, arp].map(frame => (frame as Buffer).toString('hex'))
    )
    expect(some.counters).toMatchObject({ frames: 2, filtered: 4, dropped: 0 })
    expect(capture.interfaces.map(({ name }) => name)).toEqual(['all', 'some'])
  })
})

describe('what is wrong is refused', () => {
  test.each([
    [0, 3, 'to'],
    [2, 1, 'to'],
    [0, Number.NaN, 'to'],
    [-1, 1, 'from'],
    [0.5, 1, 'from'],
    [3, 3, 'from']
  ])('frames %s to %s of a batch of two', async (from, to, path) => {
    await using capture = await Capture.open(newPath())
    const link = capture.add('vnet0')
    const error = await thrown(() => link.write(batchOf([arp, arp]), 'inbound', TIME, from, to))
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path })
    expect(link.counters).toMatchObject({ frames: 0, bytes: 0 })
  })

  test.each([
    [{ snapLength: 0 }, 'snapLength'],
    [{ snapLength: 300_000 }, 'snapLength'],
    [{ buffer: 1000 }, 'buffer'],
    [{ flushInterval: 0 }, 'flushInterval'],
    [{ comment: 'x'.repeat(65_536) }, 'comment'],
    [{ end: 1 as never }, 'end'],
    [{ snaplen: 5 } as never, 'snaplen']
  ])('of a capture: %j', async (options, path) => {
    const error = await thrown(() => Capture.open(newPath(), options))
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path })
  })

  test('a target that is none', async () => {
    for (const target of [5, null, '', {}]) {
      expect((await thrown(() => Capture.open(target as never))).code).toBe('ERR_INVALID_ARG_VALUE')
    }
  })

  test.each([
    ['', {}, 'name'],
    ['x'.repeat(65_536), {}, 'name'],
    ['a', { linkType: 'ether' as never }, 'linkType'],
    ['a', { linkType: 65_536 }, 'linkType'],
    ['a', { filter: 'arp' as never }, 'filter'],
    ['a', { comment: 7 as never }, 'comment'],
    ['a', { linktype: 1 } as never, 'linktype']
  ])('of an interface: %.10s %j', async (name, options, path) => {
    await using capture = await Capture.open(newPath())
    expect(await thrown(() => capture.add(name, options))).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path })
    expect(capture.interfaces).toEqual([])
  })

  test('a file that cannot be made', async () => {
    const path = join(newPath(), 'no', 'folder')
    expect(await thrown(() => Capture.open(path))).toMatchObject({ code: 'ENOENT', syscall: `open(${path})` })
  })

  test('after it is closed', async () => {
    const path = newPath()
    const capture = await Capture.open(path)
    const link = capture.add('vnet0')
    await Promise.all([capture.close(), capture.close()])
    expect(capture.closed).toBe(true)
    expect((await thrown(() => capture.add('vnet1'))).code).toBe('ERR_CLOSED')
    expect((await thrown(() => link.write(batchOf([arp])))).code).toBe('ERR_CLOSED')
    expect((await thrown(() => link.writeFrame(arp))).code).toBe('ERR_CLOSED')
    // Not so the mirror, which traffic depends on.
    link.mirror(batchOf([arp]), 0, 1, 'inbound')
    expect(link.counters.frames).toBe(0)
    expect(tcpdump(path)).toEqual([])
  })
})
