/** Networks compared with the kernel: what has to be done, what stands against it, and what should be known. */
import { invalidArgument } from '../../errors.js'
import type { Netlink } from '../../link/netlink.js'
import { checkKeys } from '../../options.js'
import { filePath } from '../dnsmasq/checks.js'
import type { Finding } from '../finding.js'
import { Plan, type PlanParts } from '../plan.js'
import type { Step } from '../step.js'
import { keepingAddress } from '../takeover/new-link.js'
import { takeoverParts } from '../takeover/takeover.js'
import { addressSteps, routeSteps } from './addressing.js'
import { type BridgePart, bridgeOf } from './bridge.js'
import { checkSpec } from './check-spec.js'
import { collisionsOf } from './collisions.js'
import { directOf } from './direct.js'
import { firewallOf } from './firewall-step.js'
import { type Born, forwardingSteps } from './forwarding.js'
import { guestPortsOf } from './guest-ports/plan-ports.js'
import { legacyTables } from './legacy-tables.js'
import { portsOf } from './ports.js'
import { dnsmasqOf, serviceSteps } from './services.js'
import { linkNamed, look, type Situation } from './situation.js'
import type { BridgeNetwork, GuestNetwork, NetworkSpec, NetworksSpec } from './spec.js'
import { prefixesOf } from './subnets.js'
import { warningsOf } from './warnings.js'

export interface PlanNetworksOptions {
  /** Where each network's dnsmasq has a directory of its own; `/run/linkwright` by default. It is there already. */
  runtimeDirectory?: string | undefined
}

const KEYS: ReadonlySet<string> = new Set<keyof PlanNetworksOptions>(['runtimeDirectory'])

/**
 * Works out what has to be done so that the namespace has the networks of a spec. What is there already, is no step:
 * once the plan is applied, another one of the same spec is empty. Networks that are not in the spec are left alone, and so
 * are ports, addresses, rules and tables of others.
 *
 * Conflicts: `name-taken` (a link that is not this network's), `table-taken`, `no-such-link`, `already-a-port`,
 * `is-a-bridge`, `port-has-addresses`, `route-collision` (a route to a subnet of the network leads elsewhere),
 * `another-route` (in place of a gateway or route), `gateway-unreachable` (it is in no subnet of the bridge), `no-dnsmasq`
 * (it is not installed), `dnsmasq-elsewhere` (one of the same directory serves another namespace), and those of
 * {@link planTakeover}. Warnings: `firewall-drops` (a table of others drops what the network needs), `iptables-legacy` (it has
 * tables, which cannot be looked into), `bridge-netfilter` (and they see frames between guests as well), `other-table` (a
 * route that collides, for packets that a rule chooses), `mtu`, `dnsmasq-changed`, `no-host-peer`, and those of
 * {@link planTakeover}.
 *
 * Plans are undone last first: what one has found, it takes for what was there before.
 *
 * @throws LinkwrightError `ERR_INVALID_ARG_VALUE` with the path (`networks.virbr0.addresses[0]`)
 */
export async function planNetworks(net: Netlink, spec: NetworksSpec, options: PlanNetworksOptions = {}): Promise<Plan> {
  checkKeys(options, KEYS)
  if (options.runtimeDirectory !== undefined) filePath(options.runtimeDirectory, 'runtimeDirectory')
  const given = takenFrom(spec)
  const parts = await workOut(net, given, options)
  const { verifications, ...planned } = parts
  const verify = async () => {
    const { steps } = await workOut(net, given, options)
    const left = steps.flatMap(({ commands }) => commands).map(command => `still to be done: ${command}`)
    return [...left, ...(await Promise.all(verifications.map(each => each()))).flat()]
  }
  return new Plan({ ...planned, verify })
}

/** Taken now, as plain data: the caller's object may change while it is awaited, or with every look at it. */
function takenFrom(spec: NetworksSpec): NetworksSpec {
  checkSpec(spec)
  let given: NetworksSpec
  try {
    given = structuredClone(spec)
  } catch {
    throw invalidArgument('networks', 'plain data', spec.networks)
  }
  checkSpec(given)
  return given
}

/** What one network takes. */
interface NetworkParts {
  readonly steps: readonly Step[]
  /** What comes when everything else is there. */
  readonly last: readonly Step[]
  /** Where guests' ports go. */
  readonly bridge?: BridgePart
  readonly conflicts: readonly Finding[]
  readonly warnings: readonly Finding[]
  readonly links: PlanParts['links']
  readonly made: readonly number[]
  /** Links on networks of others. */
  readonly born?: readonly Born[]
  /** Of takeovers. */
  readonly verifications: readonly PlanParts['verify'][]
}

async function workOut(net: Netlink, spec: NetworksSpec, options: PlanNetworksOptions) {
  const { networks } = spec
  const situation = await look(net)
  const parts: NetworkParts[] = []
  const bridges = new Map<string, BridgePart>()
  const families = new Set<string>()
  const guests = Object.values(networks).filter(({ kind }) => kind !== 'direct')
  for (const [name, network] of Object.entries(networks)) {
    const part = await partsOf(name, network, situation, options, networks)
    parts.push(part)
    if (part.bridge) bridges.set(name, part.bridge)
    if (network.kind !== 'nat' && network.kind !== 'routed') continue
    for (const { family } of prefixesOf(network)) families.add(family)
  }
  const forwarding = await forwardingSteps(
    situation,
    families,
    parts.flatMap(({ born = [] }) => born)
  )
  const ports = await guestPortsOf(spec, bridges, situation)
  return {
    net,
    // Rules are there before anything is forwarded, and everything before guests get addresses.
    steps: [
      ...parts.flatMap(({ steps }) => steps),
      ...forwarding,
      ...parts.flatMap(({ last }) => last),
      ...ports.steps
    ],
    conflicts: [...parts.flatMap(({ conflicts }) => conflicts), ...ports.conflicts],
    warnings: [...parts.flatMap(({ warnings }) => warnings), ...(guests.length > 0 ? await legacyTables(net) : [])],
    links: [...parts.flatMap(({ links }) => links), ...ports.links],
    made: [...parts.flatMap(({ made }) => made), ...ports.made],
    verifications: parts.flatMap(({ verifications }) => verifications)
  }
}

async function partsOf(
  name: string,
  network: NetworkSpec,
  situation: Situation,
  options: PlanNetworksOptions,
  networks: NetworksSpec['networks']
): Promise<NetworkParts> {
  if (network.kind === 'direct') {
    const part = await directOf(name, network, situation)
    const born = part.made.length > 0 ? [{ name: network.hostPeer as string, like: network.link }] : []
    return { ...part, born, last: [] }
  }
  if (network.kind === 'bridge') return await onBridge(name, network, situation)
  return await forGuests(name, network, situation, options, networks)
}

async function onBridge(name: string, network: BridgeNetwork, situation: Situation): Promise<NetworkParts> {
  const { ports = [], takeover = false } = network
  const [nic] = ports
  const taken = takeover && nic !== undefined ? await takingOver(name, nic, situation) : undefined
  const bridge = await bridgeOf(name, network, situation, taken?.made[0])
  const moved = taken && taken.steps.length > 0 ? linkNamed(situation, nic as string)?.index : undefined
  const joined = await portsOf(bridge, taken ? [] : ports, situation)
  const routing = routeSteps(bridge, network, situation, moved)
  const addresses = addressSteps(bridge, network, situation, moved)
  const kept = joined.steps.length > 0 ? addressOf(bridge, network) : []
  return {
    steps: [...(taken?.steps ?? []), ...bridge.steps, ...addresses, ...kept, ...joined.steps, ...routing.steps],
    conflicts: [
      ...(taken?.conflicts ?? []),
      ...bridge.conflicts,
      ...joined.conflicts,
      ...routing.conflicts,
      ...collisionsOf(network, situation, bridge, linkNamed(situation, taken ? (nic ?? '') : '')?.index)
    ],
    warnings: [...(taken?.warnings ?? []), ...(await warningsOf(name, network, situation, bridge))],
    links: [...(taken?.links ?? linksOf(bridge)), ...joined.links.map(({ index, name = '' }) => ({ index, name }))],
    made: bridge.made ? [bridge.index] : [],
    born: bridge.made ? [{ name, like: (taken && nic) ?? 'default' }] : [],
    verifications: taken ? [taken.verify] : [],
    last: [],
    bridge
  }
}

/** A bridge of others may take its address of its ports: it stays as it is while they come and go. */
function addressOf({ link }: BridgePart, { mac }: BridgeNetwork): Step[] {
  if (!link?.address || mac !== undefined || /^[0:]+$/.test(link.address)) return []
  return [keepingAddress(link, link.address)]
}

async function takingOver(name: string, nic: string, situation: Situation): Promise<PlanParts> {
  if (linkNamed(situation, nic)) return await takeoverParts(situation.net, { nic, bridge: name })
  const conflicts = [{ code: 'no-such-link', message: `there is no link ${nic}`, about: nic }]
  return { net: situation.net, steps: [], conflicts, warnings: [], verify: async () => [], links: [], made: [] }
}

async function forGuests(
  name: string,
  asked: GuestNetwork,
  situation: Situation,
  options: PlanNetworksOptions,
  networks: NetworksSpec['networks']
): Promise<NetworkParts> {
  const network = withLinkName(asked, situation)
  const bridge = await bridgeOf(name, network, situation)
  const firewall = firewallOf(name, network, situation)
  const services = await serviceSteps(
    situation.net,
    dnsmasqOf(name, network, undefined, options.runtimeDirectory),
    bridge.made
  )
  return {
    steps: [...bridge.steps, ...firewall.steps, ...addressSteps(bridge, network, situation)],
    conflicts: [
      ...bridge.conflicts,
      ...firewall.conflicts,
      ...missingLink(network, situation, networks),
      ...collisionsOf(network, situation, bridge),
      ...services.conflicts
    ],
    warnings: [...(await warningsOf(name, network, situation, bridge)), ...services.warnings],
    links: linksOf(bridge),
    made: bridge.made ? [bridge.index] : [],
    verifications: [],
    last: services.steps,
    bridge
  }
}

const linksOf = ({ made, index, name }: BridgePart) => (made ? [] : [{ index, name }])

/** Rules tell packets by the one name of their link, not by alternative ones. */
function withLinkName(network: GuestNetwork, situation: Situation): GuestNetwork {
  if (network.kind === 'isolated' || network.forward?.link === undefined) return network
  const link = linkNamed(situation, network.forward.link)?.name ?? network.forward.link
  return { ...network, forward: { ...network.forward, link } } as GuestNetwork
}

/** Bridges and host peers of the same spec will be there. */
function missingLink(network: GuestNetwork, situation: Situation, networks: NetworksSpec['networks']): Finding[] {
  const link = network.kind === 'isolated' ? undefined : network.forward?.link
  if (link === undefined || linkNamed(situation, link)) return []
  const made = Object.entries(networks).map(([name, each]) => (each.kind === 'direct' ? each.hostPeer : name))
  if (made.includes(link)) return []
  return [{ code: 'no-such-link', message: `there is no link ${link}`, about: link }]
}

/** One network of a spec. Throws `ERR_INVALID_ARG_VALUE` where there is none of the name. */
export function networkOf({ networks }: NetworksSpec, name: string): NetworkSpec {
  const network = Object.hasOwn(networks, name) ? networks[name] : undefined
  if (!network) throw invalidArgument('name', `one of ${Object.keys(networks).join(', ')}`, name)
  return network
}
