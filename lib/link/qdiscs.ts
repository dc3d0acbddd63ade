/** Verbs over queueing disciplines. */
import { LinkwrightError } from '../errors.js'
import { NLM_F_CREATE, NLM_F_DUMP, NLM_F_ECHO, NLM_F_EXCL, NLM_F_REPLACE } from '../netlink/constants.js'
import type { Message } from '../netlink/framing.js'
import type { Request } from '../netlink/request.js'
import type { CallOptions, NetlinkSocket } from '../netlink/socket.js'
import { checkKeys } from '../options.js'
import type { TcHandle } from '../rtnetlink/tc-handle.js'
import { type OfKind, type QdiscKinds, qdiscKinds, settingsOf } from '../rtnetlink/tc-kind.js'
import { qdiscMessage } from '../rtnetlink/traffic-control.js'
import { RTM } from '../rtnetlink/verbs.js'
import type { LinkRef } from './link.js'
import type { Links } from './links.js'
import { withOptions } from './option-paths.js'
import { byKind, echoed, explained, tcRequest } from './tc-requests.js'

const schema = withOptions(qdiscMessage, { options: '' })

/** A qdisc as it was when it was asked for. */
export class Qdisc extends qdiscMessage.View {
  constructor(message: Message) {
    super(message.data, message.start, message.end)
  }

  /** Whether the kernel put it there by itself: those have no handle. */
  get isDefault(): boolean {
    return this.handle === '0:'
  }

  /** What `add` would be given; `undefined` for a kind that is not known here. */
  get settings(): Partial<OfKind<QdiscKinds>> | undefined {
    return settingsOf<QdiscKinds>(qdiscKinds.find(this.kind), this.options)
  }
}

/** Where a qdisc is. */
export interface QdiscPlace {
  link: LinkRef
  /** `root` by default, for `ingress` and `clsact` their own; a class, `1:10`, for its leaf. */
  parent?: TcHandle | undefined
  /** `1:`; the kernel's choice by default. */
  handle?: TcHandle | undefined
}

export type AddQdisc = QdiscPlace & OfKind<QdiscKinds>

const PLACE: ReadonlySet<string> = new Set<keyof QdiscPlace>(['link', 'parent', 'handle'])
const DELETE_KEYS: ReadonlySet<string> = new Set([...PLACE, 'kind'])
const LIST_KEYS: ReadonlySet<string> = new Set(['link', 'signal', 'timeout'])

export class Qdiscs {
  readonly #socket: NetlinkSocket
  readonly #links: Links

  /** @internal */
  constructor(socket: NetlinkSocket, links: Links) {
    this.#socket = socket
    this.#links = links
  }

  /**
   * Adds a qdisc in the place of the default one; `EEXIST` if there is another.
   *
   * @throws LinkwrightError `ERR_UNSUPPORTED` for a kind that this kernel lacks
   */
  async add(options: AddQdisc, callOptions?: CallOptions): Promise<Qdisc> {
    return await this.#send(NLM_F_CREATE | NLM_F_EXCL, options, callOptions)
  }

  /** Changes the qdisc if its kind and handle are the same, and puts a new one in its place otherwise. */
  async replace(options: AddQdisc, callOptions?: CallOptions): Promise<Qdisc> {
    return await this.#send(NLM_F_CREATE | NLM_F_REPLACE, options, callOptions)
  }

  /** Changes the settings of a qdisc that is there; `ENOENT` if none is. */
  async change(options: AddQdisc, callOptions?: CallOptions): Promise<Qdisc> {
    return await this.#send(0, options, callOptions)
  }

  /** Removes a qdisc with its classes and filters; the default one takes its place. `ENOENT` if there is none. */
  async delete(place: QdiscPlace & { kind?: 'ingress' | 'clsact' | undefined }, callOptions?: CallOptions) {
    checkKeys(place, DELETE_KEYS)
    const encode = (index: number) => deleteQdiscRequest(place, index)
    encode(1)
    await explained(this.#socket.request(encode(await this.#links.indexOf(place.link, callOptions)), callOptions))
  }

  /**
   * The qdisc at a place, the default one too; `undefined` if there is none. Of one that is asked for by its handle alone
   * the kernel does not say where it is: its `parent` reads `0:`.
   */
  async find(place: QdiscPlace, callOptions?: CallOptions): Promise<Qdisc | undefined> {
    checkKeys(place, PLACE)
    const index = await this.#links.indexOf(place.link, callOptions)
    // Older kernels send the answer as an echo, and none otherwise.
    const request = tcRequest(schema, 'RTM_GETQDISC', NLM_F_ECHO, placeOf(place), index, place.link)
    try {
      const [reply] = await this.#socket.request(request, callOptions)
      return reply && new Qdisc(reply)
    } catch (error) {
      // EINVAL: the one at the place has another handle.
      if (error instanceof LinkwrightError && (error.code === 'ENOENT' || error.code === 'EINVAL')) return undefined
      throw error
    }
  }

  /** All qdiscs, or those of a link; the kernel's own among them. */
  async list(filter: { link?: LinkRef | undefined } & CallOptions = {}): Promise<Qdisc[]> {
    checkKeys(filter, LIST_KEYS)
    const index = filter.link === undefined ? 0 : await this.#links.indexOf(filter.link, filter)
    const replies = await this.#socket.dump(tcRequest(schema, 'RTM_GETQDISC', NLM_F_DUMP, {}, index), filter)
    // The kernel gives those of all links.
    return replies.map(reply => new Qdisc(reply)).filter(qdisc => index === 0 || qdisc.index === index)
  }

  async #send(flags: number, options: AddQdisc, callOptions?: CallOptions): Promise<Qdisc> {
    const encode = (index: number) => newQdiscRequest(options, flags | NLM_F_ECHO, index)
    // Wrong input is refused before the link is looked up.
    encode(1)
    const request = encode(await this.#links.indexOf(options.link, callOptions))
    return new Qdisc(await echoed(this.#socket, request, RTM.RTM_NEWQDISC, callOptions))
  }
}

/** RTM_NEWQDISC for the link of an ifindex. */
export function newQdiscRequest(options: AddQdisc, flags: number, index: number): Request {
  const value = { ...placeOf(options, options.kind), ...byKind(options, PLACE, qdiscKinds) }
  return tcRequest(schema, 'RTM_NEWQDISC', flags, value, index, options.link)
}

/** RTM_DELQDISC for the link of an ifindex. */
export function deleteQdiscRequest(
  place: QdiscPlace & { kind?: 'ingress' | 'clsact' | undefined },
  index: number
): Request {
  return tcRequest(schema, 'RTM_DELQDISC', 0, placeOf(place, place.kind), index, place.link)
}

/** Where a qdisc is, for the kernel: ingress and clsact have one place only. */
function placeOf({ parent, handle }: QdiscPlace, kind?: string): object {
  const incoming = kind === 'ingress' || kind === 'clsact' || parent === 'ingress' || parent === 'clsact'
  if (incoming) return { parent: parent ?? 'ingress', handle: handle ?? (kind ? 'ffff:' : undefined) }
  // By handle alone, a qdisc is found wherever it is.
  return { parent: parent ?? (handle === undefined || kind ? 'root' : undefined), handle }
}
