/** Types of what rules compare: how a value is laid out in a register, and how nft writes it. */
import { isIPv4, isIPv6 } from 'node:net'
import { ipv4, ipv6, mac } from '../codec/addresses.js'
import type { Codec } from '../codec/codec.js'
import { hostLittleEndian } from '../codec/endian.js'
import { Writer } from '../codec/writer.js'
import * as symbols from './symbols.js'

export type Scalar = string | number

export interface DataType {
  /** nft's name: `ipv4_addr`. */
  readonly name: string
  /** nft's number (its `enum datatypes`), which it stores beside a set. */
  readonly id: number
  /** Bytes. */
  readonly size: number
  /** Whether it lies in the machine's byte order. */
  readonly hostOrder: boolean
  readonly expects: string
  /** Names of its bits: a value is a list of them. */
  readonly bits?: Readonly<Record<string, number>>
  /** Whether values may be prefixes. */
  readonly prefixes?: boolean
  /** Whether `a-b` is a range. */
  readonly ranges?: boolean
  /** The bytes of a value; `undefined` for what is none. */
  encode(value: unknown): Buffer | undefined
  decode(bytes: Buffer): Scalar
  /** As nft writes it. */
  text(value: Scalar): string
}

interface IntegerOptions {
  hostOrder?: boolean
  names?: Readonly<Record<string, number>>
  aliases?: Readonly<Record<string, number>>
  bits?: Readonly<Record<string, number>>
  /** Written with all digits in hexadecimal. */
  hexadecimal?: boolean
  ranges?: boolean
  max?: number
}

function integerType(name: string, id: number, size: 1 | 2 | 4, options: IntegerOptions = {}): DataType {
  const { hostOrder = false, names = {}, aliases = {}, bits, hexadecimal, ranges = true } = options
  const { max = 2 ** (8 * size) - 1 } = options
  const little = hostOrder && hostLittleEndian
  const byNumber = new Map(Object.entries({ ...names, ...bits }).map(([key, number]) => [number, key]))
  const known = Object.keys({ ...names, ...bits })
  return {
    name,
    id,
    size,
    hostOrder,
    ranges,
    ...(bits ? { bits } : {}),
    expects: `${known.length > 0 ? `one of ${known.join(', ')}, or ` : ''}an integer from 0 to ${max} (${name})`,
    encode(value) {
      let number = value
      if (typeof value === 'string') number = names[value] ?? bits?.[value] ?? aliases[value] ?? numberIn(value)
      if (typeof number !== 'number' || !Number.isInteger(number) || number < 0 || number > max) return undefined
      const bytes = Buffer.alloc(size)
      if (little) bytes.writeUIntLE(number, 0, size)
      else bytes.writeUIntBE(number, 0, size)
      return bytes
    },
    decode(bytes) {
      const number = little ? bytes.readUIntLE(0, size) : bytes.readUIntBE(0, size)
      return byNumber.get(number) ?? number
    },
    text: value =>
      hexadecimal && typeof value === 'number' ? `0x${value.toString(16).padStart(2 * size, '0')}` : String(value)
  }
}

function numberIn(text: string): number | undefined {
  return /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : undefined
}

function addressType(
  name: string,
  id: number,
  codec: Codec<string> & { size: number },
  valid: (text: string) => boolean
) {
  const isMac = codec === mac
  return {
    name,
    id,
    size: codec.size,
    hostOrder: false,
    prefixes: !isMac,
    ranges: !isMac,
    expects: isMac ? codec.expects : `${codec.expects}, a prefix or a range`,
    encode(value: unknown) {
      if (typeof value !== 'string' || !valid(value)) return undefined
      const writer = new Writer(16)
      codec.write(writer, value)
      return Buffer.from(writer.copy())
    },
    decode: (bytes: Buffer) => codec.read(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length),
    text: String
  } satisfies DataType
}

const IFNAMSIZ = 16

/** Names of links. A `*` at the end stands for whatever follows, `\*` for itself. */
const ifname: DataType = {
  name: 'ifname',
  id: 41,
  size: IFNAMSIZ,
  hostOrder: true,
  expects: 'the name of a link, or the beginning of one and a *',
  encode(value) {
    if (typeof value !== 'string' || value === '') return undefined
    const text = Buffer.from(value.replace(/\\\*$/, '*'))
    if (text.length >= IFNAMSIZ || text.includes(0)) return undefined
    return Buffer.concat([text, Buffer.alloc(IFNAMSIZ - text.length)])
  },
  decode: bytes => bytes.toString('utf8').replace(/\0.*$/s, '').replace(/\*$/, '\\*'),
  text: value => `"${value}"`
}

export const types = {
  nfproto: integerType('nf_proto', 2, 1, { names: symbols.NFPROTO }),
  integer8: integerType('integer', 4, 1),
  integer16: integerType('integer', 4, 2),
  ipv4: addressType('ipv4_addr', 7, ipv4, isIPv4),
  ipv6: addressType('ipv6_addr', 8, ipv6, text => isIPv6(text) && !text.includes('%')),
  ether: addressType('ether_addr', 9, mac, text => /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)),
  etherType: integerType('ether_type', 10, 2, { names: symbols.ETHER_TYPES, aliases: { vlan: 0x8100 } }),
  arpOperation: integerType('arp_op', 11, 2, { names: symbols.ARP_OPERATIONS }),
  protocol: integerType('inet_proto', 12, 1, { names: symbols.PROTOCOLS, aliases: { icmpv6: 58 } }),
  service: integerType('inet_service', 13, 2),
  icmpType: integerType('icmp_type', 14, 1, { names: symbols.ICMP_TYPES }),
  tcpFlags: integerType('tcp_flag', 15, 1, { bits: symbols.TCP_FLAGS }),
  mark: integerType('mark', 19, 4, { hostOrder: true, hexadecimal: true }),
  ifindex: integerType('iface_index', 20, 4, { hostOrder: true }),
  linkType: integerType('iface_type', 21, 2, { hostOrder: true, names: symbols.LINK_TYPES }),
  ctState: integerType('ct_state', 26, 4, { hostOrder: true, bits: symbols.CT_STATES }),
  ctDirection: integerType('ct_dir', 27, 1, { names: symbols.CT_DIRECTIONS }),
  ctStatus: integerType('ct_status', 28, 4, { hostOrder: true, bits: symbols.CT_STATUS }),
  icmpv6Type: integerType('icmpv6_type', 29, 1, { names: symbols.ICMPV6_TYPES }),
  packetType: integerType('pkt_type', 31, 1, { names: symbols.PACKET_TYPES, aliases: { unicast: 0 } }),
  linkGroup: integerType('devgroup', 35, 4, { hostOrder: true }),
  addressKind: integerType('fib_addrtype', 38, 4, { hostOrder: true, names: symbols.ADDRESS_TYPES }),
  presence: integerType('boolean', 39, 4, { hostOrder: true, names: { missing: 0, exists: 1 } }),
  ifname,
  vlanId: integerType('integer', 4, 2, { max: 4095 }),
  length: integerType('integer', 4, 4, { hostOrder: true })
} satisfies Record<string, DataType>

/** Types that sets may have, by nft's names. */
export const setTypes = new Map<string, DataType>(
  Object.values(types)
    .filter(type => type.name !== 'integer')
    .map(type => [type.name, type])
)
const byId = new Map<number, DataType>([...setTypes.values()].map(type => [type.id, type]))

/** Bits of nft's number for a type in the number for a concatenation of several. */
const TYPE_BITS = 6

export function concatenatedId(parts: readonly DataType[]): number {
  return parts.reduce((id, type) => (id << TYPE_BITS) | type.id, 0)
}

/** The types that a set says it has, or `undefined` where one is not known. */
export function typesOfId(id: number): DataType[] | undefined {
  const parts: DataType[] = []
  for (let rest = id; rest > 0; rest = Math.floor(rest / 2 ** TYPE_BITS)) {
    const type = byId.get(rest % 2 ** TYPE_BITS)
    if (!type) return undefined
    parts.unshift(type)
  }
  return parts.length > 0 ? parts : undefined
}

/** A value that nothing is known of but its length: bytes of a raw payload, written in hexadecimal. */
export function rawType(size: number): DataType {
  return {
    name: 'integer',
    id: 4,
    size,
    hostOrder: false,
    expects: `an integer of at most ${size} bytes, or a MAC address`,
    encode(value) {
      if (typeof value === 'number' && (!Number.isSafeInteger(value) || value < 0)) return undefined
      const text = typeof value === 'number' ? `0x${value.toString(16)}` : value
      if (typeof text !== 'string') return undefined
      const digits = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)
        ? text.replaceAll(':', '')
        : /^0x[0-9a-f]+$/i.exec(text)?.[0].slice(2)
      const trimmed = digits?.replace(/^0+/, '')
      if (trimmed === undefined || trimmed.length > 2 * size) return undefined
      return Buffer.from(trimmed.padStart(2 * size, '0'), 'hex')
    },
    decode: bytes => `0x${bytes.toString('hex').replace(/^0+(?=.)/, '')}`,
    text: value => {
      const number = Number(value)
      return number < 10 ? String(number) : String(value)
    }
  }
}
