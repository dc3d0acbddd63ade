/**
 * What a link receives, sent through an ifb that can be shaped: a qdisc holds back only what goes out.
 *
 * The filter of the port redirects all frames to the ifb, which sends them back as if they had just come in. They skip
 * what else listens at the ingress of the port then: packet sockets have seen them before, chains of nf_tables at the
 * ingress hook (`table netdev`) never do. Bridges, routing and their netfilter hooks see them as always.
 */
import { LinkwrightError } from '../../errors.js'
import type { AddFilter, Filter, Filters } from '../filters.js'
import type { Link } from '../link.js'
import type { Links } from '../links.js'
import { ownerAlias } from '../owner.js'
import type { Qdisc } from '../qdiscs.js'
import { type RootState, readRoot, type ShapedLink, type ShaperVerbs } from './shaper.js'
import type { BandwidthStep } from './steps.js'

/** Filters have no owner: ours is told by a priority that nobody else chooses. */
export const PRIORITY = 0x6c77
/** In the Ethernet header, so that a frame without anything behind it matches too. tc wants a multiple of four. */
const IN_HEADER = -4

/** Not that of the port: what removes or ensures an owner's links knows nothing of ifbs. */
export const OWNER = 'linkwright.bandwidth'

export interface RedirectVerbs extends ShaperVerbs {
  readonly links: Links
  readonly filters: Filters
}

export interface RedirectState {
  readonly ifb: Link | undefined
  /** What the ifb has at its root. */
  readonly root: RootState | undefined
  readonly qdisc: Qdisc | undefined
  /** Ours, and where it sends to. */
  readonly filter: Filter | undefined
  readonly target: number | undefined
  /** How many filters of others are beside it. */
  readonly others: number
  /** Whether the place is somebody else's. */
  readonly foreign: boolean
}

/** Of a port that is not there yet, or that nothing was done to. */
export const PLAIN: RedirectState = {
  ifb: undefined,
  root: undefined,
  qdisc: undefined,
  filter: undefined,
  target: undefined,
  others: 0,
  foreign: false
}

/** The ifb of a port is named after its ifindex, which is not given to another while the namespace lives. */
export function ifbName(port: number): string {
  return `ifb-${port}`
}

export async function readRedirect(verbs: RedirectVerbs, port: ShapedLink): Promise<RedirectState> {
  const { links, qdiscs, filters } = verbs
  const [found, qdisc] = await Promise.all([
    links.find(ifbName(port.index)),
    qdiscs.find({ link: port.index, parent: 'ingress' })
  ])
  if (found && !isOurs(found)) throw inTheWay(found)
  const root = found && (await readRoot(verbs, { name: found.name as string, index: found.index }))
  const all = qdisc ? await filters.list({ link: port.index, parent: 'ingress' }) : []
  const filter = all.find(one => one.priority === PRIORITY && targetOf(one) !== undefined)
  const others = all.filter(one => one.priority !== PRIORITY).length
  // One that was left empty by a process that was killed is ours if the ifb is there.
  const foreign = qdisc !== undefined && !filter && (others > 0 || !found || qdisc.kind !== 'ingress')
  return { ifb: found, root, qdisc, filter, target: filter && targetOf(filter), others, foreign }
}

/** What it takes to have the ifb, down to its index, which is known when the steps are carried out. */
export function ifbStep({ links }: RedirectVerbs, port: ShapedLink, made: (link: ShapedLink) => void): BandwidthStep {
  const name = ifbName(port.index)
  const alias = `outbound of ${port.name}`
  return {
    command: `ip link add name ${name} type ifb && ip link set dev ${name} alias '${ownerAlias(OWNER, alias)}' up`,
    async run() {
      const link = await links.create({ kind: 'ifb', name, owner: OWNER, alias, ipv6: false, up: true })
      made({ name, index: link.index })
    },
    undo: () => links.delete(name, { ifExists: true })
  }
}

/** What it takes that frames go through the ifb. */
export function redirectSteps(
  { qdiscs, filters }: RedirectVerbs,
  port: ShapedLink,
  state: RedirectState,
  ifb: () => ShapedLink
): BandwidthStep[] {
  const steps: BandwidthStep[] = []
  const place = { link: port.index, parent: 'ingress' }
  if (state.foreign) {
    steps.push({
      command: `tc qdisc del dev ${port.name} ${state.qdisc?.kind}`,
      run: () => qdiscs.delete(place)
    })
  }
  if (!state.qdisc || state.foreign) {
    steps.push({
      command: `tc qdisc add dev ${port.name} handle ffff: ingress`,
      run: () => qdiscs.add({ link: port.index, kind: 'ingress' }),
      undo: () => qdiscs.delete(place)
    })
  }
  if (state.filter && state.target !== state.ifb?.index) steps.push(filterRemoval(filters, port))
  if (!state.filter || state.target !== state.ifb?.index) {
    const name = ifbName(port.index)
    steps.push({
      command:
        `tc filter add dev ${port.name} ingress protocol all pref ${PRIORITY} u32 match u32 0 0 at ${IN_HEADER} ` +
        `action mirred egress redirect dev ${name}`,
      run: () => filters.add(redirection(port, ifb().index)),
      undo: () => filters.delete({ ...place, priority: PRIORITY, protocol: 'all' })
    })
  }
  return steps
}

/** What it takes that they do not any more. The ifb goes last: what was redirected to one that is gone would be lost. */
export function directSteps(verbs: RedirectVerbs, port: ShapedLink, state: RedirectState): BandwidthStep[] {
  const { links, qdiscs, filters } = verbs
  const steps: BandwidthStep[] = []
  const { ifb, target, filter, qdisc } = state
  if (filter) {
    steps.push({
      ...filterRemoval(filters, port),
      undo: async () => {
        if (ifb && target === ifb.index) await filters.add(redirection(port, target))
      }
    })
  }
  if (qdisc?.kind === 'ingress' && !state.foreign && state.others === 0) {
    steps.push({
      command: `tc qdisc del dev ${port.name} ingress`,
      run: () => qdiscs.delete({ link: port.index, parent: 'ingress' }),
      undo: () => qdiscs.add({ link: port.index, kind: 'ingress' })
    })
  }
  if (ifb) steps.push(removalStep(links, ifb))
  return steps
}

/** The ifbs of ports that are gone. The kernel does not take them along. */
export async function orphans({ links }: Pick<RedirectVerbs, 'links'>): Promise<Link[]> {
  const ours = (await links.list({ kind: 'ifb' })).filter(isOurs)
  const ports = await Promise.all(ours.map(link => links.find(portOf(link))))
  return ours.filter((_, at) => ports[at] === undefined)
}

function removalStep(links: Links, { name, index }: Link): BandwidthStep {
  return { command: `ip link del dev ${name}`, run: () => links.delete(index, { ifExists: true }) }
}

function filterRemoval(filters: Filters, port: ShapedLink): BandwidthStep {
  return {
    command: `tc filter del dev ${port.name} ingress protocol all pref ${PRIORITY}`,
    run: () => filters.delete({ link: port.index, parent: 'ingress', priority: PRIORITY, protocol: 'all' })
  }
}

export function redirection(port: ShapedLink, ifb: number): AddFilter {
  return {
    link: port.index,
    parent: 'ingress',
    priority: PRIORITY,
    protocol: 'all',
    kind: 'u32',
    match: [{ value: 0, mask: 0, at: IN_HEADER }],
    actions: [{ kind: 'mirred', to: 'redirect', dev: ifb }]
  }
}

/** Where a filter sends all frames to; `undefined` for another filter. */
function targetOf(filter: Filter): number | undefined {
  const { actions } = (filter.settings ?? {}) as { actions?: { kind?: string; to?: string; dev?: number }[] }
  const [only] = actions ?? []
  return only?.kind === 'mirred' && only.to === 'redirect' ? only.dev : undefined
}

function isOurs(link: Link): boolean {
  return link.owner === OWNER && link.kind === 'ifb' && link.name === ifbName(portOf(link))
}

function portOf({ name = '' }: Link): number {
  return Number(/^ifb-(\d+)$/.exec(name)?.[1] ?? 0)
}

function inTheWay({ name }: Link): LinkwrightError {
  const message = `EEXIST: ${name} is there and was not made for a limit`
  return new LinkwrightError(message, { code: 'EEXIST', link: name })
}
