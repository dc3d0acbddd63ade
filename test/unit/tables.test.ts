/** Every attribute of every table: random values come back as they went, in well-formed attributes. */
import { describe, expect, it } from 'vitest'
import '../../lib/rtnetlink/kinds/index.js'
import { ip, ipv4, ipv6, mac } from '../../lib/codec/addresses.js'
import {
  type AttributeEntry,
  type AttributesView,
  type AttributeTable,
  attributes,
  plain
} from '../../lib/codec/attributes.js'
import type { AnyCodec } from '../../lib/codec/codec.js'
import { bool, bool32, flag } from '../../lib/codec/integers.js'
import { alternativeName, interfaceName } from '../../lib/codec/strings.js'
import type { StructCodec } from '../../lib/codec/struct.js'
import { addressMessage } from '../../lib/rtnetlink/address.js'
import { bridgePort } from '../../lib/rtnetlink/bridge-port.js'
import { vlan } from '../../lib/rtnetlink/kinds/vlan.js'
import { linkMessage } from '../../lib/rtnetlink/link.js'
import { findLinkKind, linkKindNames } from '../../lib/rtnetlink/link-kind.js'
import { macvlanData } from '../../lib/rtnetlink/macvlan-data.js'
import { neighbourMessage } from '../../lib/rtnetlink/neighbour.js'
import { routeMessage } from '../../lib/rtnetlink/route.js'
import { decode, encode } from '../support/fake-kernel.js'

const pick = <T>(values: readonly T[]): T => values[Math.floor(Math.random() * values.length)] as T
const some = <T>(make: () => T): T[] => Array.from({ length: Math.floor(Math.random() * 4) }, make)
const hexByte = () =>
  Math.floor(Math.random() * 256)
    .toString(16)
    .padStart(2, '0')
const someMac = () => Array.from({ length: 6 }, hexByte).join(':')
const someIpv4 = () => Array.from({ length: 4 }, () => Math.floor(Math.random() * 256)).join('.')
const someIpv6 = () => `2001:db8::${(1 + Math.floor(Math.random() * 0xfffe)).toString(16)}`
const someIp = () => pick([someIpv4, someIpv6])()
const someText = (max: number) =>
  Array.from({ length: 1 + Math.floor(Math.random() * (max - 1)) }, () => pick([...'abcxyz0189-_.'])).join('') +
  pick([...'ab'])

type Fields = Record<string, AnyCodec & { size: number }>

/** Codecs that tell nothing of themselves. */
const special = new Map<unknown, () => unknown>([
  [bool, () => pick([true, false])],
  [bool32, () => pick([true, false])],
  [flag, () => true],
  [mac, someMac],
  [ipv4, someIpv4],
  [ipv6, someIpv6],
  [ip, someIp],
  [interfaceName, () => someText(15)],
  [alternativeName, () => someText(100)],
  [linkMessage.attributes.propList[1], () => some(() => someText(100))],
  [macvlanData.macaddrs[1], () => some(someMac)],
  [vlan.data.table.egressQos[1], () => some(() => ({ from: pick([0, 7, 0xffffffff]), to: pick([0, 7]) }))],
  [vlan.data.table.ingressQos[1], () => some(() => ({ from: pick([0, 7]), to: pick([0, 0xffffffff]) }))],
  [routeMessage.attributes.via[1], someIp],
  [
    routeMessage.attributes.multipath[1],
    () => some(() => ({ index: pick([0, 1, 0x7fffffff]), weight: pick([1, 2, 256]), gateway: someIp() }))
  ]
])

/** A random value that the codec has to take. */
function someValue(codec: AnyCodec): unknown {
  const own = special.get(codec)
  if (own) return own()
  const { values, bits, fields, table, expects } = codec as AnyCodec & {
    values?: object
    bits?: object
    fields?: Fields
    table?: AttributeTable
  }
  if (values) return pick(Object.keys(values))
  if (bits) return Object.fromEntries(Object.keys(bits).map(name => [name, pick([true, false])]))
  if (fields) return structValue(fields)
  if (table) return tableValue(table)
  const masked = /^an object of booleans out of (.*)$/.exec(expects)
  if (masked?.[1]) return Object.fromEntries(masked[1].split(', ').map(name => [name, pick([true, false])]))
  const range = /^an integer from (-?\d+) to (-?\d+)/.exec(expects)
  if (range) {
    const [min, max] = [BigInt(range[1] as string), BigInt(range[2] as string)]
    const random = min + (BigInt(Math.floor(Math.random() * 2 ** 32)) * (max - min)) / 2n ** 32n
    const value = pick([min, max, random, random])
    return codec.size === 8 ? value : Number(value)
  }
  const text = /^text of at most (\d+) bytes/.exec(expects)
  if (text) return someText(Math.min(Number(text[1]), 300))
  const sized = /^(at most )?(\d+) bytes \(Uint8Array\)/.exec(expects)
  if (sized) {
    return Uint8Array.from({ length: sized[1] ? pick([0, 1, 7, 16]) : Number(sized[2]) }, () => Math.random() * 256)
  }
  throw new Error(`no value for a codec that expects ${expects}`)
}

function structValue(fields: Fields): object {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, codec]) => (name.startsWith('_') ? [] : [[name, someValue(codec)]]))
  )
}

/** What only the kernel writes is written here too, to be read. */
function writable(table: AttributeTable): AttributeTable {
  return Object.fromEntries(
    Object.entries(table).map(([name, [id, codec, options]]) => {
      const inner = (codec as Partial<{ table: AttributeTable }>).table
      const nested = codec.nestedFlag === true
      return [
        name,
        [
          id,
          inner ? attributes(writable(inner), { nestedFlag: nested }) : codec,
          options?.repeated ? { repeated: true } : {}
        ]
      ]
    })
  )
}

function tableValue(table: AttributeTable): object {
  return Object.fromEntries(
    Object.entries(table).flatMap(([name, [, codec]]) =>
      'pick' in codec || Math.random() < 0.3 ? [] : [[name, someValue(codec)]]
    )
  )
}

const tables: Record<string, AttributeTable> = {
  link: linkMessage.attributes,
  'bridge port': bridgePort.table,
  address: addressMessage.attributes,
  route: routeMessage.attributes,
  neighbour: neighbourMessage.attributes
}
for (const kind of linkKindNames()) tables[kind] = findLinkKind(kind)?.data.table ?? {}

const all = Object.entries(tables).flatMap(([name, table]) =>
  Object.entries(writable(table))
    // Its payload depends on the kind: each kind is here as a table of its own. A veth's peer is a link.
    .filter(([attribute, [, codec]]) => !('pick' in codec) && !(name === 'veth' && attribute === 'peer'))
    .map(([attribute, entry]) => ({ name, attribute, entry: entry as AttributeEntry }))
)

describe('one attribute', () => {
  it.each(all)('$name $attribute', ({ attribute, entry }) => {
    const [id, codec] = entry
    const table = attributes({ [attribute]: entry })
    for (let round = 0; round < 25; round++) {
      const value = someValue(codec)
      const bytes = encode(table, { [attribute]: value }, true)
      // The attribute itself, without our decoder.
      const length = bytes.readUInt16LE(0)
      expect(bytes.readUInt16LE(2) & 0x3fff).toBe(id)
      expect(Boolean(bytes.readUInt16LE(2) & 0x8000)).toBe(codec.nestedFlag === true)
      expect(bytes.length).toBe((length + 3) & ~3)
      expect(bytes.subarray(length).every(byte => byte === 0)).toBe(true)
      if (codec.size !== undefined) expect(length).toBe(4 + codec.size)
      const view = decode(table, bytes) as Record<string, unknown> & AttributesView
      const read = view[attribute]
      expect(plain(read)).toMatchObject(plain(value) as object)
      expect(plain(read)).toEqual((view.toJSON() as Record<string, unknown>)[attribute])
      // What was read may be sent again.
      if (codecTakesPlain(codec)) expect(encode(table, { [attribute]: read }, true)).toEqual(bytes)
    }
  })
})

/** 64-bit values are text in the JSON of tables and structs, which is for people. */
function codecTakesPlain(codec: AnyCodec): boolean {
  const { table } = codec as Partial<{ table: AttributeTable }>
  return (
    !table ||
    Object.values(table).every(
      ([, inner]) => !/\(u64\)|\(s64\)|Uint8Array/.test(inner.expects) && codecTakesPlain(inner)
    )
  )
}

describe('a whole message', () => {
  const schemas = { link: linkMessage, address: addressMessage, route: routeMessage, neighbour: neighbourMessage }
  it.each(Object.entries(schemas))('%s', (_, schema) => {
    const table = attributes(writable(schema.attributes))
    for (let round = 0; round < 25; round++) {
      const header = structValue((schema.header as StructCodec<never>).fields)
      const value = tableValue(table.table)
      const bytes = Buffer.concat([encode(schema.header as AnyCodec, header), encode(table, value, true)])
      const view = schema.read(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length)
      const json = JSON.parse(JSON.stringify(view))
      expect(json).toMatchObject(plain({ ...header, ...value }) as object)
      for (const name of [...Object.keys(header), ...Object.keys(value)]) {
        expect(plain((view as unknown as Record<string, unknown>)[name]), name).toEqual(json[name])
      }
    }
  })

  it('a veth with a peer', () => {
    const peer = { name: 'other', mtu: 1400, index: 7, flags: { up: true } }
    const codec = findLinkKind('veth')?.data as AnyCodec
    const view = decode(codec, encode(codec, { peer }, true)) as AttributesView
    expect(view.toJSON()['peer']).toMatchObject(peer)
  })
})
