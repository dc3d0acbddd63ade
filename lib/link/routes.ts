/** Verbs over routes. */
import type { InOf } from '../codec/codec.js'
import { invalidArgument, LinkwrightError } from '../errors.js'
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE } from '../netlink/constants.js'
import type { Message } from '../netlink/framing.js'
import { encodeRequest, type Request } from '../netlink/request.js'
import type { CallOptions, NetlinkSocket } from '../netlink/socket.js'
import { checkKeys } from '../options.js'
import type { scope } from '../rtnetlink/address.js'
import { familyOf, type IpFamily } from '../rtnetlink/family.js'
import { type NexthopIn, routeMessage, routeProtocol, type routeType } from '../rtnetlink/route.js'
import { RTM } from '../rtnetlink/verbs.js'
import { addressBits, parsePrefix } from './ip-prefix.js'
import type { LinkRef } from './link.js'
import type { Links } from './links.js'
import { withOptions } from './option-paths.js'

const schema = withOptions(routeMessage, {
  dst: 'destination',
  src: 'source',
  oif: 'link',
  shortTable: 'table',
  multipath: 'nexthops'
})
const MAIN = 254
/** RTM_F_CLONED: a cache entry, not a route that somebody made. */
const SCOPES: Record<string, 'link' | 'host' | 'global' | 'nowhere'> = {
  local: 'host',
  nat: 'host',
  broadcast: 'link',
  multicast: 'link',
  anycast: 'link'
}

/**
 * A route as it was when it was asked for.
 *
 * To add or delete it: `{ destination: it.destination, link: it.oif, table: it.tableId }`, and as it is `gateway`, `via`,
 * `prefsrc`, `priority`, `protocol`, `scope`, `tos`, `metrics`, `nhId` and `pref`; each of `multipath` is one of `nexthops`
 * with its `index` as `link`. `toJSON()` is the kernel's view, which `add()` does not take.
 */
export class Route extends routeMessage.View {
  constructor(message: Message) {
    super(message.data, message.start, message.end)
  }

  /** `192.0.2.0/24` or `default`. */
  get destination(): string {
    return this.dstLength === 0 ? 'default' : `${this.dst}/${this.dstLength}`
  }

  /** The table, also when its number is above 255. */
  get tableId(): number {
    return this.table ?? this.shortTable
  }
}

export interface RouteNexthop extends Omit<NexthopIn, 'index'> {
  link?: LinkRef | undefined
}

export interface AddRoute {
  /** `192.0.2.0/24`, `default` */
  destination: string
  /** Needed for a `default` without a gateway. */
  family?: IpFamily | undefined
  gateway?: string | undefined
  /** A gateway of the other family. */
  via?: string | undefined
  /** The outgoing link. */
  link?: LinkRef | undefined
  /** The address to send from. */
  prefsrc?: string | undefined
  /** The metric (RTA_PRIORITY). */
  priority?: number | undefined
  /** 254 (main) by default. */
  table?: number | undefined
  type?: InOf<typeof routeType> | undefined
  /** `static` by default. */
  protocol?: InOf<typeof routeProtocol> | undefined
  scope?: InOf<typeof scope> | undefined
  tos?: number | undefined
  /** The source prefix that the route is for. */
  source?: string | undefined
  /** The gateway is on the link although no address says so. */
  onlink?: boolean | undefined
  nexthops?: RouteNexthop[] | undefined
  /** A next hop object (`ip nexthop`). */
  nhId?: number | undefined
  metrics?: InOf<(typeof routeMessage.attributes.metrics)[1]> | undefined
  pref?: 'low' | 'medium' | 'high' | undefined
  /** Seconds; IPv6. */
  expires?: number | undefined
}

const KEYS: ReadonlySet<string> = new Set<keyof AddRoute>([
  'destination',
  'family',
  'gateway',
  'via',
  'link',
  'prefsrc',
  'priority',
  'table',
  'type',
  'protocol',
  'scope',
  'tos',
  'source',
  'onlink',
  'nexthops',
  'nhId',
  'metrics',
  'pref',
  'expires'
])
const FILTER_KEYS: ReadonlySet<string> = new Set<keyof RouteFilter>([
  'family',
  'table',
  'link',
  'protocol',
  'type',
  'signal',
  'timeout'
])

export interface RouteFilter extends CallOptions {
  family?: IpFamily | undefined
  /** 254 (main) by default; 0 for all tables. */
  table?: number | undefined
  link?: LinkRef | undefined
  protocol?: InOf<typeof routeProtocol> | undefined
  type?: InOf<typeof routeType> | undefined
}

export class Routes {
  readonly #socket: NetlinkSocket
  readonly #links: Links

  /** @internal */
  constructor(socket: NetlinkSocket, links: Links) {
    this.#socket = socket
    this.#links = links
  }

  /** Adds a route; `EEXIST` if there is one to the destination with the same metric. */
  async add(options: AddRoute, callOptions?: CallOptions): Promise<void> {
    await this.#send('RTM_NEWROUTE', NLM_F_CREATE | NLM_F_EXCL, options, callOptions)
  }

  /** Adds a route or changes the one with the same destination, table and metric. */
  async replace(options: AddRoute, callOptions?: CallOptions): Promise<void> {
    await this.#send('RTM_NEWROUTE', NLM_F_CREATE | NLM_F_REPLACE, options, callOptions)
  }

  /** Adds another way beside those that exist. */
  async append(options: AddRoute, callOptions?: CallOptions): Promise<void> {
    await this.#send('RTM_NEWROUTE', NLM_F_CREATE | NLM_F_APPEND, options, callOptions)
  }

  /** Removes the first route that matches what is given; `ESRCH` if none does. */
  async delete(options: AddRoute, callOptions?: CallOptions): Promise<void> {
    await this.#send('RTM_DELROUTE', 0, options, callOptions)
  }

  /** The route that the kernel takes to an address. */
  async lookup(address: string, options: CallOptions = {}): Promise<Route> {
    const { family, length } = parsePrefix(address, 'address')
    const value = { family, dstLength: length, dst: parsePrefix(address, 'address').address }
    const request = encodeRequest('RTM_GETROUTE', RTM.RTM_GETROUTE, schema, value, { link: address })
    const [reply] = await this.#socket.request(request, options)
    if (!reply) throw new LinkwrightError(`no route in the answer for ${address}`, { code: 'ERR_UNEXPECTED_REPLY' })
    return new Route(reply)
  }

  async list(filter: RouteFilter = {}): Promise<Route[]> {
    checkKeys(filter, FILTER_KEYS)
    const { family, table = MAIN, link, protocol, type } = filter
    const oif = link === undefined ? undefined : await this.#links.indexOf(link, filter)
    const families: IpFamily[] = family ? [family] : ['inet', 'inet6']
    const lists: Route[][] = []
    for (const each of families) {
      const value = { family: each, protocol, type, ...(table ? { table } : {}), ...(oif ? { oif } : {}) }
      const request = encodeRequest('RTM_GETROUTE', RTM.RTM_GETROUTE, schema, value, { flags: NLM_F_DUMP })
      lists.push((await this.#dump(request, filter)).map(reply => new Route(reply)))
    }
    // Kernels before 4.20 ignore the filters.
    return lists
      .flat()
      .filter(
        route =>
          (!table || route.tableId === table) &&
          (oif === undefined || route.oif === oif || route.multipath?.some(hop => hop.index === oif)) &&
          (protocol === undefined || route.protocol === nameOf(protocol)) &&
          (type === undefined || route.type === type)
      )
  }

  /** A table that was never used does not exist, and has no routes. */
  async #dump(request: ReturnType<typeof encodeRequest>, options: CallOptions): Promise<Message[]> {
    try {
      return await this.#socket.dump(request, options)
    } catch (error) {
      if (error instanceof LinkwrightError && error.code === 'ENOENT') return []
      throw error
    }
  }

  async #send(verb: 'RTM_NEWROUTE' | 'RTM_DELROUTE', flags: number, options: AddRoute, callOptions?: CallOptions) {
    checkKeys(options, KEYS)
    const encode = (oif: number | undefined, nexthops: NexthopIn[] | undefined) =>
      routeRequest(verb, flags, options, oif, nexthops)
    // Wrong input is refused before links are looked up.
    encode(
      undefined,
      options.nexthops?.map(({ link: _, ...hop }) => hop)
    )
    const index = (ref: LinkRef) => this.#links.indexOf(ref, callOptions)
    const oif = options.link === undefined ? undefined : await index(options.link)
    const nexthops =
      options.nexthops &&
      (await Promise.all(
        options.nexthops.map(async ({ link, ...hop }) => ({
          ...hop,
          ...(link === undefined ? {} : { index: await index(link) })
        }))
      ))
    await this.#socket.request(encode(oif, nexthops), callOptions)
  }
}

/** The request of a change, for whoever keeps it as a way back. */
export function routeRequest(
  verb: 'RTM_NEWROUTE' | 'RTM_DELROUTE',
  flags: number,
  options: AddRoute,
  oif: number | undefined,
  nexthops?: NexthopIn[]
): Request {
  const value = routeAttributes(options, oif, nexthops, verb === 'RTM_DELROUTE')
  return encodeRequest(verb, RTM[verb], schema, value, { flags, link: options.destination })
}

function routeAttributes(
  options: AddRoute,
  oif: number | undefined,
  nexthops: NexthopIn[] | undefined,
  deleting: boolean
): object {
  const { gateway, via, prefsrc, priority, table = MAIN, tos, nhId, metrics, pref, expires, onlink } = options
  const destination = options.destination === 'default' ? undefined : parsePrefix(options.destination, 'destination')
  const source = options.source === undefined ? undefined : parsePrefix(options.source, 'source')
  const hint = gateway || prefsrc || nexthops?.find(hop => hop.gateway)?.gateway
  const family = destination?.family ?? options.family ?? source?.family ?? (hint ? familyOf(hint) : 'inet')
  if (destination && options.family && destination.family !== options.family) {
    throw invalidArgument('family', `the destination's (${destination.family})`, options.family)
  }
  const type = options.type ?? (deleting ? undefined : 'unicast')
  const protocol = options.protocol ?? (deleting ? undefined : 'static')
  return {
    family,
    dstLength: destination?.length ?? 0,
    srcLength: source?.length ?? 0,
    tos,
    shortTable: table < 256 ? table : 0,
    protocol,
    scope: options.scope ?? defaultScope(family, type, deleting, Boolean(gateway ?? via ?? nexthops ?? nhId)),
    type,
    flags: onlink === undefined ? undefined : { onlink },
    ...(destination && (destination.length > 0 || destination.address !== zero(family))
      ? { dst: destination.address }
      : {}),
    src: source?.address,
    gateway,
    via,
    prefsrc,
    priority,
    table: table < 256 ? undefined : table,
    nhId,
    multipath: nexthops,
    metrics,
    pref,
    expires,
    oif
  }
}

/** As iproute2 has it: what is on the link has the scope of the link, what has a gateway is global. */
function defaultScope(family: IpFamily, type: unknown, deleting: boolean, viaGateway: boolean) {
  if (family === 'inet6') return 'global'
  const own = typeof type === 'string' ? SCOPES[type] : undefined
  if (own) return own
  // To delete: whatever the scope.
  if (deleting) return 'nowhere'
  return (type === 'unicast' || type === undefined) && !viaGateway ? 'link' : 'global'
}

/** A protocol as routes say it: by name where it has one. */
function nameOf(protocol: string | number): string | number {
  return Object.entries(routeProtocol.values).find(([, value]) => value === protocol)?.[0] ?? protocol
}

function zero(family: IpFamily): string {
  return addressBits(family) === 32 ? '0.0.0.0' : '::'
}
