/** What links are created with and what can be changed, and its translation into rtnetlink attributes. */
import type { In, UnknownAttribute } from '../codec/attributes.js'
import { invalidArgument, LinkwrightError } from '../errors.js'
import type { CallOptions } from '../netlink/socket.js'
import type { NetnsRef } from '../netns.js'
import type { bridgePort } from '../rtnetlink/bridge-port.js'
import type { linkMessage } from '../rtnetlink/link.js'
import {
  findLinkKind,
  type KindChange,
  type KindName,
  type KindOptions,
  type LinkKind,
  linkKindNames
} from '../rtnetlink/link-kind.js'
import type { LinkRef } from './link.js'

export interface ChangeOptions extends CallOptions {
  /**
   * Read back what was set, and reject with `ERR_NOT_APPLIED` where the kernel ignored an attribute: it does so silently
   * with those it does not know. By default only when an attribute is newer than the running kernel, or one that kernels
   * may be built without.
   */
  verify?: boolean | undefined
}

type LinkAttributes = In<(typeof linkMessage)['attributes']>

/** Attributes that every kind of link has and that are passed on as they are. */
const PLAIN = [
  'address',
  'broadcast',
  'mtu',
  'txqlen',
  'alias',
  'group',
  'linkmode',
  'operstate',
  'carrier',
  'protoDown',
  'gsoMaxSize',
  'gsoMaxSegs',
  'groMaxSize',
  'gsoIpv4MaxSize',
  'groIpv4MaxSize',
  'numTxQueues',
  'numRxQueues',
  'linkNetnsid',
  'afSpec',
  'xdp',
  'unknown'
] as const

/** Interface flags that can be set and cleared. */
const FLAGS = ['up', 'noarp', 'promisc', 'allmulti', 'multicast', 'dynamic'] as const

/** What can be set on any link, at creation and later. */
export interface LinkSettings
  extends Pick<LinkAttributes, Exclude<(typeof PLAIN)[number], 'numTxQueues' | 'numRxQueues'>> {
  /** Administratively up. */
  up?: boolean | undefined
  noarp?: boolean | undefined
  promisc?: boolean | undefined
  allmulti?: boolean | undefined
  multicast?: boolean | undefined
  dynamic?: boolean | undefined
  /** The bridge, bond or VRF that the link becomes a port of; `null` releases it. */
  master?: LinkRef | null | undefined
  /** Settings as a port of a bridge. */
  port?: BridgePortSettings | undefined
  /** The namespace to create the link in, or to move it to. */
  netns?: NetnsRef | undefined
  /**
   * Whose the link is, for whoever starts after a crash: up to 64 letters, digits, dots, hyphens and underscores. The
   * kernel keeps it, as the group and the alias; an `alias` given beside it follows the owner there. An alias that is set
   * later without the owner takes the tag away.
   */
  owner?: string | undefined
}

/** IFLA_BRPORT_*, with the backup port by name. */
export type BridgePortSettings = Omit<In<(typeof bridgePort)['table']>, 'backupPort'> & {
  backupPort?: LinkRef | null | undefined
}

interface CreateCommon extends LinkSettings, Pick<LinkAttributes, 'numTxQueues' | 'numRxQueues'> {
  /**
   * Name, at most 15 bytes. A `%d` becomes the first free number; left out, the kernel chooses one (`bridge0`). For either
   * it goes through all names there are: give thousands of links, and of veth peers, names of their own. One that is
   * taken meanwhile is an `EEXIST` of that link.
   */
  name?: string | undefined
  /** The ifindex to have. */
  index?: number | undefined
  /** Alternative names. */
  altnames?: string[] | undefined
  /**
   * Whether the host's side speaks IPv6. By default a macvtap and a port of a bridge do not (`disable_ipv6`, set before
   * the link is up): they would have a link-local address on the guest's network, and each link that comes up with IPv6
   * takes the kernel longer than the one before.
   */
  ipv6?: boolean | undefined
}

/** The other end of a veth pair. It has an owner of its own, or none: then it goes with the pair. */
export interface VethPeer extends Omit<CreateCommon, 'netns'> {
  /** Where the peer lives; created there, not moved. */
  netns?: NetnsRef | undefined
}

interface UnknownData {
  /** Attributes of the kind's own data that its table does not name: what `link.data.unknown` gave, to be sent again. */
  unknownData?: UnknownAttribute[] | undefined
}

type KindSpecific<K extends KindName> = K extends 'veth'
  ? { peer?: VethPeer | undefined }
  : K extends 'vxlan'
    ? Omit<KindOptions<K>, 'dev'> & { dev?: LinkRef | undefined }
    : KindOptions<K>

/** Kinds that sit on a lower device must name it. */
type Lower<K extends KindName> = K extends 'macvlan' | 'macvtap' | 'vlan'
  ? { /** The lower device. */ link: LinkRef }
  : { /** The lower device. */ link?: LinkRef | undefined }

/** What a link of a kind is created with: settings of any link and the attributes of its kind, side by side. */
export type CreateLink<K extends KindName = KindName> = K extends 'tun'
  ? never
  : K extends KindName
    ? CommonOf<K> & KindSpecific<K> & UnknownData & Lower<K> & { kind: K }
    : never

type CommonOf<K extends KindName> = K extends 'bridge'
  ? Omit<CreateCommon, 'address'> & {
      /**
       * Left out, a random one that the bridge keeps. `null` leaves it to the kernel, which gives the bridge the lowest
       * address of its ports, whenever they change: for an uplink whose network knows its address, give that one instead.
       */
      address?: string | null | undefined
    }
  : CreateCommon

/** Changes to a link; attributes of its kind need the `kind` beside them. */
export type ChangeLink<K extends KindName = KindName> = LinkSettings & { name?: string | undefined } & (
    | { kind?: undefined }
    | (K extends KindName
        ? { kind: K } & Omit<KindChange<K>, 'dev'> &
            UnknownData &
            (K extends 'vxlan' ? { dev?: LinkRef | undefined } : unknown)
        : never)
  )

/** Options taken apart: attributes of any link, and those of the kind. */
export interface SplitOptions {
  kind: LinkKind | undefined
  attributes: Record<string, unknown>
  data: Record<string, unknown> | undefined
  flags: Record<string, boolean>
}

/** Handled by the verbs, because they take more than an attribute. */
const HANDLED = [
  'kind',
  'name',
  'index',
  'link',
  'master',
  'port',
  'netns',
  'altnames',
  'peer',
  'dev',
  'owner',
  'ipv6',
  // A namespace that the verbs have opened.
  'netnsFd'
]

/** What becomes of an option of every link. */
const destinations: ReadonlyMap<string, 'attribute' | 'flag' | 'data' | 'verb'> = new Map([
  ...PLAIN.map(name => [name, 'attribute'] as const),
  ...FLAGS.map(name => [name, 'flag'] as const),
  ['unknownData', 'data'] as const,
  ...HANDLED.map(name => [name, 'verb'] as const)
])

/** Sorts options into attributes of the link, of its kind, and flags. Refuses what is neither. */
export function splitOptions(options: object): SplitOptions {
  const kindName = (options as { kind?: unknown }).kind
  const kind = kindName === undefined ? undefined : findLinkKind(String(kindName))
  if (kindName !== undefined && !kind) {
    throw invalidArgument(
      'kind',
      `one of ${linkKindNames().join(', ')} (or a kind registered with linkKind())`,
      kindName
    )
  }
  if (kind) assertNoClash(kind)
  const attributes: Record<string, unknown> = {}
  const flags: Record<string, boolean> = {}
  let data: Record<string, unknown> | undefined
  for (const key of Object.keys(options)) {
    const value = (options as Record<string, unknown>)[key]
    const destination = destinations.get(key)
    if (value === undefined || (destination === 'verb' && !(key === 'dev' && !kind))) continue
    if (destination === 'attribute') attributes[key] = value
    else if (destination === 'flag') flags[key] = boolean(key, value)
    else if (kind && (destination === 'data' || Object.hasOwn(kind.data.table, key))) {
      data ??= {}
      data[destination === 'data' ? 'unknown' : key] = value
    } else throw unknownOption(key, kind)
  }
  if (kind && data) data = kind.complete?.(data) ?? data
  return { kind, attributes, data, flags }
}

/** Kinds whose attributes were compared with the options of every link. */
const compared = new WeakSet<LinkKind>()
/** Translated by the verbs for these kinds. */
const TRANSLATED: Record<string, string> = { veth: 'peer', vxlan: 'dev' }

/** An attribute with the name of an option of every link could never be given. */
function assertNoClash(kind: LinkKind): void {
  if (compared.has(kind)) return
  for (const [name, [, , options]] of Object.entries(kind.data.table)) {
    if (destinations.has(name) && !options?.readOnly && TRANSLATED[kind.name] !== name) {
      throw new LinkwrightError(`link kind ${kind.name}: '${name}' is an option of every link, give it another name`, {
        code: 'ERR_INVALID_ARG_VALUE',
        path: name
      })
    }
  }
  compared.add(kind)
}

function boolean(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw invalidArgument(name, 'true or false', value)
  return value
}

function unknownOption(key: string, kind: LinkKind | undefined): Error {
  const writable = Object.entries(kind?.data.table ?? {}).filter(([, [, , options]]) => !options?.readOnly)
  const own = [...writable.map(([name]) => name), 'unknownData']
  const common = ['name', 'index', 'link', 'master', 'port', 'netns', 'owner', 'altnames', 'ipv6', ...FLAGS, ...PLAIN]
  const allowed = kind
    ? `an option of ${kind.name} links (${own.join(', ')}) or of any link (${common.join(', ')})`
    : `an option of any link (${common.join(', ')}); attributes of a kind need \`kind\` beside them`
  return invalidArgument(key, allowed, key)
}
