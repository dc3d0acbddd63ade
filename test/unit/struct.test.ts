/** C structs and rows of them. */
import { expect, it } from 'vitest'
import { mac } from '../../lib/codec/addresses.js'
import { be16, u8, u16, u32, u64 } from '../../lib/codec/integers.js'
import { arrayOf, padding, struct } from '../../lib/codec/struct.js'
import { decode, encode, u16 as host16, u32 as host32, u64 as host64, thrown } from '../support/fake-kernel.js'

const sample = struct('sample', { small: u8, _pad: padding(1), port: be16, count: u32, total: u64 })

it('lays fields out one after the other', () => {
  expect(sample.size).toBe(16)
  expect(sample.offsets).toEqual({ small: 0, _pad: 1, port: 2, count: 4, total: 8 })
  const bytes = Buffer.concat([Buffer.of(7, 0, 0x12, 0xb5), host32(9), host64(2n ** 60n)])
  expect(encode(sample, { small: 7, port: 4789, count: 9, total: 2n ** 60n })).toEqual(bytes)
  expect(decode(sample, bytes)).toEqual({ small: 7, port: 4789, count: 9, total: 2n ** 60n })
})

it('writes zeros for what is not given', () => {
  expect(encode(sample, { count: 1 })).toEqual(Buffer.concat([Buffer.alloc(4), host32(1), Buffer.alloc(8)]))
})

it('reads a longer struct of a newer kernel and a shorter one of an older kernel', () => {
  const bytes = encode(sample, { small: 7, port: 4789, count: 9, total: 5n })
  expect(decode(sample, Buffer.concat([bytes, host32(77)]))).toEqual(decode(sample, bytes))
  expect(decode(sample, bytes.subarray(0, 8))).toEqual({ small: 7, port: 4789, count: 9, total: 0n })
  expect(decode(sample, bytes.subarray(0, 6))).toEqual({ small: 7, port: 4789, count: 9, total: 0n })
  expect(decode(sample, Buffer.alloc(0))).toEqual({ small: 0, port: 0, count: 0, total: 0n })
})

it('refuses fields that it does not have, and names the one that is wrong', () => {
  expect(thrown(() => encode(sample, { nonsense: 1 }))).toMatchObject({ path: 'nonsense' })
  expect(thrown(() => encode(sample, { _pad: 1 }))).toMatchObject({ path: '_pad' })
  expect(thrown(() => encode(sample, { port: 70000 }))).toMatchObject({ path: 'port' })
  expect(thrown(() => encode(sample, null)).code).toBe('ERR_INVALID_ARG_VALUE')
})

it('lays a row of values back to back', () => {
  const row = arrayOf(struct('pair', { a: u16, address: mac }))
  const bytes = Buffer.concat([
    host16(1),
    Buffer.from('020000000001', 'hex'),
    host16(2),
    Buffer.from('020000000002', 'hex')
  ])
  const pairs = [
    { a: 1, address: '02:00:00:00:00:01' },
    { a: 2, address: '02:00:00:00:00:02' }
  ]
  expect(encode(row, pairs)).toEqual(bytes)
  expect(decode(row, bytes)).toEqual(pairs)
  expect(decode(row, bytes.subarray(0, 15))).toEqual(pairs.slice(0, 1))
  expect(thrown(() => encode(row, [pairs[0], { a: -1 }]))).toMatchObject({ path: '[1].a' })
  expect(thrown(() => encode(row, 'no array')).code).toBe('ERR_INVALID_ARG_VALUE')
})
