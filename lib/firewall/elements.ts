/** Elements of sets and maps, between values and what the kernel stores. */
import { invalidArgument } from '../errors.js'
import type { DataType, Scalar } from './data-types.js'
import { bytesIn, isVerdict, type Verdict, value, verdictData, verdictIn } from './expressions.js'
import { bounds, compare, type Operand, operandOf, operandText, predecessor, successor } from './operands.js'
import { commentData, commentIn } from './userdata.js'

/** A value, or one for each field of a concatenation. */
export type Key = Scalar | readonly Scalar[]

export interface Element {
  key: Key
  /** What a map has for the key. */
  value?: Scalar | Verdict | undefined
  /** Milliseconds until it goes. */
  timeout?: number | undefined
  /** Milliseconds that are left; read only. */
  expires?: number | undefined
  comment?: string | undefined
}

/** NFTA_SET_ELEM_* as a plain object, bytes in hexadecimal. */
export type RawElement = Record<string, unknown>

/** How keys are laid out, and what a map has for them. */
export interface Layout {
  key: readonly DataType[]
  /** Whether keys may be ranges and prefixes. */
  interval: boolean
  data?: DataType | 'verdict' | undefined
}

const WORD = 4
const padded = (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(-bytes.length & (WORD - 1))])

/** Bytes of a key in a register. */
export function keyLength(types: readonly DataType[]): number {
  const [only] = types
  if (types.length === 1 && only) return only.size
  return types.reduce((sum, type) => sum + padded(Buffer.alloc(type.size)).length, 0)
}

/** Whether a value needs a set of intervals. */
export function isInterval(types: readonly DataType[], keys: readonly Key[], path: string): boolean {
  return keys.some((key, at) => operandsOf(types, key, `${path}[${at}]`).some(({ kind }) => kind !== 'exact'))
}

function operandsOf(types: readonly DataType[], key: unknown, path: string): Operand[] {
  if (types.length === 1) return [operandOf(types[0] as DataType, key, path)]
  if (!Array.isArray(key) || key.length !== types.length) throw invalidArgument(path, `${types.length} values`, key)
  return types.map((type, at) => operandOf(type, key[at], `${path}[${at}]`))
}

/**
 * What the kernel wants to have: of intervals their beginnings, and the ends as elements of their own.
 *
 * @param merge lets ranges that touch each other become one
 */
export function encodeElements(
  layout: Layout,
  elements: readonly Element[],
  path: string,
  merge = false
): RawElement[] {
  const { key: types, interval } = layout
  const encoded = elements.map((element, at) => {
    const place = `${path}[${at}]`
    const operands = operandsOf(types, element.key, `${place}.key`)
    for (const [field, { kind }] of operands.entries()) {
      const type = types[field] as DataType
      if (kind === 'exact') continue
      if (!interval || kind === 'start')
        throw invalidArgument(`${place}.key`, 'no range (the set has no intervals)', element.key)
      if (type.hostOrder) throw invalidArgument(`${place}.key`, `no range (${type.name} has none in sets)`, element.key)
    }
    return { operands, rest: restOf(layout, element, place) }
  })
  const single = types.length === 1
  if (!single) return encoded.map(({ operands, rest }) => concatenated(operands, interval, rest))
  const type = types[0] as DataType
  if (interval)
    return intervals(
      encoded.map(({ operands: [operand], rest }) => ({ bounds: bounds(operand as Operand), rest })),
      path,
      merge
    )
  const seen = new Map(
    encoded.map(({ operands: [operand], rest }) => {
      const { bytes } = operand as { bytes: Buffer }
      return [bytes.toString('hex'), { bytes, rest }]
    })
  )
  return [...seen.values()]
    .sort((a, b) => compare(type, a.bytes, b.bytes))
    .map(({ bytes, rest }) => ({ key: value(bytes), ...rest }))
}

function restOf({ data }: Layout, element: Element, path: string): RawElement {
  const { value: given, timeout, comment } = element
  const rest: RawElement = {}
  if (data === 'verdict') {
    if (!isVerdict(given)) throw invalidArgument(`${path}.value`, 'a verdict', given)
    rest['data'] = verdictData(given)
  } else if (data) {
    const bytes = data.encode(given)
    if (!bytes) throw invalidArgument(`${path}.value`, data.expects, given)
    rest['data'] = value(bytes)
  } else if (given !== undefined) throw invalidArgument(`${path}.value`, 'nothing (the set is no map)', given)
  if (timeout !== undefined) rest['timeout'] = timeout
  if (comment !== undefined) rest['userdata'] = commentData(comment)
  return rest
}

function concatenated(operands: readonly Operand[], interval: boolean, rest: RawElement): RawElement {
  const all = operands.map(bounds)
  const key = Buffer.concat(all.map(([from]) => padded(from)))
  if (!interval) return { key: value(key), ...rest }
  return { key: value(key), keyEnd: value(Buffer.concat(all.map(([, to]) => padded(to)))), ...rest }
}

function intervals(
  given: { bounds: [Buffer, Buffer]; rest: RawElement }[],
  path: string,
  merge: boolean
): RawElement[] {
  const sorted = given.toSorted((a, b) => Buffer.compare(a.bounds[0], b.bounds[0]))
  const kept: typeof given = []
  for (const next of sorted) {
    const last = kept.at(-1)
    if (last && Buffer.compare(next.bounds[0], last.bounds[1]) <= 0) {
      throw invalidArgument(path, 'intervals that do not overlap', next.bounds[0].toString('hex'))
    }
    if (last && merge && !last.rest['data'] && successor(last.bounds[1])?.equals(next.bounds[0])) {
      last.bounds[1] = next.bounds[1]
    } else kept.push({ bounds: [...next.bounds], rest: next.rest })
  }
  return kept.flatMap(({ bounds: [from, to], rest }) => {
    const end = successor(to)
    const { timeout } = rest
    const closing = { flags: { intervalEnd: true }, ...(timeout === undefined ? {} : { timeout }) }
    return [{ key: value(from), ...rest }, ...(end ? [{ key: value(end), ...closing }] : [])]
  })
}

/** Elements as they are written; `undefined` where one is not understood. */
export function decodeElements(layout: Layout, raw: readonly RawElement[]): Element[] | undefined {
  const { key: types, interval, data } = layout
  const single = types.length === 1 ? (types[0] as DataType) : undefined
  const entries = raw.map(element => ({ element, bytes: bytesIn(element['key']) }))
  if (entries.some(({ bytes }) => !bytes || bytes.length < keyLength(types))) return undefined
  const sorted = (entries as { element: RawElement; bytes: Buffer }[]).toSorted((a, b) =>
    single
      ? compare(single, a.bytes, b.bytes) || Number(isEnd(b.element)) - Number(isEnd(a.element))
      : Buffer.compare(a.bytes, b.bytes)
  )
  const elements: Element[] = []
  for (const [at, { element, bytes }] of sorted.entries()) {
    if (isEnd(element)) continue
    let key: Key
    if (!single) {
      const to = bytesIn(element['keyEnd']) ?? bytes
      key = fieldsOf(types, bytes, to)
    } else if (interval) {
      const next = sorted[at + 1]?.bytes
      const to = next ? predecessor(next) : Buffer.alloc(single.size, 0xff)
      if (!to) return undefined
      key = operandText(single, rangeOf(bytes, to))
    } else key = single.decode(bytes)
    const rest = readRest(element, data)
    if (!rest) return undefined
    elements.push({ key, ...rest })
  }
  return elements
}

function isEnd(element: RawElement): boolean {
  return (element['flags'] as { intervalEnd?: boolean } | undefined)?.intervalEnd === true
}

function rangeOf(from: Buffer, to: Buffer): Operand {
  return from.equals(to) ? { kind: 'exact', bytes: from } : { kind: 'range', from, to }
}

function fieldsOf(types: readonly DataType[], from: Buffer, to: Buffer): Scalar[] {
  let offset = 0
  return types.map(type => {
    const [first, last] = [from, to].map(bytes => bytes.subarray(offset, offset + type.size)) as [Buffer, Buffer]
    offset += (type.size + WORD - 1) & -WORD
    return operandText(type, rangeOf(first, last))
  })
}

function readRest(element: RawElement, data: Layout['data']): Omit<Element, 'key'> | undefined {
  const rest: Omit<Element, 'key'> = {}
  if (data === 'verdict') rest.value = verdictIn(element['data'])
  else if (data) {
    const bytes = bytesIn(element['data'])
    rest.value = bytes && bytes.length >= data.size ? data.decode(bytes) : undefined
  }
  if (data && rest.value === undefined) return undefined
  const comment = commentIn(element['userdata'])
  if (comment !== undefined) rest.comment = comment
  if (element['timeout'] !== undefined) rest.timeout = Number(element['timeout'])
  if (element['expiration'] !== undefined) rest.expires = Number(element['expiration'])
  return rest
}
