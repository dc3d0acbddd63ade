/** What qdiscs, classes and filters have in common: requests by kind, echoes, and kinds that the kernel lacks. */
import type { Schema } from '../codec/message.js'
import { amend, invalidArgument, LinkwrightError } from '../errors.js'
import { NLM_F_CREATE } from '../netlink/constants.js'
import type { Message } from '../netlink/framing.js'
import { encodeRequest, type Request } from '../netlink/request.js'
import type { CallOptions, NetlinkSocket } from '../netlink/socket.js'
import { optionsOf, type TcKind } from '../rtnetlink/tc-kind.js'
import { RTM } from '../rtnetlink/verbs.js'
import type { LinkRef } from './link.js'

/** Where the kinds of one sort of object are found. */
interface Kinds {
  readonly names: string[]
  find(name: string | undefined): TcKind | undefined
}

/** Splits what a verb was given into the object's place and what its kind makes of the rest. */
export function byKind(given: object, place: ReadonlySet<string>, kinds: Kinds): { kind: string; options: unknown } {
  const { kind: name, ...rest } = given as { kind?: unknown }
  const kind = typeof name === 'string' ? kinds.find(name) : undefined
  if (!kind) throw invalidArgument('kind', `one of ${kinds.names.join(', ')}`, name)
  const settings = Object.fromEntries(
    Object.entries(rest).filter(([key, value]) => !place.has(key) && value !== undefined)
  )
  return { kind: kind.name, options: optionsOf(kind, settings) }
}

/** @param link as the caller named it, for what an error says */
export function tcRequest(
  schema: Schema,
  verb: `RTM_${'NEW' | 'DEL' | 'GET'}${'QDISC' | 'TCLASS' | 'TFILTER'}`,
  flags: number,
  value: object,
  index: number,
  link?: LinkRef
): Request {
  const about = typeof link === 'object' ? link.index : link
  const creating = verb.startsWith('RTM_NEW') && (flags & NLM_F_CREATE) !== 0
  return encodeRequest(verb, RTM[verb], schema, { ...value, index }, { flags, creating, link: about })
}

/** Sends a request and takes the object out of the echo (NLM_F_ECHO). */
export async function echoed(
  socket: NetlinkSocket,
  request: Request,
  type: number,
  options?: CallOptions
): Promise<Message> {
  const replies = await explained(socket.request(request, options))
  // What was replaced comes before.
  const reply = replies.findLast(message => message.type === type)
  if (!reply) throw new LinkwrightError(`no echo of ${request.verb}`, { code: 'ERR_UNEXPECTED_REPLY' })
  return reply
}

/** The kernel's words for a kind that it was built without, or whose module is not to be had: ENOENT. */
const UNKNOWN = /qdisc kind is unknown|Specified qdisc not found|classifier not found|load TC action module/i

/** Gives an unknown kind a code of its own: ENOENT is also an object that is not there. */
export async function explained<T>(result: Promise<T>): Promise<T> {
  try {
    return await result
  } catch (error) {
    if (error instanceof LinkwrightError && error.code === 'ENOENT' && UNKNOWN.test(error.extack ?? '')) {
      throw amend(error, { code: 'ERR_UNSUPPORTED', diagnosis: 'this kernel has no such kind (module not available)' })
    }
    throw error
  }
}
