/** Firewall rules that name the NIC: what comes and goes by the link that takes over does not match them. */
import type { Ruleset } from '../../firewall/objects.js'
import type { Link } from '../../link/link.js'
import type { Netlink } from '../../link/netlink.js'
import type { Finding } from '../finding.js'
import { withNftables } from '../network/situation.js'
import type { Target } from './addresses.js'

/** Chains of families bridge and netdev are of the NIC itself, and stay so. */
const FAMILIES = new Set<string>(['inet', 'ip', 'ip6'])
const FIELDS = new Set<unknown>(['iif', 'oif', 'iifname', 'oifname'])

/** Rules of nf_tables, also those that iptables made; legacy iptables cannot be read. */
export async function firewallFindings(net: Netlink, nic: Link, target: Target): Promise<Finding[]> {
  const ruleset = await withNftables(net, nftables => nftables.ruleset()).catch(() => undefined)
  if (!ruleset) return []
  const counts = new Map<string, number>()
  for (const { family, table, chain } of rulesNaming(ruleset, nic)) {
    const about = `${family} ${table} ${chain}`
    counts.set(about, (counts.get(about) ?? 0) + 1)
  }
  return [...counts].map(([about, count]) => {
    const rules = count === 1 ? 'a rule that names' : `${count} rules that name`
    const message = `chain ${about} has ${rules} ${nic.name}, and will see ${target.name} in its place`
    return { code: 'firewall-rule', message, about }
  })
}

function rulesNaming({ rules, sets }: Ruleset, nic: Link): Ruleset['rules'] {
  return rules.filter(({ family, table, statements }) => {
    if (!FAMILIES.has(family)) return false
    const setNamed = (name: string) =>
      sets.find(set => set.family === family && set.table === table && `@${set.name}` === name)?.elements
    return statements.some(statement => {
      const { match, vmap, value, map } = statement as Record<string, unknown>
      const fields = [match, vmap].flat()
      if (!fields.some(field => FIELDS.has(field))) return false
      return mentions([value, map], nic, setNamed)
    })
  })
}

function mentions(value: unknown, nic: Link, setNamed: (name: string) => unknown): boolean {
  if (value === nic.index || value === nic.name) return true
  if (typeof value === 'string') {
    if (value.startsWith('@')) return mentions(setNamed(value), nic, () => undefined)
    return value.endsWith('*') && (nic.name ?? '').startsWith(value.slice(0, -1))
  }
  if (typeof value !== 'object' || value === null) return false
  return Object.values(value).some(each => mentions(each, nic, setNamed))
}
