/** What creates a link, encoded, and what the link takes afterwards. Whatever is wrong with it is found out here. */
import { prefixPath } from '../../codec/codec.js'
import { kernelAtLeast } from '../../kernel-release.js'
import type { Request } from '../../netlink/request.js'
import { giveBridgeAddress } from '../bridge-defaults.js'
import { type Ipv6Defaults, ipv6OfPeer } from '../ipv6.js'
import type { LinkRef } from '../link.js'
import type { CreateLink, VethPeer } from '../link-options.js'
import {
  afterCreation,
  altnamesRequest,
  changeRequest,
  createRequest,
  getRequest,
  type ResolvedOptions
} from '../link-requests.js'
import { withOwner } from '../owner.js'
import { namesIn, References } from '../references.js'
import type { Namespaces, OpenedNamespace } from './namespaces.js'

/** Ifindexes that nobody picks by accident, for links whose name the kernel chooses and does not tell. */
const RANDOM_INDEX_FROM = 0x10000
const RANDOM_INDEX_TO = 0x3fffffff

/** A creation that is ready to be sent. */
export interface Prepared {
  given: CreateLink
  resolved: ResolvedOptions
  request: Request
  /** Asks for the link right behind its creation, where that does not tell all. */
  look: Request | undefined
  /** What is to be changed once the link is there. */
  later: ResolvedOptions | undefined
  /** The same of a veth's peer. */
  peerLater: ResolvedOptions | undefined
  /** Namespaces that the request names. */
  netns: OpenedNamespace | undefined
  peerNetns: OpenedNamespace | undefined
}

/** What was looked up for the links that are to be made. */
export interface Known {
  references: References
  ipv6: Ipv6Defaults
  /** Of the namespaces that links were made in. */
  inodes: Map<CreateLink, bigint>
}

/** Why something cannot be encoded, where it needs look-ups: found out before them. */
export function refusal(given: CreateLink, references: References): Error | undefined {
  try {
    if (references.has(namesIn(given))) return undefined
    const resolved = References.dry.resolve(given)
    giveBridgeAddress(resolved)
    createRequest(resolved, false)
    checkSteps(afterCreation(resolved), given.altnames)
    return undefined
  } catch (error) {
    return error as Error
  }
}

export function prepare(
  given: CreateLink,
  { references, ipv6, inodes }: Known,
  namespaces: Namespaces
): Prepared | { reason: unknown } {
  let netns: OpenedNamespace | undefined
  let peerNetns: OpenedNamespace | undefined
  try {
    const resolved = references.resolve(given)
    const { peer } = given as { peer?: VethPeer }
    const off = ipv6.ipv6Of(given)
    if (off !== resolved['ipv6']) resolved['ipv6'] = off
    giveBridgeAddress(resolved)
    const later = afterCreation(resolved)
    checkSteps(later, given.altnames)
    const peerLater = peer && peerSteps(peer)
    if (given.netns !== undefined) {
      netns = namespaces.open(given.netns)
      resolved.netnsFd = netns.fd
      inodes.set(given, netns.inode)
    }
    if (resolved.peer && peer?.netns !== undefined) {
      peerNetns = namespaces.open(peer.netns)
      resolved.peer.netnsFd = peerNetns.fd
    }
    // The answer to a creation in another namespace goes there.
    const echo = given.netns === undefined && kernelAtLeast('6.3')
    const nameless = resolved.name === undefined || resolved.name.includes('%')
    // The kernel gives a peer its ifindex only beside one of the link.
    if ((!echo && nameless) || peer?.index !== undefined) resolved.index ??= randomIndex()
    const request = createRequest(resolved, echo)
    const prepared: Prepared = { given, resolved, request, look: undefined, later, peerLater, netns, peerNetns }
    prepared.look = lookBehind(prepared, echo, nameless)
    return prepared
  } catch (reason) {
    return { reason }
  }
}

export function isPrepared(item: Prepared | { reason: unknown }): item is Prepared {
  return 'request' in item
}

/** What could not go along with the creation. */
export function stepsAfter(item: Prepared): boolean {
  // The kernel answers before the link has its master: it is asked for again.
  return Boolean(item.resolved.master) || changesAfter(item)
}

/** What is to be changed then. */
export function changesAfter({ given, later, peerLater }: Prepared): boolean {
  return Boolean(later || given.altnames?.length || masterThere(given) || peerLater)
}

/** A master in another namespace has its name and ifindex there. */
export function masterThere(given: CreateLink): LinkRef | undefined {
  return given.netns === undefined ? undefined : (given.master ?? undefined)
}

/** What of a veth's peer has to wait until the pair exists. */
function peerAfterCreation(peer: VethPeer): ResolvedOptions | undefined {
  const { up, master, altnames } = peer
  const later = afterCreation({ ...(withOwner(peer) as ResolvedOptions), ipv6: ipv6OfPeer(peer) })
  if (up === undefined && master === undefined && !later && !altnames?.length) return undefined
  return { ...later, up, master } as ResolvedOptions
}

/** What tells the rest where nothing else is to be done. It may find another link: the creation may fail. */
function lookBehind(item: Prepared, echo: boolean, nameless: boolean): Request | undefined {
  const { index, name, master } = item.resolved
  if (item.given.netns !== undefined || (nameless && index === undefined)) return undefined
  // The kernel answers before the link has its master. Where there are steps to take, it is asked behind them.
  const unanswered = !echo || (master && !changesAfter(item))
  return unanswered ? getRequest(index ?? (name as string), false) : undefined
}

function checkSteps(later: object | undefined, altnames: string[] | undefined): void {
  if (later) changeRequest(1, References.dry.resolve(later))
  if (altnames?.length) altnamesRequest('RTM_NEWLINKPROP', 1, altnames)
}

function peerSteps(peer: VethPeer): ResolvedOptions | undefined {
  try {
    const later = peerAfterCreation(peer)
    checkSteps(later, peer.altnames)
    return later
  } catch (error) {
    throw prefixPath(error, 'peer')
  }
}

function randomIndex(): number {
  return RANDOM_INDEX_FROM + Math.floor(Math.random() * (RANDOM_INDEX_TO - RANDOM_INDEX_FROM))
}
