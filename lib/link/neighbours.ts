/** Verbs over neighbours (ARP and neighbour discovery). */
import type { InOf } from '../codec/codec.js'
import { NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE } from '../netlink/constants.js'
import type { Message } from '../netlink/framing.js'
import { encodeRequest } from '../netlink/request.js'
import type { CallOptions, NetlinkSocket } from '../netlink/socket.js'
import { checkKeys } from '../options.js'
import type { IpFamily } from '../rtnetlink/family.js'
import { neighbourMessage, type neighbourState } from '../rtnetlink/neighbour.js'
import { RTM } from '../rtnetlink/verbs.js'
import { parsePrefix } from './ip-prefix.js'
import type { LinkRef } from './link.js'
import type { Links } from './links.js'
import { withOptions } from './option-paths.js'

const schema = withOptions(neighbourMessage, { dst: 'address' })

/**
 * A neighbour as it was when it was asked for.
 *
 * To add or delete it: `{ address: it.dst, link: it.index }`, and as it is `lladdr`, `state` and `protocol`; `flags` has
 * `proxy`, `router` and `extLearned`. `toJSON()` is the kernel's view, which `add()` does not take.
 */
export class Neighbour extends neighbourMessage.View {
  constructor(message: Message) {
    super(message.data, message.start, message.end)
  }
}

export interface AddNeighbour {
  /** The IP address. */
  address: string
  link: LinkRef
  /** The MAC address; left out for a proxy entry. */
  lladdr?: string | undefined
  /** `{ permanent: true }` by default. */
  state?: InOf<typeof neighbourState> | undefined
  /** Answer for this address on behalf of another host. */
  proxy?: boolean | undefined
  router?: boolean | undefined
  extLearned?: boolean | undefined
  protocol?: number | undefined
}

const KEYS: ReadonlySet<string> = new Set<keyof AddNeighbour>([
  'address',
  'link',
  'lladdr',
  'state',
  'proxy',
  'router',
  'extLearned',
  'protocol'
])
const FILTER_KEYS: ReadonlySet<string> = new Set<keyof NeighbourFilter>([
  'link',
  'family',
  'proxy',
  'signal',
  'timeout'
])

export interface NeighbourFilter extends CallOptions {
  link?: LinkRef | undefined
  family?: IpFamily | undefined
  /** Proxy entries instead of neighbours. */
  proxy?: boolean | undefined
}

export class Neighbours {
  readonly #socket: NetlinkSocket
  readonly #links: Links

  /** @internal */
  constructor(socket: NetlinkSocket, links: Links) {
    this.#socket = socket
    this.#links = links
  }

  /** Adds an entry; `EEXIST` if there is one. */
  async add(options: AddNeighbour, callOptions?: CallOptions): Promise<void> {
    await this.#send('RTM_NEWNEIGH', NLM_F_CREATE | NLM_F_EXCL, options, callOptions)
  }

  async replace(options: AddNeighbour, callOptions?: CallOptions): Promise<void> {
    await this.#send('RTM_NEWNEIGH', NLM_F_CREATE | NLM_F_REPLACE, options, callOptions)
  }

  /** Removes an entry; `ENOENT` if there is none. */
  async delete(options: Pick<AddNeighbour, 'address' | 'link' | 'proxy'>, callOptions?: CallOptions): Promise<void> {
    await this.#send('RTM_DELNEIGH', 0, options, callOptions)
  }

  async list(filter: NeighbourFilter = {}): Promise<Neighbour[]> {
    checkKeys(filter, FILTER_KEYS)
    const { link, family = 'unspec', proxy } = filter
    const ifindex = link === undefined ? undefined : await this.#links.indexOf(link, filter)
    const value = { family, flags: proxy ? { proxy } : undefined, ...(ifindex === undefined ? {} : { ifindex }) }
    const request = encodeRequest('RTM_GETNEIGH', RTM.RTM_GETNEIGH, schema, value, { flags: NLM_F_DUMP })
    const replies = await this.#socket.dump(request, filter)
    return replies
      .map(reply => new Neighbour(reply))
      .filter(entry => entry.family !== 'bridge' && (ifindex === undefined || entry.index === ifindex))
  }

  async #send(verb: 'RTM_NEWNEIGH' | 'RTM_DELNEIGH', flags: number, options: AddNeighbour, callOptions?: CallOptions) {
    checkKeys(options, KEYS)
    const { address, link, lladdr, state, proxy, router, extLearned, protocol } = options
    const { family, address: dst } = parsePrefix(address, 'address')
    const encode = (index: number) => {
      const value = {
        family,
        index,
        state: state ?? { permanent: true },
        flags: proxy || router || extLearned ? { proxy, router, extLearned } : undefined,
        protocol,
        dst,
        lladdr
      }
      return encodeRequest(verb, RTM[verb], schema, value, { flags, link: `${address} on ${index}` })
    }
    // Wrong input is refused before the link is looked up.
    if (typeof link === 'string') encode(1)
    await this.#socket.request(encode(await this.#links.indexOf(link, callOptions)), callOptions)
  }
}
