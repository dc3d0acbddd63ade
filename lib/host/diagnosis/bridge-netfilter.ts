/** Frames within a bridge that the rules for routing see, too (br_netfilter), and drop. */
import type { Diagnosis } from './diagnosis.js'
import { findingOf, wayOf } from './firewall-drops.js'
import { dropsAll } from './rule-walk.js'
import { chainsAt, type Situation } from './situation.js'

const FAMILIES = [
  { family: 'ip', sysctl: 'bridge-nf-call-iptables', option: 'nfCallIptables' },
  { family: 'ip6', sysctl: 'bridge-nf-call-ip6tables', option: 'nfCallIp6tables' }
] as const

export async function bridgeNetfilter(situation: Situation): Promise<Diagnosis[]> {
  const { bridge, link, ruleset, sysctl } = situation
  if (!bridge?.is('bridge') || !ruleset) return []
  const found: Diagnosis[] = []
  for (const { family, sysctl: name, option } of FAMILIES) {
    const isOn = bridge.data[option] === true || (await sysctl(`net/bridge/${name}`)) === '1'
    if (!isOn) continue
    for (const chain of chainsAt(situation, [family, 'inet'], 'forward')) {
      const dropping = dropsAll(ruleset, chain, wayOf(situation))
      if (!dropping || found.some(({ evidence }) => evidence['table'] === dropping.table)) continue
      const remedy = `sysctl -w net.bridge.${name}=0, or accept: meta ibrname "${bridge.name}" meta obrname "${bridge.name}"`
      found.push(findingOf('bridge-netfilter-drops', dropping, link.name ?? '', remedy))
    }
  }
  return found
}
