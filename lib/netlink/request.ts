/** One request, ready to be sent. */
import { renamePath } from '../codec/codec.js'
import type { Schema } from '../codec/message.js'
import { Writer } from '../codec/writer.js'
import { NLM_F_REQUEST, NLMSG_HEADER } from './constants.js'

export interface Request {
  /** For errors: `RTM_NEWLINK`. */
  readonly verb: string
  readonly type: number
  readonly flags: number
  /** The whole message, padded to four bytes; the engine fills in sequence and port. */
  readonly bytes: Uint8Array
  readonly schema?: Schema | undefined
  /** What it is about, for errors. */
  readonly link?: string | number | undefined
  /** The newest kernel release that one of its attributes needs, or ''. */
  readonly since: string
  /** Whether a kernel may ignore one of its attributes silently because it was built without it. */
  readonly uncertain?: boolean
}

export interface RequestOptions {
  flags?: number
  /** Whether attributes are allowed that can only be given at creation. */
  creating?: boolean
  link?: string | number | undefined
}

/** Encodes a request. Throws `ERR_INVALID_ARG_VALUE` with the path of what is wrong. */
export function encodeRequest(
  verb: string,
  type: number,
  schema: Schema,
  value: object,
  options: RequestOptions = {}
): Request {
  // Taken while in use: a getter of the caller's may encode a request of its own.
  const writer = spare ?? new Writer()
  spare = undefined
  try {
    writer.creating = options.creating ?? false
    writer.reserve(NLMSG_HEADER)
    schema.write(writer, value)
    const flags = NLM_F_REQUEST | (options.flags ?? 0)
    finishHeader(writer, type, flags)
    const { since, uncertain } = writer
    return { verb, type, flags, bytes: writer.copy(), schema, link: options.link, since, uncertain }
  } catch (error) {
    throw schema.optionOf ? renamePath(error, schema.optionOf) : error
  } finally {
    writer.reset()
    spare = writer
  }
}

/** The writer of the last request, for the next. */
let spare: Writer | undefined

function finishHeader(writer: Writer, type: number, flags: number): void {
  writer.setU32(0, writer.length)
  writer.setU16(4, type)
  writer.setU16(6, flags)
  writer.align()
}
