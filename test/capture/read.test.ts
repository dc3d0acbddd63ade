/** Captures of others and of our own, read. */
import { writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { Capture, type CapturedPacket, readCapture } from '../../lib/index.js'
import { pattern, wireFrame } from '../frames/support/flows.js'
import { tempFolder } from '../tap/support/needs.js'
import { run } from '../tap/support/system.js'
import {
  block,
  describeInterface,
  END,
  enhancedPacket,
  type Order,
  option,
  packet,
  pcapHeader,
  pcapPacket,
  section,
  simplePacket,
  u32,
  u64
} from './support/files.js'
import { readAll, readUntilError } from './support/packets.js'
import { needsTshark, tcpdump, tshark } from './support/tools.js'

const A = Uint8Array.of(1, 2, 3, 4, 5)
const B = new Uint8Array(61).fill(0xbb)

const ORDERS: Order[] = ['LE', 'BE']

describe.each(ORDERS)('pcap, %s', order => {
  test.each([
    ['microseconds', 0xa1b2c3d4, 1000n],
    ['nanoseconds', 0xa1b23c4d, 1n]
  ])('with %s', async (_, magic, fraction) => {
    const file = Buffer.concat([
      pcapHeader(order, { magic, linkType: 101, snapLength: 96 }),
      pcapPacket(order, 1_700_000_000, 7, A),
      pcapPacket(order, 0xffffffff, 999_999, B, 1500),
      pcapPacket(order, 0, 0, new Uint8Array(0))
    ])
    const packets = await readAll(file)
    expect(packets.map(({ timestamp }) => timestamp)).toEqual([
      1_700_000_000_000_000_000n + 7n * fraction,
      0xffffffffn * 1_000_000_000n + 999_999n * fraction,
      0n
    ])
    expect(packets.map(({ bytes }) => bytes)).toEqual([A, B, new Uint8Array(0)])
    expect(packets.map(({ originalLength }) => originalLength)).toEqual([5, 1500, 0])
    expect(packets[0]?.interface).toMatchObject({ id: 0, name: undefined, linkType: 101, snapLength: 96, fcsLength: 0 })
    expect(packets[0]).toMatchObject({ direction: undefined, comment: undefined, dropped: 0 })
  })

  test('with check sequences at the end of frames', async () => {
    const [one] = await readAll(
      Buffer.concat([pcapHeader(order, { linkType: 0x24000001 }), pcapPacket(order, 1, 0, A)])
    )
    expect(one?.interface).toMatchObject({ linkType: 1, fcsLength: 4 })
  })

  test('without frames', async () => {
    expect(await readAll(pcapHeader(order))).toEqual([])
  })
})

describe.each(ORDERS)('pcapng, %s', order => {
  test('with everything', async () => {
    const file = Buffer.concat([
      section(order, [option(order, 1, 'a comment'), option(order, 4, 'test'), END]),
      describeInterface(order, 1, 0, [
        option(order, 2, 'eth0'),
        option(order, 3, 'the first'),
        option(order, 9, Uint8Array.of(9)),
        option(order, 13, Uint8Array.of(4)),
        END
      ]),
      describeInterface(order, 101, 64, [option(order, 2, 'tün0'), option(order, 1, 'words'), END]),
      enhancedPacket(order, 0, 1_700_000_000_123_456_789n, A, [
        option(order, 2, u32(1, order)),
        option(order, 4, u64(12n, order)),
        option(order, 1, 'note'),
        END
      ]),
      enhancedPacket(order, 1, 1_700_000_000_000_001n, B, [option(order, 2, u32(2, order))], 99),
      block(order, 0x0bad, Buffer.from('of another kind.')),
      block(order, 4, Buffer.alloc(400)),
      enhancedPacket(order, 0, 0xffffffffffffffffn, new Uint8Array(0)),
      block(
        order,
        5,
        Buffer.concat([
          u32(1, order),
          Buffer.alloc(8),
          option(order, 4, u64(5n, order)),
          option(order, 5, u64(2n, order)),
          END
        ])
      )
    ])
    const packets = await readAll(file)
    expect(packets.length).toBe(3)
    const [first, second, third] = packets as [CapturedPacket, CapturedPacket, CapturedPacket]
    expect(first).toMatchObject({
      timestamp: 1_700_000_000_123_456_789n,
      direction: 'inbound',
      bytes: A,
      originalLength: 5,
      comment: 'note',
      dropped: 12
    })
    expect(first.interface).toMatchObject({
      id: 0,
      name: 'eth0',
      description: 'the first',
      comment: undefined,
      linkType: 1,
      snapLength: 0,
      fcsLength: 4,
      statistics: undefined
    })
    expect(second).toMatchObject({
      timestamp: 1_700_000_000_000_001_000n,
      direction: 'outbound',
      bytes: B,
      originalLength: 99,
      dropped: 0
    })
    expect(second.interface).toMatchObject({
      id: 1,
      name: 'tün0',
      comment: 'words',
      linkType: 101,
      snapLength: 64,
      statistics: { received: 5n, dropped: 2n }
    })
    expect(third).toMatchObject({ timestamp: 0xffffffffffffffffn, bytes: new Uint8Array(0), direction: undefined })
    expect(third.interface).toBe(first.interface)
  })

  test.each([
    ['seconds', 0, 5n, 5_000_000_000n],
    ['milliseconds', 3, 5n, 5_000_000n],
    ['microseconds', 6, 5n, 5_000n],
    ['picoseconds', 12, 5999n, 5n],
    ['the finest of all', 127, 0xffffffffffffffffn, 0n],
    ['halves of a second', 0x81, 3n, 1_500_000_000n],
    ['1/1024 of a second', 0x8a, 1025n, 1_000_976_562n],
    ['2^-127 of a second', 0xff, 0xffffffffffffffffn, 0n]
  ])('with times in %s', async (_, resolution, ticks, expected) => {
    const about = [option(order, 9, Uint8Array.of(resolution)), END]
    const file = [section(order), describeInterface(order, 1, 0, about), enhancedPacket(order, 0, ticks, A)]
    expect((await readAll(Buffer.concat(file)))[0]?.timestamp).toBe(expected)
  })

  test('with times from another beginning', async () => {
    const about = [option(order, 14, u64(-100n, order)), END]
    const file = [section(order), describeInterface(order, 1, 0, about), enhancedPacket(order, 0, 200_000_001n, A)]
    expect((await readAll(Buffer.concat(file)))[0]?.timestamp).toBe(100_000_001_000n)
  })

  test('with simple packets, cut to what the interface keeps', async () => {
    const file = Buffer.concat([
      section(order),
      describeInterface(order, 1, 8),
      simplePacket(order, A),
      simplePacket(order, B.subarray(0, 8), 61)
    ])
    const packets = await readAll(file)
    expect(packets.map(({ bytes }) => bytes)).toEqual([A, B.subarray(0, 8)])
    expect(packets.map(({ originalLength }) => originalLength)).toEqual([5, 61])
    expect(packets.map(({ timestamp }) => timestamp)).toEqual([0n, 0n])
  })

  test('with packets of the obsolete kind', async () => {
    const file = [
      section(order),
      describeInterface(order),
      packet(order, 0, 3, 9n, A),
      packet(order, 0, 0xffff, 10n, B)
    ]
    const packets = await readAll(Buffer.concat(file))
    expect(packets.map(({ timestamp, dropped }) => [timestamp, dropped])).toEqual([
      [9000n, 3],
      [10_000n, 0]
    ])
    expect(packets.map(({ bytes }) => bytes)).toEqual([A, B])
  })

  test('with several sections, of either byte order', async () => {
    const other = order === 'LE' ? 'BE' : 'LE'
    const file = Buffer.concat([
      section(order),
      describeInterface(order, 1, 0, [option(order, 2, 'one'), END]),
      enhancedPacket(order, 0, 1n, A),
      section(other, [], [1, 2]),
      describeInterface(other, 101, 0, [option(other, 2, 'two'), END]),
      enhancedPacket(other, 0, 2n, B)
    ])
    const packets = await readAll(file)
    expect(packets.map(({ interface: { name, linkType } }) => [name, linkType])).toEqual([
      ['one', 1],
      ['two', 101]
    ])
    // Nothing of the first section is known in the second.
    const orphan = Buffer.concat([file, section(order), enhancedPacket(order, 0, 1n, A)])
    expect((await readUntilError(orphan)).error.message).toMatch(/interface 0, which is not described/)
  })

  test('from a stream that comes byte by byte', async () => {
    const file = Buffer.concat([
      section(order),
      describeInterface(order),
      block(order, 77, Buffer.alloc(64, 1)),
      enhancedPacket(order, 0, 1n, A),
      enhancedPacket(order, 0, 2n, B)
    ])
    const bytes = [...file].map(byte => Uint8Array.of(byte))
    const packets = await readAll(Readable.from(bytes))
    expect(packets.map(({ bytes }) => bytes)).toEqual([A, B])
    const web = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const chunk of bytes) controller.enqueue(chunk)
        controller.close()
      }
    })
    expect((await readAll(web)).length).toBe(2)
  })
})

describe('a file that ends too early', () => {
  const order = 'LE'
  const head = Buffer.concat([section(order), describeInterface(order)])
  const file = Buffer.concat([
    head,
    enhancedPacket(order, 0, 1n, A),
    block(order, 99, Buffer.alloc(40)),
    enhancedPacket(order, 0, 2n, B)
  ])
  const starts = [0, 28, head.length, head.length + 40, head.length + 40 + 52]

  test('of pcapng gives what is whole, and says where it broke off', async () => {
    for (let length = 0; length < file.length; length++) {
      const cut = file.subarray(0, length)
      if (starts.includes(length) && length > 0) {
        expect((await readAll(cut)).length).toBe(length > head.length ? 1 : 0)
        continue
      }
      const { packets, error } = await readUntilError(cut)
      const at = starts.filter(start => start <= length).at(-1)
      expect(error).toMatchObject({ code: 'ERR_TRUNCATED_CAPTURE', offset: at })
      expect(error.message).toContain(`byte ${at}`)
      expect(packets.length).toBe(length > head.length + 40 ? 1 : 0)
    }
  })

  test('of pcap likewise', async () => {
    const pcap = Buffer.concat([pcapHeader(order), pcapPacket(order, 1, 0, A), pcapPacket(order, 2, 0, B)])
    for (let length = 0; length < pcap.length; length++) {
      if (length === 24 || length === 24 + 21) continue
      const { packets, error } = await readUntilError(pcap.subarray(0, length))
      const at = length < 24 ? 0 : length < 45 ? 24 : 45
      expect(error).toMatchObject({ code: 'ERR_TRUNCATED_CAPTURE', offset: at })
      expect(packets.length).toBe(length > 45 ? 1 : 0)
    }
  })
})

describe('what is no capture', () => {
  const order = 'LE'
  const head = [section(order), describeInterface(order)]
  const at = Buffer.concat(head).length
  const good = enhancedPacket(order, 0, 1n, A)

  const damaged = (change: (bytes: Buffer) => void) => {
    const bytes = Buffer.from(good)
    change(bytes)
    return Buffer.concat([...head, good, bytes])
  }

  test.each<[string, Buffer, number, RegExp]>([
    ['text', Buffer.from('this is no capture'), 0, /neither a pcap nor a pcapng/],
    ['gzip', Buffer.from('1f8b080000000000', 'hex'), 0, /it is compressed/],
    ['zstd', Buffer.from('28b52ffd00000000', 'hex'), 0, /it is compressed/],
    ['pcap of version 3', Buffer.concat([u32(0xa1b2c3d4, order), Buffer.alloc(20, 3)]), 4, /version 771/],
    ['pcap with an enormous frame', Buffer.concat([pcapHeader(order), Buffer.alloc(16, 0xff)]), 32, /4294967295 bytes/],
    ['a section without a byte order', block(order, 0x0a0d0d0a, Buffer.alloc(16)), 8, /byte-order magic/],
    ['pcapng of version 2', section(order, [], [2, 0]), 12, /version 2\.0/],
    ['pcapng of version 1.1', section(order, [], [1, 1]), 12, /version 1\.1/],
    [
      'a section that is too short',
      block(order, 0x0a0d0d0a, Buffer.concat([u32(0x1a2b3c4d, order), Buffer.alloc(4)])),
      4,
      /20 bytes/
    ],
    ['a block of no length', damaged(bytes => bytes.writeUInt32LE(0, 4)), at + good.length + 4, /a block of 0 bytes/],
    [
      'a block that is no multiple of 4',
      damaged(bytes => bytes.writeUInt32LE(43, 4)),
      at + good.length + 4,
      /43 bytes/
    ],
    [
      'an enormous block',
      damaged(bytes => bytes.writeUInt32LE(0xfffffffc, 4)),
      at + good.length + 4,
      /4294967292 bytes/
    ],
    ['two lengths', damaged(bytes => bytes.writeUInt32LE(44, bytes.length - 4)), at + good.length, /two lengths/],
    ['another interface', damaged(bytes => bytes.writeUInt32LE(1, 8)), at + good.length + 8, /interface 1, which/],
    [
      'a frame longer than its block',
      damaged(bytes => bytes.writeUInt32LE(9, 20)),
      at + good.length + 20,
      /a frame of 9 bytes/
    ],
    [
      'two lengths of a block that is skipped',
      damaged(bytes => {
        bytes.writeUInt32LE(88, 0)
        bytes.writeUInt32LE(44, bytes.length - 4)
      }),
      at + good.length,
      /two lengths/
    ],
    ['a packet before its interface', Buffer.concat([section(order), simplePacket(order, A)]), 28 + 8, /interface 0/],
    [
      'an option beyond its block',
      Buffer.concat([...head, enhancedPacket(order, 0, 1n, A, [Buffer.from('0100ff0061626364', 'hex')])]),
      at + 28 + 8,
      /option of 255 bytes/
    ],
    [
      'an interface that is too short',
      Buffer.concat([section(order), block(order, 1, Buffer.alloc(4))]),
      28 + 4,
      /interface description/
    ],
    [
      'a simple packet that is too short',
      Buffer.concat([...head, block(order, 3, Buffer.alloc(0))]),
      at + 4,
      /simple packet/
    ],
    [
      'a simple packet longer than its block',
      Buffer.concat([...head, simplePacket(order, A, 9)]),
      at + 8,
      /a frame of 9 bytes/
    ],
    [
      'statistics of another interface',
      Buffer.concat([...head, block(order, 5, Buffer.concat([u32(7, order), Buffer.alloc(8)]))]),
      at + 8,
      /interface 7/
    ]
  ])('%s', async (_, file, offset, message) => {
    const { error } = await readUntilError(file)
    expect(error).toMatchObject({ code: 'ERR_INVALID_CAPTURE', offset })
    expect(error.message).toMatch(message)
    expect(error.message).toContain(offset === 0 ? '' : `byte ${offset}`)
  })

  test('a file that is not there', async () => {
    expect((await readUntilError('/no/such/file')).error).toMatchObject({
      code: 'ENOENT',
      syscall: 'open(/no/such/file)'
    })
    expect((await readUntilError('/tmp')).error).toMatchObject({ code: 'EISDIR', syscall: 'read(/tmp)' })
  })

  test('a source that is none', async () => {
    expect((await readUntilError(7 as never)).error.code).toBe('ERR_INVALID_ARG_VALUE')
    expect((await readUntilError(Readable.from(['text']) as never)).error.code).toBe('ERR_INVALID_ARG_VALUE')
  })

  test('a stream that fails', async () => {
    const stream = new Readable({ read: () => stream.destroy(new Error('torn')) })
    await expect(readAll(stream)).rejects.toThrow('torn')
  })
})

describe('reading', () => {
  const big = () => {
    const path = join(tempFolder(), 'big.pcap')
    const frames = Array.from({ length: 9000 }, (_, i) => pattern(60 + (i % 1400), i))
    writeFileSync(path, Buffer.concat([pcapHeader('LE'), ...frames.map((frame, i) => pcapPacket('LE', i, i, frame))]))
    return { path, frames }
  }

  test('a file of many chunks, as it is', async () => {
    const { path, frames } = big()
    let at = 0
    for await (const { bytes, timestamp } of readCapture(path)) {
      if (timestamp !== BigInt(at) * 1_000_001_000n || Buffer.compare(bytes, frames[at] as Buffer) !== 0) break
      at++
    }
    expect(at).toBe(9000)
    expect((await readAll(await readFile(path))).length).toBe(9000)
  })

  test('may be given up, and the file is closed', async () => {
    const { path } = big()
    const open = () => run('sh', '-c', `ls -l /proc/${process.pid}/fd`).includes(path)
    for await (const { timestamp } of readCapture(path)) {
      expect(open()).toBe(true)
      if (timestamp > 0n) break
    }
    expect(open()).toBe(false)
  })

  test('is aborted, though the stream gives nothing', async () => {
    const stopping = new AbortController()
    const silent = new Readable({ read() {} })
    const reading = readCapture(silent, { signal: stopping.signal }).next()
    await sleep(20)
    const reason = new Error('enough')
    stopping.abort(reason)
    await expect(reading).rejects.toBe(reason)
    expect(silent.destroyed).toBe(true)
    await expect(readCapture(new Uint8Array(0), { signal: stopping.signal }).next()).rejects.toBe(reason)
  })

  test('what we wrote, a whole turn', async () => {
    const path = join(tempFolder(), 'turn.pcapng')
    const capture = await Capture.open(path, { snapLength: 100 })
    const ports = ['a', 'b', 'c'].map(name => capture.add(name, { comment: `port ${name}` }))
    const expected: [string, Buffer, bigint, string | undefined][] = []
    for (let i = 0; i < 3000; i++) {
      const frame = pattern(i % 200, i)
      const direction = ([undefined, 'inbound', 'outbound'] as const)[i % 3]
      const port = ports[i % 3]
      port?.writeFrame(frame, { timestamp: BigInt(i) * 7_000_000_001n, direction })
      expected.push([port?.name ?? '', frame, BigInt(i) * 7_000_000_001n, direction])
    }
    await capture.close()
    const packets = await readAll(path)
    expect(packets.length).toBe(3000)
    for (const [i, { bytes, originalLength, interface: on, timestamp, direction }] of packets.entries()) {
      const [name, frame, time, side] = expected[i] as (typeof expected)[number]
      expect([on.name, timestamp, direction, originalLength]).toEqual([name, time, side, frame.length])
      expect(Buffer.compare(bytes, frame.subarray(0, 100))).toBe(0)
    }
    expect(packets[0]?.interface).toMatchObject({ snapLength: 100, statistics: { received: 1000n, dropped: 0n } })
  })

  test('what tcpdump wrote', async () => {
    const folder = tempFolder()
    const [source, copy] = [join(folder, 'source.pcapng'), join(folder, 'copy.pcap')]
    await using capture = await Capture.open(source)
    const frames = [wireFrame({ version: 4, protocol: 'udp' }, A), wireFrame({ version: 6, protocol: 'tcp' }, B)]
    for (const [i, frame] of frames.entries())
      capture.add('e').writeFrame(frame, { timestamp: BigInt(i + 1) * 1_001_002_003n })
    await capture.close()
    for (const nano of [[], ['--nano']]) {
      run('tcpdump', '-r', source, '-w', copy, ...nano)
      const packets = await readAll(copy)
      expect(packets.map(({ bytes }) => Buffer.from(bytes).toString('hex'))).toEqual(
        frames.map(frame => frame.toString('hex'))
      )
      const digits = nano.length > 0 ? 1n : 1000n
      expect(packets.map(({ timestamp }) => timestamp)).toEqual(
        [1_001_002_003n, 2_002_004_006n].map(time => (time / digits) * digits)
      )
    }
  })

  test('what Wireshark wrote', async context => {
    needsTshark(context)
    const folder = tempFolder()
    const [source, copy] = [join(folder, 'source.pcapng'), join(folder, 'copy.pcapng')]
    await using capture = await Capture.open(source)
    const frame = wireFrame({ version: 4, protocol: 'udp' }, A)
    capture
      .add('first', { description: 'one' })
      .writeFrame(frame, { timestamp: 5n, direction: 'outbound', comment: 'so' })
    capture.add('second', { linkType: 'raw' }).writeFrame(frame.subarray(14), { timestamp: 6n })
    await capture.close()
    run('tshark', '-r', source, '-w', copy)
    const [one, two] = await readAll(copy)
    expect(one).toMatchObject({ timestamp: 5n, direction: 'outbound', comment: 'so' })
    expect(one?.interface).toMatchObject({ name: 'first', description: 'one', linkType: 1 })
    expect(two).toMatchObject({ timestamp: 6n, direction: undefined })
    expect(two?.interface).toMatchObject({ name: 'second', linkType: 101 })
    expect(tshark(copy, 'frame.number').length).toBe(2)
    expect(Buffer.from(two?.bytes ?? [])).toEqual(Buffer.from(frame.subarray(14)))
  })

  test('what others read as well: our hand-made files are files', async () => {
    const path = join(tempFolder(), 'made.pcapng')
    for (const order of ORDERS) {
      const parts = [
        section(order),
        describeInterface(order),
        enhancedPacket(order, 0, 1n, B),
        packet(order, 0, 0, 2n, B)
      ]
      writeFileSync(path, Buffer.concat([...parts, simplePacket(order, A)]))
      expect(tcpdump(path).length).toBe(3)
    }
  })
})
