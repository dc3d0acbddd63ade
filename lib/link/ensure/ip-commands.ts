/** A plan as commands of iproute2, to be read or pasted into a shell. */
import type { Link, LinkRef } from '../link.js'
import { isIpv6, isLate, takesMtuAlone } from './changes.js'
import { wordsFor } from './ip-words.js'
import type { Move, Moves } from './steps.js'
import { anotherMtu, pinnedMtu, type Wanted } from './wanted.js'
import { type Difference, differenceFor } from './wishes.js'

/** Attributes of any link that a creation takes; the others follow. */
const AT_CREATION = new Set(['address', 'broadcast', 'mtu', 'txqlen', 'index', 'numTxQueues', 'numRxQueues'])

/** Of an Ethernet device. */
const DEFAULT_MTU = 1500

const NO_NAMES: Move['altnames'] = { add: [], remove: [] }

export function commandsOf(moves: Moves): string[] {
  const { lostFirst, levels, removals } = moves
  const flat = levels.flat()
  const name = (ref: unknown) => nameOf(ref, moves)
  return [
    ...lostFirst.map(deletion),
    ...flat.flatMap(({ step, altnames }) => property('del', step.link, altnames.remove)),
    ...flat.flatMap(move => (move.step.action === 'change' ? changing(move, name) : creating(move, moves))),
    ...flat.flatMap(move => backupPorts(move, name)),
    ...withoutPeers(removals).map(deletion)
  ]
}

function nameOf(ref: unknown, moves: Moves): string {
  if (typeof ref === 'string') return ref
  return moves.nameOf(typeof ref === 'number' ? ref : (ref as { index: number }).index)
}

/** Links on top of others first; of a veth one end, for the other goes with it. */
function withoutPeers(removals: readonly Move[]): Link[] {
  const links = removals.map(({ existing }) => existing as Link)
  const indexes = new Map(links.map((link, at) => [link.index, at]))
  const kept = links.filter((link, at) => !(link.kind === 'veth' && (indexes.get(link.link ?? 0) ?? at) < at))
  return kept.toSorted((a, b) => depth(b, links) - depth(a, links))
}

function depth(link: Link, links: readonly Link[], seen = 0): number {
  const lower = link.kind === 'veth' ? undefined : (link.link ?? (link.data as { dev?: number } | undefined)?.dev)
  const under = lower === undefined || seen > 8 ? undefined : links.find(({ index }) => index === lower)
  return under && under !== link ? 1 + depth(under, links, seen + 1) : 0
}

function deletion({ name = '' }: Link): string {
  return command(['link', 'del', ...device(name)])
}

function creating(move: Move, moves: Moves): string[] {
  const { wanted, peer, differences } = move
  if (!wanted) return []
  const name = (ref: unknown) => nameOf(ref, moves)
  const { kind = '' } = wanted
  const lines = new Lines(kind)
  // In mode passthru the address, of a bridge the MTU is the link's own only if it is set afterwards.
  const late =
    wanted.options['mode'] === 'passthru' && kind.startsWith('macv') ? 'address' : kind === 'bridge' ? 'mtu' : ''
  const born = differences.filter(
    ({ wish }) => wish.place === 'attribute' && AT_CREATION.has(wish.name) && wish.name !== late
  )
  const lower = differences.filter(({ path }) => path === 'link')
  const data = differences.filter(isData)
  const words = ['link', 'add', ...lines.words(lower, name), ...device(wanted.name, 'name'), ...lines.words(born, name)]
  const drawn = wanted.options['address']
  if (kind === 'bridge' && drawn && !born.some(({ path }) => path === 'address')) words.push('address', String(drawn))
  // What a bridge has by itself is no change: it is made with another.
  if (pinnedMtu(wanted) === DEFAULT_MTU) words.push('mtu', String(anotherMtu(DEFAULT_MTU)))
  words.push('type', kind, ...lines.words(lastList(data), name))
  if (peer) {
    const peerBorn = wholeOf(peer).filter(({ wish }) => wish.place === 'attribute' && AT_CREATION.has(wish.name))
    words.push('peer', ...device(peer.name, 'name'), ...lines.words(peerBorn, name))
  }
  const rest = (all: readonly Difference[], done: readonly Difference[]) => all.filter(each => !done.includes(each))
  const result = [
    command(words),
    ...lines.comments(wanted.name),
    ...withoutIpv6(wanted, moves),
    ...setting(wanted.name, kind, rest(differences, [...born, ...lower, ...data]), move.altnames, name)
  ]
  if (peer) {
    const left = wholeOf(peer).filter(({ wish }) => !(wish.place === 'attribute' && AT_CREATION.has(wish.name)))
    result.push(...withoutIpv6(peer, moves))
    result.push(...setting(peer.name, 'veth', left, { add: peer.altnames ?? [], remove: [] }, name))
  }
  return result
}

/** What `create` does by default: guests' ports come without IPv6. */
function withoutIpv6({ name, kind, options }: Wanted, { isBridge }: Moves): string[] {
  const { ipv6, master } = options as { ipv6?: boolean; master?: LinkRef | null }
  const isPort = kind === 'macvtap' || (master !== undefined && master !== null && isBridge(master))
  return ipv6 === undefined && isPort ? [ipv6Command(name, false)] : []
}

function ipv6Command(link: string, on: boolean): string {
  return ['sysctl', '-qw', quoted(`net/ipv6/conf/${link}/disable_ipv6=${on ? 0 : 1}`)].join(' ')
}

function changing({ wanted, existing, differences, altnames, step }: Move, name: (ref: unknown) => string): string[] {
  const kind = existing?.kind ?? wanted?.kind ?? ''
  if (!takesMtuAlone(existing, differences)) return setting(step.link, kind, differences, altnames, name)
  const mtu = differences.filter(({ path }) => path === 'mtu')
  const others = differences.filter(({ path }) => path !== 'mtu')
  return [...setting(step.link, kind, mtu, NO_NAMES, name), ...setting(step.link, kind, others, altnames, name)]
}

/** One command for the link and its kind; settings as a port, and the way up after them, have commands of their own. */
function setting(
  link: string,
  kind: string,
  all: readonly Difference[],
  altnames: Move['altnames'],
  name: (ref: unknown) => string
): string[] {
  const lines = new Lines(kind)
  const differences = all.filter(difference => !isLate(difference) && !isIpv6(difference))
  const port = differences.filter(({ wish }) => wish.place === 'port')
  const data = differences.filter(isData)
  const upLater = port.length > 0 || differences.some(({ path }) => path === 'afSpec')
  const up = differences.filter(({ path }) => upLater && path === 'up')
  const own = differences.filter(each => !port.includes(each) && !data.includes(each) && !up.includes(each))
  const result = all.filter(isIpv6).map(({ wish }) => ipv6Command(link, wish.value as boolean))
  const set = (words: readonly string[], more: readonly string[] = []) => {
    if (words.length + more.length > 0) result.push(command(['link', 'set', ...device(link), ...words, ...more]))
  }
  const typed = lines.words(lastList(data), name)
  set(lines.words(own, name), typed.length > 0 ? ['type', kind, ...typed] : [])
  const ported = lines.words(port, name)
  if (ported.length > 0) set(['type', 'bridge_slave', ...ported])
  set(lines.words(up, name))
  result.push(...property('add', link, altnames.add))
  return [...result, ...lines.comments(link)]
}

function property(verb: 'add' | 'del', link: string, names: readonly string[]): string[] {
  if (names.length === 0) return []
  return [command(['link', 'property', verb, 'dev', link, ...names.flatMap(each => ['altname', each])])]
}

function backupPorts({ wanted, peer, differences }: Move, name: (ref: unknown) => string): string[] {
  const commands = (of: Wanted | undefined, all: readonly Difference[]) =>
    all.filter(isLate).map(({ wish }) => {
      const words = wordsFor(wish, undefined, name) ?? []
      return command(['link', 'set', ...device(of?.name ?? ''), 'type', 'bridge_slave', ...words])
    })
  return [...commands(wanted, differences), ...commands(peer, peer ? wholeOf(peer) : [])]
}

const isData = ({ wish }: Difference) => wish.place === 'data' || (wish.place === 'reference' && wish.name === 'dev')

const wholeOf = (wanted: Wanted): Difference[] => wanted.wishes.map(differenceFor)

/** A list of addresses ends where the command does. */
function lastList(differences: readonly Difference[]): Difference[] {
  const isList = ({ wish }: Difference) => wish.name === 'macaddrs'
  return [...differences.filter(each => !isList(each)), ...differences.filter(isList)]
}

/** The words of a command, and what there is no word for. */
class Lines {
  readonly #kind: string
  readonly #unsaid: Difference[] = []

  constructor(kind: string) {
    this.#kind = kind
  }

  words(differences: readonly Difference[], name: (ref: unknown) => string): string[] {
    return differences.flatMap(difference => {
      const words = wordsFor(difference.wish, this.#kind, name)
      if (!words) this.#unsaid.push(difference)
      return words ?? []
    })
  }

  comments(link: string): string[] {
    return this.#unsaid.map(
      ({ path, to }) => `# ${JSON.stringify(link)}: ${path} ${JSON.stringify(to)} (ip has no word for it)`
    )
  }
}

/** A name alone where nothing else can be meant; `ip` takes the beginnings of its words for the words. */
function device(name: string, keyword = 'dev'): string[] {
  return /^[a-z]\w*\d$/i.test(name) ? [name] : [keyword, name]
}

function command(words: readonly string[]): string {
  return ['ip', ...words.map(quoted)].join(' ')
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
