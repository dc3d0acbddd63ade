import { describe, expect, test } from 'vitest'
import { FrameBatch } from '../../lib/frames/batch.js'

const frame = (length: number, byte: number) => new Uint8Array(length).fill(byte)

describe('a batch', () => {
  test('holds what was put in, apart from each other and from their headers', () => {
    const batch = new FrameBatch({ frames: 4, vnetHeaderSize: 10, headroom: 50 })
    expect(batch.push(frame(60, 1), frame(10, 9))).toBe(true)
    expect(batch.push(frame(1514, 2))).toBe(true)
    expect(batch.length).toBe(2)
    expect([...batch]).toEqual([frame(60, 1), frame(1514, 2)])
    expect(batch.vnetHeaderBytes(0)).toEqual(frame(10, 9))
    expect(batch.vnetHeaderBytes(1)).toEqual(frame(10, 0))
    expect(batch.offsets[1]).toBeGreaterThanOrEqual((batch.offsets[0] as number) + 60 + 50 + 10)
  })

  test('a header that is left out is empty, whatever lay there before', () => {
    const batch = new FrameBatch({ vnetHeaderSize: 12 })
    batch.push(frame(60, 1), frame(12, 255))
    batch.clear()
    batch.push(frame(60, 2))
    expect(batch.vnetHeaderBytes(0)).toEqual(frame(12, 0))
  })

  test('says when it is full, by number or by bytes', () => {
    const few = new FrameBatch({ frames: 2 })
    expect([few.push(frame(60, 1)), few.push(frame(60, 1)), few.push(frame(60, 1))]).toEqual([true, true, false])
    const small = new FrameBatch({ room: 100, bytes: 256 })
    expect([small.push(frame(100, 1)), small.push(frame(100, 1)), small.push(frame(100, 1))]).toEqual([
      true,
      true,
      false
    ])
    expect(small.length).toBe(2)
  })

  test('has room for the longest packet of IPv6 behind two tags', () => {
    expect(new FrameBatch().room).toBeGreaterThanOrEqual(14 + 8 + 40 + 65_535)
  })

  test('is shared memory, which cannot be taken away from under native code', () => {
    expect(new FrameBatch().bytes.buffer).toBeInstanceOf(SharedArrayBuffer)
  })

  test.each([
    ['frames', 0],
    ['room', 13],
    ['vnetHeaderSize', 65],
    ['headroom', -1],
    ['bytes', 100],
    ['frames', 1.5]
  ])('refuses %s of %d', (name, value) => {
    expect(() => new FrameBatch({ [name]: value })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE', path: name })
    )
  })

  test('refuses a frame that it does not have', () => {
    const batch = new FrameBatch()
    expect(() => batch.frame(0)).toThrow(expect.objectContaining({ path: 'index' }))
    expect(() => {
      batch.length = 65
    }).toThrow(expect.objectContaining({ path: 'length' }))
  })
})
