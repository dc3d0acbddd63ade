/** Named values and named bits. */
import { expect, it } from 'vitest'
import { bitset, enumeration, maskedBits } from '../../lib/codec/enumeration.js'
import { be16, u8, u16, u32 } from '../../lib/codec/integers.js'
import { decode, encode, u16 as host16, u32 as host32, thrown } from '../support/fake-kernel.js'

const colour = enumeration(u16, { red: 1, green: 2, max: 0xffff })

it('writes names as their numbers, in the width and order of the integer', () => {
  expect(encode(colour, 'green')).toEqual(host16(2))
  expect(encode(enumeration(be16, { vlan: 0x8100 }), 'vlan')).toEqual(Buffer.of(0x81, 0))
})

it('reads names, and numbers that have none', () => {
  expect(decode(colour, host16(1))).toBe('red')
  expect(decode(colour, host16(3))).toBe(3)
})

it('is closed unless it says otherwise, and tells what is allowed', () => {
  for (const value of ['blue', 2, 3, null, 'toString', '__proto__', 'constructor']) {
    const error = thrown(() => encode(colour, value))
    expect(error.code).toBe('ERR_INVALID_ARG_VALUE')
    expect(error.allowed).toBe("'red' | 'green' | 'max'")
  }
  const open = enumeration(u8, { red: 1 }, { open: true })
  expect(encode(open, 7)).toEqual(Buffer.of(7))
  expect(thrown(() => encode(open, 256)).code).toBe('ERR_INVALID_ARG_VALUE')
  expect(thrown(() => encode(open, 'blue')).code).toBe('ERR_INVALID_ARG_VALUE')
})

const bits = bitset(u32, { one: 1, two: 2, top: 0x80000000 })

it('writes bits by name', () => {
  expect(encode(bits, {})).toEqual(host32(0))
  expect(encode(bits, { one: true, two: false })).toEqual(host32(1))
  expect(encode(bits, { one: true, two: undefined, top: true })).toEqual(host32(0x80000001))
})

it('reads every bit, and keeps those without a name', () => {
  expect(decode(bits, host32(0x80000002))).toEqual({ one: false, two: true, top: true })
  const odd = decode(bits, host32(0xc0000101))
  expect(odd).toEqual({ one: true, two: false, top: true, unknown: 0x40000100 })
  expect(encode(bits, odd)).toEqual(host32(0xc0000101))
})

it.each([
  [{ three: true }],
  [{ one: 1 }],
  [{ one: 'yes' }],
  [null],
  [3],
  [{ unknown: 1.5 }],
  [{ unknown: -1 }],
  [{ unknown: 'x' }]
])('refuses %j as bits', value => {
  expect(thrown(() => encode(bits, value)).code).toBe('ERR_INVALID_ARG_VALUE')
})

it('says which bits it means, where there is a mask', () => {
  const masked = maskedBits(u32, { a: 1, b: 2, c: 4 })
  expect(encode(masked, { a: true, b: false })).toEqual(Buffer.concat([host32(1), host32(3)]))
  expect(decode(masked, Buffer.concat([host32(5), host32(7)]))).toEqual({ a: true, b: false, c: true })
  expect(bits.toMask({ one: false, top: true })).toEqual({ value: 0x80000000, mask: 0x80000001 })
})
