/** Tables of the bridge and of the link itself that drop all there is, or all that is forwarded for a network of guests. */
import { tableOf } from '../network/rules.js'
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
  return [
    ...chains.flatMap(chain => {
      const dropping = dropsAll(ruleset, chain, way)
      return dropping
        ? [findingOf('firewall-drops', dropping, link.name ?? '', 'take that rule away, or accept before it')]
        : []
    }),
    ...forwardDrops(situation)
  ]
}

/** Only of a network that was planned here is it known that its guests come by the host. */
function forwardDrops(situation: Situation): Diagnosis[] {
  const { bridge, ruleset } = situation
  if (!bridge?.name || !ruleset) return []
  const { name, index } = bridge
  const own = ruleset.rules.filter(({ family, table }) => family === 'inet' && table === tableOf(name))
  const sources = own.flatMap(({ statements }) => statements.map(each => ('match' in each ? each.match : undefined)))
  const families = (['ip', 'ip6'] as const).filter(family => sources.includes(`${family} saddr`))
  const way = { names: new Set([name]), indexes: new Set([index]) }
  const met = families.length > 0 ? chainsAt(situation, [...families, 'inet'], 'forward') : []
  return met.flatMap(chain => {
    const dropping = chain.table === tableOf(name) ? undefined : dropsAll(ruleset, chain, way)
    if (!dropping) return []
    const place = `${chain.family} ${chain.table} ${dropping.chain}`
    const remedy = `nft insert rule ${place} iifname "${name}" accept, and the same with oifname`
    return [findingOf('firewall-drops', dropping, name, remedy)]
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
