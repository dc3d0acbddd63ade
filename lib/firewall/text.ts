/** Statements as nft writes them. */
import type { Family } from './dependencies.js'
import { dataOf, type Expression, type Verdict, verdictText } from './expressions.js'
import { type Field, fieldOf } from './fields.js'
import type { AddressNat, Limit, Log, Match, PortsNat, Statement } from './statements.js'

/** `ip saddr 10.0.0.0/8 counter accept`, as in a rule of nft. */
export function ruleText(statements: readonly Statement[], family?: Family): string {
  return statements.map(statement => statementText(statement, family)).join(' ')
}

export function statementText(statement: Statement, family?: Family): string {
  if ('match' in statement) return matchText(statement as Match)
  if ('vmap' in statement) {
    const read = fieldsOf(statement.vmap)
    const { map } = statement
    const pair = ([key, verdict]: readonly [unknown, Verdict]) => `${keyText(read, key)} : ${verdictText(verdict)}`
    return `${nameOf(read)} vmap ${typeof map === 'string' ? map : `{ ${map.map(pair).join(', ')} }`}`
  }
  if ('verdict' in statement) return verdictText(statement.verdict)
  if ('counter' in statement) {
    const { packets, bytes } = statement.counter
    return packets === undefined && bytes === undefined
      ? 'counter'
      : `counter packets ${packets ?? 0} bytes ${bytes ?? 0}`
  }
  if ('quota' in statement) {
    const { bytes, over } = statement.quota
    return `quota ${over ? 'over ' : ''}${amount(bytes)}`
  }
  if ('limit' in statement) return limitText(statement)
  if ('log' in statement) return logText(statement)
  if ('reject' in statement) return statement.reject.with ? `reject with ${statement.reject.with}` : 'reject'
  if ('masquerade' in statement) return natText('masquerade', statement.masquerade)
  if ('redirect' in statement) return natText('redirect', statement.redirect)
  if ('snat' in statement) return natText(`snat${natFamily(statement.snat, family)}`, statement.snat)
  if ('dnat' in statement) return natText(`dnat${natFamily(statement.dnat, family)}`, statement.dnat)
  if ('set' in statement) return `${statement.set} set ${settableText(statement.set, statement.to)}`
  return rawText(statement.raw)
}

function fieldsOf(names: string | readonly string[]): Field[] {
  return [names].flat().flatMap(name => fieldOf(name) ?? [])
}

const nameOf = (read: readonly Field[]) => read.map(field => field.name).join(' . ')

/** A value that is no range or set; several with dots between. */
function keyText(read: readonly Field[], key: unknown): string {
  if (Array.isArray(key)) return key.map((part, at) => keyText([read[at] as Field], part)).join(' . ')
  const type = read[0]?.type
  if (!type) return String(key)
  if (typeof key === 'string' && type.ranges && !type.encode(key)) {
    const [first, last] = key.split('-').map(part => type.encode(part))
    if (first && last) return `${type.text(type.decode(first))}-${type.text(type.decode(last))}`
  }
  const bytes = type.encode(key)
  // Names of numbers, whichever way they were given.
  return type.text(bytes && type.name !== 'ifname' ? type.decode(bytes) : (key as string))
}

function matchText(statement: Match): string {
  const { match, op = '==', value, mask } = statement
  const read = fieldsOf(match)
  const name = nameOf(read)
  const list = (values: readonly unknown[]) => `{ ${values.map(key => keyText(read, key)).join(', ')} }`
  const flags = (given: unknown) => [given].flat().join(',')
  const isFlags = read.length === 1 && read[0]?.type.bits !== undefined
  const sign = op === '==' ? '' : ` ${op}`
  if (typeof value === 'string' && value.startsWith('@')) return `${name}${sign} ${value}`
  if (typeof value === 'object' && 'set' in value) return `${name}${sign} ${list(value.set)}`
  if (mask !== undefined) {
    if (isFlags) return `${name}${sign} ${flags(value)} / ${flags(mask)}`
    return `${name} & ${keyText(read, mask)} ${op} ${keyText(read, value)}`
  }
  if (isFlags) return `${name}${sign} ${flags(value)}`
  return `${name}${sign} ${Array.isArray(value) ? list(value) : keyText(read, value)}`
}

const STEPS = ['bytes', 'kbytes', 'mbytes']

/** Bytes in the largest unit that they are a multiple of. */
function amount(bytes: number): string {
  let step = 0
  let left = bytes
  while (left > 0 && left % 1024 === 0 && step < STEPS.length - 1) {
    left /= 1024
    step++
  }
  return `${left} ${STEPS[step]}`
}

function limitText({ limit: { rate, per, bytes, burst, over } }: Limit): string {
  const speed = bytes ? `${amount(rate)}/${per}` : `${rate}/${per}`
  const extra = burst === undefined ? '' : ` burst ${bytes ? amount(burst) : `${burst} packets`}`
  return `limit rate ${over ? 'over ' : ''}${speed}${extra}`
}

function logText({ log: { prefix, level, group, snaplen, queueThreshold } }: Log): string {
  const parts = ['log']
  if (prefix !== undefined) parts.push(`prefix "${prefix}"`)
  if (group !== undefined) parts.push(`group ${group}`)
  if (snaplen !== undefined) parts.push(`snaplen ${snaplen}`)
  if (queueThreshold !== undefined) parts.push(`queue-threshold ${queueThreshold}`)
  if (level !== undefined) parts.push(`level ${level}`)
  return parts.join(' ')
}

/** In tables of both families nft says which. */
function natFamily({ to }: AddressNat, family: Family | undefined): string {
  if (family !== 'inet' || to === undefined) return ''
  return to.includes(':') ? ' ip6' : ' ip'
}

function natText(verb: string, nat: PortsNat & AddressNat): string {
  const { to, toPorts, random, fullyRandom, persistent } = nat
  const flags = [random && 'random', fullyRandom && 'fully-random', persistent && 'persistent']
    .filter(Boolean)
    .join(',')
  const ports = toPorts === undefined ? '' : `:${toPorts}`
  const bracketed =
    to?.includes(':') && ports
      ? to
          .split('-')
          .map(address => `[${address}]`)
          .join('-')
      : to
  const target = to === undefined && ports === '' ? '' : ` to ${bracketed ?? ''}${ports}`
  return `${verb}${target}${flags ? ` ${flags}` : ''}`
}

function settableText(set: string, to: number | 'rt mtu'): string {
  return set.endsWith('mark') && typeof to === 'number' ? `0x${to.toString(16).padStart(8, '0')}` : String(to)
}

/** What nft would have other words for. */
function rawText(expression: Expression): string {
  if (typeof expression.data === 'string') return `[ ${expression.name} 0x${expression.data} ]`
  const parts = Object.entries(dataOf(expression)).map(([name, value]) => `${name} ${textOf(value)}`)
  return `[ ${[expression.name, ...parts].join(' ')} ]`
}

function textOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value)
  const entries = Object.entries(value)
  if (entries.length === 1 && 'value' in value) return `0x${value.value}`
  return entries
    .filter(([, inner]) => inner !== false)
    .map(([name, inner]) => (inner === true ? name : `${name} ${textOf(inner)}`))
    .join(' ')
}
