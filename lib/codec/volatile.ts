/** Whether two views say the same, apart from what changes by itself: counters, timers, ages. */
import {
  type AttributesCodec,
  type AttributesView,
  type AttributeTable,
  attributesIn,
  isChoice,
  viewBytes
} from './attributes.js'
import { bytesOf } from './block.js'
import type { AnyCodec } from './codec.js'
import { hostLittleEndian } from './endian.js'

/** Attributes are compared in the order that they came in: the kernel has one. What no table names has to be the same. */
export function sameApartFromVolatile(a: AttributesView, b: AttributesView, table: AttributeTable): boolean {
  const ours = viewBytes(a)
  const theirs = viewBytes(b)
  if (sameBytes(ours.data, ours.start, ours.end, theirs.data, theirs.start, theirs.end)) return true
  const byId = lasting(table)
  const left = attributesIn(ours.data, ours.start, ours.end)
  const right = attributesIn(theirs.data, theirs.start, theirs.end)
  for (;;) {
    const one = nextLasting(left, byId)
    const other = nextLasting(right, byId)
    if (!one || !other) return one === other
    if (one.type !== other.type) return false
    const [start, end] = [one.offset, one.offset + one.length]
    const [otherStart, otherEnd] = [other.offset, other.offset + other.length]
    if (sameBytes(ours.data, start, end, theirs.data, otherStart, otherEnd)) continue
    const entry = byId.get(one.type)
    if (entry?.bits && one.length === 4 && other.length === 4) {
      const differing = uint32(ours.data, start) ^ uint32(theirs.data, otherStart)
      if ((differing & ~entry.bits) === 0) continue
    }
    const codec = entry && nestedCodec(entry.codec, a)
    if (!codec) return false
    const inside = new codec.View(ours.data, start, end)
    if (!sameApartFromVolatile(inside, new codec.View(theirs.data, otherStart, otherEnd), codec.table)) return false
  }
}

/** What a table says of its attributes, by number; `null` for those that are volatile. */
type ById = Map<number, { codec: AnyCodec; bits: number } | null>
const tables = new WeakMap<AttributeTable, ById>()

function lasting(table: AttributeTable): ById {
  let byId = tables.get(table)
  if (!byId) {
    byId = new Map(
      Object.values(table).map(([id, codec, { volatile = 0 } = {}]) => [
        id,
        volatile === true ? null : { codec, bits: Number(volatile) }
      ])
    )
    tables.set(table, byId)
  }
  return byId
}

function nextLasting(attributes: ReturnType<typeof attributesIn>, byId: ById) {
  for (;;) {
    const { value, done } = attributes.next()
    if (done) return undefined
    if (byId.get(value.type) !== null) return value
  }
}

/** The codec of an attribute that has attributes in it. */
function nestedCodec(codec: AnyCodec, siblings: object): AttributesCodec<AttributeTable> | undefined {
  const own = isChoice(codec) ? codec.pick((siblings as Record<string, unknown>)[codec.selector]) : codec
  return 'table' in own && 'View' in own ? (own as AttributesCodec<AttributeTable>) : undefined
}

function uint32(data: DataView, at: number): number {
  return data.getUint32(at, hostLittleEndian)
}

function sameBytes(a: DataView, start: number, end: number, b: DataView, otherStart: number, otherEnd: number) {
  if (end - start !== otherEnd - otherStart) return false
  const ours = bytesOf(a)
  const theirs = bytesOf(b)
  for (let at = start, other = otherStart; at < end; at++, other++) if (ours[at] !== theirs[other]) return false
  return true
}
