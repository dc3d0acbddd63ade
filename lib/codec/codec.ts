/** What every layout of a value on the wire can do. */
import { invalidArgument, LinkwrightError } from '../errors.js'
import type { Writer } from './writer.js'

/**
 * How one value is laid out in bytes. `In` is what may be written, `Out` what is read.
 * `write` refuses a wrong value with `ERR_INVALID_ARG_VALUE` before a byte of the message has left the process.
 */
export interface Codec<In, Out = In> {
  /** What a right value looks like, for error messages. */
  readonly expects: string
  /** Bytes on the wire, for layouts of a fixed size. */
  readonly size?: number
  /** Set for payloads that carry NLA_F_NESTED. */
  readonly nestedFlag?: boolean
  /** Where a written value says only a part of what is read (bits with a mask): reads back what was written. */
  readSent?(data: DataView, offset: number, length: number): object
  /** Whether two plain values are the same to the kernel, where that is more than being equal. */
  isSame?(wanted: unknown, got: unknown): boolean
  /** Set where the order of what is in a list means nothing. */
  readonly unordered?: boolean
  write(writer: Writer, value: In): void
  read(data: DataView, offset: number, length: number): Out
  /** The path of the attribute that begins at `target`, for containers. */
  locate?(data: DataView, start: number, end: number, target: number): Located | undefined
}

/** Where an offset into a message points to. */
export interface Located {
  path: string[]
  /** The name of an attribute inside what was found, for "attribute N is missing here". */
  nameOf(id: number): string | undefined
}

// biome-ignore lint/suspicious/noExplicitAny: a codec of whatever type
export type AnyCodec = Codec<any, any>
export type InOf<C> = C extends Codec<infer In, infer _> ? In : never
export type OutOf<C> = C extends Codec<infer _, infer Out> ? Out : never

/** Refuses a value; containers put their own name in front of the path on the way up. */
export function refuse(codec: { expects: string }, value: unknown): never {
  throw invalidArgument('', codec.expects, value)
}

/** Runs `write` and puts `name` in front of the path of what it refuses. */
export function within(name: string | number, write: () => void): void {
  try {
    write()
  } catch (error) {
    throw prefixPath(error, name)
  }
}

/** The same error, one level further out. */
export function prefixPath(error: unknown, name: string | number): unknown {
  const outer = typeof name === 'number' ? `[${name}]` : name
  return renamePath(error, inner => (inner === '' || inner.startsWith('[') ? outer + inner : `${outer}.${inner}`))
}

/** Errors that are about what was given. */
const PATHS: ReadonlySet<string> = new Set(['ERR_INVALID_ARG_VALUE', 'ERR_UNSUPPORTED'])

/** The same error, with another path for what it refuses. */
export function renamePath(error: unknown, rename: (path: string) => string): unknown {
  if (!(error instanceof LinkwrightError) || !PATHS.has(error.code)) return error
  const inner = error.path ?? ''
  const path = rename(inner)
  const message = error.message.replace(inner || 'value', () => path)
  return new LinkwrightError(message, { code: error.code, path, allowed: error.allowed })
}
