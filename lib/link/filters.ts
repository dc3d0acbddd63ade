/** Verbs over the filters of traffic control. */

import type { InOf } from '../codec/codec.js'
import { prefixPath } from '../codec/codec.js'
import { NLM_F_CREATE, NLM_F_DUMP, NLM_F_ECHO, NLM_F_EXCL } from '../netlink/constants.js'
import type { Message } from '../netlink/framing.js'
import type { Request } from '../netlink/request.js'
import type { CallOptions, NetlinkSocket } from '../netlink/socket.js'
import { checkKeys } from '../options.js'
import { filterHandleText, type TcHandle } from '../rtnetlink/tc-handle.js'
import { type FilterKinds, filterKinds, type OfKind, settingsOf } from '../rtnetlink/tc-kind.js'
import { filterMessage, type filterProtocol } from '../rtnetlink/traffic-control.js'
import { RTM } from '../rtnetlink/verbs.js'
import type { LinkRef } from './link.js'
import type { Links } from './links.js'
import { withOptions } from './option-paths.js'
import { plainRef } from './references.js'
import { byKind, echoed, explained, tcRequest } from './tc-requests.js'

const schema = withOptions(filterMessage, { options: '' })

/** A filter as it was when it was asked for. Of u32, the kernel lists its tables too: those have no match. */
export class Filter extends filterMessage.View {
  constructor(message: Message) {
    super(message.data, message.start, message.end)
  }

  /** The handle as tc writes it: `800::800`, `0x1`. */
  get handleText(): string {
    return filterHandleText(this.kind, this.handle)
  }

  /** What `add` would be given; `undefined` for a kind that is not known here. */
  get settings(): Partial<OfKind<FilterKinds>> | undefined {
    return settingsOf<FilterKinds>(filterKinds.find(this.kind), this.options)
  }
}

/** Which filter. */
export interface FilterPlace {
  link: LinkRef
  /** `ingress`, `egress` (of clsact), a qdisc or class; the root qdisc by default. */
  parent?: TcHandle | undefined
  /** Filters are asked in the order of their priorities, 1 first; the kernel's choice by default. */
  priority?: number | undefined
  /** Which frames it sees; `all` by default. */
  protocol?: InOf<typeof filterProtocol> | undefined
  /** One of those of one priority. */
  handle?: TcHandle | undefined
  chain?: number | undefined
}

export type AddFilter = FilterPlace & OfKind<FilterKinds>

const PLACE: ReadonlySet<string> = new Set<keyof FilterPlace>([
  'link',
  'parent',
  'priority',
  'protocol',
  'handle',
  'chain'
])
const DELETE_KEYS: ReadonlySet<string> = new Set([...PLACE, 'kind'])
const LIST_KEYS: ReadonlySet<string> = new Set(['link', 'parent', 'chain', 'signal', 'timeout'])

export class Filters {
  readonly #socket: NetlinkSocket
  readonly #links: Links

  /** @internal */
  constructor(socket: NetlinkSocket, links: Links) {
    this.#socket = socket
    this.#links = links
  }

  /**
   * Adds a filter; `EEXIST` if there is one with the handle.
   *
   * @throws LinkwrightError `ERR_UNSUPPORTED` for a kind of filter or action that this kernel lacks
   */
  async add(options: AddFilter, callOptions?: CallOptions): Promise<Filter> {
    return await this.#send(NLM_F_CREATE | NLM_F_EXCL, options, callOptions)
  }

  /** Adds a filter or changes the one with the handle. */
  async replace(options: AddFilter, callOptions?: CallOptions): Promise<Filter> {
    return await this.#send(NLM_F_CREATE, options, callOptions)
  }

  /** Changes the filter with the handle; `ENOENT` if there is none. */
  async change(options: AddFilter, callOptions?: CallOptions): Promise<Filter> {
    return await this.#send(0, options, callOptions)
  }

  /** Removes the filter with the handle, or without one all of the priority; `ENOENT` if there is none. */
  async delete(
    place: FilterPlace & { priority: number; kind?: string | undefined },
    callOptions?: CallOptions
  ): Promise<void> {
    checkKeys(place, DELETE_KEYS)
    const encode = (index: number) => deleteFilterRequest(place, index)
    encode(1)
    await explained(this.#socket.request(encode(await this.#links.indexOf(place.link, callOptions)), callOptions))
  }

  /** The filters at a place, in the order in which they are asked. */
  async list(filter: Pick<FilterPlace, 'link' | 'parent' | 'chain'> & CallOptions): Promise<Filter[]> {
    checkKeys(filter, LIST_KEYS)
    const { parent, chain } = filter
    const encode = (index: number) => tcRequest(schema, 'RTM_GETTFILTER', NLM_F_DUMP, { parent, chain }, index)
    encode(1)
    const replies = await this.#socket.dump(encode(await this.#links.indexOf(filter.link, filter)), filter)
    return replies.map(reply => new Filter(reply))
  }

  async #send(flags: number, options: AddFilter, callOptions?: CallOptions): Promise<Filter> {
    const encode = (index: number, dev: (ref: LinkRef) => number) => {
      return newFilterRequest(withIndexes(options, dev), flags | NLM_F_ECHO, index)
    }
    // Wrong input is refused before links are looked up.
    const names = new Map<LinkRef, number>()
    encode(1, ref => {
      names.set(ref, 1)
      return 1
    })
    for (const ref of names.keys()) names.set(ref, await this.#links.indexOf(ref, callOptions))
    const request = encode(await this.#links.indexOf(options.link, callOptions), ref => names.get(ref) as number)
    return new Filter(await echoed(this.#socket, request, RTM.RTM_NEWTFILTER, callOptions))
  }
}

/** RTM_NEWTFILTER for the link of an ifindex; actions name links by theirs. */
export function newFilterRequest(options: AddFilter, flags: number, index: number): Request {
  const value = { ...placeOf(options), ...byKind(options, PLACE, filterKinds) }
  return tcRequest(schema, 'RTM_NEWTFILTER', flags, value, index, options.link)
}

/** RTM_DELTFILTER for the link of an ifindex. */
export function deleteFilterRequest(
  place: FilterPlace & { priority: number; kind?: string | undefined },
  index: number
): Request {
  return tcRequest(schema, 'RTM_DELTFILTER', 0, { ...placeOf(place), kind: place.kind }, index, place.link)
}

function placeOf({ parent, priority, protocol = 'all', handle, chain }: FilterPlace): object {
  return { parent, priority, protocol, handle, chain }
}

/** The same, with ifindexes for the links that actions name. */
function withIndexes(options: AddFilter, indexOf: (ref: LinkRef) => number): AddFilter {
  const { actions } = options as { actions?: unknown }
  if (!Array.isArray(actions)) return options
  const resolved = actions.map((action, at) => {
    if (typeof action !== 'object' || action === null || !('dev' in action)) return action
    try {
      plainRef(action.dev as LinkRef, 'dev')
    } catch (error) {
      throw prefixPath(error, `actions[${at}]`)
    }
    return { ...action, dev: indexOf(action.dev as LinkRef) }
  })
  return { ...options, actions: resolved } as AddFilter
}
