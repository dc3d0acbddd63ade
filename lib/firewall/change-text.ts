/** Changes as commands of nft. */
import type { Change } from './changes.js'
import { setTypes } from './data-types.js'
import type { Element } from './elements.js'
import { isVerdict, verdictText } from './expressions.js'
import type { ChainSpec, ElementsSpec, RuleSpec, SetSpec, TableSpec } from './objects.js'
import { ruleText } from './text.js'

/** `add rule ip guests nat ip saddr 192.168.122.0/24 masquerade` */
export function changeText(change: Change): string {
  const [[verb, object] = ['', {}]] = Object.entries(change) as [string, object][]
  const [[kind, spec] = ['', undefined]] = Object.entries(object) as [string, unknown][]
  const isNew = verb === 'add' || verb === 'create'
  switch (kind) {
    case 'table':
      return `${verb} table ${tableText(spec as TableSpec, isNew)}`
    case 'chain':
      return `${verb} chain ${chainText(spec as ChainSpec, isNew)}`
    case 'rule':
      return `${verb} rule ${ruleCommand(spec as RuleSpec, verb)}`
    case 'set':
      return `${verb} ${(spec as SetSpec).map === undefined ? 'set' : 'map'} ${setText(spec as SetSpec, isNew)}`
    default:
      return `${verb} element ${elementsText(spec as ElementsSpec)}`
  }
}

const braces = (parts: readonly (string | false | undefined)[]) => {
  const given = parts.filter(Boolean)
  return given.length > 0 ? ` { ${given.map(part => `${part};`).join(' ')} }` : ''
}
const commentPart = (comment: string | undefined) => comment !== undefined && `comment "${comment}"`

function tableText({ family, name, dormant, owned, comment }: TableSpec, isNew: boolean): string {
  const flags = [dormant && 'dormant', owned && 'owner'].filter(Boolean).join(', ')
  return `${family} ${name}${isNew ? braces([commentPart(comment), flags && `flags ${flags}`]) : ''}`
}

function chainText(
  { family, table, name, hook, type, priority, policy, devs, comment }: ChainSpec,
  isNew: boolean
): string {
  if (!isNew) return `${family} ${table} ${name}`
  const place = devs ? ` devices = { ${devs.map(dev => `"${dev}"`).join(', ')} }` : ''
  const base = hook && `type ${type ?? 'filter'} hook ${hook}${place} priority ${priority}`
  return `${family} ${table} ${name}${braces([base, policy && `policy ${policy}`, commentPart(comment)])}`
}

function ruleCommand(spec: RuleSpec & { handle?: number }, verb: string): string {
  const { family, table, chain, statements = [], comment, position, handle } = spec
  const place = handle !== undefined ? ` handle ${handle}` : position !== undefined ? ` position ${position}` : ''
  if (verb === 'delete' || verb === 'destroy') return `${family} ${table} ${chain}${place}`
  const said = comment === undefined ? '' : ` comment "${comment}"`
  return `${family} ${table} ${chain}${place} ${ruleText(statements, family)}${said}`
}

function setText(spec: SetSpec, isNew: boolean): string {
  const { family, table, name, type, map, flags, timeout, gcInterval, size, comment, elements } = spec
  if (!isNew) return `${family} ${table} ${name}`
  const parts = [
    `type ${[type].flat().join(' . ')}${map === undefined ? '' : ` : ${map}`}`,
    flags && flags.length > 0 && `flags ${flags.join(', ')}`,
    timeout !== undefined && `timeout ${timeout}ms`,
    gcInterval !== undefined && `gc-interval ${gcInterval}ms`,
    size !== undefined && `size ${size}`,
    commentPart(comment),
    elements &&
      elements.length > 0 &&
      `elements = { ${elements.map(element => elementText(element, type)).join(', ')} }`
  ]
  return `${family} ${table} ${name}${braces(parts)}`
}

function elementsText({ family, table, set, elements }: ElementsSpec): string {
  return `${family} ${table} ${set} { ${elements.map(element => elementText(element)).join(', ')} }`
}

function elementText({ key, value, timeout, comment }: Element, type?: string | readonly string[]): string {
  const names = type === undefined ? [] : [type].flat()
  const parts = [key].flat().map((part, at) => {
    const known = setTypes.get(names[at] ?? '')
    return known?.encode(part) ? known.text(part) : String(part)
  })
  const extra = [timeout !== undefined && `timeout ${timeout}ms`, commentPart(comment)].filter(Boolean).join(' ')
  const mapped = value === undefined ? '' : ` : ${isVerdict(value) ? verdictText(value) : value}`
  return `${parts.join(' . ')}${extra ? ` ${extra}` : ''}${mapped}`
}
