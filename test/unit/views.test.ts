/** Views over received bytes: lazy, without copies, and safe for JSON. */
import { inspect } from 'node:util'
import { expect, it, vi } from 'vitest'
import { attributes } from '../../lib/codec/attributes.js'
import { u32, u64 } from '../../lib/codec/integers.js'
import { message } from '../../lib/codec/message.js'
import { bytes } from '../../lib/codec/strings.js'
import { struct } from '../../lib/codec/struct.js'
import { attr, u32 as host32, u64 as host64 } from '../support/fake-kernel.js'

const data = (memory: Buffer) => new DataView(memory.buffer, memory.byteOffset, memory.length)

it('decodes an attribute when it is asked for, and no other', () => {
  const wanted = vi.fn(u32.read)
  const other = vi.fn(u32.read)
  const table = attributes({ wanted: [1, { ...u32, read: wanted }], other: [2, { ...u32, read: other }] })
  const memory = Buffer.concat([attr(2, host32(5)), attr(1, host32(7))])
  const view = table.read(data(memory), 0, memory.length)
  expect(wanted).not.toHaveBeenCalled()
  expect(view.wanted).toBe(7)
  expect(wanted).toHaveBeenCalledTimes(1)
  expect(other).not.toHaveBeenCalled()
})

it('looks at the bytes that came, not at a copy', () => {
  const table = attributes({ value: [1, u32], blob: [2, bytes()], inner: [3, attributes({ value: [1, u32] })] })
  const memory = Buffer.concat([attr(1, host32(5)), attr(2, host32(1)), attr(3, attr(1, host32(6)))])
  const view = table.read(data(memory), 0, memory.length)
  const { blob, inner } = view
  expect(blob?.buffer).toBe(memory.buffer)
  memory.fill(0xff, 4, 8)
  memory.fill(0xff, 12, 16)
  memory.fill(0xff, 24, 28)
  expect(view.value).toBe(0xffffffff)
  expect([...(blob ?? [])]).toEqual([255, 255, 255, 255])
  expect(inner?.value).toBe(0xffffffff)
})

it('shows the fields of the header beside the attributes', () => {
  const schema = message(struct('header', { index: u32, total: u64 }), { value: [1, u32] })
  const payload = Buffer.concat([host32(3), host64(2n ** 63n), attr(1, host32(7))])
  const memory = Buffer.concat([Buffer.alloc(16), payload, Buffer.alloc(16, 0xff)])
  const view = schema.read(data(memory), 16, 16 + payload.length)
  expect([view.index, view.total, view.value]).toEqual([3, 2n ** 63n, 7])
  expect(view.toJSON()).toEqual({ index: 3, total: '9223372036854775808', value: 7 })
  expect(inspect(view)).toContain('value: 7')
})

it('is safe for JSON: large integers as text, small ones as numbers, bytes as hexadecimal', () => {
  const table = attributes({ large: [1, u64], safe: [2, u64], blob: [3, bytes()] })
  const memory = Buffer.concat([
    attr(1, host64(2n ** 64n - 1n)),
    attr(2, host64(2n ** 53n - 1n)),
    attr(3, Buffer.from('beef', 'hex'))
  ])
  const text = JSON.stringify(table.read(data(memory), 0, memory.length))
  expect(text).toBe('{"large":"18446744073709551615","safe":9007199254740991,"blob":"beef"}')
})

it('does not look beyond its end', () => {
  const table = attributes({ value: [1, u32] })
  const memory = Buffer.concat([attr(2, host32(5)), attr(1, host32(7))])
  expect(table.read(data(memory), 0, 8).value).toBeUndefined()
  expect(table.read(data(memory), 0, 12).value).toBeUndefined()
  expect(table.read(data(memory), 8, 8).value).toBe(7)
})

it('ends at a malformed attribute, as the kernel does', () => {
  const table = attributes({ first: [1, u32], second: [2, u32] })
  for (const length of [0, 1, 3, 200]) {
    const memory = Buffer.concat([attr(1, host32(5)), attr(9, host32(0)), attr(2, host32(7))])
    memory.writeUInt16LE(length, 8)
    const view = table.read(data(memory), 0, memory.length)
    expect([view.first, view.second]).toEqual([5, undefined])
    expect(view.toJSON()).toEqual({ first: 5 })
  }
})

it('reads what is shorter than its layout as if zeros followed, and never its neighbour', () => {
  const table = attributes({ value: [1, u32], wide: [2, u64] })
  const memory = Buffer.concat([attr(1, Buffer.of(5)), attr(2, host32(0xffffffff)), attr(3, host32(0xffffffff))])
  const view = table.read(data(memory), 0, memory.length)
  expect(view.value).toBe(5)
  expect(view.wide).toBe(0xffffffffn)
  const end = Buffer.from(attr(1, Buffer.of(5))).subarray(0, 5)
  expect(table.read(data(end), 0, 5).value).toBe(5)
})

it('reads a message that ends within its header', () => {
  const schema = message(struct('header', { index: u32, more: u32 }), { value: [1, u32] })
  const memory = Buffer.concat([host32(3), host32(0xffffffff)])
  const view = schema.read(data(memory), 0, 4)
  expect([view.index, view.more, view.value]).toEqual([3, 0, undefined])
  expect(view.toJSON()).toEqual({ index: 3, more: 0 })
})
