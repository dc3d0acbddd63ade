/** Verbs over IP addresses. */
import type { InOf } from '../codec/codec.js'
import { NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE } from '../netlink/constants.js'
import type { Message } from '../netlink/framing.js'
import { encodeRequest, type Request } from '../netlink/request.js'
import type { CallOptions, NetlinkSocket } from '../netlink/socket.js'
import { checkKeys } from '../options.js'
import { addressFlags, addressMessage, type scope } from '../rtnetlink/address.js'
import type { IpFamily } from '../rtnetlink/family.js'
import { RTM } from '../rtnetlink/verbs.js'
import { parsePrefix } from './ip-prefix.js'
import type { LinkRef } from './link.js'
import type { Links } from './links.js'
import { withOptions } from './option-paths.js'

const FOREVER = 0xffffffff
const schema = withOptions(addressMessage, {
  local: 'address',
  'cacheinfo.valid': 'validLifetime',
  'cacheinfo.preferred': 'preferredLifetime'
})

/**
 * An address as it was when it was asked for. `toString()` gives `192.0.2.1/24`.
 *
 * To add or delete it: `{ address: String(it), link: it.index }`, with `it.address` as the `peer` where `it.local` is
 * another, and as it is `broadcast`, `label`, `scope`, `metric` and `protocol`; `flags` has the switches, `cacheinfo` the
 * lifetimes. `toJSON()` is the kernel's view, which `add()` does not take.
 */
export class Address extends addressMessage.View {
  constructor(message: Message) {
    super(message.data, message.start, message.end)
  }

  /** The link's own address; the peer's is `address` on a point-to-point link. */
  get ownAddress(): string {
    return this.local ?? this.address ?? ''
  }

  override toString(): string {
    return `${this.ownAddress}/${this.prefixLength}`
  }
}

export interface AddAddress {
  /** `192.0.2.1/24`, `2001:db8::1/64` */
  address: string
  link: LinkRef
  /** The other end of a point-to-point link, with or without a prefix length. */
  peer?: string | undefined
  /** IPv4; nothing by default. */
  broadcast?: string | undefined
  anycast?: string | undefined
  /** `eth0:1`; IPv4 only. */
  label?: string | undefined
  scope?: InOf<typeof scope> | undefined
  /** Seconds until the address is removed; `Infinity` (the default) for ever. */
  validLifetime?: number | undefined
  /** Seconds until no new connection takes it. */
  preferredLifetime?: number | undefined
  /** Metric of the prefix route. */
  metric?: number | undefined
  /** Do not make a route to the prefix. */
  noprefixroute?: boolean | undefined
  /** IPv6: skip duplicate address detection. */
  nodad?: boolean | undefined
  home?: boolean | undefined
  mngtmpaddr?: boolean | undefined
  autojoin?: boolean | undefined
  optimistic?: boolean | undefined
  /** IFA_PROTO: who made it. */
  protocol?: number | undefined
}

const KEYS: ReadonlySet<string> = new Set<keyof AddAddress>([
  'address',
  'link',
  'peer',
  'broadcast',
  'anycast',
  'label',
  'scope',
  'validLifetime',
  'preferredLifetime',
  'metric',
  'noprefixroute',
  'nodad',
  'home',
  'mngtmpaddr',
  'autojoin',
  'optimistic',
  'protocol'
])
const FILTER_KEYS: ReadonlySet<string> = new Set<keyof AddressFilter>(['link', 'family', 'signal', 'timeout'])

export interface AddressFilter extends CallOptions {
  link?: LinkRef | undefined
  family?: IpFamily | undefined
}

export class Addresses {
  readonly #socket: NetlinkSocket
  readonly #links: Links

  /** @internal */
  constructor(socket: NetlinkSocket, links: Links) {
    this.#socket = socket
    this.#links = links
  }

  /** Adds an address; `EEXIST` if the link has it. */
  async add(options: AddAddress, callOptions?: CallOptions): Promise<void> {
    await this.#send('RTM_NEWADDR', NLM_F_CREATE | NLM_F_EXCL, options, callOptions)
  }

  /** Adds an address or changes what the link has. */
  async replace(options: AddAddress, callOptions?: CallOptions): Promise<void> {
    await this.#send('RTM_NEWADDR', NLM_F_CREATE | NLM_F_REPLACE, options, callOptions)
  }

  /** Removes an address; `EADDRNOTAVAIL` if the link does not have it. */
  async delete(
    options: Pick<AddAddress, 'address' | 'link' | 'peer' | 'label'>,
    callOptions?: CallOptions
  ): Promise<void> {
    await this.#send('RTM_DELADDR', 0, options, callOptions)
  }

  async list(filter: AddressFilter = {}): Promise<Address[]> {
    checkKeys(filter, FILTER_KEYS)
    const { link, family = 'unspec' } = filter
    const index = link === undefined ? 0 : await this.#links.indexOf(link, filter)
    const request = encodeRequest('RTM_GETADDR', RTM.RTM_GETADDR, schema, { family, index }, { flags: NLM_F_DUMP })
    const replies = await this.#socket.dump(request, filter)
    // Kernels before 4.20 ignore the filter by link.
    return replies.map(reply => new Address(reply)).filter(address => index === 0 || address.index === index)
  }

  async #send(verb: 'RTM_NEWADDR' | 'RTM_DELADDR', flags: number, options: AddAddress, callOptions?: CallOptions) {
    checkKeys(options, KEYS)
    const encode = (index: number) => addressRequest(verb, flags, options, index)
    // Wrong input is refused before the link is looked up.
    if (typeof options.link === 'string') encode(1)
    await this.#socket.request(encode(await this.#links.indexOf(options.link, callOptions)), callOptions)
  }
}

/** The request of a change, for whoever keeps it as a way back. */
export function addressRequest(
  verb: 'RTM_NEWADDR' | 'RTM_DELADDR',
  flags: number,
  options: AddAddress,
  index: number
): Request {
  const value = addressAttributes(options, index)
  return encodeRequest(verb, RTM[verb], schema, value, { flags, link: `${options.address} on ${index}` })
}

function addressAttributes(options: AddAddress, index: number): object {
  const { address, peer, broadcast, anycast, label, metric, protocol, link: _, scope, ...rest } = options
  const { validLifetime, preferredLifetime, ...flags } = rest
  const own = parsePrefix(address, 'address')
  const other = peer === undefined ? undefined : parsePrefix(peer, 'peer')
  const length = other && peer?.includes('/') ? other.length : own.length
  const mask = addressFlags.toMask(flags).value
  const forever = validLifetime === undefined && preferredLifetime === undefined
  return {
    family: own.family,
    prefixLength: length,
    // The header has room for eight of them; IFA_FLAGS takes its place.
    shortFlags: mask > 0xff ? undefined : mask,
    scope,
    index,
    local: own.address,
    address: other?.address ?? own.address,
    broadcast,
    anycast,
    label,
    flags: mask > 0xff ? flags : undefined,
    metric,
    protocol,
    cacheinfo: forever
      ? undefined
      : { preferred: seconds(preferredLifetime ?? validLifetime), valid: seconds(validLifetime) }
  }
}

function seconds(lifetime: number | undefined): number {
  return lifetime === undefined || lifetime === Number.POSITIVE_INFINITY ? FOREVER : lifetime
}
