/** MAC and IP addresses; IPv6 is judged by Node's own URL parser and by inet_ntop behind net.SocketAddress. */
import { randomBytes } from 'node:crypto'
import { SocketAddress } from 'node:net'
import { expect, it } from 'vitest'
import { ip, ipv4, ipv6, mac } from '../../lib/codec/addresses.js'
import { decode, encode, thrown } from '../support/fake-kernel.js'

it('writes MAC addresses of either spelling and reads the common one', () => {
  expect(encode(mac, '52:54:00:Ab:cD:0f')).toEqual(Buffer.from('525400abcd0f', 'hex'))
  expect(encode(mac, '52-54-00-ab-cd-0f')).toEqual(Buffer.from('525400abcd0f', 'hex'))
  expect(decode(mac, Buffer.from('525400abcd0f', 'hex'))).toBe('52:54:00:ab:cd:0f')
  expect(decode(mac, Buffer.alloc(20, 7))).toBe(Array(20).fill('07').join(':'))
  expect(decode(mac, Buffer.alloc(0))).toBe('')
})

it.each([
  '',
  '52:54:00:12:34',
  '52:54:00:12:34:5',
  '52:54:00:12:34:56:78',
  '525400123456',
  '52:54:00:12:34:5g',
  ' 52:54:00:12:34:56',
  '52:54:00:12:34:56\n',
  5,
  null
])('refuses %j as a MAC address', value => {
  expect(thrown(() => encode(mac, value)).code).toBe('ERR_INVALID_ARG_VALUE')
})

it('writes and reads IPv4', () => {
  for (const text of ['0.0.0.0', '255.255.255.255', '192.0.2.1']) {
    expect(encode(ipv4, text)).toEqual(Buffer.from(text.split('.').map(Number)))
    expect(decode(ipv4, encode(ipv4, text))).toBe(text)
  }
  for (const value of ['1.2.3', '1.2.3.4.5', '256.1.1.1', '01.2.3.4', '1.2.3.4/24', '::1', 7]) {
    expect(thrown(() => encode(ipv4, value)).code, String(value)).toBe('ERR_INVALID_ARG_VALUE')
  }
})

/** As WHATWG has it, which is RFC 5952 but for the embedded IPv4 addresses. */
const canonical = (text: string) => new URL(`http://[${text}]`).hostname.slice(1, -1)
const colons = (bytes: Buffer) => bytes.toString('hex').replace(/(....)(?!$)/g, '$1:')

/** Addresses with many zero groups: random ones would have none. */
function someAddress(): Buffer {
  const bytes = randomBytes(16)
  const zeros = bytes[0] as number
  for (let group = 0; group < 8; group++) if ((zeros >> group) & 1) bytes.fill(0, group * 2, group * 2 + 2)
  return bytes
}

it('reads IPv6 in the form of RFC 5952', () => {
  for (let round = 0; round < 3000; round++) {
    const bytes = someAddress()
    const embedded = bytes.subarray(0, 10).every(byte => byte === 0)
    if (!embedded) expect(decode(ipv6, bytes), colons(bytes)).toBe(canonical(colons(bytes)))
  }
})

it('writes IPv6 of every spelling', () => {
  for (let round = 0; round < 2000; round++) {
    const bytes = someAddress()
    const long = colons(bytes)
    const dotted = `${long.slice(0, 30)}${[...bytes.subarray(12)].join('.')}`
    for (const text of [long, long.toUpperCase(), canonical(long), dotted, decode(ipv6, bytes) as string]) {
      expect(encode(ipv6, text).toString('hex'), text).toBe(bytes.toString('hex'))
    }
  }
})

it('reads mapped addresses as the C library does', () => {
  for (const text of [
    '::ffff:192.0.2.1',
    '::ffff:0:1',
    '::ffff:255.255.255.255',
    '::',
    '::1',
    '1::',
    '1::ffff:1.2.3.4',
    '64:ff9b::1.2.3.4'
  ]) {
    const { address } = new SocketAddress({ address: text, family: 'ipv6' })
    expect(decode(ipv6, encode(ipv6, text)), text).toBe(address)
  }
})

it.each([
  '',
  ':',
  ':::',
  '1::2::3',
  'fe80::1%eth0',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '12345::',
  '::1.2.3',
  '192.0.2.1',
  '::/0',
  5
])('refuses %j as IPv6', value => {
  expect(thrown(() => encode(ipv6, value)).code).toBe('ERR_INVALID_ARG_VALUE')
})

it('tells the families of an address by its length', () => {
  expect(encode(ip, '192.0.2.1').length).toBe(4)
  expect(encode(ip, '2001:db8::1').length).toBe(16)
  expect(decode(ip, Buffer.of(192, 0, 2, 1))).toBe('192.0.2.1')
  expect(decode(ip, Buffer.alloc(16))).toBe('::')
  expect(thrown(() => encode(ip, 'example.org')).allowed).toBe('an IPv4 or IPv6 address')
})
