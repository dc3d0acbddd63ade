/** Changes that are made all at once or not at all: one batch, one message to the kernel. */

import { prefixPath } from '../codec/codec.js'
import { hostLittleEndian } from '../codec/endian.js'
import type { Schema } from '../codec/message.js'
import { amend, LinkwrightError } from '../errors.js'
import { NLM_F_ECHO } from '../netlink/constants.js'
import { dataView } from '../netlink/framing.js'
import { encodeRequest, type Request } from '../netlink/request.js'
import type { BatchResult, CallOptions, NetlinkSocket } from '../netlink/socket.js'
import { batchMessage } from '../nftables/batch.js'
import { chainMessage } from '../nftables/chain.js'
import { NFNL_MSG, NFNL_SUBSYS_NFTABLES } from '../nftables/messages.js'
import { ruleMessage } from '../nftables/rule.js'
import { setMessage } from '../nftables/set.js'
import { tableMessage } from '../nftables/table.js'
import { type Change, ChangeEncoder, type Layouts } from './changes.js'

export interface TransactionOptions extends CallOptions {
  /** Of the ruleset that the changes were made for: of another one nothing is changed (`ERR_RULESET_CHANGED`). */
  generation?: number | undefined
  /** Whether the handles of what is added are wanted; `true` if left out. Thousands of rules are answered at length. */
  handles?: boolean | undefined
}

export interface TransactionResult {
  /** For each change, the handle of what it added: with it exactly that can be removed later. */
  handles: (number | undefined)[]
}

/** linux/netlink.h; of what is sent here the engine sets it. */
const NLM_F_ACK = 4

function bracket(verb: keyof typeof NFNL_MSG, genid?: number): Request {
  return encodeRequest(verb, NFNL_MSG[verb], batchMessage as Schema, { resId: NFNL_SUBSYS_NFTABLES, genid })
}

/** Turns changes into requests; what is refused has its place in the path: `[2].add.rule.statements[0].value`. */
export function encodeChanges(
  changes: readonly Change[],
  layouts: Layouts,
  echo: boolean
): { requests: Request[]; changeOf: number[] } {
  const encoder = new ChangeEncoder(layouts, echo)
  const requests: Request[] = []
  const changeOf: number[] = []
  for (const [index, change] of changes.entries()) {
    try {
      for (const request of encoder.encode(change)) {
        requests.push(request)
        changeOf.push(index)
      }
    } catch (error) {
      throw prefixPath(error, index)
    }
  }
  return { requests, changeOf }
}

/**
 * A whole transaction as bytes, for whoever sends it without this library; its last change asks for an answer.
 *
 * @param layouts of sets that exist and whose elements are changed
 */
export function batchOf(changes: readonly Change[], layouts: Layouts = new Map()): Buffer {
  const { requests } = encodeChanges(changes, layouts, false)
  const batch = [bracket('NFNL_MSG_BATCH_BEGIN'), ...requests, bracket('NFNL_MSG_BATCH_END')]
  const last = requests.at(-1)
  if (last) dataView(last.bytes).setUint16(6, last.flags | NLM_F_ACK, hostLittleEndian)
  return Buffer.concat(batch.map(({ bytes }) => bytes))
}

export async function runTransaction(
  socket: NetlinkSocket,
  changes: readonly Change[],
  layouts: Layouts,
  options: TransactionOptions
): Promise<TransactionResult> {
  const { generation, handles = true, signal, timeout } = options
  const { requests, changeOf } = encodeChanges(changes, layouts, handles)
  const result: TransactionResult = { handles: changes.map(() => undefined) }
  if (requests.length === 0) return result
  if (handles) checkAnswers(requests, socket.receiveBuffer)
  const batch = [bracket('NFNL_MSG_BATCH_BEGIN', generation), ...requests, bracket('NFNL_MSG_BATCH_END')]
  const results = await socket.batch(batch, { atomic: true, signal, timeout })
  throwFailure(results, changes, changeOf, batch)
  for (const [at, { replies }] of results.slice(1, -1).entries()) {
    const handle = replies.map(({ type, data, start, end }) => handleIn(type & 0xff, data, start, end)).find(Boolean)
    if (handle !== undefined) result.handles[changeOf[at] as number] = handle
  }
  return result
}

interface Handled {
  read(data: DataView, start: number, end: number): { handle: bigint | undefined }
}

/** What the receive buffer is charged with for an answer, at most, beside its bytes. */
const ANSWER = 1024

/** Answers that get lost would leave the caller with rules that nobody can remove: refused before anything is sent. */
function checkAnswers(requests: readonly Request[], room: number): void {
  const echoed = requests.filter(({ flags }) => (flags & NLM_F_ECHO) !== 0)
  const needed = echoed.reduce((sum, { bytes }) => sum + 2 * bytes.length + ANSWER, 0)
  if (needed <= room) return
  throw new LinkwrightError(
    `the handles of ${echoed.length} additions may take ${needed} bytes, and the receive buffer has ${room}; nothing was ` +
      'changed: make fewer changes at once, do without handles, or open with a larger receiveBuffer (net.core.rmem_max)',
    { code: 'EMSGSIZE', syscall: 'NFNL_MSG_BATCH_BEGIN' }
  )
}

/** By the number of the message that says of what was added. */
const ADDED = new Map<number, Handled>([
  [0, tableMessage],
  [3, chainMessage],
  [6, ruleMessage],
  [9, setMessage]
])

function handleIn(number: number, data: DataView, start: number, end: number): number | undefined {
  const schema = ADDED.get(number)
  const handle = schema?.read(data, start, end).handle
  return handle === undefined ? undefined : Number(handle)
}

function throwFailure(
  results: readonly BatchResult[],
  changes: readonly Change[],
  changeOf: readonly number[],
  batch: readonly Request[]
): void {
  const [begin] = results
  // What the kernel says of the opening bracket it says of the whole.
  if (begin?.error !== undefined) throw wholeFailure(begin.error, batch)
  const at = results.findIndex(({ error }) => error !== undefined)
  if (at < 0) return
  const { error } = results[at] as { error: unknown }
  const index = changeOf[at - 1]
  if (!(error instanceof LinkwrightError) || index === undefined) throw wholeFailure(error, batch)
  const change = changes[index] as Change
  const [[verb, object] = ['', {}]] = Object.entries(change)
  const path = [`[${index}]`, verb, ...Object.keys(object), ...(error.attribute ? [error.attribute] : [])].join('.')
  throw amend(error, {
    item: index,
    path,
    diagnosis: `nothing was changed: it is part of a transaction (change ${index})`
  })
}

function wholeFailure(error: unknown, batch: readonly Request[]): unknown {
  if (!(error instanceof LinkwrightError)) return error
  if (error.code === 'ERESTART') {
    return new LinkwrightError('the ruleset was changed by somebody else meanwhile; nothing was changed', {
      code: 'ERR_RULESET_CHANGED',
      syscall: 'NFNL_MSG_BATCH_BEGIN',
      cause: error
    })
  }
  if (error.code === 'EMSGSIZE') {
    const bytes = batch.reduce((sum, request) => sum + request.bytes.length, 0)
    return amend(error, {
      diagnosis:
        `nothing was changed: the transaction is one message of ${bytes} bytes, and the socket's buffer takes no more ` +
        'without CAP_NET_ADMIN in the first user namespace; make fewer changes at once, or raise net.core.wmem_max'
    })
  }
  return error
}
