/**
 * Attribute tables: the declarative heart. One table of `name: [id, codec, options]` gives the encoder, a lazy view over
 * received bytes, and the types of both. Ids are explicit, `undefined` means "not sent", and what is unknown survives.
 */

import { inspect } from 'node:util'
import { invalidArgument } from '../errors.js'
import { type Block, bytesOf, INDEX_ROW } from './block.js'
import { type AnyCodec, type Codec, type InOf, type Located, type OutOf, prefixPath } from './codec.js'
import { hostLittleEndian } from './endian.js'
import { NLA_F_NESTED, NLA_TYPE_MASK, Writer } from './writer.js'

export interface AttributeOptions {
  /** The kernel reports it and does not take it. */
  readonly readOnly?: boolean
  /** The kernel takes it and does not report it. */
  readonly writeOnly?: boolean
  /** Taken when the object is created, refused later. */
  readonly createOnly?: boolean
  /** First kernel release that knows it. */
  readonly since?: string
  /** Kernels may be built without it, and ignore it silently then. */
  readonly optional?: boolean
  /** Comes several times in a row (multi-attr); the value is an array. */
  readonly repeated?: boolean
  /**
   * Changes by itself, without word from the kernel (counters, timers, ages): no difference between two states. A number
   * says which bits of a u32 do.
   */
  readonly volatile?: boolean | number
}

export type AttributeEntry = readonly [id: number, codec: AnyCodec, options?: AttributeOptions]
export type AttributeTable = Readonly<Record<string, AttributeEntry>>

type IsReadOnly<E> = E extends readonly [number, unknown, { readonly readOnly: true }] ? true : false
type IsCreateOnly<E> = E extends readonly [number, unknown, { readonly createOnly: true }] ? true : false
type Value<E extends AttributeEntry, T> = E extends readonly [number, unknown, { readonly repeated: true }] ? T[] : T

/** An attribute that the table does not name. `data` is its payload, as bytes or hexadecimal. */
export interface UnknownAttribute {
  type: number
  /** Whether it carries NLA_F_NESTED: newer parts of the kernel insist on it. */
  nested?: boolean
  data: Uint8Array | string
}

/** What may be written. */
export type In<T extends AttributeTable> = {
  [K in keyof T as IsReadOnly<T[K]> extends true ? never : K]?: Value<T[K], InOf<T[K][1]>> | undefined
} & { unknown?: UnknownAttribute[] | undefined }

/** What may be written to an object that exists. */
export type Change<T extends AttributeTable> = Omit<
  In<T>,
  { [K in keyof T]: IsCreateOnly<T[K]> extends true ? K : never }[keyof T]
>

/** What is read: a getter per attribute, decoded when it is asked for. */
export type Out<T extends AttributeTable> = {
  readonly [K in keyof T]: Value<T[K], OutOf<T[K][1]>> | undefined
} & AttributesView

const DATA = Symbol('data')
const BYTES = Symbol('bytes')
const START = Symbol('start')
const END = Symbol('end')
const ROW = Symbol('row')
const TABLE = Symbol('table')

interface Attribute {
  type: number
  nested: boolean
  offset: number
  length: number
}

/** Walks attributes; a malformed one ends the walk, as the kernel's own parser does. */
export function* attributesIn(data: DataView, start: number, end: number): Generator<Attribute> {
  for (let at = start; at + 4 <= end; ) {
    const length = data.getUint16(at, hostLittleEndian)
    if (length < 4 || at + length > end) return
    const type = data.getUint16(at + 2, hostLittleEndian)
    yield { type: type & NLA_TYPE_MASK, nested: (type & NLA_F_NESTED) !== 0, offset: at + 4, length: length - 4 }
    at += (length + 3) & ~3
  }
}

/** A window on the bytes of attributes. It keeps its buffer alive and copies nothing. */
export class AttributesView {
  readonly [DATA]: DataView
  readonly [BYTES]: Uint8Array
  readonly [START]: number
  readonly [END]: number
  readonly [ROW]: number
  declare readonly [TABLE]: CompiledTable

  /** @param row of the block's index, or -1 to look attributes up by walking */
  constructor(data: DataView, start: number, end: number, row = -1) {
    this[ROW] = row
    this[DATA] = data
    this[BYTES] = bytesOf(data)
    this[START] = start
    this[END] = end
  }

  /** Attributes that the schema does not name, as they came. */
  get unknown(): UnknownAttribute[] {
    const found: UnknownAttribute[] = []
    for (const { type, nested, offset, length } of attributesIn(this[DATA], this[START], this[END])) {
      if (this[TABLE].byId.has(type)) continue
      found.push({ type, ...(nested ? { nested } : {}), data: bytesAt(this[DATA], offset, length) })
    }
    return found
  }

  /** A plain object of everything that came, safe for JSON: large integers become text, bytes hexadecimal. */
  toJSON(): Record<string, unknown> {
    const object: Record<string, unknown> = {}
    const unknown: UnknownAttribute[] = []
    for (const { type, nested, offset, length } of attributesIn(this[DATA], this[START], this[END])) {
      const entry = this[TABLE].byId.get(type)
      if (!entry) {
        unknown.push({ type, ...(nested ? { nested } : {}), data: hex(bytesAt(this[DATA], offset, length)) })
        continue
      }
      const value = plain(entry.codecFor(this).read(this[DATA], offset, length))
      if (entry.repeated) object[entry.name] = [...((object[entry.name] as unknown[]) ?? []), value]
      else object[entry.name] = value
    }
    if (unknown.length > 0) object['unknown'] = unknown
    return object
  }

  [inspect.custom](): unknown {
    return this.toJSON()
  }
}

/** Paths of attributes that were sent and that `received` lacks or has otherwise. */
export function differences(sent: AttributesView, received: AttributesView): string[] {
  const paths: string[] = []
  for (const { type, offset, length } of attributesIn(sent[DATA], sent[START], sent[END])) {
    const entry = sent[TABLE].byId.get(type)
    if (!entry || entry.options.writeOnly || entry.repeated) continue
    const codec = entry.codecFor(sent)
    const wanted = codec.readSent ? codec.readSent(sent[DATA], offset, length) : codec.read(sent[DATA], offset, length)
    const got = entry.read(received)
    if (got === undefined) paths.push(entry.name)
    else if (wanted instanceof AttributesView && got instanceof AttributesView) {
      paths.push(...differences(wanted, got).map(path => `${entry.name}.${path}`))
    } else if (!isApplied(codec, plain(wanted), plain(got))) paths.push(entry.name)
  }
  return paths
}

/** What is read of a value that was written: in the kernel's form, as far as it says something. */
export function asSent(codec: AnyCodec, value: unknown): unknown {
  const writer = new Writer(64)
  writer.creating = true
  codec.write(writer, value)
  const bytes = writer.copy()
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return codec.readSent ? codec.readSent(data, 0, bytes.length) : codec.read(data, 0, bytes.length)
}

/** Whether what was sent ({@link asSent}) is what the kernel has. */
export function isSame(codec: AnyCodec, wanted: unknown, got: unknown): boolean {
  if (wanted instanceof AttributesView && got instanceof AttributesView) return differences(wanted, got).length === 0
  return isApplied(codec, plain(wanted), plain(got))
}

/** Whether two plain values are the same, as far as their codec cares. */
function isApplied(codec: AnyCodec, wanted: unknown, got: unknown): boolean {
  if (codec.isSame) return codec.isSame(wanted, got)
  if (codec.readSent) {
    return Object.entries(wanted as object).every(([name, value]) => (got as Record<string, unknown>)[name] === value)
  }
  const order = (value: unknown) =>
    codec.unordered ? (value as unknown[]).map(item => JSON.stringify(item)).sort() : value
  return JSON.stringify(order(wanted)) === JSON.stringify(order(got))
}

/** Values as JSON can carry them. */
export function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  if (value instanceof Uint8Array) return hex(value)
  if (value instanceof AttributesView) return value.toJSON()
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]))
  }
  return value
}

/** Where a view's bytes are: the whole of its attributes. */
export function viewBytes(view: AttributesView): { data: DataView; start: number; end: number } {
  return { data: view[DATA], start: view[START], end: view[END] }
}

class CompiledEntry {
  readonly repeated: boolean

  constructor(
    readonly name: string,
    readonly id: number,
    readonly codec: AnyCodec,
    readonly options: AttributeOptions
  ) {
    this.repeated = options.repeated === true
  }

  /** The codec, which for a choice depends on a sibling. */
  codecFor(siblings: object): AnyCodec {
    const { codec } = this
    return isChoice(codec) ? codec.pick((siblings as Record<string, unknown>)[codec.selector]) : codec
  }

  write(writer: Writer, value: unknown, siblings: object): void {
    if (this.options.readOnly) throw invalidArgument(this.name, 'nothing (it is read-only)', value)
    if (this.options.createOnly && !writer.creating) {
      throw invalidArgument(this.name, 'nothing (it can only be given at creation)', value)
    }
    if (this.options.since) writer.noteSince(this.options.since)
    if (this.options.optional) writer.uncertain = true
    const codec = this.codecFor(siblings)
    const type = codec.nestedFlag ? this.id | NLA_F_NESTED : this.id
    if (!this.repeated) {
      writeAttribute(writer, this.name, type, codec, value)
      return
    }
    if (!Array.isArray(value)) throw invalidArgument(this.name, `an array of: ${codec.expects}`, value)
    for (const [index, element] of value.entries()) {
      writeAttribute(writer, `${this.name}[${index}]`, type, codec, element)
    }
  }

  read(view: AttributesView): unknown {
    const bytes = view[BYTES]
    const end = view[END]
    let at = view[ROW] < 0 || this.id >= INDEX_ROW ? seek(bytes, view[START], end, this.id) : indexed(view, this.id)
    if (at < 0) return undefined
    const codec = this.codecFor(view)
    if (!this.repeated) return codec.read(view[DATA], at + 4, u16At(bytes, at) - 4)
    const values: unknown[] = []
    while (at >= 0) {
      const length = u16At(bytes, at)
      values.push(codec.read(view[DATA], at + 4, length - 4))
      at = seek(bytes, at + ((length + 3) & ~3), end, this.id)
    }
    return values
  }
}

/** One attribute; what is refused inside of it gets its name. Without closures: this is most of a bulk creation. */
function writeAttribute(writer: Writer, name: string | number, type: number, codec: AnyCodec, value: unknown): void {
  const start = writer.beginAttribute()
  try {
    codec.write(writer, value)
    writer.endAttribute(start, type)
  } catch (error) {
    throw prefixPath(error, name)
  }
}

/** Where an attribute begins according to the index, or -1. */
function indexed(view: AttributesView, type: number): number {
  const place = (view[DATA] as Block).index?.[view[ROW] * INDEX_ROW + type] ?? 0
  return place === 0 ? -1 : view[START] + (place - 1) * 4
}

/** Where the next attribute of a type begins, or -1. The hot loop of every dump. */
export function seek(bytes: Uint8Array, start: number, end: number, type: number): number {
  for (let at = start; at + 4 <= end; ) {
    const length = u16At(bytes, at)
    if (length < 4 || at + length > end) return -1
    if ((u16At(bytes, at + 2) & NLA_TYPE_MASK) === type) return at
    at += (length + 3) & ~3
  }
  return -1
}

function u16At(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number
  const second = bytes[at + 1] as number
  return hostLittleEndian ? first | (second << 8) : (first << 8) | second
}

interface CompiledTable {
  byId: Map<number, CompiledEntry>
  byName: Map<string, CompiledEntry>
}

/** A table that was made ready for use. */
export interface AttributesCodec<T extends AttributeTable> extends Codec<In<T>, Out<T>> {
  readonly table: T
  /** Class of the views; a getter per attribute. */
  readonly View: new (
    data: DataView,
    start: number,
    end: number
  ) => Out<T>
  /** Writes the attributes of `value`, leaving `except` to the caller. */
  writeAttributes(writer: Writer, value: object, except?: ReadonlySet<string>): void
  locate(data: DataView, start: number, end: number, target: number): Located | undefined
}

/** Makes an attribute table ready for use. As a codec of another table it is a nested attribute. */
export function attributes<const T extends AttributeTable>(
  table: T,
  options: { nestedFlag?: boolean } = {}
): AttributesCodec<T> {
  const entries = Object.entries(table).map(
    ([name, [id, codec, entryOptions = {}]]) => new CompiledEntry(name, id, codec, entryOptions)
  )
  const compiled: CompiledTable = {
    byId: new Map(entries.map(entry => [entry.id, entry])),
    byName: new Map(entries.map(entry => [entry.name, entry]))
  }

  class View extends AttributesView {}
  Object.defineProperty(View.prototype, TABLE, { value: compiled })
  for (const entry of entries) {
    Object.defineProperty(View.prototype, entry.name, {
      enumerable: true,
      configurable: true,
      get(this: AttributesView) {
        return entry.read(this)
      }
    })
  }

  const expects = 'an object of attributes'
  return {
    table,
    expects,
    ...(options.nestedFlag ? { nestedFlag: true } : {}),
    View: View as unknown as AttributesCodec<T>['View'],

    write(writer, value) {
      this.writeAttributes(writer, value as object)
    },

    writeAttributes(writer, given, except) {
      // A view has getters, which are not its own: it is sent as what it says.
      const value = given instanceof AttributesView ? given.toJSON() : given
      if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidArgument('', expects, value)
      for (const name of Object.keys(value)) {
        const attribute = (value as Record<string, unknown>)[name]
        if (attribute === undefined || except?.has(name)) continue
        const entry = compiled.byName.get(name)
        if (entry) entry.write(writer, attribute, value)
        else if (name === 'unknown') writeUnknown(writer, attribute)
        else throw invalidArgument(name, `one of the properties ${[...compiled.byName.keys()].join(', ')}`, attribute)
      }
    },

    read(data, offset, length) {
      return new this.View(data, offset, offset + length)
    },

    locate(data, start, end, target) {
      for (const { type, offset, length } of attributesIn(data, start, end)) {
        if (target >= offset + length) continue
        if (target < offset - 4) return undefined
        const entry = compiled.byId.get(type)
        const name = entry?.name ?? `attribute ${type}`
        const codec = entry?.codecFor(new View(data, start, end))
        const inside = codec?.locate?.(data, offset, offset + length, target)
        if (target > offset - 4) return inside && { ...inside, path: [name, ...inside.path] }
        return { path: [name], nameOf: id => codecNameOf(codec, id) }
      }
      return undefined
    }
  }
}

/** The name of attribute `id` inside a nested table. */
function codecNameOf(codec: AnyCodec | undefined, id: number): string | undefined {
  const table = (codec as Partial<AttributesCodec<AttributeTable>> | undefined)?.table
  return table && Object.entries(table).find(([, entry]) => entry[0] === id)?.[0]
}

function writeUnknown(writer: Writer, given: unknown): void {
  if (!Array.isArray(given)) throw invalidArgument('unknown', 'an array of { type, data }', given)
  for (const [index, attribute] of (given as (UnknownAttribute | null)[]).entries()) {
    const { type = -1, nested, data } = attribute ?? {}
    const payload = fromHex(data)
    if (!(payload instanceof Uint8Array) || payload.length > 0xfff0) {
      throw invalidArgument(`unknown[${index}].data`, 'bytes (Uint8Array, or text in hexadecimal)', data)
    }
    if (!Number.isInteger(type) || type < 0 || type > 0xffff) {
      throw invalidArgument(`unknown[${index}].type`, 'an attribute number', type)
    }
    writer.attribute(nested ? type | NLA_F_NESTED : type, () => writer.raw(payload))
  }
}

export interface Choice extends Codec<unknown, unknown> {
  readonly selector: string
  pick(value: unknown): AnyCodec
}

export function isChoice(codec: AnyCodec): codec is Choice {
  return 'pick' in codec
}

/** A payload whose layout a sibling attribute decides: the data of a link by its kind. Unknown ones stay bytes. */
export function choice(
  selector: string,
  layouts: (value: string) => AnyCodec | undefined
): Codec<object, AttributesView | Uint8Array> {
  const chosen: Choice = {
    selector,
    expects: `what '${selector}' asks for`,
    pick: value => (typeof value === 'string' ? layouts(value) : undefined) ?? anyBytes,
    write() {
      throw new Error('a choice is written by its table')
    },
    read() {
      throw new Error('a choice is read by its table')
    }
  }
  return chosen as Codec<object, AttributesView | Uint8Array>
}

function fromHex(value: unknown): unknown {
  return typeof value === 'string' && /^([0-9a-f]{2})*$/i.test(value) ? Buffer.from(value, 'hex') : value
}

const anyBytes: AnyCodec = {
  expects: 'bytes (Uint8Array, or text in hexadecimal)',
  write(writer: Writer, value: unknown) {
    const bytes = fromHex(value)
    if (!(bytes instanceof Uint8Array)) throw invalidArgument('', this.expects, value)
    writer.raw(bytes)
  },
  read: (data: DataView, offset: number, length: number) => bytesAt(data, offset, length)
}

/** An attribute that holds a row of attributes of one type: `[PROP_LIST] = { [ALT_IFNAME], [ALT_IFNAME] }`. */
export function listOf<I, O>(
  element: readonly [id: number, codec: Codec<I, O>],
  options: { nestedFlag?: boolean; unordered?: boolean } = {}
): Codec<I[], O[]> {
  const [id, codec] = element
  const type = codec.nestedFlag ? id | NLA_F_NESTED : id
  return {
    expects: `an array of: ${codec.expects}`,
    ...(options.nestedFlag ? { nestedFlag: true } : {}),
    ...(options.unordered ? { unordered: true } : {}),
    write(writer, values) {
      if (!Array.isArray(values)) throw invalidArgument('', this.expects, values)
      for (const [index, value] of values.entries()) {
        writeAttribute(writer, index, type, codec, value)
      }
    },
    read(data, offset, length) {
      const values: O[] = []
      for (const attribute of attributesIn(data, offset, offset + length)) {
        if (attribute.type === id) values.push(codec.read(data, attribute.offset, attribute.length))
      }
      return values
    },
    locate(data, start, end, target) {
      let index = 0
      for (const { offset, length } of attributesIn(data, start, end)) {
        if (target < offset - 4) return undefined
        if (target < offset + length) return { path: [`[${index}]`], nameOf: () => undefined }
        index++
      }
      return undefined
    }
  }
}

function bytesAt(data: DataView, offset: number, length: number): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset + offset, length)
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')
}
