/** From statements to expressions. */
import { invalidArgument } from '../errors.js'
import { DATA_VERDICT } from '../nftables/set.js'
import { concatenatedId, type DataType } from './data-types.js'
import { type Family, type Known, knownAtFirst, learn, missing } from './dependencies.js'
import {
  type Element,
  encodeElements,
  isInterval,
  type Key,
  keyLength,
  type Layout,
  type RawElement
} from './elements.js'
import { simpleExpressions } from './encode-simple.js'
import { type Expression, isVerdict, registerOf, value } from './expressions.js'
import { type Field, fieldOf, type Header } from './fields.js'
import { flagsOf, maskOf, type Operand, operandOf } from './operands.js'
import type { AnyField, ConcatMatch, Match, Operator, Statement, VerdictMap } from './statements.js'
import { setData } from './userdata.js'

/** A set that belongs to one rule. */
export interface OwnSet {
  /** In its transaction. */
  id: number
  /** The kernel counts where the `%d` is. */
  name: '__set%d' | '__map%d'
  attributes: Record<string, unknown>
  layout: Layout
  elements: RawElement[]
}

export interface EncodedRule {
  expressions: Expression[]
  sets: OwnSet[]
}

const CMP = { '==': 'eq', '!=': 'neq', '<': 'lt', '>': 'gt', '<=': 'lte', '>=': 'gte' } as const

/**
 * The expressions of a rule in a table of this family, with the comparisons that go without saying.
 * Throws `ERR_INVALID_ARG_VALUE` with the path of what is wrong: `[2].value`.
 */
export function encodeRule(family: Family, statements: readonly Statement[], path = '', firstSetId = 1): EncodedRule {
  const encoder = new RuleEncoder(family, firstSetId)
  if (!Array.isArray(statements)) throw invalidArgument(path, 'an array of statements', statements)
  for (const [at, statement] of statements.entries()) encoder.add(statement, `${path}[${at}]`)
  return { expressions: encoder.expressions, sets: encoder.sets }
}

class RuleEncoder {
  readonly expressions: Expression[] = []
  readonly sets: OwnSet[] = []
  readonly #known: Known

  constructor(
    readonly family: Family,
    readonly firstSetId: number
  ) {
    this.#known = knownAtFirst(family)
  }

  add(statement: Statement, path: string): void {
    if (typeof statement !== 'object' || statement === null) throw invalidArgument(path, 'a statement', statement)
    if ('match' in statement && Array.isArray(statement.match)) this.#concat(statement as ConcatMatch, path)
    else if ('match' in statement) this.#match(statement as Match, path)
    else if ('vmap' in statement) this.#verdictMap(statement, path)
    else {
      this.#require(statement, path)
      this.expressions.push(...simpleExpressions(statement, this.family, path))
    }
  }

  /** What has to be known of a packet before this is done with it. */
  #require(statement: Statement, path: string): void {
    const header = headerFor(statement)
    if (!header) return
    for (const dependency of missing(header, this.family, this.#known, path)) this.#match(dependency, path)
  }

  #field(name: unknown, path: string): Field {
    const field = typeof name === 'string' ? fieldOf(name) : undefined
    if (!field) throw invalidArgument(path, 'a field such as "ip saddr" or "@nh,96,32"', name)
    return field
  }

  /** Loads a field into the register of a word, behind what has to be known for it. */
  #prepare(field: Field, path: string): void {
    if (!field.header) return
    for (const dependency of missing(field.header, this.family, this.#known, path)) this.#match(dependency, path)
  }

  #load(field: Field, word = 0, len = field.type.size): void {
    const { name, data } = field.load
    const load = { ...(data as object), ...(name === 'payload' ? { len } : {}), dreg: registerOf(word) }
    this.expressions.push({ name, data: load })
    if (field.mask) this.#mask(Buffer.from(field.mask, 'hex'), word)
  }

  #mask(mask: Buffer, word = 0): void {
    const register = registerOf(word)
    const xor = value(Buffer.alloc(mask.length))
    const data = { sreg: register, dreg: register, len: mask.length, op: 'maskXor', mask: value(mask), xor }
    this.expressions.push({ name: 'bitwise', data })
  }

  #compare(op: keyof typeof CMP, bytes: Buffer): void {
    this.expressions.push({ name: 'cmp', data: { sreg: 1, op: CMP[op], data: value(bytes) } })
  }

  #match(statement: Match, path: string): void {
    const { match, op = '==', value: given, mask } = statement
    const field = this.#field(match, `${path}.match`)
    const { type } = field
    if (op !== '!' && !Object.hasOwn(CMP, op))
      throw invalidArgument(`${path}.op`, `one of ${Object.keys(CMP).join(' ')} !`, op)
    this.#prepare(field, `${path}.match`)
    if (typeof given === 'string' && given.startsWith('@')) this.#lookupNamed(field, given, op, path)
    else if (typeof given === 'object' && given !== null && 'set' in given) this.#lookupOwn(field, given.set, op, path)
    else if (mask !== undefined) this.#masked(field, op, given, mask, path)
    else if (type.bits && (op === '==' || op === '!')) {
      this.#load(field)
      this.#mask(flagsOf(type, given, `${path}.value`))
      this.#compare(op === '!' ? '==' : '!=', Buffer.alloc(type.size))
    } else if (type.bits && op === '!=') {
      this.#load(field)
      this.#compare(op, flagsOf(type, given, `${path}.value`))
    } else if (Array.isArray(given)) this.#lookupOwn(field, given, op, path)
    else if (op === '!') throw invalidArgument(`${path}.op`, '! for flags only', op)
    else this.#compareTo(field, op, operandOf(type, given, `${path}.value`), path)
    learn(this.#known, statement)
  }

  #compareTo(field: Field, op: Exclude<Operator, '!'>, operand: Operand, path: string): void {
    const { type } = field
    const equality = op === '==' || op === '!='
    if (!equality && operand.kind !== 'exact') throw invalidArgument(`${path}.value`, 'one value', op)
    if (operand.kind === 'prefix') {
      const { bits, bytes } = operand
      if (field.load.name === 'payload' && bits % 8 === 0) {
        this.#load(field, 0, bits / 8)
        this.#compare(op, bytes.subarray(0, bits / 8))
      } else {
        this.#load(field)
        this.#mask(maskOf(type.size, bits))
        this.#compare(op, bytes)
      }
      return
    }
    this.#load(field)
    if (operand.kind === 'range' || !equality) this.#toNetworkOrder(type)
    if (operand.kind !== 'range') {
      this.#compare(op, equality ? operand.bytes : ordered(type, operand.bytes))
    } else if (op === '==') {
      this.#compare('>=', ordered(type, operand.from))
      this.#compare('<=', ordered(type, operand.to))
    } else {
      const data = { fromData: value(ordered(type, operand.from)), toData: value(ordered(type, operand.to)) }
      this.expressions.push({ name: 'range', data: { sreg: 1, op: 'neq', ...data } })
    }
  }

  /** Bytes are compared from the first on, whatever number they are. */
  #toNetworkOrder(type: DataType): void {
    if (!type.hostOrder) return
    const data = { sreg: 1, dreg: 1, op: 'hton', len: type.size, size: type.size }
    this.expressions.push({ name: 'byteorder', data })
  }

  #masked(field: Field, op: Operator, given: unknown, mask: unknown, path: string): void {
    const { type } = field
    if (op !== '==' && op !== '!=') throw invalidArgument(`${path}.op`, '== or != with a mask', op)
    const bytesOf = (what: unknown, place: string) =>
      type.bits ? flagsOf(type, what, place) : exactly(type, what, place)
    this.#load(field)
    this.#mask(bytesOf(mask, `${path}.mask`))
    this.#compare(op, bytesOf(given, `${path}.value`))
  }

  #lookupNamed(field: Field, name: string, op: Operator, path: string): void {
    this.#load(field)
    this.#lookup({ set: name.slice(1) }, op, path)
  }

  #lookupOwn(field: Field, values: readonly Key[], op: Operator, path: string): void {
    this.#load(field)
    if (/^@/.test(field.name)) throw invalidArgument(`${path}.value`, 'one value (raw bytes have no sets)', values)
    const set = this.#ownSet(
      [field.type],
      values.map(key => ({ key })),
      undefined,
      `${path}.value`
    )
    this.#lookup(set, op, path)
  }

  #lookup(data: object, op: Operator, path: string): void {
    if (op !== '==' && op !== '!=') throw invalidArgument(`${path}.op`, '== or != with a set', op)
    const flags = op === '!=' ? { flags: { inv: true } } : {}
    this.expressions.push({ name: 'lookup', data: { ...data, sreg: 1, ...flags } })
  }

  #loadAll(names: readonly AnyField[], path: string): DataType[] {
    const all = names.map((name, at) => this.#field(name, names.length > 1 ? `${path}[${at}]` : path))
    for (const [at, field] of all.entries()) this.#prepare(field, names.length > 1 ? `${path}[${at}]` : path)
    let word = 0
    for (const field of all) {
      this.#load(field, word)
      word += Math.ceil(field.type.size / 4)
    }
    if (word > 16) throw invalidArgument(path, 'at most 64 bytes', `${4 * word} bytes`)
    return all.map(field => field.type)
  }

  #concat(statement: ConcatMatch, path: string): void {
    const { match, op = '==', value: given } = statement
    if (match.length < 2) throw invalidArgument(`${path}.match`, 'two fields or more', match)
    const keys = this.#loadAll(match, `${path}.match`)
    if (typeof given === 'string' && given.startsWith('@')) {
      this.#lookup({ set: given.slice(1) }, op, path)
      return
    }
    if (!Array.isArray(given))
      throw invalidArgument(`${path}.value`, 'an array of arrays, or @ and the name of a set', given)
    const set = this.#ownSet(
      keys,
      given.map(key => ({ key })),
      undefined,
      `${path}.value`
    )
    this.#lookup(set, op, path)
  }

  #verdictMap({ vmap, map }: VerdictMap, path: string): void {
    const keys = this.#loadAll(Array.isArray(vmap) ? vmap : [vmap as AnyField], `${path}.vmap`)
    if (typeof map === 'string' && map.startsWith('@')) {
      this.expressions.push({ name: 'lookup', data: { set: map.slice(1), sreg: 1, dreg: 0 } })
      return
    }
    if (!Array.isArray(map)) throw invalidArgument(`${path}.map`, 'pairs of value and verdict, or @ and a name', map)
    for (const [at, pair] of map.entries()) {
      if (!Array.isArray(pair) || !isVerdict(pair[1]))
        throw invalidArgument(`${path}.map[${at}]`, 'a value and a verdict', pair)
    }
    const elements = map.map(([key, verdict]) => ({ key, value: verdict }))
    const set = this.#ownSet(keys, elements, 'verdict', `${path}.map`)
    this.expressions.push({ name: 'lookup', data: { ...set, sreg: 1, dreg: 0 } })
  }

  /** Makes a set of the rule's own; what a lookup says of it. */
  #ownSet(key: DataType[], elements: Element[], data: 'verdict' | undefined, path: string) {
    if (elements.length === 0) throw invalidArgument(path, 'at least one value', elements)
    const keys = elements.map(element => element.key)
    const layout: Layout = { key, interval: isInterval(key, keys, path), data }
    const encoded = encodeElements(layout, elements, path, true)
    const flags = {
      anonymous: true,
      constant: true,
      ...(layout.interval ? { interval: true } : {}),
      ...(layout.interval && key.length > 1 ? { concat: true } : {}),
      ...(data ? { map: true } : {})
    }
    const attributes = {
      flags,
      keyType: concatenatedId(key),
      keyLen: keyLength(key),
      ...(data ? { dataType: DATA_VERDICT } : {}),
      desc: { size: encoded.length, ...(flags.concat ? { concat: key.map(type => ({ len: type.size })) } : {}) },
      userdata: setData(key.length === 1 && (key[0] as DataType).hostOrder)
    }
    const id = this.firstSetId + this.sets.length
    const name = data ? '__map%d' : '__set%d'
    this.sets.push({ id, name, attributes, layout, elements: encoded })
    return { set: name, setId: id }
  }
}

/** The header that a statement other than a comparison takes for granted. */
export function headerFor(statement: Statement): Header | undefined {
  if ('set' in statement) return statement.set === 'udp checksum' ? 'udp' : undefined
  const refusal = 'reject' in statement ? statement.reject.with : undefined
  if (refusal === 'tcp reset') return 'tcp'
  if (refusal?.startsWith('icmp ')) return 'ip'
  return refusal?.startsWith('icmpv6 ') ? 'ip6' : undefined
}

function ordered(type: DataType, bytes: Buffer): Buffer {
  const swap = type.hostOrder && new Uint8Array(Uint16Array.of(1).buffer)[0] === 1
  return swap ? Buffer.from(bytes).reverse() : bytes
}

function exactly(type: DataType, given: unknown, path: string): Buffer {
  const bytes = type.encode(given)
  if (!bytes) throw invalidArgument(path, type.expects, given)
  return bytes
}
