/** The step that makes a network's table, or makes it what it should be. */
import { constants } from 'node:os'
import { LinkwrightError } from '../../errors.js'
import { changeText } from '../../firewall/change-text.js'
import type { Change } from '../../firewall/changes.js'
import type { ChainSpec, Ruleset } from '../../firewall/objects.js'
import { isSameRule } from '../../firewall/same.js'
import { batchOf } from '../../firewall/transaction.js'
import type { Finding } from '../finding.js'
import type { Step } from '../step.js'
import type { Operation } from '../way-back.js'
import { commentOf, rulesOf, tableOf } from './rules.js'
import { type Situation, withNftables } from './situation.js'
import type { GuestNetwork } from './spec.js'

const FAMILY = 'inet'
const NETLINK_NETFILTER = 12

export interface FirewallPart {
  readonly steps: readonly Step[]
  readonly conflicts: readonly Finding[]
}

export function firewallOf(name: string, network: GuestNetwork, { ruleset }: Situation): FirewallPart {
  const wanted = rulesOf(name, network)
  const table = tableOf(name)
  const found = ruleset?.tables.find(each => each.family === FAMILY && each.name === table)
  if (!found || !ruleset) return { steps: [replacing(name, [], wanted)], conflicts: [] }
  if (found.comment !== commentOf(name)) {
    const message = `the table ${FAMILY} ${table} is not this network's: it has another comment`
    return { steps: [], conflicts: [{ code: 'table-taken', message, about: table }] }
  }
  if (isSame(ruleset, table, wanted)) return { steps: [], conflicts: [] }
  return { steps: [replacing(name, contentOf(ruleset, table, name), wanted)], conflicts: [] }
}

/** @param before what makes the table as it is; nothing if there is none */
function replacing(name: string, before: readonly Change[], wanted: readonly Change[]): Step {
  const remove: Change = { delete: { table: { family: FAMILY, name: tableOf(name) } } }
  const changes = before.length > 0 ? [remove, ...wanted] : wanted
  return {
    name: 'firewall',
    commands: changes.map(commandOf),
    back: [],
    async apply({ net, signal, undoAlso }) {
      await withNftables(net, async nftables => {
        // One of the name that somebody else made since then is not to go with the way back.
        const there = before.length > 0 ? [] : await nftables.tables({ family: FAMILY, table: tableOf(name), signal })
        if (there.length > 0) throw taken(tableOf(name))
        await undoAlso(...backTo(name, before))
        await nftables.transaction(changes, { handles: false, signal })
      })
    }
  }
}

function taken(table: string): LinkwrightError {
  return new LinkwrightError(`EEXIST: somebody else made the table ${FAMILY} ${table} meanwhile`, {
    code: 'EEXIST',
    errno: -constants.errno.EEXIST,
    link: table
  })
}

const commandOf = (change: Change): string => `nft '${changeText(change)}'`

function backTo(name: string, before: readonly Change[]): Operation[] {
  const table = { family: FAMILY, name: tableOf(name) } as const
  const operation = (changes: readonly Change[], settled: readonly number[]): Operation => ({
    op: 'netlink',
    protocol: NETLINK_NETFILTER,
    requests: batchOf(changes),
    atomic: true,
    command: changes.map(commandOf).join('; '),
    settled
  })
  const removed = operation([{ delete: { table } }], [constants.errno.ENOENT])
  // In two: what is gone must not keep the rest from coming back.
  return before.length === 0 ? [removed] : [removed, operation(before, [constants.errno.EEXIST])]
}

interface Expected {
  readonly chains: readonly ChainSpec[]
  readonly rules: readonly { chain: string; statements: Parameters<typeof isSameRule>[1]['statements'] }[]
}

function expectedOf(changes: readonly Change[]): Expected {
  const added = changes.flatMap(change => ('add' in change ? [change.add] : []))
  return {
    chains: added.flatMap(each => ('chain' in each ? [each.chain] : [])),
    rules: added.flatMap(each => ('rule' in each ? [each.rule] : []))
  }
}

function isSame(ruleset: Ruleset, table: string, wanted: readonly Change[]): boolean {
  const { chains, rules } = expectedOf(wanted)
  const own = <T extends { family: string; table: string }>(list: readonly T[]) =>
    list.filter(each => each.family === FAMILY && each.table === table)
  const [has, hasRules] = [own(ruleset.chains), own(ruleset.rules)]
  if (has.length !== chains.length || hasRules.length !== rules.length || own(ruleset.sets).length > 0) return false
  return (
    chains.every(chain => has.some(each => isSameChain(each, chain))) &&
    chains.every(({ name }) => {
      const there = hasRules.filter(({ chain }) => chain === name)
      const asked = rules.filter(({ chain }) => chain === name)
      return (
        there.length === asked.length && there.every((rule, at) => isSameRule(rule, asked[at] as (typeof asked)[0]))
      )
    })
  )
}

function isSameChain(found: Ruleset['chains'][number], { name, hook, type, priority, policy }: ChainSpec): boolean {
  return (
    found.name === name &&
    found.hook === hook &&
    found.type === type &&
    found.priority === priority &&
    found.policy === policy
  )
}

/** What makes the table as it was read. */
function contentOf({ chains, rules }: Ruleset, table: string, name: string): Change[] {
  const own = <T extends { family: string; table: string }>(list: readonly T[]) =>
    list.filter(each => each.family === FAMILY && each.table === table)
  return [
    { create: { table: { family: FAMILY, name: table, comment: commentOf(name) } } },
    ...own(chains).map(({ handle: _, ...chain }): Change => ({ add: { chain: chain as ChainSpec } })),
    ...own(rules).map(
      ({ chain, statements }): Change => ({ add: { rule: { family: FAMILY, table, chain, statements } } })
    )
  ]
}
