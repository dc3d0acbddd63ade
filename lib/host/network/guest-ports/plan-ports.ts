/** Guests' ports of a spec compared with the kernel. */
import type { Link } from '../../../link/link.js'
import { changeRequest } from '../../../link/link-requests.js'
import { isOwnedBy } from '../../../link/owner.js'
import type { Finding } from '../../finding.js'
import { freeIndex } from '../../free-index.js'
import type { PlanParts } from '../../plan.js'
import { hostSideMac } from '../../port/mac.js'
import type { Step } from '../../step.js'
import type { BridgedNetwork } from '../bridge.js'
import { type BridgePart, mtuOf, ownerOfNetwork } from '../bridge.js'
import { conflictsOf } from '../ports.js'
import { linkNamed, type Situation } from '../situation.js'
import type { NetworksSpec } from '../spec.js'
import { spoofingSteps, type Table, tableIn } from './anti-spoofing.js'
import { bandwidthSteps } from './bandwidth.js'
import { bridgePortSteps } from './bridge-port.js'
import { settingSteps, upSteps } from './link-settings.js'
import { macvtapPart } from './macvtaps.js'
import { changing, type PartOfPlan, type Port, type PortsBridge } from './port.js'
import { type GuestPortSpec, settingsOf } from './spec.js'
import { isTap, type NewTap, tapConflicts, tapSteps } from './taps.js'

export type GuestPortsPart = Pick<PlanParts, 'steps' | 'conflicts' | 'links' | 'made'>

/** @param bridges of the networks that have one, as the plan will have made them */
export async function guestPortsOf(
  { ports = {}, networks }: NetworksSpec,
  bridges: ReadonlyMap<string, BridgePart>,
  situation: Situation
): Promise<GuestPortsPart> {
  const found = { steps: [] as Step[], conflicts: [] as Finding[], links: [] as Present[], made: [] as number[] }
  const taps: NewTap[] = []
  const nics = new Set<number>()
  const table = tableIn(situation.ruleset)
  for (const [name, spec] of Object.entries(ports)) {
    const link = linkNamed(situation, name)
    const index = link?.index ?? freeIndex(situation.links)
    // It may be called so as well.
    const own = link?.name ?? name
    const port: Port = { net: situation.net, name: own, index, link, settings: settingsOf(spec) }
    const network = networks[spec.network]
    let part: PartOfPlan | undefined
    if (network?.kind === 'direct') {
      const nic = linkNamed(situation, network.link)
      // That there is none is a conflict of the network.
      if (!nic) continue
      if (!nic.up && !nics.has(nic.index)) found.steps.push(raising(nic))
      nics.add(nic.index)
      part = await macvtapPart(port, spec, network, nic)
    } else if (network) {
      const bridge = bridgeFor(network, bridges.get(spec.network), situation)
      if (!bridge) continue
      if (!link) taps.push({ name, index, mtu: mtuFor(spec, bridge), spec })
      part = await tapPart(port, spec, bridge, table, situation)
    }
    found.steps.push(...(part?.steps ?? []))
    found.conflicts.push(...(part?.conflicts ?? []))
    if (link) found.links.push({ index, name: own, mayGo: true })
    else found.made.push(index)
  }
  return { ...found, steps: [...tapSteps(taps), ...found.steps] }
}

type Present = PlanParts['links'][number]

const mtuFor = ({ mtu = 'bridge' }: GuestPortSpec, bridge: PortsBridge): number => (mtu === 'bridge' ? bridge.mtu : mtu)

function bridgeFor(
  network: BridgedNetwork,
  part: BridgePart | undefined,
  situation: Situation
): PortsBridge | undefined {
  // A link of the name that is no bridge is a conflict of the network.
  if (!part || (part.link && !part.link.is('bridge'))) return undefined
  const { index, name, link } = part
  const data = link?.is('bridge') ? link.data : undefined
  const filters = network.vlanFiltering ?? data?.vlanFiltering ?? false
  return {
    index,
    name,
    mtu: mtuOf(network, situation, link),
    defaultPvid: filters ? (data?.vlanDefaultPvid ?? 1) : undefined
  }
}

async function tapPart(
  port: Port,
  spec: GuestPortSpec,
  bridge: PortsBridge,
  table: Table,
  situation: Situation
): Promise<PartOfPlan> {
  const { link } = port
  const wrong = [...(link ? presentConflicts(port, link, spec, bridge, situation) : []), ...vlanConflicts(port, bridge)]
  if (wrong.length > 0) return { steps: [], conflicts: wrong }
  const spoofing = spoofingSteps(port, table)
  const bandwidth = await bandwidthSteps(port, 'tun')
  // The host's side of one that others made is theirs to name.
  const own = link && isOwnedBy(link, ownerOfNetwork(spec.network))
  const address = own && spec.mac !== undefined ? hostSideMac(spec.mac) : undefined
  return {
    steps: [
      ...(link ? settingSteps(port, link, { mtu: mtuFor(spec, bridge), address }) : []),
      // Who the guest may be is said before where it may go.
      ...spoofing.steps,
      ...(await bridgePortSteps(port, bridge, spoofing.guarded)),
      ...bandwidth.steps,
      ...(await upSteps(port))
    ],
    conflicts: [...spoofing.conflicts, ...bandwidth.conflicts]
  }
}

function presentConflicts(
  { name }: Port,
  link: Link,
  spec: GuestPortSpec,
  bridge: PortsBridge,
  situation: Situation
): Finding[] {
  if (!isTap(link)) return [{ code: 'name-taken', message: `${name} exists and is no TAP`, about: name }]
  return [...tapConflicts(link, spec), ...(link.master === bridge.index ? [] : conflictsOf(link, bridge, situation))]
}

function vlanConflicts({ name, settings }: Port, bridge: PortsBridge): Finding[] {
  if (settings.vlans === undefined || bridge.defaultPvid !== undefined) return []
  const message = `${bridge.name} does not filter VLANs, and ${name} is to have some`
  return [{ code: 'no-vlan-filtering', message, about: name }]
}

/** A macvtap cannot be up on a NIC that is down. */
function raising({ index, name }: Link): Step {
  const change = (up: boolean) => {
    return { request: changeRequest(index, { up }), command: `ip link set dev ${name} ${up ? 'up' : 'down'}` }
  }
  return changing('nic', [change(true)], [change(false)])
}
