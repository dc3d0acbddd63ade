/** What the kernel says of tables, chains, rules and sets, as plain objects. */
import type { Message } from '../netlink/framing.js'
import { chainMessage } from '../nftables/chain.js'
import { ruleMessage } from '../nftables/rule.js'
import { setMessage } from '../nftables/set.js'
import { setElementsMessage } from '../nftables/set-element.js'
import { tableMessage } from '../nftables/table.js'
import { hookName } from './chains.js'
import { decodeRule, type OwnElements } from './decode.js'
import type { Family } from './dependencies.js'
import { decodeElements, type RawElement } from './elements.js'
import type { Expression } from './expressions.js'
import type { Chain, NftSet, Rule, SetFlag, Table } from './objects.js'
import { layoutIn } from './set-layout.js'
import { ruleText } from './text.js'
import { commentIn, setCommentIn } from './userdata.js'

/** Handles are counted from 1 in each table. */
const numberOf = (value: bigint | undefined) => Number(value ?? 0n)
const hexOf = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex')
const given = <T extends object>(object: T): T =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T

export function tableIn({ data, start, end }: Message): Table {
  const view = tableMessage.read(data, start, end)
  return given({
    family: view.family as Family,
    name: view.name ?? '',
    handle: numberOf(view.handle),
    dormant: view.flags?.dormant ?? false,
    owner: view.owner as number,
    comment: commentIn(hexOf(view.userdata)) as string
  })
}

export function chainIn({ data, start, end }: Message): Chain {
  const view = chainMessage.read(data, start, end)
  const family = view.family as Family
  const { hooknum, priority, dev, devs } = view.hook ?? {}
  return given({
    family,
    table: view.table ?? '',
    name: view.name ?? '',
    handle: numberOf(view.handle),
    hook: hooknum === undefined ? undefined : hookName(family, hooknum),
    type: view.type,
    priority,
    policy: typeof view.policy === 'string' ? view.policy : undefined,
    devs: devs ?? (dev === undefined ? undefined : [dev]),
    comment: commentIn(hexOf(view.userdata))
  }) as Chain
}

/** Text for people: not among what is compared or stored. */
class ReadRule implements Rule {
  declare readonly comment?: string

  constructor(
    readonly family: Family,
    readonly table: string,
    readonly chain: string,
    readonly handle: number,
    readonly statements: Rule['statements'],
    readonly expressions: readonly Expression[],
    comment: string | undefined
  ) {
    if (comment !== undefined) this.comment = comment
  }

  toString(): string {
    const text = ruleText(this.statements, this.family)
    return this.comment === undefined ? text : `${text} comment "${this.comment}"`.trimStart()
  }
}

/** @param elements of the sets that belong to rules of its table */
export function ruleIn({ data, start, end }: Message, elements: (rule: { table: string }) => OwnElements): Rule {
  const view = ruleMessage.read(data, start, end)
  const family = view.family as Family
  const table = view.table ?? ''
  const expressions = (view.toJSON()['expressions'] ?? []) as Expression[]
  const statements = decodeRule(family, expressions, elements({ table }))
  const comment = commentIn(hexOf(view.userdata))
  return new ReadRule(family, table, view.chain ?? '', numberOf(view.handle), statements, expressions, comment)
}

const FLAGS: readonly [SetFlag, 'interval' | 'timeout' | 'constant' | 'eval'][] = [
  ['interval', 'interval'],
  ['timeout', 'timeout'],
  ['constant', 'constant'],
  ['dynamic', 'eval']
]

export function setIn({ data, start, end }: Message, raw: readonly RawElement[] | undefined): NftSet {
  const view = setMessage.read(data, start, end)
  const { flags } = view
  const layout = layoutIn({ keyType: view.keyType, keyLen: view.keyLen, dataType: view.dataType, flags })
  return given({
    family: view.family as Family,
    table: view.table ?? '',
    name: view.name ?? '',
    handle: numberOf(view.handle),
    type: layout?.key.map(type => type.name) as readonly string[],
    map: (typeof layout?.data === 'object' ? layout.data.name : layout?.data) as string,
    flags: FLAGS.filter(([, bit]) => flags?.[bit]).map(([name]) => name),
    anonymous: flags?.anonymous ?? false,
    timeout: (view.timeout === undefined ? undefined : Number(view.timeout)) as number,
    size: view.desc?.size as number,
    comment: setCommentIn(hexOf(view.userdata)) as string,
    elements: (layout && raw && decodeElements(layout, raw)) as NftSet['elements'] & object,
    raw: raw as readonly RawElement[]
  })
}

/** Elements in a message of many. */
export function elementsIn({ data, start, end }: Message): RawElement[] {
  return (setElementsMessage.read(data, start, end).toJSON()['elements'] ?? []) as RawElement[]
}
