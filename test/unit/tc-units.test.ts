/** Rates, sizes, times and handles in the words of tc. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { filterHandle, filterHandleText, handle, qdiscParent } from '../../lib/rtnetlink/tc-handle.js'
import { bytesIn, TICK_NANOSECONDS, ticksOf } from '../../lib/rtnetlink/tc-rate.js'
import { bitsOf, microseconds, rateInBytes, rateText, sizeInBytes } from '../../lib/rtnetlink/tc-units.js'
import { encode, thrown } from '../support/fake-kernel.js'

test.each([
  ['100mbit', 12_500_000n],
  ['1.5Mbit', 187_500n],
  ['1kibit', 128n],
  ['12500kbps', 12_500_000n],
  ['8', 1n],
  [1e9, 125_000_000n],
  [800_000_000_000n, 100_000_000_000n],
  [15, 1n]
])('the rate %s', (rate, bytes) => expect(rateInBytes(rate, 'rate')).toBe(bytes))

test.each(['', 'mbit', '-1mbit', '1 mbit s', '10mbits', 7, -1, Number.NaN, Number.POSITIVE_INFINITY, 2n ** 70n, null])(
  '%s is no rate',
  rate => {
    const error = thrown(() => rateInBytes(rate as never, 'rate'))
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path: 'rate' })
  }
)

test('sizes and times', () => {
  expect(['15k', '1m', '2kb', '8kbit', 7].map(size => sizeInBytes(size, 'burst'))).toEqual([
    15_360,
    1 << 20,
    2048,
    1024,
    7
  ])
  expect(['5ms', '2s', '7us', 9].map(time => microseconds(time, 'latency'))).toEqual([5000, 2_000_000, 7, 9])
  expect(thrown(() => sizeInBytes('5g', 'burst')).path).toBe('burst')
  expect(thrown(() => microseconds('5min', 'latency')).path).toBe('latency')
})

test('rates are read and told exactly', () => {
  expect([125n, 2n ** 60n].map(bitsOf)).toEqual([1000, 2n ** 63n])
  expect([1e9, 1_500_000, 12_000, 12_345, 5_000_000_000n].map(rateText)).toEqual([
    '1gbit',
    '1500kbit',
    '12kbit',
    '12345bit',
    '5gbit'
  ])
})

test("a tick is the kernel's", () => {
  const [nanoseconds, perTick] = readFileSync('/proc/net/psched', 'utf8')
    .split(' ')
    .map(word => Number.parseInt(word, 16))
  expect([nanoseconds, perTick]).toEqual([1000, TICK_NANOSECONDS])
  expect(ticksOf(1250, 125_000n, 'burst')).toBe(156_250)
  expect(bytesIn(156_250, 125_000n)).toBe(1250)
})

test('handles', () => {
  const bits = (codec: Parameters<typeof encode>[0], value: unknown) => encode(codec, value).readUInt32LE()
  expect([bits(handle, '1:'), bits(handle, '1:1f'), bits(handle, 'ffff:')]).toEqual([0x10000, 0x1001f, 0xffff0000])
  expect(['root', 'ingress', 'clsact'].map(word => bits(qdiscParent, word))).toEqual([
    0xffffffff, 0xfffffff1, 0xfffffff1
  ])
  expect(bits(filterHandle, '800::7')).toBe(0x80000007)
  expect(bits(filterHandle, '800:1f:7')).toBe(0x8001f007)
  expect([filterHandleText('u32', 0x80000000), filterHandleText('u32', 0x8001f007)]).toEqual(['800:', '800:1f:7'])
  for (const wrong of ['', ':', '1', '12345:', 'top', 'x:1']) {
    expect(thrown(() => encode(handle, wrong)).code, wrong).toBe('ERR_INVALID_ARG_VALUE')
  }
})
