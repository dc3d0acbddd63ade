/**
 * The way back from a change, as plain data: computed before anything is changed, kept by the guard and in state files,
 * and the same from wherever the change stopped. Each operation may be carried out when it is so already.
 */
import { LinkwrightError } from '../errors.js'
import { type ProcessIdentity, processOf } from './process-identity.js'

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

/** Signals a process; nothing is done to another one that has the number by then. See {@link signalOperation}. */
export interface SignalOperation extends Common, ProcessIdentity {
  readonly op: 'signal'
  readonly signal: number
}

/**
 * Ends all processes of the network namespace that run a program with an argument that is theirs alone, such as the path of
 * a private configuration: by SIGTERM, and by SIGKILL what is there after a time. None is fine.
 */
export interface StopOperation extends Common {
  readonly op: 'stop'
  /** What the executable is called, without its directory. */
  readonly program: string
  /** One whole argument. */
  readonly argument: string
  readonly milliseconds: number
}

/** Removes a file or an empty directory. One that is gone is fine, and so is a directory with files of others. */
export interface RemoveOperation extends Common {
  readonly op: 'remove'
  readonly path: string
}

/** Waits until a link can be sent by (`operstate` `up`), since the kernel takes a moment after it was set up. */
export interface AwaitOperation extends Common {
  readonly op: 'await'
  readonly index: number
  /** At most; after them it has failed. */
  readonly milliseconds: number
}

/** Waits until the kernel takes what comes for addresses of IPv6 of a link: its work queue makes their local routes. */
export interface AwaitLocalOperation extends Common {
  readonly op: 'awaitLocal'
  readonly index: number
  /** How many local routes the link has to have. */
  readonly count: number
  readonly milliseconds: number
}

export type Operation =
  | NetlinkOperation
  | WriteOperation
  | SignalOperation
  | AwaitOperation
  | AwaitLocalOperation
  | StopOperation
  | RemoveOperation

const KINDS = { netlink: 1, write: 2, signal: 3, await: 4, stop: 5, remove: 6, awaitLocal: 7 } as const
const ATOMIC = 1
const BEST_EFFORT = 2

/** @throws LinkwrightError `ESRCH` when there is no such process */
export function signalOperation(pid: number, signal: number): SignalOperation {
  const process = processOf(pid)
  if (!process) throw new LinkwrightError(`ESRCH: there is no process ${pid}`, { code: 'ESRCH' })
  return { op: 'signal', ...process, signal, command: `kill -${signal} ${pid}` }
}

/** As native/guard/program.cc reads it, in this machine's byte order. */
export function encodeProgram(operations: readonly Operation[]): Buffer {
  return Buffer.concat(operations.map(encodeOperation))
}

function encodeOperation(operation: Operation): Buffer {
  const { op, settled = [], bestEffort = false } = operation
  const atomic = op === 'netlink' && operation.atomic === true
  const { number = 0, path = '', content = '', id = 0, large = 0 } = partsOf(operation)
  return Buffer.concat([
    Buffer.from([KINDS[op], (atomic ? ATOMIC : 0) | (bestEffort ? BEST_EFFORT : 0)]),
    ints([number, settled.length, ...settled]),
    sized(Buffer.from(path)),
    sized(Buffer.from(content as Uint8Array)),
    ints([id]),
    Buffer.from(BigUint64Array.of(BigInt(large)).buffer)
  ])
}

interface Parts {
  number?: number
  path?: string
  content?: string | Uint8Array
  /** Of a process or link. */
  id?: number
  /** When a process started; how many. */
  large?: number
}

function partsOf(operation: Operation): Parts {
  switch (operation.op) {
    case 'netlink':
      return { number: operation.protocol, content: operation.requests }
    case 'write':
    case 'remove':
      return operation
    case 'signal':
      return { number: operation.signal, id: operation.pid, large: operation.startTime }
    case 'stop':
      return { number: operation.milliseconds, path: operation.program, content: operation.argument }
    case 'await':
      return { number: operation.milliseconds, id: operation.index }
    case 'awaitLocal':
      return { number: operation.milliseconds, id: operation.index, large: operation.count }
  }
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
