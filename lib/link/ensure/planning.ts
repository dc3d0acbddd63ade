/** From what is wanted and what there is to what has to be done. Reads and sends nothing. */
import { LinkwrightError } from '../../errors.js'
import { findLinkKind } from '../../rtnetlink/link-kind.js'
import type { Link, LinkRef } from '../link.js'
import { isOwnedBy } from '../owner.js'
import { blockers } from './blockers.js'
import { Losses } from './losses.js'
import { portAgain, remadeMaster } from './ports-again.js'
import type { Situation } from './situation.js'
import type { Snapshot } from './snapshot.js'
import type { EnsureAction, Move, Moves } from './steps.js'
import type { Wanted } from './wanted.js'
import { type Difference, differenceOf, wholeWish } from './wishes.js'

const NO_NAMES = { add: [], remove: [] }

/**
 * @throws LinkwrightError `ERR_NOT_OWNED` for what is not the owner's to change, replace or remove; `ENODEV` for links that
 * are referred to, or cannot be created, and are missing
 */
export function planMoves(situation: Situation): Moves {
  const { wanted, snapshot } = situation
  const losses = new Losses(situation)
  const differences = new Map<Wanted, Difference[]>()
  for (const each of wanted.values()) {
    checkReferences(each, situation)
    const existing = existingOf(each, situation)
    checkAltnames(each, existing, situation)
    if (!existing) continue
    const found = each.wishes.flatMap(wish => differenceOf(wish, existing, snapshot) ?? [])
    differences.set(each, found)
    const reason = reasonToReplace(each, existing, found, snapshot)
    if (reason) losses.replace(each, existing, reason)
  }
  const unwanted = unwantedLinks(situation, losses)
  const claims = claimsOf(situation)
  const inTheWay = blockers(situation, unwanted, claims)
  losses.check(unwanted)
  for (const link of inTheWay.keys()) losses.lose(link)

  const levels: Move[][] = []
  for (const each of wanted.values()) {
    const master = remadeMaster(each, situation, losses)
    const found = [...(differences.get(each) ?? []), ...(master ? portAgain(each, master, snapshot) : [])]
    const move = moveOf(each, situation, losses, found, claims)
    if (!move) continue
    const level = Math.max(each.level, master ? master.level + 1 : 0)
    levels[level] ??= []
    levels[level]?.push(move)
  }
  const early = [...inTheWay].map(([link, because]) => removal(link, because))
  const removals = unwanted.filter(link => !losses.has(link.index)).map(link => removal(link))
  return {
    lost: losses.links,
    lostFirst: losses.first,
    // Levels where nothing is to do are holes.
    levels: levels.filter(level => level !== undefined),
    removals,
    early,
    nameOf: index => snapshot.nameOf(index) as string,
    isBridge: ref => (wanted.get(snapshot.nameOf(ref) as string)?.kind ?? snapshot.find(ref)?.kind) === 'bridge'
  }
}

/** The link that a wanted one is now, if it may be touched. */
function existingOf(wanted: Wanted, situation: Situation): Link | undefined {
  const { snapshot, policy } = situation
  const { name, path, kind } = wanted
  const existing = snapshot.named(name)
  if (!existing) {
    const other = snapshot.otherwiseNamed(name)
    if (other && !givesUpName(other, situation)) throw conflict(wanted, `is another name of ${other.name}`)
    if (wanted.notCreatable) {
      throw new LinkwrightError(`${path}: there is no link ${name}: ${wanted.notCreatable}`, {
        code: 'ENODEV',
        link: name,
        path
      })
    }
    return undefined
  }
  const { owner } = policy
  if (owner !== undefined && !isOwnedBy(existing, owner) && !policy.adopts(name)) {
    throw conflict(wanted, `is not ${owner}'s (\`adopt\` takes it over)`)
  }
  if (wanted.notCreatable && kind !== undefined && existing.kind !== kind) {
    throw conflict(wanted, `is ${existing.kind ? `a ${existing.kind}` : 'no'} ${kind}: ${wanted.notCreatable}`)
  }
  return existing
}

/** Names of others cannot be had. */
function checkAltnames(wanted: Wanted, existing: Link | undefined, situation: Situation): void {
  for (const altname of wanted.altnames ?? []) {
    const other = situation.snapshot.find(altname)
    if (other && other.index !== existing?.index && !givesUpName(other, situation))
      throw conflict(wanted, `cannot be ${altname} too: ${other.name} is`)
  }
}

/** Whether the list may take a name from a link: it is the owner's. */
function givesUpName(link: Link, { policy, wanted }: Situation): boolean {
  return policy.owner !== undefined && isOwnedBy(link, policy.owner) && (policy.prune || wanted.has(link.name ?? ''))
}

/** Names that links of the list shall have, and whose they will be. */
function claimsOf({ wanted }: Situation): Map<string, string> {
  const claims = new Map<string, string>()
  for (const { name, altnames } of wanted.values())
    for (const each of [name, ...(altnames ?? [])]) claims.set(each, name)
  return claims
}

/** What is referred to and not in the list has to be there. */
function checkReferences(wanted: Wanted, { wanted: all, snapshot }: Situation): void {
  for (const { place, path, value } of wanted.wishes) {
    if (place !== 'reference' || value === null) continue
    if (typeof value === 'string' && all.has(value)) continue
    if (snapshot.find(value as LinkRef)) continue
    const link = snapshot.nameOf(value as LinkRef) as string
    throw new LinkwrightError(`${wanted.path}.${path}: there is no link ${link}, here or in the list`, {
      code: 'ENODEV',
      link,
      path: `${wanted.path}.${path}`
    })
  }
}

/** Why an existing link cannot become what is wanted. */
function reasonToReplace(
  { kind, peer, options }: Wanted,
  existing: Link,
  differences: readonly Difference[],
  snapshot: Snapshot
): string | undefined {
  if (kind !== undefined && existing.kind !== kind) return `it is ${existing.kind ? `a ${existing.kind}` : 'a device'}`
  if (peer !== undefined && snapshot.peerOf(existing)?.name !== peer) return `its peer is not ${peer}`
  for (const { wish, path, from } of differences) {
    if (wish.createOnly) return `${path} is set at creation only`
    if (path === 'mode' && (from === 'passthru' || wish.wanted === 'passthru')) {
      return 'mode cannot be changed from or to passthru'
    }
  }
  if (kind === 'vxlan' && familyOf(existing.data) !== undefined) {
    const wantedFamily = familyOf(options)
    if (wantedFamily !== undefined && wantedFamily !== familyOf(existing.data)) {
      return 'the addresses of a vxlan keep their family'
    }
  }
  return undefined
}

/** The kernel takes a vxlan without addresses for one of IPv4. */
function familyOf(data: unknown): 4 | 6 | undefined {
  const { remote, local, remote6, local6 } = (data ?? {}) as Record<string, unknown>
  if (remote6 !== undefined || local6 !== undefined) return 6
  if (remote !== undefined || local !== undefined) return 4
  return undefined
}

/** What the owner has and the list does not: never what could not be made again, nor what the list refers to. */
function unwantedLinks({ wanted, snapshot, policy }: Situation, losses: Losses): Link[] {
  const { owner, prune } = policy
  if (owner === undefined || !prune) return []
  const needed = new Set<number>()
  for (const { wishes, name } of wanted.values()) {
    for (const { place, value } of wishes) {
      const target = place === 'reference' && value !== null ? snapshot.indexOf(value as LinkRef) : undefined
      if (target !== undefined) needed.add(target)
    }
    const existing = snapshot.named(name)
    const peer = existing && !losses.has(existing.index) ? snapshot.peerOf(existing) : undefined
    if (peer) needed.add(peer.index)
  }
  return snapshot.links.filter(link => {
    if (!isOwnedBy(link, owner) || wanted.has(link.name ?? '') || needed.has(link.index)) return false
    return link.kind !== undefined && !findLinkKind(link.kind)?.notCreatable
  })
}

function moveOf(
  wanted: Wanted,
  situation: Situation,
  losses: Losses,
  differences: readonly Difference[],
  claims: ReadonlyMap<string, string>
): Move | undefined {
  const { snapshot } = situation
  const existing = snapshot.named(wanted.name)
  const peer = wanted.peer === undefined ? undefined : situation.wanted.get(wanted.peer)
  const isLost = (each: Wanted | undefined) => {
    const link = each && snapshot.named(each.name)
    return link !== undefined && losses.has(link.index)
  }
  if (existing && !isLost(wanted)) return changeOf(wanted, existing, situation, losses, differences, claims)
  // The peer is made together with the one that comes first.
  if (peer && isSecond(wanted, peer, situation)) return undefined
  const before = isLost(wanted) ? existing : isLost(peer) ? snapshot.named(peer?.name ?? '') : undefined
  const whole = (each: Wanted) => each.wishes.map(wish => wholeWish(wish, snapshot))
  const changes = before && before === existing ? differences : whole(wanted)
  return {
    step: stepOf(
      before ? 'replace' : 'create',
      wanted.name,
      wanted.kind,
      [
        ...changes,
        ...(peer ? [{ path: 'peer.name', from: undefined, to: peer.name }] : []),
        ...(peer ? whole(peer).map(change => ({ ...change, path: `peer.${change.path}` })) : [])
      ],
      before && losses.because(before)
    ),
    wanted,
    peer,
    existing: before,
    differences: whole(wanted),
    altnames: { add: wanted.altnames ?? [], remove: [] }
  }
}

function isSecond(wanted: Wanted, peer: Wanted, { wanted: all }: Situation): boolean {
  for (const each of all.values()) if (each === wanted || each === peer) return each === peer
  return false
}

function changeOf(
  wanted: Wanted,
  existing: Link,
  { snapshot }: Situation,
  losses: Losses,
  found: readonly Difference[],
  claims: ReadonlyMap<string, string>
): Move | undefined {
  // What a link is a port of goes and comes again: it has to become one again, with all its settings.
  const again = wanted.wishes.filter(({ place, path, value }) => {
    if (place !== 'reference' || value === null) return false
    const now = path === 'master' ? existing.master : path === 'port.backupPort' ? existing.port?.backupPort : 0
    return now !== undefined && now !== 0 && losses.has(now) && !found.some(({ wish }) => wish.path === path)
  })
  const differences = [...found, ...again.map(wish => wholeWish(wish, snapshot))]
  const moved = differences.find(({ path, wish }) => path === 'master' && wish.value !== null)
  if (moved) {
    // A new port has the kernel's own settings.
    for (const wish of wanted.wishes) {
      if (wish.path.startsWith('port.') && !differences.some(difference => difference.wish === wish)) {
        differences.push(wholeWish(wish, snapshot))
      }
    }
  }
  const altnames = altnamesOf(wanted, existing, claims)
  const names = altnames.add.length + altnames.remove.length
  if (differences.length === 0 && names === 0) return undefined
  const changes = [
    ...differences,
    ...(names > 0
      ? [
          {
            path: 'altnames',
            from: existing.altnames,
            to: [...existing.altnames.filter(each => !altnames.remove.includes(each)), ...altnames.add]
          }
        ]
      : [])
  ]
  return {
    step: stepOf('change', wanted.name, existing.kind, changes),
    wanted,
    peer: undefined,
    existing,
    differences,
    altnames
  }
}

function altnamesOf({ name, altnames }: Wanted, existing: Link, claims: ReadonlyMap<string, string>): Move['altnames'] {
  const now = existing.altnames
  const wanted = altnames ?? now.filter(each => (claims.get(each) ?? name) === name)
  return { add: wanted.filter(each => !now.includes(each)), remove: now.filter(each => !wanted.includes(each)) }
}

function removal(link: Link, because?: string): Move {
  const step = stepOf('remove', link.name ?? '', link.kind, [], because)
  return { step, wanted: undefined, peer: undefined, existing: link, differences: [], altnames: NO_NAMES }
}

function stepOf(
  action: EnsureAction,
  link: string,
  kind: string | undefined,
  changes: readonly { path: string; from: unknown; to: unknown }[],
  because?: string
): Move['step'] {
  const plainChanges = changes.map(({ path, from, to }) => ({ path, from, to }))
  return { action, link, kind, changes: plainChanges, ...(because === undefined ? {} : { because }) }
}

function conflict({ name, path }: Wanted, why: string): LinkwrightError {
  return new LinkwrightError(`${path}: ${name} ${why}`, { code: 'ERR_NOT_OWNED', link: name, path })
}
