/** Changes of the ruleset, in the words of nft's commands, and the messages that they become. */
import { release } from 'node:os'
import { renamePath } from '../codec/codec.js'
import type { Schema } from '../codec/message.js'
import { invalidArgument, LinkwrightError } from '../errors.js'
import { compareReleases } from '../kernel-release.js'
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_ECHO, NLM_F_EXCL, NLM_F_REPLACE } from '../netlink/constants.js'
import { encodeRequest, type Request } from '../netlink/request.js'
import { chainMessage } from '../nftables/chain.js'
import { type NftVerb, nftType } from '../nftables/messages.js'
import { ruleMessage } from '../nftables/rule.js'
import { setMessage } from '../nftables/set.js'
import { setElementsMessage } from '../nftables/set-element.js'
import { tableMessage } from '../nftables/table.js'
import { hookNumber, priorityNumber } from './chains.js'
import type { Family } from './dependencies.js'
import { encodeElements, type Layout, type RawElement } from './elements.js'
import { encodeRule } from './encode.js'
import type { ChainSpec, ElementsSpec, InTable, RuleSpec, SetSpec, TableSpec } from './objects.js'
import { layoutOf, setAttributes } from './set-layout.js'
import { commentData } from './userdata.js'

type ByName<T> = T & { name: string }
type ByHandle = InTable & { chain: string; handle: number }

export type Addition =
  | { table: TableSpec }
  | { chain: ChainSpec }
  | { rule: RuleSpec }
  | { set: SetSpec }
  | { elements: ElementsSpec }

export type Removal =
  | { table: { family: Family; name: string } }
  | { chain: ByName<InTable> }
  | { rule: ByHandle }
  | { set: ByName<InTable> }
  | { elements: ElementsSpec }

export type Change =
  /** What is there already stays; a chain's policy is changed. */
  | { add: Addition }
  /** `EEXIST` if it is there already. */
  | { create: Exclude<Addition, { rule: RuleSpec }> }
  /** To the beginning of the chain, or before `position`. */
  | { insert: { rule: RuleSpec } }
  | { replace: { rule: RuleSpec & { handle: number } } }
  /** `ENOENT` if it is not there. */
  | { delete: Removal }
  /** If it is there. Before Linux 6.3 of tables and chains only. */
  | { destroy: Removal }
  /** Leaves the object, and takes what is in it. */
  | { flush: { table: { family: Family; name: string } } | { chain: ByName<InTable> } | { set: ByName<InTable> } }

/** Sets by where they are: how the elements of a change are to be laid out. */
export type Layouts = Map<string, Layout>

export const setKey = ({ family, table }: InTable, name: string) => JSON.stringify([family, table, name])

/** Elements in one message: its list takes 64 KiB at most, and an element 400 bytes. */
const ELEMENTS_AT_ONCE = 128

const SCHEMAS = {
  table: tableMessage,
  chain: chainMessage,
  rule: ruleMessage,
  set: setMessage,
  elements: setElementsMessage
}
const NAMES = { table: 'TABLE', chain: 'CHAIN', rule: 'RULE', set: 'SET', elements: 'SETELEM' } as const

type Kind = keyof typeof SCHEMAS

/** Turns changes into messages. Sets that belong to rules get ids that are theirs in the transaction. */
export class ChangeEncoder {
  #nextSetId = 1

  /**
   * @param layouts of sets that exist; those that are added come to them
   * @param echo whether the kernel is to say the handles of what is added
   */
  constructor(
    readonly layouts: Layouts,
    readonly echo: boolean
  ) {}

  /** The messages of a change. Throws `ERR_INVALID_ARG_VALUE` with the path in it. */
  encode(change: Change): Request[] {
    const [[verb, object] = [], ...others] = Object.entries(change ?? {}) as [string, Record<string, object>][]
    const [[kind, spec] = [], ...more] = Object.entries(object ?? {}) as [Kind, never][]
    if (!verb || others.length > 0) throw invalidArgument('', 'a change such as { add: { table } }', change)
    if (!kind || more.length > 0 || !Object.hasOwn(SCHEMAS, kind) || typeof spec !== 'object' || spec === null) {
      throw invalidArgument(verb, `one of the objects ${Object.keys(SCHEMAS).join(', ')}`, kind)
    }
    const path = `${verb}.${kind}`
    // Without a family the kernel would remove the tables of that name of all families.
    familyOf((spec as { family?: unknown }).family, path)
    switch (verb) {
      case 'add':
        return this.#add(kind, spec, NLM_F_CREATE, path)
      case 'create':
        if (kind === 'rule') throw invalidArgument(path, 'no rule (add or insert it)', kind)
        return this.#add(kind, spec, NLM_F_CREATE | NLM_F_EXCL, path)
      case 'insert':
        if (kind !== 'rule') throw invalidArgument(path, 'a rule', kind)
        return this.#rule(spec, NLM_F_CREATE, path)
      case 'replace':
        if (kind !== 'rule') throw invalidArgument(path, 'a rule', kind)
        if ((spec as { handle?: unknown }).handle === undefined)
          throw invalidArgument(`${path}.handle`, 'a handle', undefined)
        return this.#rule(spec, NLM_F_REPLACE, path)
      case 'delete':
        return this.#remove('DEL', kind, spec, path)
      case 'destroy':
        return this.#destroy(kind, spec, path)
      case 'flush':
        return this.#flush(kind, spec, path)
      default:
        throw invalidArgument(verb, 'add, create, insert, replace, delete, destroy or flush', verb)
    }
  }

  #request(verb: string, kind: Kind, value: object, flags: number, path: string): Request {
    const name = `NFT_MSG_${verb}${NAMES[kind]}` as NftVerb
    const { family, table, name: own, set, chain } = value as Record<string, string | undefined>
    const link = [family, table, chain ?? set, own].filter(part => part !== undefined).join(' ')
    const echoed = verb === 'NEW' && kind !== 'elements' && this.echo ? NLM_F_ECHO : 0
    try {
      const options = { flags: flags | echoed, creating: true, link }
      return encodeRequest(name, nftType(name), SCHEMAS[kind] as Schema, value, options)
    } catch (error) {
      throw renamePath(error, inner => (inner ? `${path}.${inner}` : path))
    }
  }

  #add(kind: Kind, spec: never, flags: number, path: string): Request[] {
    if (kind === 'table') return [this.#request('NEW', kind, tableAttributes(spec), flags, path)]
    if (kind === 'chain') return [this.#request('NEW', kind, chainAttributes(spec, path), flags, path)]
    if (kind === 'rule') return this.#rule(spec, flags | NLM_F_APPEND, path)
    return kind === 'set' ? this.#set(spec, flags, path) : this.#elements('NEW', spec, flags, path)
  }

  #rule(spec: RuleSpec & { handle?: number }, flags: number, path: string): Request[] {
    const { family, table, chain, statements, comment, position, handle } = spec
    const { expressions, sets } = encodeRule(familyOf(family, path), statements, `${path}.statements`, this.#nextSetId)
    const requests: Request[] = []
    for (const { id, name, attributes, elements } of sets) {
      requests.push(this.#request('NEW', 'set', { family, table, name, id, ...attributes }, NLM_F_CREATE, path))
      requests.push(...this.#chunks('NEW', { family, table, set: name, setId: id }, elements, NLM_F_CREATE, path))
    }
    this.#nextSetId += sets.length
    const userdata = commentData(comment)
    const rule = { family, table, chain, handle, position, expressions, userdata }
    requests.push(this.#request('NEW', 'rule', rule, flags, path))
    return requests
  }

  #set(spec: SetSpec, flags: number, path: string): Request[] {
    const { family, table, name, elements = [] } = spec
    const layout = layoutOf(spec, path)
    this.layouts.set(setKey(spec, name), layout)
    const attributes = { family, table, name, id: this.#nextSetId++, ...setAttributes(spec, layout, path) }
    const encoded = encodeElements(layout, elements, `${path}.elements`)
    return [
      this.#request('NEW', 'set', attributes, flags, path),
      ...this.#chunks('NEW', { family, table, set: name }, encoded, NLM_F_CREATE, path)
    ]
  }

  #elements(verb: string, spec: ElementsSpec, flags: number, path: string): Request[] {
    const { family, table, set, elements } = spec
    const layout = this.layouts.get(setKey(spec, set))
    if (!layout) throw invalidArgument(`${path}.set`, 'a set whose type is known', set)
    if (!Array.isArray(elements)) throw invalidArgument(`${path}.elements`, 'an array of elements', elements)
    // To remove something, its key says it.
    const given = verb === 'NEW' ? elements : elements.map(({ key }) => ({ key }))
    const encoded = encodeElements(verb === 'NEW' ? layout : { ...layout, data: undefined }, given, `${path}.elements`)
    return this.#chunks(verb, { family, table, set }, encoded, flags, path)
  }

  #chunks(verb: string, set: object, elements: readonly RawElement[], flags: number, path: string): Request[] {
    const requests: Request[] = []
    for (let at = 0; at < elements.length; at += ELEMENTS_AT_ONCE) {
      const value = { ...set, elements: elements.slice(at, at + ELEMENTS_AT_ONCE) }
      requests.push(this.#request(verb, 'elements', value, flags, path))
    }
    return requests
  }

  #remove(verb: 'DEL' | 'DESTROY', kind: Kind, spec: never, path: string): Request[] {
    if (kind === 'elements') return this.#elements(verb, spec, 0, path)
    const { family, table, name, chain, handle } = spec as Partial<Record<string, string>>
    const required = kind === 'rule' ? { chain, handle } : { name }
    for (const [key, given] of Object.entries(required)) {
      // Without it the kernel would take more than what is meant.
      if (given === undefined || given === '')
        throw invalidArgument(`${path}.${key}`, `the ${key} of what is to go`, given)
    }
    if (kind !== 'table' && !table) throw invalidArgument(`${path}.table`, 'a table', table)
    const value = kind === 'table' ? { family, name } : { family, table, ...required }
    return [this.#request(verb, kind, value, 0, path)]
  }

  #destroy(kind: Kind, spec: never, path: string): Request[] {
    if (compareReleases(release(), '6.3') >= 0) return this.#remove('DESTROY', kind, spec, path)
    if (kind !== 'table' && kind !== 'chain') {
      throw new LinkwrightError(
        `${path}: this kernel (${release()}) can destroy tables and chains only, others since 6.3`,
        {
          code: 'ERR_UNSUPPORTED',
          path
        }
      )
    }
    // What is there already stays as it is, and goes as well.
    const { family, table, name } = spec as Record<string, string>
    const value = kind === 'table' ? { family, name } : { family, table, name }
    const added = encodeRequest(
      `NFT_MSG_NEW${NAMES[kind]}`,
      nftType(`NFT_MSG_NEW${NAMES[kind]}`),
      SCHEMAS[kind] as Schema,
      value,
      {
        flags: NLM_F_CREATE,
        creating: true
      }
    )
    return [added, ...this.#remove('DEL', kind, spec, path)]
  }

  #flush(kind: Kind, spec: never, path: string): Request[] {
    const { family, table, name } = spec as Record<string, string>
    if (!name) throw invalidArgument(`${path}.name`, 'a name', name)
    if (kind === 'table') return [this.#request('DEL', 'rule', { family, table: name }, 0, path)]
    if (!table) throw invalidArgument(`${path}.table`, 'a table', table)
    if (kind === 'chain') return [this.#request('DEL', 'rule', { family, table, chain: name }, 0, path)]
    if (kind === 'set') return [this.#request('DEL', 'elements', { family, table, set: name }, 0, path)]
    throw invalidArgument(path, 'a table, chain or set', kind)
  }
}

const FAMILIES: ReadonlySet<unknown> = new Set(['ip', 'ip6', 'inet', 'arp', 'bridge', 'netdev'])

function familyOf(family: unknown, path: string): Family {
  if (!FAMILIES.has(family)) throw invalidArgument(`${path}.family`, [...FAMILIES].join(' | '), family)
  return family as Family
}

function tableAttributes({ family, name, dormant, owned, comment }: TableSpec): object {
  const flags = dormant || owned ? { dormant: dormant ?? false, owner: owned ?? false } : undefined
  return { family, name, flags, userdata: commentData(comment) }
}

function chainAttributes(spec: ChainSpec, path: string): object {
  const { family, table, name, hook, type, priority, policy, devs, comment } = spec
  const userdata = commentData(comment)
  if (hook === undefined) {
    for (const [key, given] of Object.entries({ type, priority, devs })) {
      if (given !== undefined) throw invalidArgument(`${path}.${key}`, 'nothing without a hook', given)
    }
    return { family, table, name, policy, userdata }
  }
  if (priority === undefined) throw invalidArgument(`${path}.priority`, 'a priority', priority)
  const known = familyOf(family, path)
  const [only] = devs ?? []
  const place = {
    hooknum: hookNumber(known, hook, `${path}.hook`),
    priority: priorityNumber(known, priority, `${path}.priority`),
    // Kernels before 5.5 know one.
    ...(devs?.length === 1 ? { dev: only } : { devs })
  }
  return { family, table, name, hook: place, type: type ?? 'filter', policy, userdata }
}
