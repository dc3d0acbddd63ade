import { endianness } from 'node:os'
import { describe, expect, test } from 'vitest'
import { completeChecksums, FrameBatch, type GsoType, VnetHeader } from '../../lib/index.js'
import { batchOf, framesOf, headersOf, hex } from './support/batches.js'
import { FLOWS, partialFrame, pattern, superFrame, wireFrame } from './support/flows.js'

/** struct virtio_net_hdr of linux/virtio_net.h, in the machine's byte order. */
function struct(...[flags, gsoType, ...words]: [number, number, number, number, number, number]): Uint8Array {
  const view = new DataView(new ArrayBuffer(10))
  view.setUint8(0, flags)
  view.setUint8(1, gsoType)
  for (const [index, word] of words.entries()) view.setUint16(2 + 2 * index, word, endianness() === 'LE')
  return new Uint8Array(view.buffer)
}

describe('a virtio-net header', () => {
  const bytes = struct(3, 0x81, 0x0102, 0x0304, 0x0506, 0x0708)
  const fields = {
    needsChecksum: true,
    dataValid: true,
    gsoType: 'tcpv4',
    ecn: true,
    headerLength: 0x0102,
    gsoSize: 0x0304,
    checksumStart: 0x0506,
    checksumOffset: 0x0708
  } as const

  test('is read', () => {
    const header = new VnetHeader(bytes)
    expect(header).toMatchObject(fields)
    expect(JSON.parse(JSON.stringify(header))).toEqual(fields)
    expect(header.flags).toBe(3)
  })

  test('is written', () => {
    const header = new VnetHeader()
    expect([...header.bytes]).toEqual(Array(10).fill(0))
    Object.assign(header, fields)
    expect(header.bytes).toEqual(bytes)
    header.needsChecksum = false
    header.ecn = false
    expect(header.bytes).toEqual(struct(2, 1, 0x0102, 0x0304, 0x0506, 0x0708))
    header.gsoType = 'none'
    header.dataValid = false
    header.clear()
    expect(header.bytes).toEqual(struct(0, 0, 0, 0, 0, 0))
  })

  test.each([
    ['none', 0],
    ['tcpv4', 1],
    ['udp', 3],
    ['tcpv6', 4],
    ['udpL4', 5]
  ] as [GsoType, number][])('%s', (gsoType, number) => {
    const header = new VnetHeader()
    header.ecn = true
    header.gsoType = gsoType
    expect(header.bytes[1]).toBe(number | 0x80)
    expect(header.gsoType).toBe(gsoType)
    header.gsoType = number
    expect(header.gsoType).toBe(gsoType)
  })

  test('types that are not known are numbers', () => {
    const header = new VnetHeader(struct(0, 0x21, 0, 0, 0, 0))
    expect(header.gsoType).toBe(0x21)
    for (const wrong of [-1, 128, 1.5, 'tcp']) {
      expect(() => {
        header.gsoType = wrong as number
      }).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE', path: 'gsoType' }))
    }
  })

  test('one view is set on many', () => {
    const memory = new Uint8Array(30)
    memory.set(bytes, 20)
    const header = new VnetHeader()
    expect(header.at(memory)).toBe(true)
    expect(header.gsoType).toBe('none')
    expect(header.at(memory, 20)).toBe(true)
    expect(header).toMatchObject(fields)
    for (const outside of [21, 30, -1, Number.NaN]) expect(header.at(memory, outside)).toBe(false)
    expect(header).toMatchObject(fields)
    expect(() => new VnetHeader(new Uint8Array(9))).toThrow(expect.objectContaining({ path: 'bytes' }))
  })

  test('that of a frame in a batch', () => {
    const sent = superFrame({ version: 6, protocol: 'udp' }, pattern(100), 10)
    const batch = batchOf([pattern(60), sent], 12)
    const header = new VnetHeader()
    expect(header.of(batch, 1)).toBe(true)
    expect(header).toMatchObject({ gsoType: 'udpL4', gsoSize: 10, checksumStart: 54, checksumOffset: 6 })
    header.gsoSize = 20
    expect(new VnetHeader(batch.vnetHeaderBytes(1)).gsoSize).toBe(20)
    expect(header.of(batch, 0)).toBe(true)
    expect(header.gsoType).toBe('none')
    for (const none of [2, -1, 0.5]) expect(header.of(batch, none)).toBe(false)
    const without = new FrameBatch()
    without.push(pattern(60))
    expect(header.of(without, 0)).toBe(false)
  })
})

describe('checksums are completed in place', () => {
  test.each(Object.entries(FLOWS))('%s', (_, flow) => {
    for (const length of [0, 1, 2, 3, 61, 1400]) {
      const batch = batchOf([partialFrame(flow, pattern(length))])
      expect(completeChecksums(batch)).toBe(1)
      expect(hex(batch)).toEqual(hex([wireFrame(flow, pattern(length))]))
      expect(headersOf(batch)).toEqual([Buffer.alloc(10)])
    }
  })

  test('frames that ask for nothing are left alone, and those out of range', () => {
    const flow = { version: 4, protocol: 'udp' } as const
    const third = partialFrame(flow, pattern(8))
    const sent = [pattern(60), partialFrame(flow, pattern(9)), third, partialFrame(flow, pattern(7))]
    const batch = batchOf(sent)
    expect(completeChecksums(batch, 0, 2)).toBe(1)
    expect(completeChecksums(batch, 3)).toBe(1)
    const frames = [pattern(60), wireFrame(flow, pattern(9)), third.frame, wireFrame(flow, pattern(7))]
    expect(hex(batch)).toEqual(hex(frames))
    expect(completeChecksums(batch)).toBe(1)
    expect(completeChecksums(batch)).toBe(0)
    expect(completeChecksums(new FrameBatch())).toBe(0)
  })

  test('super-frames are left alone', () => {
    const sent = superFrame({ version: 4, protocol: 'tcp' }, pattern(2000), 1000)
    const batch = batchOf([sent])
    expect(completeChecksums(batch)).toBe(0)
    expect(hex(batch)).toEqual(hex([sent.frame]))
  })

  test('headers that point outside are not followed', () => {
    const flow = { version: 4, protocol: 'udp' } as const
    const { header, frame } = partialFrame(flow, pattern(10))
    const cases = [
      [frame.length, 0],
      [frame.length - 1, 0],
      [frame.length - 2, 1],
      [0, frame.length - 1],
      [0xffff, 0xffff],
      [0, 0xffff],
      [0xffff, 0]
    ] as const
    const sent = cases.map(([checksumStart, checksumOffset]) => {
      const wrong = new VnetHeader(Buffer.from(header))
      Object.assign(wrong, { checksumStart, checksumOffset })
      return { header: Buffer.from(wrong.bytes), frame }
    })
    const batch = batchOf(sent)
    expect(completeChecksums(batch)).toBe(0)
    expect(framesOf(batch)).toEqual(sent.map(() => frame))
    // As far as it goes, at the very end and at odd places too.
    for (const [checksumStart, checksumOffset] of [
      [frame.length - 2, 0],
      [0, frame.length - 2],
      [13, 7]
    ] as const) {
      const odd = new VnetHeader(Buffer.from(header))
      Object.assign(odd, { checksumStart, checksumOffset })
      expect(completeChecksums(batchOf([{ header: Buffer.from(odd.bytes), frame }]))).toBe(1)
    }
  })

  test.each([
    ['from', [-1, 1]],
    ['from', [2, 2]],
    ['from', [0.5, 1]],
    ['to', [1, 0]],
    ['to', [0, 2]]
  ] as const)('a wrong %s', (path, [from, to]) => {
    const batch = batchOf([pattern(60)])
    expect(() => completeChecksums(batch, from, to)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE', path })
    )
  })
})
