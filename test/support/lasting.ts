/** What of a message lasts: its bytes without what changes by itself, by attribute numbers alone and no schema of ours. */

import { viewBytes } from '../../lib/codec/attributes.js'
import type { AttributesView } from '../../lib/index.js'

/** Attributes to leave out, and those to look into. */
interface Strip {
  [type: number]: true | Strip
}

const BRIDGE: Strip = { 16: true, 17: true, 18: true, 19: true, 48: true, 47: { 3: true, 7: true } }
const MACVLAN: Strip = { 8: true }
const PORT: Strip = { 21: true, 22: true, 23: true, 38: true, 41: true }
const LINK: Strip = { 7: true, 23: true, 35: true, 47: true, 48: true, 26: { 10: { 3: true, 5: true, 6: true } } }
const STRIPS: Record<string, Strip> = {
  address: { 6: true },
  route: { 12: true, 17: true },
  neighbour: { 3: true, 4: true },
  fdb: { 3: true, 4: true },
  rule: {}
}
const HEADERS: Record<string, number> = { link: 16, address: 8, route: 12, neighbour: 12, fdb: 12, rule: 12 }

/** Header and lasting attributes, in hexadecimal, by path; two are the same if all of these are. */
export function lasting(object: string, view: AttributesView): Record<string, string> {
  const { data, start, end } = viewBytes(view)
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  const length = HEADERS[object] as number
  const header = Buffer.from(bytes.subarray(start - length, start))
  const found: Record<string, string> = { header: header.toString('hex') }
  walk(bytes, start, end, object === 'link' ? stripOfLink(view) : (STRIPS[object] as Strip), '', found)
  // IF_RS_SENT, which nobody announces.
  const flags = found['/26/10/1']
  if (object === 'link' && flags)
    found['/26/10/1'] = flags.replace(
      /^(.)(.)/,
      (_, high, low) => `${(Number.parseInt(high, 16) & ~1).toString(16)}${low}`
    )
  return found
}

function stripOfLink(view: AttributesView): Strip {
  const { kind } = view as unknown as { kind?: string }
  const data = kind === 'bridge' ? BRIDGE : kind === 'macvlan' || kind === 'macvtap' ? MACVLAN : undefined
  return { ...LINK, 18: { 3: true, 5: PORT, ...(data ? { 2: data } : {}) } }
}

function walk(
  bytes: Buffer,
  start: number,
  end: number,
  strip: Strip,
  path: string,
  into: Record<string, string>
): void {
  const times = new Map<number, number>()
  for (let at = start; at + 4 <= end; ) {
    const length = bytes.readUInt16LE(at)
    const type = bytes.readUInt16LE(at + 2) & 0x3fff
    const how = strip[type]
    const nth = times.get(type) ?? 0
    times.set(type, nth + 1)
    const name = `${path}/${type}${nth ? `#${nth}` : ''}`
    if (how === undefined) into[name] = bytes.toString('hex', at + 4, at + length)
    else if (how !== true) walk(bytes, at + 4, at + length, how, name, into)
    at += (length + 3) & ~3
  }
}
