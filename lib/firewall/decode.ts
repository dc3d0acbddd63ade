/** From expressions to statements: as they are written here, and as nft generates them. The rest stays as it is. */
import type { DataType } from './data-types.js'
import { decodeSimple } from './decode-simple.js'
import { type Family, isImplied, type Known, knownAtFirst, learn } from './dependencies.js'
import { decodeElements, type Element, type RawElement } from './elements.js'
import { headerFor } from './encode.js'
import { bytesIn, dataOf, type Expression, type Verdict, wordOf } from './expressions.js'
import type { Field, Header } from './fields.js'
import { fieldsAt } from './loaded.js'
import { flagNames, type Operand, operandText, prefixLength } from './operands.js'
import type { AnyField, Match, Operator, Statement } from './statements.js'

/** Elements of the sets that belong to a rule, by name; `undefined` for other sets. */
export type OwnElements = (set: string) => readonly RawElement[] | undefined

const OPERATORS = { eq: '==', neq: '!=', lt: '<', gt: '>', lte: '<=', gte: '>=' } as const
const LOADS: ReadonlySet<string> = new Set(['payload', 'meta', 'ct', 'fib', 'rt'])

/** The statements of a rule in a table of this family. Encoding them gives the same rule again. */
export function decodeRule(family: Family, expressions: readonly Expression[], elements: OwnElements): Statement[] {
  const decoder = new RuleDecoder(family, expressions, elements)
  return decoder.run()
}

/** What was loaded into registers, and what was done with it. */
interface Prepared {
  loads: Expression[]
  mask: Buffer | undefined
  swapped: boolean
}

class RuleDecoder {
  readonly #statements: Statement[] = []
  readonly #known: Known
  /** Expressions that prepare registers for the next. */
  #pending: Expression[] = []
  #at = 0

  constructor(
    readonly family: Family,
    readonly expressions: readonly Expression[],
    readonly elements: OwnElements
  ) {
    this.#known = knownAtFirst(family)
  }

  run(): Statement[] {
    while (this.#at < this.expressions.length) {
      const expression = this.expressions[this.#at++] as Expression
      if (isPreparation(expression)) this.#pending.push(expression)
      else this.#conclude(expression)
    }
    this.#giveUp()
    return this.#statements
  }

  #conclude(expression: Expression): void {
    const comparison = this.#comparison(expression)
    if (comparison) {
      for (const { statement, field } of comparison) this.#add(statement, field)
      this.#pending = []
      return
    }
    const simple = decodeSimple(this.#pending, expression, this.family, this.#known)
    if (simple) {
      const header = headerFor(simple)
      if (header && header !== 'tcp') this.#dropImplied([header])
      this.#statements.push(simple)
      this.#pending = []
      return
    }
    this.#giveUp()
    const alone = decodeSimple([], expression, this.family, this.#known)
    this.#statements.push(alone ?? { raw: expression })
  }

  /** What was prepared is for nothing that is known here. */
  #giveUp(): void {
    for (const expression of this.#pending) this.#statements.push({ raw: expression })
    this.#pending = []
  }

  #add(statement: Statement, read: readonly Field[]): void {
    this.#dropImplied(read.flatMap(({ header }) => header ?? []))
    this.#statements.push(statement)
    if ('match' in statement && typeof statement.match === 'string') learn(this.#known, statement as Match)
  }

  #dropImplied(headers: readonly Header[]): void {
    while (headers.some(header => isImplied(this.#statements.at(-1) ?? {}, header))) this.#statements.pop()
  }

  #comparison(expression: Expression): { statement: Statement; field: Field[] }[] | undefined {
    const prepared = preparedBy(this.#pending)
    if (!prepared) return undefined
    const { name } = expression
    const data = dataOf(expression)
    if (wordOf(data['sreg']) !== wordOf(dataOf(prepared.loads[0] as Expression)['dreg'])) return undefined
    if (name === 'lookup') return this.#lookup(prepared, data)
    if (prepared.loads.length !== 1) return undefined
    const load = prepared.loads[0] as Expression
    if (name === 'range') {
      const [from, to] = [bytesIn(data['fromData']), bytesIn(data['toData'])]
      const op = data['op'] === 'neq' ? '!=' : '=='
      return from && to ? this.#ranged(prepared, op, from, to) : undefined
    }
    const bytes = name === 'cmp' ? bytesIn(data['data']) : undefined
    if (!bytes) return undefined
    const op = OPERATORS[data['op'] as keyof typeof OPERATORS]
    if (op === '>=') {
      const upper = this.#upperBound(data['sreg'])
      const range = upper && this.#ranged(prepared, '==', bytes, upper)
      if (range) {
        this.#at++
        return range
      }
    }
    const candidates = fieldsAt(load, this.#known, bytes.length)
    const [only] = candidates
    if (only && candidates.length === 1) {
      const statement = compared(only, op, bytes, prepared)
      return statement && [{ statement, field: [only] }]
    }
    // nft compares neighbouring fields at once.
    if (op !== '==' || prepared.mask || prepared.swapped) return undefined
    let offset = 0
    const all: { statement: Statement; field: Field[] }[] = []
    for (const field of candidates) {
      const part = bytes.subarray(offset, offset + field.type.size)
      const statement = compared(field, op, part, prepared)
      if (!statement) return undefined
      all.push({ statement, field: [field] })
      offset += field.type.size
    }
    return all.length > 0 ? all : undefined
  }

  /** The upper end of a range whose lower end was just compared with. */
  #upperBound(register: unknown): Buffer | undefined {
    const next = this.expressions[this.#at]
    if (next?.name !== 'cmp') return undefined
    const data = dataOf(next)
    return data['op'] === 'lte' && data['sreg'] === register ? bytesIn(data['data']) : undefined
  }

  #ranged(prepared: Prepared, op: '==' | '!=', from: Buffer, to: Buffer) {
    const [field, ...others] = fieldsAt(prepared.loads[0] as Expression, this.#known, from.length)
    if (!field || others.length > 0 || !field.type.ranges || field.type.size !== from.length) return undefined
    if (from.length !== to.length || field.type.hostOrder !== prepared.swapped || !isOwnMask(field, prepared))
      return undefined
    const operand: Operand = { kind: 'range', from: unordered(field.type, from), to: unordered(field.type, to) }
    // A prefix would be compared otherwise.
    const value = `${field.type.decode(operand.from)}-${field.type.decode(operand.to)}`
    return [{ statement: matchOf(field, op, value), field: [field] }]
  }

  #lookup(prepared: Prepared, data: Readonly<Record<string, unknown>>) {
    const found = prepared.loads.map(load => fieldsAt(load, this.#known, undefined))
    const read = found.flat()
    if (prepared.swapped || read.length !== prepared.loads.length || !isInPlace(read, prepared.loads)) return undefined
    if (!read.every(field => isOwnMask(field, prepared))) return undefined
    const inverted = (data['flags'] as { inv?: boolean } | undefined)?.inv === true
    const isMap = data['dreg'] !== undefined
    if (isMap && wordOf(data['dreg']) !== -1) return undefined
    const set = String(data['set'])
    const own = this.elements(set)
    const layout = {
      key: read.map(field => field.type),
      interval: own?.some(isOfInterval) ?? false,
      ...(isMap ? { data: 'verdict' as const } : {})
    }
    const elements = own && decodeElements(layout, own)
    if (own && !elements) return undefined
    const statement = isMap
      ? { vmap: namesOf(read), map: elements ? pairsOf(elements) : `@${set}` }
      : lookupOf(read, inverted ? '!=' : '==', elements ? elements.map(({ key }) => key) : `@${set}`)
    return [{ statement: statement as Statement, field: read }]
  }
}

function isPreparation({ name, data }: Expression): boolean {
  const { sreg, dreg } = typeof data === 'object' ? data : {}
  if (LOADS.has(name)) return sreg === undefined
  if (name === 'immediate') return wordOf(dreg) >= 0
  return name === 'bitwise' || name === 'byteorder'
}

/** Loads, then at most a mask, then at most a change of byte order. */
function preparedBy(pending: readonly Expression[]): Prepared | undefined {
  const loads = pending.filter(({ name }) => LOADS.has(name))
  const [first] = loads
  if (!first) return undefined
  const prepared: Prepared = { loads, mask: undefined, swapped: false }
  for (const [at, { name, data }] of pending.slice(loads.length).entries()) {
    const { op = 'maskXor', mask, xor, size, len, sreg, dreg } = data as Record<string, unknown>
    if (sreg !== dreg || sreg !== dataOf(first)['dreg'] || loads.length > 1) return undefined
    const bits = bytesIn(mask)
    if (name === 'bitwise' && at === 0 && op === 'maskXor' && bits && bytesIn(xor)?.every(byte => byte === 0)) {
      prepared.mask = bits
    } else if (name === 'byteorder' && op === 'hton' && size === len) prepared.swapped = true
    else return undefined
  }
  return pending.slice(0, loads.length).every(({ name }) => LOADS.has(name)) ? prepared : undefined
}

/** Each field behind the last, as a key of several has them. */
function isInPlace(read: readonly Field[], loads: readonly Expression[]): boolean {
  let word = 0
  return read.every((field, at) => {
    const placed = wordOf(dataOf(loads[at] as Expression)['dreg']) === word
    word += Math.ceil(field.type.size / 4)
    return placed
  })
}

/** Whether what was masked out is what the field leaves out. */
function isOwnMask(field: Field, { mask }: Prepared): boolean {
  return mask?.toString('hex') === field.mask
}

function compared(field: Field, op: Operator, bytes: Buffer, { mask, swapped }: Prepared): Statement | undefined {
  const { type } = field
  const equality = op === '==' || op === '!='
  if (swapped !== (!equality && type.hostOrder)) return undefined
  if (bytes.length < type.size) {
    if (mask || !equality) return undefined
    // iptables compares a whole name as far as the zero behind it.
    if (type.name === 'ifname' && bytes.at(-1) === 0) return matchOf(field, op, type.decode(bytes))
    if (type.name === 'ifname') return matchOf(field, op, operandText(type, { kind: 'start', bytes }))
    if (!type.prefixes) return undefined
    const whole = Buffer.concat([bytes, Buffer.alloc(type.size - bytes.length)])
    return matchOf(field, op, operandText(type, { kind: 'prefix', bytes: whole, bits: 8 * bytes.length }))
  }
  if (bytes.length !== type.size) return undefined
  if (mask?.toString('hex') === field.mask) {
    if (type.bits) {
      const names = equality ? flagNames(type, bytes) : undefined
      // Equality of flags is said with a mask of all.
      return names && op === '!=' ? matchOf(field, op, oneOrAll(names)) : undefined
    }
    return matchOf(field, op, type.decode(swapped ? unordered(type, bytes) : bytes))
  }
  if (!mask || field.mask || !equality) return undefined
  const isZero = bytes.every(byte => byte === 0)
  if (type.bits) {
    const names = flagNames(type, mask)
    if (!names) return undefined
    if (isZero) return matchOf(field, op === '==' ? '!' : '==', oneOrAll(names))
    const wanted = flagNames(type, bytes)
    return wanted && { match: field.name as AnyField, ...operator(op), value: wanted, mask: names }
  }
  const bits = type.prefixes ? prefixLength(mask) : undefined
  if (bits) return matchOf(field, op, operandText(type, { kind: 'prefix', bytes, bits }))
  return { match: field.name as AnyField, ...operator(op), value: type.decode(bytes), mask: type.decode(mask) }
}

function matchOf(field: Field, op: Operator, value: string | number | string[]): Match {
  return { match: field.name as AnyField, ...operator(op), value }
}

const operator = (op: Operator) => (op === '==' ? {} : { op })
const oneOrAll = (names: string[]) => (names.length === 1 ? (names[0] as string) : names)
const namesOf = (read: readonly Field[]) => {
  const names = read.map(field => field.name)
  return names.length === 1 ? names[0] : names
}

function lookupOf(read: readonly Field[], op: '==' | '!=', value: Element['key'][] | string) {
  const [only] = read
  const isFlags = read.length === 1 && only?.type.bits !== undefined && typeof value !== 'string'
  return { match: namesOf(read), ...operator(op), value: isFlags ? { set: value } : value }
}

function pairsOf(elements: readonly Element[]): [Element['key'], Verdict][] {
  return elements.map(({ key, value }) => [key, value as Verdict])
}

function isOfInterval(element: RawElement): boolean {
  const { intervalEnd } = (element['flags'] ?? {}) as { intervalEnd?: boolean }
  return intervalEnd === true || element['keyEnd'] !== undefined
}

function unordered(type: DataType, bytes: Buffer): Buffer {
  const swap = type.hostOrder && new Uint8Array(Uint16Array.of(1).buffer)[0] === 1
  return swap ? Buffer.from(bytes).reverse() : bytes
}
