/** Macvtaps of guests on the NIC of a network of kind `direct`. */
import type { Link } from '../../../link/link.js'
import {
  afterCreation,
  changeRequest,
  createRequest,
  deleteRequest,
  type ResolvedOptions
} from '../../../link/link-requests.js'
import { ownerAlias, ownerGroup } from '../../../link/owner.js'
import type { Finding } from '../../finding.js'
import { type Change, type Step, send, sysctlCommand, wayBackOf, writeSysctls } from '../../step.js'
import { ownerOfNetwork } from '../bridge.js'
import type { DirectNetwork } from '../spec.js'
import { bandwidthSteps } from './bandwidth.js'
import { settingSteps, upSteps } from './link-settings.js'
import { changing, ENODEV, type PartOfPlan, type Port } from './port.js'
import type { GuestPortSpec } from './spec.js'

export async function macvtapPart(
  port: Port,
  spec: GuestPortSpec,
  network: DirectNetwork,
  nic: Link
): Promise<PartOfPlan> {
  const { link } = port
  const conflicts = conflictsOf(port, spec, network, nic)
  const wanted = { mtu: spec.mtu as number | undefined, address: spec.mac?.toLowerCase() }
  if (conflicts.length > 0) return { steps: [], conflicts }
  const bandwidth = await bandwidthSteps(port, 'macvtap')
  const first = link
    ? [...kindSteps(port, link, spec, network), ...settingSteps(port, link, wanted)]
    : [creation(port, spec, network, nic)]
  return { steps: [...first, ...bandwidth.steps, ...(await upSteps(port))], conflicts: bandwidth.conflicts }
}

function conflictsOf({ link, name }: Port, { mtu }: GuestPortSpec, { mode }: DirectNetwork, nic: Link): Finding[] {
  const found: Finding[] = []
  const add = (code: string, message: string) => found.push({ code, message, about: name })
  if (typeof mtu === 'number' && mtu > (nic.mtu ?? mtu)) {
    add('mtu', `${name} cannot have an MTU of ${mtu} on ${nic.name}, which has ${nic.mtu}`)
  }
  if (!link) return found
  if (!link.is('macvtap') || link.link !== nic.index || link.linkNetnsid !== undefined) {
    add('name-taken', `${name} exists and is no macvtap on ${nic.name}`)
  } else if ((link.data.mode === 'passthru') !== (mode === 'passthru')) {
    add('macvtap-differs', `${name} is in mode ${link.data.mode}, which cannot be changed to ${mode}: remove it`)
  }
  return found
}

function creation(port: Port, spec: GuestPortSpec, { mode }: DirectNetwork, nic: Link): Step {
  const { name, index } = port
  const { network, mac, mtu, sources, ipv6 = false } = spec
  const owner = ownerOfNetwork(network)
  const [group, alias] = [ownerGroup(owner), ownerAlias(owner)]
  const options = {
    kind: 'macvtap',
    name,
    index,
    link: nic.index,
    mode,
    group,
    alias,
    // Nobody tells the kernel which groups the guest has joined: neighbour discovery among them.
    allmulti: true,
    ...(mac === undefined ? {} : { address: mac }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(sources === undefined ? {} : { macaddrs: sources })
  } as ResolvedOptions
  const words = [mac === undefined ? '' : ` address ${mac}`, mtu === undefined ? '' : ` mtu ${mtu}`, ` group ${group}`]
  const born: Change = {
    request: createRequest(options, false),
    command: `ip link add link ${nic.name} name ${name} index ${index}${words.join('')} type macvtap mode ${mode}${sourceWords(sources)}`
  }
  const later = afterCreation(options) as ResolvedOptions
  // In mode passthru it takes its address when it is there.
  const said = Object.entries(later).map(([key, value]) => `${key} ${value}`)
  const after: Change = { request: changeRequest(index, later), command: `ip link set dev ${name} ${said.join(' ')}` }
  const sysctls = ipv6 ? [] : [{ name: `net/ipv6/conf/${name}/disable_ipv6`, value: '1' }]
  const remove = { request: deleteRequest(index), command: `ip link del dev ${name}`, settled: [ENODEV] }
  return {
    name: 'macvtap',
    commands: [born.command ?? '', after.command ?? '', ...sysctls.map(sysctlCommand)],
    back: wayBackOf([remove]),
    async apply({ net }) {
      // Nothing else is sent to an index that turned out to be another's.
      await send(net, [born])
      await send(net, [after])
      await writeSysctls(net, sysctls)
    }
  }
}

const sourceWords = (sources: readonly string[] | undefined): string =>
  sources === undefined ? '' : ` macaddr set ${sources.join(' ')}`

/** What of the kind may change while the guest runs. */
function kindSteps({ name, index }: Port, link: Link, { sources }: GuestPortSpec, { mode }: DirectNetwork): Step[] {
  if (!link.is('macvtap')) return []
  const { mode: had, macaddrs = [] } = link.data
  const change = (options: Record<string, unknown>, words: string): Change => ({
    request: changeRequest(index, { kind: 'macvtap', ...options }),
    command: `ip link set dev ${name} type macvtap ${words}`
  })
  const listed = (list: readonly string[]) => list.map(each => each.toLowerCase()).toSorted()
  const same = sources === undefined || String(listed(sources)) === String(listed(macaddrs))
  return [
    ...(link.flags.allmulti ? [] : [multicastStep(name, index)]),
    ...(mode === had
      ? []
      : [changing('mode', [change({ mode }, `mode ${mode}`)], [change({ mode: had }, `mode ${had}`)])]),
    ...(same
      ? []
      : [
          changing(
            'sources',
            [change({ macaddrs: sources }, sourceWords(sources).trim())],
            [change({ macaddrs }, sourceWords(macaddrs).trim())]
          )
        ])
  ]
}

function multicastStep(name: string, index: number): Step {
  const change = (allmulti: boolean) => {
    const request = changeRequest(index, { allmulti })
    return { request, command: `ip link set dev ${name} allmulticast ${allmulti ? 'on' : 'off'}` }
  }
  return changing('multicast', [change(true)], [change(false)])
}
