/** Verbs over the forwarding database of bridges, VXLAN and macvlan links. */
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE } from '../netlink/constants.js'
import type { Message } from '../netlink/framing.js'
import { encodeRequest, type Request } from '../netlink/request.js'
import type { CallOptions, NetlinkSocket } from '../netlink/socket.js'
import { checkKeys } from '../options.js'
import { neighbourMessage } from '../rtnetlink/neighbour.js'
import { RTM } from '../rtnetlink/verbs.js'
import type { LinkRef } from './link.js'
import type { Links } from './links.js'
import { withOptions } from './option-paths.js'

const schema = withOptions(neighbourMessage, { ifindex: 'via' })

/**
 * A forwarding entry as it was when it was asked for.
 *
 * To add or delete it: `{ lladdr: it.lladdr, link: it.index, self: it.flags.self }`, and as it is `vlan`, `dst`, `port`,
 * `vni`, `srcVni` and `nhId`; `ifindex` is `via`, `flags` has `sticky` and `extLearned`, and the `type` is `permanent` with
 * `state.permanent`, `static` with `state.noarp`, or else `dynamic`. `toJSON()` is the kernel's view, which `add()` does not
 * take.
 */
export class FdbEntry extends neighbourMessage.View {
  constructor(message: Message) {
    super(message.data, message.start, message.end)
  }
}

export interface AddFdbEntry {
  /** The MAC address. */
  lladdr: string
  /** The port, or the device itself with `self`. */
  link: LinkRef
  /** Into the database of the bridge that the link is a port of (NTF_MASTER). The default, unless `self` is given. */
  master?: boolean | undefined
  /** Into the device's own database: VXLAN, macvlan, NICs (NTF_SELF). */
  self?: boolean | undefined
  /**
   * `permanent` (local): frames to it go to the host. `static`: forwarded, never ages. `dynamic`: ages. By default
   * `static`; with `self` it is `permanent`, which is all that devices other than VXLAN take.
   */
  type?: 'permanent' | 'static' | 'dynamic' | undefined
  vlan?: number | undefined
  /** VXLAN: where the other side is. */
  dst?: string | undefined
  port?: number | undefined
  vni?: number | undefined
  srcVni?: number | undefined
  /** VXLAN: the outgoing link. */
  via?: LinkRef | undefined
  nhId?: number | undefined
  /** The entry does not move to another port. */
  sticky?: boolean | undefined
  extLearned?: boolean | undefined
}

const KEYS: ReadonlySet<string> = new Set<keyof AddFdbEntry>([
  'lladdr',
  'link',
  'master',
  'self',
  'type',
  'vlan',
  'dst',
  'port',
  'vni',
  'srcVni',
  'via',
  'nhId',
  'sticky',
  'extLearned'
])
const FILTER_KEYS: ReadonlySet<string> = new Set<keyof FdbFilter>(['master', 'link', 'signal', 'timeout'])

export interface FdbFilter extends CallOptions {
  /** Entries of one bridge's database. */
  master?: LinkRef | undefined
  /** Entries of one link. */
  link?: LinkRef | undefined
}

/** As iproute2 has them: VXLAN refuses NUD_NOARP alone. */
const STATES = {
  permanent: { permanent: true, noarp: true },
  static: { noarp: true, reachable: true },
  dynamic: { reachable: true }
} as const

export class Fdb {
  readonly #socket: NetlinkSocket
  readonly #links: Links

  /** @internal */
  constructor(socket: NetlinkSocket, links: Links) {
    this.#socket = socket
    this.#links = links
  }

  /** Adds an entry; `EEXIST` if there is one. */
  async add(options: AddFdbEntry, callOptions?: CallOptions): Promise<void> {
    await this.#send('RTM_NEWNEIGH', NLM_F_CREATE | NLM_F_EXCL, options, callOptions)
  }

  async replace(options: AddFdbEntry, callOptions?: CallOptions): Promise<void> {
    await this.#send('RTM_NEWNEIGH', NLM_F_CREATE | NLM_F_REPLACE, options, callOptions)
  }

  /** Adds another destination for the address (VXLAN). */
  async append(options: AddFdbEntry, callOptions?: CallOptions): Promise<void> {
    await this.#send('RTM_NEWNEIGH', NLM_F_CREATE | NLM_F_APPEND, options, callOptions)
  }

  /** Removes an entry; `ENOENT` if there is none. */
  async delete(options: Omit<AddFdbEntry, 'type' | 'sticky' | 'extLearned'>, callOptions?: CallOptions): Promise<void> {
    await this.#send('RTM_DELNEIGH', 0, options, callOptions)
  }

  async list(filter: FdbFilter = {}): Promise<FdbEntry[]> {
    checkKeys(filter, FILTER_KEYS)
    const master = filter.master === undefined ? undefined : await this.#links.indexOf(filter.master, filter)
    const index = filter.link === undefined ? undefined : await this.#links.indexOf(filter.link, filter)
    const value = { family: 'bridge', ...(index ? { index } : {}), ...(master ? { master } : {}) }
    const request = encodeRequest('RTM_GETNEIGH', RTM.RTM_GETNEIGH, schema, value, { flags: NLM_F_DUMP })
    const replies = await this.#socket.dump(request, filter)
    return replies
      .map(reply => new FdbEntry(reply))
      .filter(
        entry =>
          (index === undefined || entry.index === index) &&
          (master === undefined || entry.master === master || entry.index === master)
      )
  }

  async #send(verb: 'RTM_NEWNEIGH' | 'RTM_DELNEIGH', flags: number, options: AddFdbEntry, callOptions?: CallOptions) {
    checkKeys(options, KEYS)
    const { link, via } = options
    const encode = (index: number, ifindex: number | undefined) => fdbRequest(verb, flags, options, index, ifindex)
    // Wrong input is refused before links are looked up.
    if (typeof link === 'string' || typeof via === 'string') encode(1, undefined)
    const index = await this.#links.indexOf(link, callOptions)
    const ifindex = via === undefined ? undefined : await this.#links.indexOf(via, callOptions)
    await this.#socket.request(encode(index, ifindex), callOptions)
  }
}

/** RTM_NEWNEIGH or RTM_DELNEIGH for the link of an ifindex, and that of `via`. */
export function fdbRequest(
  verb: 'RTM_NEWNEIGH' | 'RTM_DELNEIGH',
  flags: number,
  options: AddFdbEntry,
  index: number,
  ifindex?: number
): Request {
  const { lladdr, self, vlan, dst, port, vni, srcVni, nhId, sticky, extLearned } = options
  const value = {
    family: 'bridge',
    index,
    // To delete from a device's own database takes NUD_PERMANENT too.
    state: STATES[verb === 'RTM_DELNEIGH' ? 'permanent' : (options.type ?? (self ? 'permanent' : 'static'))],
    flags: { self, master: options.master ?? !self, sticky, extLearned },
    lladdr,
    dst,
    vlan,
    nhId,
    port,
    vni,
    srcVni,
    ifindex
  }
  return encodeRequest(verb, RTM[verb], schema, value, { flags, link: `${lladdr} on ${index}` })
}
