/**
 * What the kernel told of, made into a request for the like on another link: byte by byte, so that attributes which have
 * no name here come along.
 */
import { type AttributesView, attributesIn, viewBytes } from '../codec/attributes.js'
import { hostLittleEndian } from '../codec/endian.js'
import { NLA_F_NESTED } from '../codec/writer.js'
import { NLM_F_REQUEST, NLMSG_HEADER } from '../netlink/constants.js'
import type { Request } from '../netlink/request.js'
import { RTM, type RtnetlinkVerb, rtnetlink } from '../rtnetlink/verbs.js'

/** A message as it came: its header struct, and attributes behind it. */
export interface Told {
  readonly header: Uint8Array
  readonly attributes: readonly Attribute[]
}

export interface Attribute {
  readonly type: number
  readonly nested: boolean
  readonly payload: Uint8Array
}

/** @param headerLength of the message's struct, padded */
export function toldBy(view: AttributesView, headerLength: number): Told {
  const { data, start, end } = viewBytes(view)
  return toldIn(data, start - headerLength, end, headerLength)
}

export function toldIn(data: DataView, start: number, end: number, headerLength: number): Told {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  const attributes = [...attributesIn(data, start + headerLength, end)].map(({ type, nested, offset, length }) => ({
    type,
    nested,
    payload: bytes.slice(offset, offset + length)
  }))
  return { header: bytes.slice(start, start + headerLength), attributes }
}

export const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer)
export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
export const u32At = (bytes: Uint8Array, at = 0): number => viewOf(bytes).getUint32(at, hostLittleEndian)

/** The attributes with some in place of those of the same type; `undefined` leaves one out. */
export function replaced(
  attributes: readonly Attribute[],
  by: ReadonlyMap<number, Uint8Array | undefined>
): readonly Attribute[] {
  const kept = attributes.filter(({ type }) => !by.has(type))
  const added = [...by].flatMap(([type, payload]) => (payload ? [{ type, nested: false, payload }] : []))
  return [...kept, ...added]
}

/** What a request is told by in errors. */
export function requestOf(
  verb: RtnetlinkVerb,
  flags: number,
  { header, attributes }: Told,
  about: string | undefined
): Request {
  return rawRequest(verb, RTM[verb], flags, header, attributes, about)
}

export function rawRequest(
  verb: string,
  type: number,
  flags: number,
  header: Uint8Array,
  attributes: readonly Attribute[],
  about: string | undefined
): Request {
  const body = [padded(header), ...attributes.map(encoded)]
  const length = NLMSG_HEADER + body.reduce((sum, { length: each }) => sum + each, 0)
  const start = Buffer.alloc(NLMSG_HEADER)
  const data = viewOf(start)
  data.setUint32(0, length, hostLittleEndian)
  data.setUint16(4, type, hostLittleEndian)
  data.setUint16(6, flags | NLM_F_REQUEST, hostLittleEndian)
  const bytes = Buffer.concat([start, ...body])
  return { verb, type, flags, bytes, schema: rtnetlink.schemaOf(type), link: about, since: '' }
}

function encoded({ type, nested, payload }: Attribute): Uint8Array {
  const bytes = new Uint8Array((4 + payload.length + 3) & ~3)
  const data = viewOf(bytes)
  data.setUint16(0, 4 + payload.length, hostLittleEndian)
  data.setUint16(2, nested ? type | NLA_F_NESTED : type, hostLittleEndian)
  bytes.set(payload, 4)
  return bytes
}

function padded(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array((bytes.length + 3) & ~3)
  whole.set(bytes)
  return whole
}
