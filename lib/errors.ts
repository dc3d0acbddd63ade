/** The one error class, in the shape of Node's system errors. */
import { constants } from 'node:os'

const brand = Symbol.for('linkwright.error')

export interface LinkwrightErrorDetails {
  /** `EBUSY` and the like for a failed system call, else `ERR_*`. */
  code: string
  /** Negative, as everywhere in Node. */
  errno?: number | undefined
  /** The netlink verb (`RTM_NEWLINK`), ioctl (`ioctl(TUNSETIFF)`) or system call. */
  syscall?: string | undefined
  /** The link that the operation was about. */
  link?: string | number | undefined
  /** What the kernel said in words (extended ACK, NLMSGERR_ATTR_MSG). */
  extack?: string | undefined
  /** The option or argument that was refused: `mode`, `port.cost`, `nexthops[1].weight`. */
  path?: string | undefined
  /** The netlink attribute that it became, where the kernel refused it: `linkinfo.data.mode`. */
  attribute?: string | undefined
  /** What would be accepted there. */
  allowed?: string | undefined
  /** Why it failed and what to do, found out by us where the kernel is silent. */
  diagnosis?: string | undefined
  /** Which item of a batch failed, from 0. */
  item?: number | undefined
  /** Where in a file or stream, in bytes from its beginning. */
  offset?: number | undefined
  cause?: unknown
}

/**
 * Every error of this package. Tell them apart by `code`; `instanceof` works across copies of the package.
 *
 * Codes of our own: `ERR_INVALID_ARG_VALUE` (input refused before anything was sent; see `path` and `allowed`),
 * `ERR_CLOSED` (used after `close()`), `ERR_TIMEOUT`, `ERR_DUMP_INTERRUPTED` (the kernel's tables kept changing during
 * every attempt), `ERR_NOT_APPLIED` (the kernel ignored an attribute), `ERR_NOT_OWNED` (a link is another's, and nothing
 * was changed), `ERR_NOT_SETTLED` (others kept changing links), `ERR_UNSUPPORTED` (this kernel cannot do it),
 * `ERR_NOT_INSTALLED` (a program is missing), `ERR_INVALID_CONFIGURATION` (a program refuses what was made for it),
 * `ERR_PROGRAM_FAILED` (it ended, with its last words in the message), `ERR_RULESET_CHANGED` (others changed the ruleset
 * that a transaction was made for), `ERR_INVALID_SPEC` (a spec file, with lines and paths in the message),
 * `ERR_UNEXPECTED_REPLY`, `ERR_INVALID_CAPTURE` and `ERR_TRUNCATED_CAPTURE` (a capture
 * file that is damaged, or ends too early; see `offset`). Of plans: `ERR_CONFLICT` (see `plan.conflicts`),
 * `ERR_PROBE_FAILED`, `ERR_RESTORED` (not confirmed in time), `ERR_NOT_UNDONE`, `ERR_STALE_STATE` (a saved state of another
 * boot or namespace), `ERR_GUARD_LOST`. An aborted operation rejects with the signal's reason.
 */
export class LinkwrightError extends Error {
  readonly code: string
  declare readonly errno?: number
  declare readonly syscall?: string
  declare readonly link?: string | number
  declare readonly extack?: string
  declare readonly path?: string
  declare readonly attribute?: string
  declare readonly allowed?: string
  declare readonly diagnosis?: string
  declare readonly item?: number
  declare readonly offset?: number

  constructor(message: string, details: LinkwrightErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    const { cause: _, code, ...rest } = details
    this.code = code
    for (const [key, value] of Object.entries(rest)) {
      if (value !== undefined) Object.defineProperty(this, key, { value, enumerable: true })
    }
  }

  override get name(): string {
    return 'LinkwrightError'
  }

  get [brand](): true {
    return true
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && brand in value
  }
}

/** The kernel's names (`EOPNOTSUPP`), and those of its errors that Node does not know. */
const names = new Map<number, string>([
  ...Object.entries(constants.errno).map(([name, errno]) => [errno, name] as [number, string]),
  [constants.errno.EOPNOTSUPP, 'EOPNOTSUPP'],
  [constants.errno.EAGAIN, 'EAGAIN'],
  [64, 'ENONET'],
  [76, 'ENOTUNIQ'],
  [77, 'EBADFD'],
  [85, 'ERESTART'],
  [132, 'ERFKILL']
])

/** `EBUSY` for -16. */
export function errnoName(errno: number): string {
  return names.get(-errno) ?? `errno ${-errno}`
}

/** Says a failed system call in one line: verb, link, kernel's words, option, what is allowed, diagnosis. */
export function systemError(
  details: Omit<LinkwrightErrorDetails, 'code' | 'errno'> & { errno: number }
): LinkwrightError {
  const { errno, syscall = 'system call', link, extack, path, attribute = path, allowed, diagnosis } = details
  const code = errnoName(errno)
  const parts = [`${code}: ${syscall}${link === undefined ? '' : ` ${link}`} failed`]
  if (extack) parts.push(`the kernel says: ${extack}`)
  const place = path === attribute ? `attribute ${path}` : `option ${path} (attribute ${attribute})`
  if (path) parts.push(`${place}${allowed ? `, allowed: ${allowed}` : ''}`)
  if (diagnosis) parts.push(diagnosis)
  return new LinkwrightError(parts.join('; '), { ...details, code })
}

/** The same error with more known of it. */
export function amend(error: LinkwrightError, more: Partial<LinkwrightErrorDetails>): LinkwrightError {
  const { code, errno, syscall, link, extack, path, attribute, allowed, diagnosis, item, offset, cause } = error
  const message = more.diagnosis ? `${error.message}; ${more.diagnosis}` : error.message
  const details = {
    code,
    errno,
    syscall,
    link,
    extack,
    path,
    attribute,
    allowed,
    diagnosis,
    item,
    offset,
    cause,
    ...more
  }
  const amended = new LinkwrightError(message, details)
  if (error.stack) amended.stack = error.stack.replace(error.message, () => message)
  return amended
}

/**
 * Lets the stack of an error of ours begin with who called `callee`: it has ten frames, and a promise's way through here
 * would take them all. To be called inside of `callee`, which was awaited.
 */
export function calledBy<E>(callee: (...args: never[]) => unknown, error: E): E {
  if (error instanceof LinkwrightError) Error.captureStackTrace(error, callee)
  return error
}

/** Input that was refused before anything was sent or changed. */
export function invalidArgument(path: string, expected: string, value: unknown): LinkwrightError {
  return new LinkwrightError(`${path || 'value'}: expected ${expected}, got ${describe(value)}`, {
    code: 'ERR_INVALID_ARG_VALUE',
    path,
    allowed: expected
  })
}

export function closedError(what: string): LinkwrightError {
  return new LinkwrightError(`${what} is closed`, { code: 'ERR_CLOSED' })
}

/** An Error of the addon, with what it was about. */
export function nativeError(
  error: unknown,
  context: Partial<Omit<LinkwrightErrorDetails, 'code' | 'errno'>> = {}
): Error {
  if (error instanceof LinkwrightError) return error
  const { errno, syscall } = error as { errno?: number; syscall?: string }
  if (typeof errno !== 'number') return error as Error
  return systemError({ errno, syscall, ...context, cause: error })
}

function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'bigint') return `${value}n`
  if (value === null || typeof value !== 'object') return String(value)
  return Array.isArray(value) ? 'an array' : 'an object'
}
