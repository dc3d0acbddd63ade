/** Verbs over the classes of a qdisc. */
import { NLM_F_CREATE, NLM_F_DUMP, NLM_F_ECHO, NLM_F_EXCL, NLM_F_REPLACE } from '../netlink/constants.js'
import type { Message } from '../netlink/framing.js'
import type { Request } from '../netlink/request.js'
import type { CallOptions, NetlinkSocket } from '../netlink/socket.js'
import { checkKeys } from '../options.js'
import type { TcHandle } from '../rtnetlink/tc-handle.js'
import { type ClassKinds, classKinds, type OfKind, settingsOf } from '../rtnetlink/tc-kind.js'
import { classMessage } from '../rtnetlink/traffic-control.js'
import { RTM } from '../rtnetlink/verbs.js'
import type { LinkRef } from './link.js'
import type { Links } from './links.js'
import { withOptions } from './option-paths.js'
import { byKind, echoed, explained, tcRequest } from './tc-requests.js'

const schema = withOptions(classMessage, { options: '', handle: 'classid' })

/** A class as it was when it was asked for. Its kind is that of its qdisc. */
export class TrafficClass extends classMessage.View {
  constructor(message: Message) {
    super(message.data, message.start, message.end)
  }

  /** `1:10` */
  get classid(): string {
    return this.handle
  }

  /** What `add` would be given; `undefined` for a kind that is not known here. */
  get settings(): Partial<OfKind<ClassKinds>> | undefined {
    return settingsOf<ClassKinds>(classKinds.find(this.kind), this.options)
  }
}

/** Which class. */
export interface ClassPlace {
  link: LinkRef
  /** `1:10`: the qdisc that it belongs to, and its number there. */
  classid: TcHandle
  /** The qdisc, `1:`, or the class that lends to it. */
  parent?: TcHandle | undefined
}

export type AddClass = ClassPlace & OfKind<ClassKinds>

const PLACE: ReadonlySet<string> = new Set<keyof ClassPlace>(['link', 'classid', 'parent'])
const LIST_KEYS: ReadonlySet<string> = new Set(['link', 'signal', 'timeout'])

export class Classes {
  readonly #socket: NetlinkSocket
  readonly #links: Links

  /** @internal */
  constructor(socket: NetlinkSocket, links: Links) {
    this.#socket = socket
    this.#links = links
  }

  /** Adds a class; `EEXIST` if there is one. */
  async add(options: AddClass, callOptions?: CallOptions): Promise<TrafficClass> {
    return await this.#send(NLM_F_CREATE | NLM_F_EXCL, options, callOptions)
  }

  /** Adds a class or changes the settings of the one that is there; what waits in it stays. */
  async replace(options: AddClass, callOptions?: CallOptions): Promise<TrafficClass> {
    return await this.#send(NLM_F_CREATE | NLM_F_REPLACE, options, callOptions)
  }

  /** Changes the settings of a class; `ENOENT` if there is none. */
  async change(options: AddClass, callOptions?: CallOptions): Promise<TrafficClass> {
    return await this.#send(0, options, callOptions)
  }

  /** Removes a class; `ENOENT` if there is none, `EBUSY` while others are below it or filters send to it. */
  async delete(place: ClassPlace, callOptions?: CallOptions): Promise<void> {
    checkKeys(place, PLACE)
    const encode = (index: number) => tcRequest(schema, 'RTM_DELTCLASS', 0, placeOf(place), index, place.link)
    encode(1)
    await explained(this.#socket.request(encode(await this.#links.indexOf(place.link, callOptions)), callOptions))
  }

  /** The classes of all qdiscs of a link. */
  async list(filter: { link: LinkRef } & CallOptions): Promise<TrafficClass[]> {
    checkKeys(filter, LIST_KEYS)
    const index = await this.#links.indexOf(filter.link, filter)
    const replies = await this.#socket.dump(tcRequest(schema, 'RTM_GETTCLASS', NLM_F_DUMP, {}, index), filter)
    return replies.map(reply => new TrafficClass(reply))
  }

  async #send(flags: number, options: AddClass, callOptions?: CallOptions): Promise<TrafficClass> {
    const encode = (index: number) => newClassRequest(options, flags | NLM_F_ECHO, index)
    // Wrong input is refused before the link is looked up.
    encode(1)
    const request = encode(await this.#links.indexOf(options.link, callOptions))
    return new TrafficClass(await echoed(this.#socket, request, RTM.RTM_NEWTCLASS, callOptions))
  }
}

/** RTM_NEWTCLASS for the link of an ifindex. */
export function newClassRequest(options: AddClass, flags: number, index: number): Request {
  const value = { ...placeOf(options), ...byKind(options, PLACE, classKinds) }
  return tcRequest(schema, 'RTM_NEWTCLASS', flags, value, index, options.link)
}

/** Without a parent, a class is right below its qdisc. */
function placeOf({ classid, parent }: ClassPlace): object {
  const major = typeof classid === 'string' ? `${classid.split(':', 1)[0]}:` : (classid & 0xffff0000) >>> 0
  return { handle: classid, parent: parent ?? major }
}
