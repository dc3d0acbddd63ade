/** What becomes of all packets of some links in a chain, as far as rules say it of nothing but links. */
import { isVerdict, type Verdict } from '../../firewall/expressions.js'
import type { HookedChain } from '../../firewall/nftables.js'
import type { Rule, Ruleset } from '../../firewall/objects.js'
import type { Statement } from '../../firewall/statements.js'
import { withoutXtables } from '../../firewall/xtables.js'
import { isIn } from './situation.js'

/** Where a chain drops them: a rule, or the policy. */
export interface Dropping {
  readonly family: string
  readonly table: string
  readonly chain: string
  readonly hook: string | undefined
  readonly priority: number | undefined
  /** As nft writes it; `policy drop` for that. */
  readonly rule: string
}

/** Names and ifindexes that packets of a way come and go by. */
export interface Way {
  readonly names: ReadonlySet<string>
  readonly indexes: ReadonlySet<number>
}

const LINKS = new Set(['iif', 'oif', 'iifname', 'oifname', 'meta ibrname', 'meta obrname'])
const HARMLESS = new Set(['counter', 'log'])
const DEEPEST = 16

type Fate = { drop: Rule } | 'accept' | 'end' | undefined

/** `undefined` where it is not certain that all are dropped. */
export function dropsAll(ruleset: Ruleset, chain: HookedChain, way: Way): Dropping | undefined {
  const { family, table, name, hook, priority } = chain
  const place = { family, table, chain: name, hook, priority }
  const fate = fateIn(ruleset, chain.rules, way, 0)
  if (typeof fate === 'object') return { ...place, chain: fate.drop.chain, rule: String(fate.drop) }
  if (fate === 'accept' || chain.policy !== 'drop') return undefined
  // Where something is accepted, it may be just these packets.
  if (fate === undefined && acceptsSome(ruleset, chain.rules, way, 0)) return undefined
  return { ...place, rule: 'policy drop' }
}

function fateIn(ruleset: Ruleset, rules: readonly Rule[], way: Way, depth: number): Fate {
  for (const [at, rule] of rules.entries()) {
    const statements = withoutXtables(rule.statements)
    if (!statements.slice(0, -1).every(statement => isHarmless(statement) || isAboutWay(statement, way))) continue
    const verdict = verdictOf(statements.at(-1), way)
    // What was accepted before may be just these packets.
    const uncertain = () => acceptsSome(ruleset, rules.slice(0, at), way, depth)
    if (verdict === 'drop') return uncertain() ? 'accept' : { drop: rule }
    if (verdict === 'accept') return 'accept'
    if (verdict === 'return') return 'end'
    if (typeof verdict !== 'object' || depth === DEEPEST) continue
    const name = 'jump' in verdict ? verdict.jump : verdict.goto
    const fate = fateIn(ruleset, rulesOf(ruleset, rule, name), way, depth + 1)
    if (fate === 'accept' || (fate !== undefined && fate !== 'end' && uncertain())) return 'accept'
    if (fate !== undefined && fate !== 'end') return fate
    if ('goto' in verdict) return 'end'
  }
  return undefined
}

function acceptsSome(ruleset: Ruleset, rules: readonly Rule[], way: Way, depth: number): boolean {
  return rules.some(rule => {
    const statements = withoutXtables(rule.statements)
    const strange = statements.some(statement => isAboutLinks(statement) && !isAboutWay(statement, way))
    if (strange) return false
    const verdict = verdictOf(statements.at(-1), way)
    if (verdict === 'accept') return !isEstablished(statements)
    if (typeof verdict !== 'object' || depth === DEEPEST) return false
    const name = 'jump' in verdict ? verdict.jump : verdict.goto
    return acceptsSome(ruleset, rulesOf(ruleset, rule, name), way, depth + 1)
  })
}

/** Nothing is established where nothing new comes through. */
function isEstablished(statements: readonly Statement[]): boolean {
  return statements.some(
    statement =>
      'match' in statement && statement.match === 'ct state' && !JSON.stringify(statement.value).includes('new')
  )
}

const rulesOf = (ruleset: Ruleset, place: Rule, name: string) => ruleset.rules.filter(rule => isIn(rule, place, name))

const isHarmless = (statement: Statement) => Object.keys(statement).every(key => HARMLESS.has(key))

const isAboutLinks = (statement: Statement) =>
  'match' in statement && typeof statement.match === 'string' && LINKS.has(statement.match)

function isAboutWay(statement: Statement, way: Way): boolean {
  if (!isAboutLinks(statement) || !('match' in statement)) return false
  const { value, op = '==' } = statement as { value: unknown; op?: string }
  const values = Array.isArray(value) ? value : [value]
  if (values.some(each => typeof each === 'string' && each.startsWith('@'))) return false
  return values.some(each => isOfWay(each, way)) === (op === '==')
}

function isOfWay(value: unknown, { names, indexes }: Way): boolean {
  if (typeof value === 'number') return indexes.has(value)
  const text = String(value)
  if (!/[^\\]\*$/.test(text)) return names.has(text)
  return [...names].some(name => name.startsWith(text.slice(0, -1)))
}

function verdictOf(statement: Statement | undefined, way: Way): Verdict | undefined {
  if (!statement) return undefined
  if ('reject' in statement) return 'drop'
  if ('verdict' in statement) return statement.verdict
  if (!('vmap' in statement) || typeof statement.vmap !== 'string' || !LINKS.has(statement.vmap)) return undefined
  if (typeof statement.map === 'string') return undefined
  const pair = statement.map.find(([key]) => isOfWay(key, way))
  return pair && isVerdict(pair[1]) ? pair[1] : undefined
}
