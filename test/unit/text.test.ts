/** Text, names and raw bytes. */
import { expect, it } from 'vitest'
import { alternativeName, bytes, interfaceName, string } from '../../lib/codec/strings.js'
import { decode, encode, thrown } from '../support/fake-kernel.js'

it('ends text with a NUL, or not', () => {
  expect(encode(string(), 'eth0')).toEqual(Buffer.from('eth0\0'))
  expect(encode(string({ nul: false }), 'eth0')).toEqual(Buffer.from('eth0'))
  expect(encode(string(), '')).toEqual(Buffer.of(0))
})

it('reads text up to its NUL or its end', () => {
  expect(decode(string(), Buffer.from('eth0\0'))).toBe('eth0')
  expect(decode(string(), Buffer.from('eth0'))).toBe('eth0')
  expect(decode(string(), Buffer.from('eth0\0rest'))).toBe('eth0')
  expect(decode(string(), Buffer.alloc(0))).toBe('')
})

it.each([
  'a',
  'é',
  'ü'.repeat(40),
  '漢字',
  '🧭',
  '\ufeffmark',
  'x'.repeat(17),
  '\ufeff',
  'long ascii text that is long'
])('brings %j back as it was', value => {
  expect(encode(string({ nul: false }), value)).toEqual(Buffer.from(value, 'utf8'))
  expect(decode(string(), encode(string(), value))).toBe(value)
})

it('measures in bytes', () => {
  const codec = string({ max: 4 })
  expect(encode(codec, 'üü').length).toBe(5)
  expect(thrown(() => encode(codec, 'üüü')).code).toBe('ERR_INVALID_ARG_VALUE')
  expect(thrown(() => encode(codec, 'abcde')).allowed).toMatch(/4 bytes/)
})

it.each([['with\0nul'], [1], [null], [{}]])('refuses %j as text', value => {
  expect(thrown(() => encode(string(), value)).code).toBe('ERR_INVALID_ARG_VALUE')
})

it('takes bytes as they are, without a copy when it reads', () => {
  const codec = bytes({ size: 3 })
  expect(encode(codec, Uint8Array.of(1, 2, 3))).toEqual(Buffer.of(1, 2, 3))
  const memory = new Uint8Array([9, 1, 2, 3, 9])
  const view = bytes().read(new DataView(memory.buffer), 1, 3)
  expect([...view]).toEqual([1, 2, 3])
  memory[2] = 77
  expect(view[1]).toBe(77)
  for (const value of [Uint8Array.of(1, 2), Uint8Array.of(1, 2, 3, 4), [1, 2, 3], 'abc', null]) {
    expect(thrown(() => encode(codec, value)).code).toBe('ERR_INVALID_ARG_VALUE')
  }
})

// What net/core/dev.c:dev_valid_name() says; test/conformance asks the running kernel the same.
it.each(['a', 'eth0', 'fifteen-bytes-x', 'a.b', '...', 'veth%d', '%', 'üüü'])('takes %j for a name', name => {
  expect(encode(interfaceName, name)).toEqual(Buffer.from(`${name}\0`))
})
it.each(['', '.', '..', 'sixteen-bytes-xx', 'a/b', 'a:b', 'a b', 'a\tb', 'a\n', 'a\v', 'üüüüüüüü'])(
  'refuses %j for a name',
  name => {
    expect(thrown(() => encode(interfaceName, name)).code).toBe('ERR_INVALID_ARG_VALUE')
  }
)

it('takes longer alternative names', () => {
  expect(encode(alternativeName, 'x'.repeat(127)).length).toBe(128)
  expect(thrown(() => encode(alternativeName, 'x'.repeat(128))).code).toBe('ERR_INVALID_ARG_VALUE')
  expect(thrown(() => encode(alternativeName, 'a b')).code).toBe('ERR_INVALID_ARG_VALUE')
})
