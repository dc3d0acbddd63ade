/** Whether tables of others drop a packet: their chains run over a sample of which only some fields are known. */
import type { Rule, Ruleset } from '../../firewall/objects.js'
import type { Match, Statement } from '../../firewall/statements.js'
import { withoutXtables } from '../../firewall/xtables.js'

/** A packet that has to pass a hook. */
export interface Wanted {
  readonly what: string
  readonly hook: 'input' | 'forward'
  readonly family: 'inet' | 'inet6'
  readonly iifname?: string
  readonly oifname?: string
  readonly protocol: 'tcp' | 'udp'
  readonly dport: number
  readonly state?: 'new' | 'established'
}

type Chain = Ruleset['chains'][number]

/** A rule may match for packets of this sort, or not: the sample does not say. */
type Answer = 'yes' | 'no' | 'maybe'
type Outcome = 'accept' | 'drop' | 'continue' | 'unknown'

/** Base chains that drop it for certain. */
export function droppedBy({ chains, rules }: Ruleset, wanted: Wanted, except: string | undefined): Chain[] {
  const families = ['inet', wanted.family === 'inet' ? 'ip' : 'ip6']
  const met = chains.filter(({ hook, family, table }) => {
    return hook === wanted.hook && families.includes(family) && table !== except
  })
  return met.filter(chain => {
    const outcome = run(chain, chains, rules, wanted, 0)
    return outcome === 'drop' || (outcome === 'continue' && chain.policy === 'drop')
  })
}

/** Chains may jump this deep (NFT_JUMP_STACK_SIZE). */
const DEPTH = 16

function run(chain: Chain, chains: readonly Chain[], rules: readonly Rule[], wanted: Wanted, depth: number): Outcome {
  if (depth > DEPTH) return 'unknown'
  const own = rules.filter(({ family, table, chain: name }) => {
    return family === chain.family && table === chain.table && name === chain.name
  })
  let mayReturn = false
  for (const { statements } of own) {
    const outcome = ruleOutcome(withoutXtables(statements), chain, chains, rules, wanted, depth)
    if (outcome === 'return') break
    if (outcome === 'may return') mayReturn = true
    else if (outcome !== 'continue') return mayReturn ? orReturned(outcome) : outcome
  }
  return 'continue'
}

/** It is dropped here, or goes on where the chain was called from: certain is what comes of both. */
const orReturned = (outcome: Outcome): Outcome => (outcome === 'drop' ? 'continue' : 'unknown')

function ruleOutcome(
  statements: readonly Statement[],
  chain: Chain,
  chains: readonly Chain[],
  rules: readonly Rule[],
  wanted: Wanted,
  depth: number
): Outcome | 'return' | 'may return' {
  let certain = true
  for (const statement of statements) {
    const answer =
      'match' in statement && typeof statement.match === 'string'
        ? answerOf(statement as Match, wanted)
        : other(statement)
    if (answer === 'no') return 'continue'
    if (answer === 'maybe') certain = false
    const outcome = verdictOf(statement, chain, chains, rules, wanted, depth)
    if (outcome === undefined || outcome === 'continue') continue
    if (certain) return outcome
    if (outcome === 'return') return 'may return'
    // A drop that need not come is no finding; an accept that may come makes one wrong.
    return outcome === 'drop' ? 'continue' : 'unknown'
  }
  return 'continue'
}

/** Statements without a condition that is known here. */
function other(statement: Statement): Answer {
  const plain = 'counter' in statement || 'log' in statement || 'verdict' in statement || 'reject' in statement
  return plain ? 'yes' : 'maybe'
}

function verdictOf(
  statement: Statement,
  { family, table }: Chain,
  chains: readonly Chain[],
  rules: readonly Rule[],
  wanted: Wanted,
  depth: number
): Outcome | 'return' | undefined {
  if ('reject' in statement) return 'drop'
  if ('vmap' in statement) return 'unknown'
  if (!('verdict' in statement)) return undefined
  const { verdict } = statement
  if (verdict === 'drop' || verdict === 'accept') return verdict
  if (verdict === 'return') return 'return'
  if (typeof verdict !== 'object') return undefined
  const name = 'jump' in verdict ? verdict.jump : 'goto' in verdict ? verdict.goto : undefined
  const next = chains.find(each => each.family === family && each.table === table && each.name === name)
  if (!next) return 'unknown'
  const outcome = run(next, chains, rules, wanted, depth + 1)
  return outcome === 'continue' && 'goto' in verdict ? 'return' : outcome
}

/** What is known of the packet, by field: `undefined` where it is not. */
function knownOf(match: string, wanted: Wanted): readonly (string | number)[] | undefined {
  const { iifname, oifname, protocol, dport, family, state } = wanted
  switch (match) {
    case 'iifname':
      return iifname === undefined ? undefined : [iifname]
    case 'oifname':
      // What goes to the host itself goes out nowhere.
      return wanted.hook === 'input' ? [''] : oifname === undefined ? undefined : [oifname]
    case 'meta l4proto':
    case 'ip protocol':
    case 'ip6 nexthdr':
      return [protocol, protocol === 'tcp' ? 6 : 17]
    case 'meta nfproto':
      return family === 'inet' ? ['ipv4', 2] : ['ipv6', 10]
    case 'tcp dport':
    case 'udp dport':
    case 'th dport':
      return match.startsWith(protocol) || match.startsWith('th') ? [dport] : []
    case 'ct state':
      return [state ?? 'new']
    case 'ct status':
      // Nothing was translated.
      return ['none']
    default:
      return match.startsWith('icmp') || match.startsWith('sctp') ? [] : undefined
  }
}

function answerOf({ match, op = '==', value, mask }: Match, wanted: Wanted): Answer {
  const known = mask === undefined ? knownOf(match, wanted) : undefined
  if (known === undefined || op === '<' || op === '>' || op === '<=' || op === '>=') return 'maybe'
  const values: readonly (string | number)[] = isSet(value)
    ? value.set
    : Array.isArray(value)
      ? value
      : [value as string]
  if (values.some(each => typeof each === 'string' && each.startsWith('@'))) return 'maybe'
  const hit = values.some(each => known.some(one => isIn(one, each)))
  // Of a packet that has no such header neither holds.
  if (known.length === 0) return 'no'
  return hit === (op === '==') ? 'yes' : 'no'
}

function isSet(value: Match['value']): value is { readonly set: readonly (string | number)[] } {
  return typeof value === 'object' && !Array.isArray(value)
}

function isIn(one: string | number, each: string | number): boolean {
  if (String(one) === String(each)) return true
  const [, first, last] = /^(\d+)-(\d+)$/.exec(String(each)) ?? []
  if (typeof one === 'number' && first !== undefined) return one >= Number(first) && one <= Number(last)
  return typeof one === 'string' && String(each).endsWith('*') && one.startsWith(String(each).slice(0, -1))
}
