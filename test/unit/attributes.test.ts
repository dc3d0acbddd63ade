/** Attribute tables: bytes on the wire, nesting, lists, and what is unknown. */
import { expect, it } from 'vitest'
import { mac } from '../../lib/codec/addresses.js'
import { attributes, choice, listOf } from '../../lib/codec/attributes.js'
import { u8, u16, u32 } from '../../lib/codec/integers.js'
import { string } from '../../lib/codec/strings.js'
import {
  attr,
  decode,
  encode,
  u8 as host8,
  u16 as host16,
  u32 as host32,
  text,
  thrown
} from '../support/fake-kernel.js'

const NESTED = 0x8000

const inner = attributes({ size: [1, u16], label: [2, string()] }, { nestedFlag: true })
const table = attributes({
  one: [1, u8],
  two: [2, u32],
  name: [3, string()],
  inner: [4, inner],
  plainInner: [5, attributes({ size: [1, u16] })],
  macs: [6, listOf([9, mac], { nestedFlag: true })],
  many: [7, u16, { repeated: true }],
  kind: [8, string({ nul: false })],
  data: [10, choice('kind', kind => (kind === 'known' ? attributes({ depth: [1, u32] }) : undefined))]
})

type Plain = { toJSON(): Record<string, unknown> }
const json = (bytes: Buffer) => (decode(table, bytes) as Plain).toJSON()

it('aligns every attribute to four bytes, and does not count the padding', () => {
  const bytes = encode(table, { one: 1, two: 2, name: 'abcd' })
  expect(bytes).toEqual(Buffer.concat([attr(1, host8(1)), attr(2, host32(2)), attr(3, text('abcd'))]))
  expect(bytes.toString('hex', 0, 8)).toBe('0500010001000000')
})

it('marks nested attributes where the schema says so, and ignores the mark when it reads', () => {
  const value = { inner: { size: 5, label: 'x' }, plainInner: { size: 6 } }
  const bytes = encode(table, value)
  expect(bytes).toEqual(
    Buffer.concat([attr(4 | NESTED, attr(1, host16(5)), attr(2, text('x'))), attr(5, attr(1, host16(6)))])
  )
  expect(json(bytes)).toEqual(value)
  const swapped = Buffer.concat([
    attr(4, attr(1 | 0x4000, host16(5)), attr(2, text('x'))),
    attr(5 | NESTED, attr(1, host16(6)))
  ])
  expect(json(swapped)).toEqual(value)
})

it('writes lists as attributes of one type inside another, and skips strangers among them', () => {
  const macs = ['02:00:00:00:00:01', '02:00:00:00:00:02']
  const elements = macs.map(address => attr(9, Buffer.from(address.replaceAll(':', ''), 'hex')))
  expect(encode(table, { macs })).toEqual(attr(6 | NESTED, ...elements))
  expect(json(attr(6, elements[0] as Buffer, attr(3, host32(1)), elements[1] as Buffer))).toEqual({ macs })
  expect(json(attr(6))).toEqual({ macs: [] })
})

it('repeats attributes that come several times', () => {
  const bytes = Buffer.concat([attr(7, host16(1)), attr(7, host16(2)), attr(7, host16(3))])
  expect(encode(table, { many: [1, 2, 3] })).toEqual(bytes)
  const view = decode(table, Buffer.concat([bytes, attr(1, host8(5)), attr(7, host16(4))])) as { many: number[] }
  expect(view.many).toEqual([1, 2, 3, 4])
})

it('leaves out what is undefined', () => {
  expect(encode(table, { one: undefined, two: 7 })).toEqual(attr(2, host32(7)))
  expect((decode(table, Buffer.alloc(0)) as { one?: number }).one).toBeUndefined()
})

it('chooses a layout by a sibling, wherever that is', () => {
  const value = { kind: 'known', data: { depth: 3 } }
  const bytes = encode(table, value)
  expect(bytes).toEqual(Buffer.concat([attr(8, Buffer.from('known')), attr(10, attr(1, host32(3)))]))
  expect(json(Buffer.concat([bytes.subarray(12), bytes.subarray(0, 12)]))).toEqual(value)
})

it('keeps the data of an unknown kind, and sends it again', () => {
  const payload = attr(1 | NESTED, attr(2, host32(3)))
  const bytes = Buffer.concat([attr(8, Buffer.from('strange')), attr(10, payload)])
  const view = decode(table, bytes) as { kind: string; data: Uint8Array } & Plain
  expect(Buffer.from(view.data)).toEqual(payload)
  expect(encode(table, { kind: view.kind, data: view.data })).toEqual(bytes)
  expect(encode(table, view.toJSON())).toEqual(bytes)
  expect(thrown(() => encode(table, { kind: 'strange', data: { depth: 3 } })).path).toBe('data')
})

it('keeps unknown attributes, and sends them again', () => {
  const bytes = Buffer.concat([
    attr(1, host8(1)),
    attr(99, Buffer.from('abc')),
    attr(100 | NESTED, attr(1, host32(2))),
    attr(99, Buffer.alloc(0)),
    attr(0x3fff, host8(9))
  ])
  const view = decode(table, bytes) as { unknown: { type: number; data: Uint8Array }[] } & Plain
  expect(view.unknown.map(({ type }) => type)).toEqual([99, 100, 99, 0x3fff])
  expect(encode(table, { one: 1, unknown: view.unknown })).toEqual(bytes)
  expect(encode(table, JSON.parse(JSON.stringify(view)))).toEqual(bytes)
})

it('keeps unknown attributes inside others', () => {
  const bytes = attr(5, attr(1, host16(6)), attr(77 | NESTED, attr(1)))
  expect(encode(table, json(bytes))).toEqual(bytes)
})

it.each([
  [[{ type: 1.5, data: '00' }], 'unknown[0].type'],
  [[{ type: 70000, data: '00' }], 'unknown[0].type'],
  [[{ type: 1, data: '0' }], 'unknown[0].data'],
  [[{ type: 1, data: 'zz' }], 'unknown[0].data'],
  [[{ type: 1, data: '' }, { type: 2 }], 'unknown[1].data'],
  [[null], 'unknown[0].data'],
  ['00', 'unknown']
])('refuses %j as unknown attributes', (unknown, path) => {
  expect(thrown(() => encode(table, { unknown }))).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path })
})

it('refuses what does not fit into the 16 bits of a length', () => {
  const fits = Array.from({ length: 5460 }, () => '02:00:00:00:00:01')
  expect(encode(table, { macs: fits }).readUInt16LE(0)).toBe(5460 * 12 + 4)
  const error = thrown(() => encode(table, { macs: [...fits, ...fits] }))
  expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path: 'macs' })
  expect(thrown(() => encode(table, { unknown: [{ type: 1, data: new Uint8Array(0x10000) }] })).code).toBe(
    'ERR_INVALID_ARG_VALUE'
  )
})
