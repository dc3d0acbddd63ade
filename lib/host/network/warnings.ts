/** What of the host would keep a network from working, or would not work as before. */
import type { Finding } from '../finding.js'
import { readSysctls } from '../step.js'
import type { BridgedNetwork, BridgePart } from './bridge.js'
import { otherTables } from './collisions.js'
import { droppedBy, type Wanted } from './foreign-drops.js'
import { tableOf } from './rules.js'
import { linkNamed, type Situation } from './situation.js'
import { prefixesOf } from './subnets.js'

const CALLS = ['net/bridge/bridge-nf-call-iptables', 'net/bridge/bridge-nf-call-ip6tables']

export async function warningsOf(
  name: string,
  network: BridgedNetwork,
  situation: Situation,
  bridge: BridgePart
): Promise<Finding[]> {
  return [
    ...dropsOf(name, network, situation),
    ...(await bridgeNetfilter(name, network, situation, bridge)),
    ...mtuOf(network, situation, bridge),
    ...otherTables(network, situation, bridge)
  ]
}

/** Samples of what has to pass: one dropped of its sort is enough to tell. */
function wantedOf(name: string, network: BridgedNetwork): Wanted[] {
  if (network.kind === 'bridge') return []
  const prefixes = prefixesOf(network)
  const wanted: Wanted[] = []
  for (const { family } of prefixes) {
    const input = { hook: 'input', family, iifname: name } as const
    const [dhcp, port] = family === 'inet' ? [network.dhcp4, 67] : [network.dhcp6, 547]
    if (dhcp) wanted.push({ ...input, what: family === 'inet' ? 'DHCP' : 'DHCPv6', protocol: 'udp', dport: port })
    const served = network.dhcp4 || network.dhcp6 || network.dns
    if (served && network.dns !== false) wanted.push({ ...input, what: 'DNS', protocol: 'udp', dport: 53 })
    if (network.kind === 'isolated') continue
    const forward = { hook: 'forward', family, protocol: 'tcp', dport: 443 } as const
    wanted.push({ ...forward, what: 'traffic of guests to the outside', iifname: name, state: 'new' })
    wanted.push({ ...forward, what: 'answers to guests', oifname: name, state: 'established' })
  }
  const seen = new Set<string>()
  return wanted.filter(each => !seen.has(`${each.family} ${each.what}`) && seen.add(`${each.family} ${each.what}`))
}

function dropsOf(name: string, network: BridgedNetwork, { ruleset }: Situation): Finding[] {
  if (!ruleset) return []
  const found = new Map<string, string[]>()
  for (const wanted of wantedOf(name, network)) {
    for (const { family, table, name: chain } of droppedBy(ruleset, wanted, tableOf(name))) {
      const place = `table ${family} ${table}, chain ${chain}`
      found.set(place, [...(found.get(place) ?? []), wanted.what])
    }
  }
  return [...found].map(([place, whats]) => ({
    code: 'firewall-drops',
    message: `${place} drops ${[...new Set(whats)].join(', ')} of ${name}: it has to accept that itself`,
    about: place
  }))
}

/** Frames from guest to guest, or from a guest to the NIC's network, which a bridge would just pass on. */
async function bridgeNetfilter(
  name: string,
  network: BridgedNetwork,
  { net, ruleset }: Situation,
  { link }: BridgePart
): Promise<Finding[]> {
  if (!ruleset) return []
  const calls = await readSysctls(net, CALLS)
  const own = link?.is('bridge') ? [link.data.nfCallIptables, link.data.nfCallIp6tables] : []
  const families = (['inet', 'inet6'] as const).filter((_, at) => calls[at] === '1' || own[at] === true)
  const places = families.flatMap(family => {
    const wanted = {
      hook: 'forward',
      family,
      iifname: name,
      oifname: name,
      protocol: 'tcp',
      dport: 443,
      state: 'new'
    } as const
    const table = network.kind === 'bridge' ? undefined : tableOf(name)
    return droppedBy(ruleset, { ...wanted, what: 'bridged frames' }, table).map(
      chain => `table ${chain.family} ${chain.table}, chain ${chain.name}`
    )
  })
  return [...new Set(places)].map(place => {
    const message = `${place} drops what goes from port to port of ${name} (net.bridge.bridge-nf-call-iptables = 1)`
    return { code: 'bridge-netfilter', message, about: place }
  })
}

function mtuOf(network: BridgedNetwork, situation: Situation, { link }: BridgePart): Finding[] {
  const mtu = network.mtu ?? link?.mtu
  const names = network.kind === 'bridge' ? (network.ports ?? []) : []
  if (mtu === undefined) return []
  return names.flatMap(name => {
    const port = linkNamed(situation, name)
    if (!port?.mtu || port.mtu >= mtu) return []
    const message = `${name} has an MTU of ${port.mtu}, and drops frames of the bridge's ${mtu}`
    return [{ code: 'mtu', message, about: name }]
  })
}
