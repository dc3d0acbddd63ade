/** The list that `ensure` is given, looked at as a whole before anything is read or changed. */
import { prefixPath } from '../../codec/codec.js'
import { invalidArgument } from '../../errors.js'
import { findLinkKind } from '../../rtnetlink/link-kind.js'
import { randomAddress } from '../bridge-defaults.js'
import type { LinkRef } from '../link.js'
import type { CreateLink } from '../link-options.js'
import { afterCreation, altnamesRequest, changeRequest, createRequest, type ResolvedOptions } from '../link-requests.js'
import { withOwner } from '../owner.js'
import { References } from '../references.js'
import type { EnsureLink } from './options.js'
import { type Wish, wishesOf } from './wishes.js'

type Options = Record<string, unknown>

/** A link that shall be there: one of the list, or the peer of one. */
export interface Wanted {
  readonly name: string
  /** `specs[3]`, `specs[3].peer` */
  readonly path: string
  readonly kind: string | undefined
  /** Why `ensure` cannot create it, if so. */
  readonly notCreatable: string | undefined
  /** What was given, without name, kind, peer and alternative names; links as they are in the list. */
  readonly options: Options
  readonly wishes: readonly Wish[]
  readonly altnames: readonly string[] | undefined
  /** The name of the other end. */
  readonly peer: string | undefined
  /** 0 for links that need no other of the list, else one more than the highest of those. */
  level: number
}

/** A wanted link while the list is read. */
interface Draft {
  name: string
  path: string
  kind: string | undefined
  peer: string | undefined
  options: Options
  altnames: string[] | undefined
}

const SEE = {
  netns: 'nothing (links of another namespace are ensured there)',
  owner: 'nothing (it is an option of the call)',
  operstate: 'nothing (the kernel moves it by itself)',
  xdp: 'nothing (a program cannot be compared)',
  unknown: 'nothing (what has no name cannot be compared)',
  unknownData: 'nothing (what has no name cannot be compared)',
  linkNetnsid: 'nothing (links of another namespace are ensured there)'
}

/**
 * Links by name, in an order in which they can be created.
 *
 * @throws LinkwrightError `ERR_INVALID_ARG_VALUE` with the path of what is wrong: `specs[3].mtu`
 */
export function wantedLinks(specs: Iterable<EnsureLink>, owner: string | undefined): Map<string, Wanted> {
  if (typeof specs !== 'object' || specs === null || typeof specs[Symbol.iterator] !== 'function') {
    throw invalidArgument('specs', 'an iterable of links', specs)
  }
  const drafts = new Map<string, Draft>()
  const peers: { of: Draft; given: unknown; path: string }[] = []
  let at = 0
  for (const spec of specs) {
    const path = `specs[${at++}]`
    try {
      const { draft, peer } = read(spec, path)
      const before = drafts.get(draft.name)
      if (before) throw invalidArgument('name', `a name of its own (${before.path} has it)`, draft.name)
      drafts.set(draft.name, draft)
      if (peer !== undefined) peers.push({ of: draft, given: peer, path: `${path}.peer` })
    } catch (error) {
      throw prefixPath(error, path)
    }
  }
  for (const { of, given, path } of peers) {
    try {
      addPeer(drafts, of, given, path)
    } catch (error) {
      throw prefixPath(error, path)
    }
  }
  const names = namesOf(drafts)
  const wanted = [...drafts.values()].map(draft => complete(draft, names, owner))
  const byName = new Map(wanted.map(each => [each.name, each]))
  for (const each of wanted) levelOf(each, byName, [])
  return new Map(wanted.toSorted((a, b) => a.level - b.level).map(each => [each.name, each]))
}

function read(spec: unknown, path: string): { draft: Draft; peer: unknown } {
  if (typeof spec !== 'object' || spec === null) throw invalidArgument('', 'the options of a link', spec)
  const { name, kind, peer, altnames, ...options } = spec as Options
  if (typeof name !== 'string' || name === '' || name.includes('%')) {
    throw invalidArgument('name', 'the name of the link, without %', name)
  }
  if (kind !== undefined && typeof kind !== 'string') throw invalidArgument('kind', 'a kind of link', kind)
  if (peer !== undefined && kind !== 'veth') throw invalidArgument('peer', 'nothing (only a veth has a peer)', peer)
  refuseWhatMoves(options)
  const draft = { name, path, kind, peer: undefined, options, altnames: altnames as string[] | undefined }
  return { draft, peer }
}

/** Refuses what cannot be compared with what the kernel shows. */
function refuseWhatMoves(options: Options): void {
  for (const [key, instead] of Object.entries(SEE)) {
    if (options[key] !== undefined) throw invalidArgument(key, instead, options[key])
  }
  const { port, afSpec, macaddrMode } = options as { port?: Options; afSpec?: Options; macaddrMode?: unknown }
  if (port?.['state'] !== undefined) throw invalidArgument('port.state', SEE.operstate, port['state'])
  if (afSpec?.['inet'] !== undefined) throw invalidArgument('afSpec.inet', SEE.unknown, afSpec['inet'])
  if (macaddrMode !== undefined && macaddrMode !== 'set') {
    throw invalidArgument('macaddrMode', "'set', which is what macaddrs means", macaddrMode)
  }
}

/** The peer of a veth becomes a link of the list, or is one already. */
function addPeer(drafts: Map<string, Draft>, of: Draft, given: unknown, path: string): void {
  const { draft: peer, peer: nested } = read({ kind: 'veth', ...(given as Options) }, path)
  if (nested !== undefined || peer.kind !== 'veth') throw invalidArgument('peer', 'nothing', nested ?? peer.kind)
  const listed = drafts.get(peer.name)
  if (peer.name === of.name) throw invalidArgument('name', 'another name than that of the link', peer.name)
  if (listed && (listed.kind !== 'veth' || (listed.peer ?? of.name) !== of.name)) {
    throw invalidArgument('name', `a link that is not something else (${listed.path})`, peer.name)
  }
  if (of.peer !== undefined && of.peer !== peer.name) {
    throw invalidArgument('name', `'${of.peer}', which names ${of.name} as its peer`, peer.name)
  }
  of.peer = peer.name
  if (!listed) {
    drafts.set(peer.name, { ...peer, peer: of.name })
    return
  }
  listed.peer = of.name
  listed.altnames ??= peer.altnames
  for (const [key, value] of Object.entries(peer.options)) {
    const other = listed.options[key]
    if (value === undefined) continue
    if (other !== undefined && JSON.stringify(other) !== JSON.stringify(value)) {
      throw invalidArgument(key, `nothing, or what ${listed.path} has`, value)
    }
    listed.options[key] = value
  }
}

/** Every name that links of the list are known by. */
function namesOf(drafts: Map<string, Draft>): Map<string, string> {
  const names = new Map([...drafts.keys()].map(name => [name, name]))
  for (const { name, path, altnames } of drafts.values()) {
    if (altnames === undefined) continue
    if (!Array.isArray(altnames)) throw invalidArgument(`${path}.altnames`, 'names', altnames)
    for (const [at, altname] of altnames.entries()) {
      if (names.has(altname) && names.get(altname) !== name) {
        throw invalidArgument(`${path}.altnames[${at}]`, 'a name that no other link has', altname)
      }
      names.set(altname, name)
    }
  }
  return names
}

function complete(draft: Draft, names: Map<string, string>, owner: string | undefined): Wanted {
  const { name, path, kind, peer, altnames } = draft
  try {
    const found = kind === undefined ? undefined : findLinkKind(kind)
    const notCreatable = kind === undefined ? 'without a kind a link can only be changed' : found?.notCreatable
    const options = byTheirNames(draft.options, names)
    if (kind === undefined || notCreatable) refuseCreationOf(options)
    if (options['link'] !== undefined && found && !found.lower) {
      throw invalidArgument('link', `nothing (a ${kind} sits on no other link)`, options['link'])
    }
    // Left to the kernel it may be whatever the kernel makes of it.
    const { address, ...rest } = options
    const isLeft = kind === 'bridge' && address === null
    const tagged = withOwner({ ...(isLeft ? rest : options), owner, kind }) as object as Options
    const resolved = References.dry.resolve({ ...tagged, name })
    if (notCreatable) changeRequest(1, { ...resolved, name: undefined })
    else checkCreation(resolved)
    if (altnames?.length) altnamesRequest('RTM_NEWLINKPROP', 1, altnames)
    const wishes = wishesOf(tagged as ResolvedOptions)
    for (const [key, entry] of Object.entries(found?.data.table ?? {})) {
      if (entry[2]?.writeOnly && key !== 'macaddrMode' && options[key] !== undefined) {
        throw invalidArgument(key, 'nothing (the kernel does not tell whether it is so)', options[key])
      }
    }
    // Drawn here, so that the text of a plan has one as well.
    if (kind === 'bridge' && address === undefined) options['address'] = randomAddress()
    return { name, path, kind, notCreatable, options, wishes, altnames, peer, level: -1 }
  } catch (error) {
    throw prefixPath(error, path)
  }
}

function refuseCreationOf(options: Options): void {
  for (const key of ['index', 'link', 'numTxQueues', 'numRxQueues']) {
    if (options[key] !== undefined) throw invalidArgument(key, 'nothing (only a creation can set it)', options[key])
  }
}

function checkCreation(resolved: ResolvedOptions): void {
  createRequest(resolved, false)
  const later = afterCreation(resolved)
  if (later) changeRequest(1, later)
}

/** References by the name that the list has for a link, whichever of its names was given. */
function byTheirNames(options: Options, names: Map<string, string>): Options {
  const own = (ref: unknown) => (typeof ref === 'string' ? (names.get(ref) ?? ref) : ref)
  const { port } = options as { port?: Options }
  const result = { ...options }
  for (const key of ['link', 'master', 'dev']) if (key in result) result[key] = own(result[key])
  if (port && typeof port === 'object' && 'backupPort' in port) {
    result['port'] = { ...port, backupPort: own(port['backupPort']) }
  }
  return result
}

/** Links of the list that must be there before another: those that it sits on or is a port of. */
export function needsOf({ options }: Wanted): LinkRef[] {
  const { link, master, dev } = options as { link?: LinkRef; master?: LinkRef | null; dev?: LinkRef }
  return [link, master, dev].filter(ref => ref !== undefined && ref !== null)
}

function levelOf(wanted: Wanted, all: Map<string, Wanted>, above: readonly Wanted[]): number {
  if (wanted.level >= 0) return wanted.level
  if (above.includes(wanted)) {
    const names = [...above.slice(above.indexOf(wanted)), wanted].map(({ name }) => name)
    throw invalidArgument(wanted.path, 'a link that does not need itself', names.join(' → '))
  }
  // The ends of a veth are created together.
  const other = wanted.peer === undefined ? undefined : all.get(wanted.peer)
  const pair = other && !above.includes(other) ? [wanted, other] : [wanted]
  let level = 0
  for (const end of pair) {
    for (const ref of needsOf(end)) {
      const need = typeof ref === 'string' ? all.get(ref) : undefined
      if (need) level = Math.max(level, levelOf(need, all, [...above, wanted]) + 1)
    }
  }
  for (const end of pair) end.level = level
  return level
}

/** What creates a link, and its peer with it. References that are ifindexes come from `at`. */
export function creationOf(
  wanted: Wanted,
  peer: Wanted | undefined,
  owner: string | undefined,
  at: (ref: LinkRef) => LinkRef
): CreateLink {
  const own = optionsAt(wanted, owner, at)
  if (!peer) return own as unknown as CreateLink
  const { kind: _, ...other } = optionsAt(peer, owner, at)
  return { ...own, peer: other } as unknown as CreateLink
}

function optionsAt(wanted: Wanted, owner: string | undefined, at: (ref: LinkRef) => LinkRef): Options {
  const { name, kind, altnames } = wanted
  const options: Options = { ...wanted.options, kind, name, altnames, owner }
  for (const key of ['link', 'master', 'dev']) {
    const ref = options[key] as LinkRef | null | undefined
    if (ref === null) delete options[key]
    else if (ref !== undefined) options[key] = at(ref)
  }
  const { port } = options as { port?: Options }
  if (port) {
    // The port that it names has to be one first: it is set at the end.
    const { backupPort: _, ...rest } = port
    options['port'] = Object.keys(rest).length > 0 ? rest : undefined
  }
  const mtu = pinnedMtu(wanted)
  if (mtu !== undefined) options['mtu'] = anotherMtu(mtu)
  return options
}

const LEAST_MTU = 68

/**
 * The MTU of a bridge, which the kernel lets follow that of its ports until it is changed. One that is given at creation,
 * or that is what the bridge has already, is no change: a bridge is made with another.
 */
export function pinnedMtu({ kind, options }: Wanted): number | undefined {
  const { mtu } = options as { mtu?: number }
  return kind === 'bridge' ? mtu : undefined
}

/** What a bridge is made with, so that its MTU is a change. */
export function anotherMtu(mtu: number): number {
  return mtu > LEAST_MTU ? mtu - 1 : mtu + 1
}
