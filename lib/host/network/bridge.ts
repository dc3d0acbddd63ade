/** The bridge of a network: made, or given the settings that are wanted. */
import { constants } from 'node:os'
import { lastingMtu, randomAddress } from '../../link/bridge-defaults.js'
import type { Link, LinkOfKind } from '../../link/link.js'
import { changeRequest, createRequest, deleteRequest } from '../../link/link-requests.js'
import { isOwnedBy, ownerAlias, ownerGroup } from '../../link/owner.js'
import type { Finding } from '../finding.js'
import { freeIndex } from '../free-index.js'
import {
  type Change,
  readSysctls,
  type Step,
  type Sysctl,
  send,
  sysctlBack,
  sysctlCommand,
  wayBackOf,
  writeSysctls
} from '../step.js'
import { linkNamed, type Situation } from './situation.js'
import type { BridgeSettings, NetworkSpec } from './spec.js'
import { prefixesOf } from './subnets.js'

const { ENODEV } = constants.errno

/** Whose the links of a network are. */
export const ownerOfNetwork = (name: string): string => `network-${name}`

export type BridgedNetwork = Exclude<NetworkSpec, { kind: 'direct' }>

export interface BridgePart {
  readonly name: string
  readonly index: number
  /** Whether the plan makes it. */
  readonly made: boolean
  /** As it is; `undefined` for one that is to be made. */
  readonly link: Link | undefined
  readonly steps: readonly Step[]
  readonly conflicts: readonly Finding[]
}

/** @param takenOver the index of the bridge that a takeover makes, which has the NIC's MAC address and MTU */
export async function bridgeOf(
  name: string,
  network: BridgedNetwork,
  situation: Situation,
  takenOver?: number
): Promise<BridgePart> {
  const link = linkNamed(situation, name)
  if (takenOver !== undefined) {
    const part = { name, index: takenOver, made: true, link: undefined }
    return { ...part, steps: owning(part, network), conflicts: [] }
  }
  if (link) return await existing(name, network, situation, link)
  const part = { name, index: freeIndex(situation.links), made: true, link: undefined }
  return { ...part, steps: [creation(part, network, situation)], conflicts: [] }
}

type Named = Pick<BridgePart, 'name' | 'index'>

function setting({ index, name }: Named, options: Record<string, unknown>, words: string): Change {
  return { request: changeRequest(index, options), command: `ip link set dev ${name} ${words}` }
}

/** The kernel keeps an MTU that was changed to. */
function pinning(bridge: Named, mtu: number): Change[] {
  return [...(lastingMtu(mtu) as { mtu: number }[]), { mtu }].map(each => setting(bridge, each, `mtu ${each.mtu}`))
}

function ownerTag({ name, index }: Named): Change {
  const tag = { group: ownerGroup(ownerOfNetwork(name)), alias: ownerAlias(ownerOfNetwork(name)) }
  return setting({ name, index }, tag, `group ${tag.group} alias ${tag.alias}`)
}

function creation(bridge: Named, network: BridgedNetwork, situation: Situation): Step {
  const { index, name } = bridge
  const { mac: address = randomAddress(), mtu = leastMtu(network, situation) } = network
  const { words, ...options } = dataOf(network)
  const group = ownerGroup(ownerOfNetwork(name))
  const born: Change = {
    request: createRequest({ kind: 'bridge', name, index, address, group, ...options }, false),
    command: `ip link add name ${name} index ${index} address ${address} group ${group} type bridge ${words}`
  }
  const pinned = pinning(bridge, mtu)
  const later = [ownerTag(bridge), ...pinned]
  const sysctls = sysctlsOf(name, network)
  const up = setting(bridge, { up: true }, 'up')
  const remove = { request: deleteRequest(index), command: `ip link del dev ${name}`, settled: [ENODEV] }
  const commandsOf = (changes: readonly Change[]) => changes.map(({ command = '' }) => command)
  return {
    name: 'bridge',
    commands: [...commandsOf([born, ...later]), ...sysctls.map(sysctlCommand), ...commandsOf([up])],
    back: wayBackOf([remove]),
    async apply({ net }) {
      // Nothing else is sent to an index that turned out to be another's.
      await send(net, [born])
      await send(net, later)
      await writeSysctls(net, await those(situation, sysctls))
      await send(net, [up])
    }
  }
}

/** Only those of protocols that the kernel has. */
async function those({ net }: Situation, wanted: readonly Sysctl[]): Promise<Sysctl[]> {
  const found = await readSysctls(
    net,
    wanted.map(({ name }) => name)
  )
  return wanted.filter((_, at) => found[at] !== undefined)
}

/** The MTU that the bridge of a network has, or will have. */
export const mtuOf = (network: BridgedNetwork, situation: Situation, link: Link | undefined): number =>
  network.mtu ?? link?.mtu ?? leastMtu(network, situation)

function leastMtu(network: BridgedNetwork, situation: Situation): number {
  const ports = network.kind === 'bridge' ? (network.ports ?? []) : []
  const mtus = ports.flatMap(port => linkNamed(situation, port)?.mtu ?? [])
  return mtus.length > 0 ? Math.min(...mtus) : 1500
}

interface Data {
  [option: string]: unknown
  words: string
}

/** Attributes of a new bridge, and the words of iproute2 for them. */
function dataOf({ stp = false, forwardDelay = stp ? 15 : 0, vlanFiltering, mcastSnooping }: BridgeSettings): Data {
  const hundredths = Math.round(forwardDelay * 100)
  return {
    stp,
    forwardDelay: hundredths,
    ...(vlanFiltering === undefined ? {} : { vlanFiltering }),
    ...(mcastSnooping === undefined ? {} : { mcastSnooping }),
    words: [
      `stp_state ${Number(stp)} forward_delay ${hundredths}`,
      ...(vlanFiltering === undefined ? [] : [`vlan_filtering ${Number(vlanFiltering)}`]),
      ...(mcastSnooping === undefined ? [] : [`mcast_snooping ${Number(mcastSnooping)}`])
    ].join(' ')
  }
}

/**
 * The host is the guests' router, and has no other there. Without an address of IPv6 it does not speak it, so that guests
 * of a network for guests only do not reach it by its link-local address.
 */
function sysctlsOf(name: string, network: BridgedNetwork): Sysctl[] {
  if (network.kind === 'bridge') return []
  const six = prefixesOf(network).some(({ family }) => family === 'inet6')
  const setting = (key: string, value: string) => ({ name: `net/ipv6/conf/${name}/${key}`, value })
  if (!six) return [setting('disable_ipv6', '1')]
  return [setting('disable_ipv6', '0'), setting('accept_ra', '0'), setting('autoconf', '0')]
}

async function existing(name: string, network: BridgedNetwork, situation: Situation, link: Link): Promise<BridgePart> {
  const part = { name, index: link.index, made: false, link }
  const refused = (code: string, message: string) => ({
    ...part,
    steps: [],
    conflicts: [{ code, message, about: name }]
  })
  if (!link.is('bridge')) return refused('name-taken', `${name} exists and is no bridge`)
  // Sysctls and rules know a link by its one name.
  if (link.name !== name) return refused('name-taken', `${name} is another name of ${link.name}`)
  const own = isOwnedBy(link, ownerOfNetwork(name))
  if (network.kind !== 'bridge' && !own) {
    return refused('name-taken', `${name} exists and is not this network's: it does not have its owner`)
  }
  const steps = changes(part, link, network, own)
  const sysctls = await differing(situation, sysctlsOf(name, network))
  return { ...part, steps: [...steps, ...(sysctls ? [sysctls] : [])], conflicts: [] }
}

type Differing = [key: string, wanted: unknown, has: unknown]

/** Attributes that are not as they should be; on a bridge of others those that were given, on an own one also defaults. */
function dataDiffering(has: Record<string, unknown>, network: BridgedNetwork, own: boolean): Differing[] {
  const { words: _, ...wanted } = dataOf(network)
  const usual = Object.entries({ vlanFiltering: false, mcastSnooping: true }).filter(([key]) => has[key] !== undefined)
  const given = network as unknown as Record<string, unknown>
  const all = own ? { ...Object.fromEntries(usual), ...wanted } : wanted
  const differing = Object.entries(all)
    .filter(([key, value]) => (own || given[key] !== undefined) && !isSame(key, value, has[key]))
    .map(([key, value]): Differing => [key, value, has[key]])
  // The kernel gives a bridge whose spanning tree begins a forward delay of 2 s.
  const follows = differing.some(([key]) => key === 'stp') && !differing.some(([key]) => key === 'forwardDelay')
  return follows ? [...differing, ['forwardDelay', has['forwardDelay'], has['forwardDelay']]] : differing
}

/** The kernel counts a forward delay in ticks of its own. */
function isSame(key: string, wanted: unknown, has: unknown): boolean {
  return key === 'forwardDelay' ? Math.abs(Number(wanted) - Number(has)) <= 1 : wanted === has
}

/** What was not given is left as it is on a bridge of others. */
function changes(bridge: Named, link: LinkOfKind<'bridge'>, network: BridgedNetwork, own: boolean): Step[] {
  const { mac, mtu } = network
  const steps: Step[] = []
  const change = (to: Record<string, unknown>, from: Record<string, unknown>, words: string, was: string) => {
    const [there, back] = [setting(bridge, to, words), setting(bridge, from, was)]
    steps.push({
      name: 'bridge',
      commands: [there.command ?? ''],
      back: wayBackOf([back], { settled: [ENODEV] }),
      apply: ({ net }) => send(net, [there])
    })
  }
  if (mac !== undefined && link.address !== mac.toLowerCase()) {
    change({ address: mac }, { address: link.address }, `address ${mac}`, `address ${link.address}`)
  }
  if (mtu !== undefined && link.mtu !== mtu) change({ mtu }, { mtu: link.mtu }, `mtu ${mtu}`, `mtu ${link.mtu}`)
  const differing = dataDiffering(link.data as unknown as Record<string, unknown>, network, own)
  if (differing.length > 0) {
    const write = (which: 0 | 1) =>
      differing.map(([key, ...values]) => {
        const value = values[which]
        return setting(bridge, { kind: 'bridge', [key]: value }, `type bridge ${WORDS[key] ?? key} ${Number(value)}`)
      })
    const there = write(0).filter((_, at) => differing[at]?.[1] !== differing[at]?.[2])
    steps.push({
      name: 'bridge',
      commands: there.map(({ command = '' }) => command),
      // In the same order: the forward delay has another range with the spanning tree.
      back: wayBackOf(write(1), { settled: [ENODEV] }),
      apply: ({ net }) => send(net, there)
    })
  }
  if (!link.up) change({ up: true }, { up: false }, 'up', 'down')
  return steps
}

const WORDS: Record<string, string> = {
  stp: 'stp_state',
  forwardDelay: 'forward_delay',
  vlanFiltering: 'vlan_filtering',
  mcastSnooping: 'mcast_snooping'
}

async function differing({ net }: Situation, wanted: readonly Sysctl[]): Promise<Step | undefined> {
  const found = await readSysctls(
    net,
    wanted.map(({ name }) => name)
  )
  const before = wanted.flatMap(({ name }, at) =>
    found[at] === undefined ? [] : [{ name, value: found[at] as string }]
  )
  const other = wanted.filter(({ name, value }) => before.some(each => each.name === name && each.value !== value))
  if (other.length === 0) return undefined
  const back = before.filter(({ name }) => other.some(each => each.name === name))
  return {
    name: 'settings',
    commands: other.map(sysctlCommand),
    back: back.map(each => sysctlBack(each, true)),
    apply: context => writeSysctls(context.net, other)
  }
}

/** What the bridge of a takeover gets besides. */
function owning(bridge: Named, network: BridgedNetwork): Step[] {
  const { words, ...options } = dataOf(network)
  const { mac, mtu } = network
  const list = [
    ownerTag(bridge),
    setting(bridge, { kind: 'bridge', ...options }, `type bridge ${words}`),
    ...(mac === undefined ? [] : [setting(bridge, { address: mac }, `address ${mac}`)]),
    ...(mtu === undefined ? [] : pinning(bridge, mtu))
  ]
  return [
    {
      name: 'bridge',
      commands: list.map(({ command = '' }) => command),
      back: [],
      apply: ({ net }) => send(net, list)
    }
  ]
}
