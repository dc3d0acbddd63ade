/** What counts as a difference between two states of an object. */
import { describe, expect, it } from 'vitest'
import { attributes, choice, listOf } from '../../lib/codec/attributes.js'
import { u8, u32 } from '../../lib/codec/integers.js'
import { string } from '../../lib/codec/strings.js'
import { sameApartFromVolatile } from '../../lib/codec/volatile.js'
import { attr, u8 as byte, u32 as bytes32, text } from '../support/fake-kernel.js'

const inner = attributes({ setting: [1, u32], timer: [2, u32, { volatile: true }] })
const table = {
  lasting: [1, u32],
  counter: [2, u32, { volatile: true }],
  nested: [3, inner],
  kind: [4, string()],
  data: [5, choice('kind', kind => (kind === 'known' ? inner : undefined))],
  flags: [6, u32, { volatile: 0x10 }],
  list: [7, listOf([1, u8])]
} as const
const schema = attributes(table)

function same(a: Buffer[], b: Buffer[]): boolean {
  const [one, other] = [a, b].map(parts => {
    const all = Buffer.concat([Buffer.alloc(3), ...parts])
    return new schema.View(new DataView(all.buffer, all.byteOffset), 3, all.length)
  })
  return sameApartFromVolatile(one as never, other as never, table)
}

const lasting = attr(1, bytes32(1))

describe('is none', () => {
  const cases: [string, Buffer[], Buffer[]][] = [
    ['the same bytes', [lasting, attr(9, bytes32(1))], [lasting, attr(9, bytes32(1))]],
    ['a counter', [attr(2, bytes32(1)), lasting], [attr(2, bytes32(2)), lasting]],
    ['a counter that did not come', [lasting, attr(2, bytes32(1))], [lasting]],
    [
      'a timer inside',
      [attr(3, attr(1, bytes32(1)), attr(2, bytes32(1)))],
      [attr(3, attr(1, bytes32(1)), attr(2, bytes32(2)))]
    ],
    [
      'a timer of a kind',
      [attr(4, text('known')), attr(5, attr(2, bytes32(1)))],
      [attr(4, text('known')), attr(5, attr(2, bytes32(2)))]
    ],
    ['a volatile bit', [attr(6, bytes32(0x81))], [attr(6, bytes32(0x91))]]
  ]
  it.each(cases)('%s', (_, a, b) => {
    expect(same(a, b)).toBe(true)
    expect(same(b, a)).toBe(true)
  })
})

describe('is one', () => {
  const cases: [string, Buffer[], Buffer[]][] = [
    ['a value', [lasting], [attr(1, bytes32(2))]],
    ['an attribute more', [lasting], [lasting, attr(6, bytes32(1))]],
    ['an attribute that no table names', [lasting, attr(9, bytes32(1))], [lasting, attr(9, bytes32(2))]],
    ['a setting inside', [attr(3, attr(1, bytes32(1)))], [attr(3, attr(1, bytes32(2)))]],
    [
      'what is inside of a kind that nobody knows',
      [attr(4, text('x')), attr(5, attr(2, bytes32(1)))],
      [attr(4, text('x')), attr(5, attr(2, bytes32(2)))]
    ],
    ['another bit', [attr(6, bytes32(0x81))], [attr(6, bytes32(0x82))]],
    ['an element of a list', [attr(7, attr(1, byte(1)))], [attr(7, attr(1, byte(2)))]],
    ['another kind', [attr(4, text('known'))], [attr(4, text('knowt'))]]
  ]
  it.each(cases)('%s', (_, a, b) => {
    expect(same(a, b)).toBe(false)
    expect(same(b, a)).toBe(false)
  })
})
