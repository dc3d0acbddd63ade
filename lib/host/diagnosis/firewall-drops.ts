/** Tables of the bridge and of the link itself that drop all there is. */
import type { Diagnosis } from './diagnosis.js'
import { type Dropping, dropsAll, type Way } from './rule-walk.js'
import { chainsAt, type Situation } from './situation.js'

const BRIDGE_HOOKS = ['prerouting', 'input', 'forward', 'output', 'postrouting']

export function firewallDrops(situation: Situation): Diagnosis[] {
  const { link, bridge, ruleset } = situation
  if (!ruleset) return []
  const way = wayOf(situation)
  const chains = [
    ...(bridge ? BRIDGE_HOOKS.flatMap(hook => chainsAt(situation, ['bridge'], hook)) : []),
    ...['ingress', 'egress']
      .flatMap(hook => chainsAt(situation, ['netdev'], hook))
      .filter(({ devs }) => devs?.includes(link.name ?? ''))
  ]
  return chains.flatMap(chain => {
    const dropping = dropsAll(ruleset, chain, way)
    return dropping
      ? [findingOf('firewall-drops', dropping, link.name ?? '', 'take that rule away, or accept before it')]
      : []
  })
}

/** The link's name, its bridge's, and their ifindexes. */
export function wayOf({ link, bridge }: Situation): Way {
  const all = bridge ? [link, bridge] : [link]
  return { names: new Set(all.map(({ name = '' }) => name)), indexes: new Set(all.map(({ index }) => index)) }
}

export function findingOf(code: string, dropping: Dropping, about: string, remedy: string): Diagnosis {
  const { family, table, chain, hook, priority, rule } = dropping
  return {
    code,
    message: `table ${family} ${table} drops everything of ${about}, at ${hook} (priority ${priority}): ${rule}`,
    about,
    evidence: { family, table, chain, hook, priority, rule },
    remedy
  }
}
