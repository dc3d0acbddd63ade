/** Reads the kernel's tables: what a round of a watch has to read, in an order that makes the answers true. */
import { LinkwrightError } from '../../errors.js'
import type { Message } from '../../netlink/framing.js'
import type { Request } from '../../netlink/request.js'
import type { BatchResult } from '../../netlink/socket.js'
import { RTM } from '../../rtnetlink/verbs.js'
import { getRequest } from '../link-requests.js'
import type { Answer, Table } from './table.js'

/** What a reader needs of a socket. */
export interface ReadingSocket {
  batch(requests: readonly Request[]): Promise<BatchResult[]>
  dumpOnce(request: Request): Promise<{ messages: Message[]; interrupted: boolean }>
}

/** Links by themselves, and scopes of the other tables, that a round reads at most: the next one is fresher. */
const LINKS = 256
const SCOPES = 64

/** Milliseconds before each attempt at a dump of a table that changes meanwhile. */
const ATTEMPTS = [0, 5, 20, 80, 200]

export interface Reading {
  table: Table
  answers: Answer[]
}

export class Reader {
  constructor(
    private readonly socket: ReadingSocket,
    private readonly pause: (milliseconds: number) => Promise<void>
  ) {}

  /** Reads what is marked in the tables, and unmarks it. */
  async read(tables: readonly Table[]): Promise<Reading[]> {
    const marked = tables.filter(table => table.dirty)
    const work = marked.map(table => ({ table, ...table.take(table.kind.object === 'link' ? LINKS : SCOPES) }))
    const readings: Reading[] = []
    // The kernel announces several things before it does them, holding the RTNL lock. A request for a link waits for that
    // lock, so what is read after its answer has what was announced before it.
    if (!work.some(({ table, scopes }) => table.kind.object === 'link' && scopes.length > 0)) await this.#barrier()
    for (const { table, all, scopes } of work) {
      const answers: Answer[] = []
      if (all) answers.push(await this.#dump(table, table.kind.readAll(table.nsid), undefined))
      else if (table.kind.object === 'link') answers.push(...(await this.#get(table, scopes)))
      else for (const scope of scopes) answers.push(await this.#dump(table, table.kind.read(scope, table.nsid), scope))
      readings.push({ table, answers })
    }
    return readings
  }

  async #barrier(): Promise<void> {
    await this.socket.batch([getRequest(1, false)])
  }

  async #get(table: Table, scopes: string[]): Promise<Answer[]> {
    const requests = scopes.flatMap(scope => table.kind.read(scope, table.nsid))
    const results = await this.socket.batch(requests)
    return results.map(({ replies, error }, at) => {
      if (error !== undefined && !isGone(error, table)) throw error
      const messages = error === undefined ? replies.filter(reply => reply.type === RTM.RTM_NEWLINK) : []
      return { scope: scopes[at], messages, torn: false }
    })
  }

  async #dump(table: Table, requests: Request[], scope: string | undefined): Promise<Answer> {
    const answer: Answer = { scope, messages: [], torn: false }
    for (const request of requests) {
      const { messages, interrupted } = await this.#tryDump(table, request)
      for (const message of messages) answer.messages.push(message)
      if (interrupted) answer.torn = true
    }
    return answer
  }

  async #tryDump(table: Table, request: Request): Promise<{ messages: Message[]; interrupted: boolean }> {
    let last: { messages: Message[]; interrupted: boolean } = { messages: [], interrupted: true }
    for (const milliseconds of ATTEMPTS) {
      if (milliseconds > 0) await this.pause(milliseconds)
      try {
        last = await this.socket.dumpOnce(request)
      } catch (error) {
        if (isGone(error, table)) return { messages: [], interrupted: false }
        throw error
      }
      if (!last.interrupted) break
    }
    return last
  }
}

/** The link, the routing table or the namespace that was asked for is not there: it has nothing. */
function isGone(error: unknown, table: Table): boolean {
  if (!(error instanceof LinkwrightError)) return false
  return error.code === 'ENODEV' || error.code === 'ENOENT' || (error.code === 'EINVAL' && table.nsid !== null)
}
