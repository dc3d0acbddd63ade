/** The step that limits what a port carries, and requests that put back what limits there were. */
import { LinkwrightError } from '../../../errors.js'
import { isGuestNic, type LimitChange } from '../../../link/bandwidth/bandwidth.js'
import { ifbName, OWNER, PRIORITY, type RedirectState, redirection } from '../../../link/bandwidth/redirect.js'
import {
  bytesOf,
  CLASS,
  LEAF,
  queuesFor,
  ROOT,
  type RootState,
  type ShapedLink,
  shapedTo
} from '../../../link/bandwidth/shaper.js'
import { newClassRequest } from '../../../link/classes.js'
import { deleteFilterRequest, newFilterRequest } from '../../../link/filters.js'
import type { Link } from '../../../link/link.js'
import { changeRequest, createRequest, deleteRequest } from '../../../link/link-requests.js'
import { ownerGroup } from '../../../link/owner.js'
import { deleteQdiscRequest, newQdiscRequest } from '../../../link/qdiscs.js'
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from '../../../netlink/constants.js'
import type { Request } from '../../../netlink/request.js'
import { type Change, sysctlBack } from '../../step.js'
import type { Operation } from '../../way-back.js'
import { EEXIST, EINVAL, ENODEV, ENOENT, NOTHING, type PartOfPlan, type Port, takingBack } from './port.js'

const REPLACE = NLM_F_CREATE | NLM_F_REPLACE
const ADD = NLM_F_CREATE | NLM_F_EXCL

export async function bandwidthSteps(port: Port, kind: 'tun' | 'macvtap'): Promise<PartOfPlan> {
  const { net, link, index, name, settings } = port
  if (settings.bandwidth === undefined) return NOTHING
  const limits = settings.bandwidth ?? { inbound: null, outbound: null }
  let change: LimitChange
  try {
    change = await net.bandwidth.change({ index, name, swapped: isGuestNic(kind) }, limits, { new: !link })
  } catch (error) {
    if (!(error instanceof LinkwrightError && error.code === 'EEXIST')) throw error
    return { steps: [], conflicts: [{ code: 'qdisc-taken', message: error.message, about: name }] }
  }
  if (change.steps.length === 0) return NOTHING
  const { inbound, outbound } = limits
  const [egress, ingress] = isGuestNic(kind) ? [outbound, inbound] : [inbound, outbound]
  const step = {
    name: 'bandwidth',
    commands: change.steps.map(({ command }) => command),
    // What is on a link goes with it, but for the ifb.
    back: [
      ...(egress === undefined || !link ? [] : rootBack(port, change.root)),
      ...(ingress === undefined
        ? []
        : link
          ? ingressBack(port, change.redirect, ingress === null)
          : takingBack([withoutIfb(index)]))
    ],
    apply: async () => {
      await net.bandwidth.set(index, limits)
    }
  }
  return { steps: [step], conflicts: [] }
}

/** @param lifted whether the plan takes the limit away, rather than changing it */
function ingressBack(port: Port, redirect: RedirectState, lifted: boolean): Operation[] {
  const { ifb, root, qdisc } = redirect
  const isRedirected = redirect.filter && redirect.target === ifb?.index
  if (ifb && root && isRedirected && !lifted) return rootBack({ name: ifb.name ?? '', index: ifb.index }, root)
  if (ifb && root) return redirectBack(port, redirect, ifb, root)
  return takingBack([withoutFilter(port), ...(qdisc ? [] : [withoutIngress(port)]), withoutIfb(port.index)])
}

/** None of ours, or another's: settled where it is not there. */
const GONE = [ENOENT, EINVAL, ENODEV]

const withoutIfb = (port: number): Change => {
  return { request: deleteRequest(ifbName(port)), command: `ip link del dev ${ifbName(port)}`, settled: [ENODEV] }
}

function withoutFilter({ index, name }: ShapedLink): Change {
  const place = { link: index, parent: 'ingress', priority: PRIORITY, protocol: 'all' } as const
  const command = `tc filter del dev ${name} ingress protocol all pref ${PRIORITY}`
  return { request: deleteFilterRequest(place, index), command, settled: GONE }
}

function withoutIngress({ index, name }: ShapedLink): Change {
  const request = deleteQdiscRequest({ link: index, parent: 'ingress' }, index)
  return { request, command: `tc qdisc del dev ${name} ingress`, settled: GONE }
}

function rootBack(link: ShapedLink, state: RootState): Operation[] {
  const { index, name } = link
  if (state.foreign) return []
  const settings = shapedTo(state)
  if (!settings || !state.shaper) {
    const request = deleteQdiscRequest({ link: index, handle: ROOT, parent: 'root' }, index)
    return takingBack([{ request, command: `tc qdisc del dev ${name} root`, settled: GONE }])
  }
  const queues = queuesFor({ settings, bytes: bytesOf(settings) })
  const queue = queues.find(({ kind }) => kind === state.leaf?.kind)
  const requests: Request[] = [
    newQdiscRequest({ link: index, handle: ROOT, kind: 'htb', default: 1 }, ADD, index),
    newClassRequest({ link: index, classid: CLASS, kind: 'htb', ...settings }, REPLACE, index),
    ...(queue ? [newQdiscRequest({ link: index, parent: CLASS, handle: LEAF, ...queue }, REPLACE, index)] : [])
  ]
  return takingBack(
    requests.map(request => ({ request, command: `tc: ${request.verb} of ${name}`, settled: [EEXIST] }))
  )
}

/** The ifb with its ifindex, so that whoever knows it finds it again. */
function redirectBack(port: Port, redirect: RedirectState, ifb: Link, root: RootState): Operation[] {
  const { index, name = '', address, alias, group = ownerGroup(OWNER) } = ifb
  const made = createRequest({ kind: 'ifb', name, index, address, group }, false)
  const set = (options: Record<string, unknown>, words: string): Change => {
    return { request: changeRequest(index, options), command: `ip link set dev ${name} ${words}` }
  }
  const ingress = newQdiscRequest({ link: port.index, kind: 'ingress' }, ADD, port.index)
  const filter = newFilterRequest(redirection(port, redirect.target ?? index), ADD, port.index)
  return [
    ...takingBack([{ request: made, command: `ip link add name ${name} index ${index} type ifb`, settled: [EEXIST] }]),
    sysctlBack({ name: `net/ipv6/conf/${name}/disable_ipv6`, value: '1' }, true),
    ...takingBack([set(alias === undefined ? {} : { alias }, `alias ${alias}`), set({ up: true }, 'up')]),
    ...rootBack({ name, index }, root),
    ...takingBack([
      { request: ingress, command: `tc qdisc add dev ${port.name} ingress`, settled: [EEXIST] },
      ...(redirect.filter
        ? [withoutFilter(port), { request: filter, command: `tc filter add dev ${port.name} ingress` }]
        : [])
    ])
  ]
}
