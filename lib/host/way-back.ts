/**
 * The way back from a change, as plain data: computed before anything is changed, kept by the guard and in state files,
 * and the same from wherever the change stopped. Each operation may be carried out when it is so already.
 */

interface Common {
  /** As a command, for people and errors. */
  readonly command: string
  /** Positive errnos that say that it is so already. */
  readonly settled?: readonly number[] | undefined
  /** Whatever fails is no failure. */
  readonly bestEffort?: boolean | undefined
}

/** Whole requests, each padded to four bytes, and sent one after the other whatever becomes of them. */
export interface NetlinkOperation extends Common {
  readonly op: 'netlink'
  /** `NETLINK_*`: 0 for rtnetlink, 12 for nf_tables. */
  readonly protocol: number
  readonly requests: Uint8Array
  /** All in one datagram, with NLM_F_ACK where an answer comes: an nf_tables transaction. */
  readonly atomic?: boolean | undefined
}

/** Writes into a file that exists: a sysctl. */
export interface WriteOperation extends Common {
  readonly op: 'write'
  readonly path: string
  readonly content: string
}

/** Signals a process, which is opened (pidfd) when the guard is given the program. */
export interface SignalOperation extends Common {
  readonly op: 'signal'
  readonly pid: number
  readonly signal: number
}

/** Gives the kernel time for what it does by itself after an operation. */
export interface PauseOperation extends Common {
  readonly op: 'pause'
  readonly milliseconds: number
}

export type Operation = NetlinkOperation | WriteOperation | SignalOperation | PauseOperation

const KINDS = { netlink: 1, write: 2, signal: 3, pause: 4 } as const
const ATOMIC = 1
const BEST_EFFORT = 2
const NOTHING = Buffer.alloc(0)

/** As native/guard/program.cc reads it, in this machine's byte order. */
export function encodeProgram(operations: readonly Operation[]): Buffer {
  return Buffer.concat(operations.map(encodeOperation))
}

function encodeOperation(operation: Operation): Buffer {
  const { op, settled = [], bestEffort = false } = operation
  const atomic = op === 'netlink' && operation.atomic === true
  const number = numberOf(operation)
  const content =
    op === 'netlink' ? Buffer.from(operation.requests) : op === 'write' ? Buffer.from(operation.content) : NOTHING
  return Buffer.concat([
    Buffer.from([KINDS[op], (atomic ? ATOMIC : 0) | (bestEffort ? BEST_EFFORT : 0)]),
    ints([number, settled.length, ...settled]),
    sized(op === 'write' ? Buffer.from(operation.path) : NOTHING),
    sized(content),
    ints([op === 'signal' ? operation.pid : 0])
  ])
}

function numberOf(operation: Operation): number {
  if (operation.op === 'netlink') return operation.protocol
  if (operation.op === 'signal') return operation.signal
  return operation.op === 'pause' ? operation.milliseconds : 0
}

function ints(values: readonly number[]): Buffer {
  return Buffer.from(Int32Array.from(values).buffer)
}

function sized(bytes: Buffer): Buffer {
  return Buffer.concat([ints([bytes.length]), bytes])
}

/** For state files. */
export type SavedOperation =
  | Exclude<Operation, NetlinkOperation>
  | (Omit<NetlinkOperation, 'requests'> & { requests: string })

export function saveOperation(operation: Operation): SavedOperation {
  if (operation.op !== 'netlink') return operation
  return { ...operation, requests: Buffer.from(operation.requests).toString('base64') }
}

export function restoreOperation(saved: SavedOperation): Operation {
  if (saved.op !== 'netlink') return saved
  return { ...saved, requests: Buffer.from(saved.requests, 'base64') }
}
