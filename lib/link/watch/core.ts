/** The engine of a watch: announcements mark what may have changed, rounds read it and tell what differs. */
import { LinkwrightError } from '../../errors.js'
import { NLM_F_DUMP } from '../../netlink/constants.js'
import type { Message } from '../../netlink/framing.js'
import type { NotificationHandlers } from '../../netlink/notifications.js'
import { encodeRequest } from '../../netlink/request.js'
import { nsidMessage } from '../../rtnetlink/nsid.js'
import { RTM } from '../../rtnetlink/verbs.js'
import type { Link } from '../link.js'
import type { WatchChange, WatchEvent, WatchResync, WatchSnapshot } from './events.js'
import type { Kind } from './kind.js'
import { Reader, type ReadingSocket } from './reader.js'
import { Space } from './space.js'
import type { Difference, Table } from './table.js'

/** The sockets of a watch. */
export interface Sources {
  socket: ReadingSocket
  ref(): void
  unref(): void
  close(): Promise<void>
}

export type OpenSources = (handlers: NotificationHandlers) => Promise<Sources>

/** Rounds until the snapshot has what was announced while it was read; if that never ends it is told as changes. */
const SNAPSHOT_ROUNDS = 10
/** After a loss: milliseconds of silence to wait for before all is read again, and how long to wait for them. */
const SILENCE = 20
const LONGEST_STORM = 250
/** Milliseconds until a table that never held still is read again. */
const AGAIN = 1000
/** Milliseconds between readings of everything, and how many times their duration has to be between them. */
const RECHECK = 2000
const RECHECK_SHARE = 100
/** The longest that a timer of Node's runs. */
const LONGEST_TIMER = 2 ** 31 - 1
/** A round with dumps is followed by a rest of so many times its duration, and of this many milliseconds at most. */
const REST = 2
const LONGEST_REST = 500
/** Sockets that fail are opened anew, unless that has just not helped so many times. */
const FAILURES = 3

/** Where announcements of the own namespace come from. */
const OWN = -1

/** Unwinds what is under way; the iteration knows why. */
const ENDED = new Error('the watch has ended')

export class WatchCore {
  readonly #kinds: readonly Kind[]
  readonly #open: OpenSources
  readonly #allNamespaces: boolean
  readonly #own: Space
  /** Other namespaces by their id. */
  readonly #others = new Map<number, Space>()
  #namespacesChanged: boolean
  #sources: Sources | undefined
  #opening: Promise<Sources> | undefined
  #resync: WatchResync['reason'] | undefined
  #again: NodeJS.Timeout | undefined
  readonly #recheck: number
  #lastCheck = 0
  /** How long reading everything took. */
  #checkTook = 0
  #failures = 0
  #heard = 0
  #restUntil = 0
  #wake: (() => void) | undefined
  #ended: { reason: unknown } | 'closed' | undefined
  #keepAlive = true
  #waiting = false
  #stopPausing: (() => void) | undefined

  constructor(
    kinds: readonly Kind[],
    open: OpenSources,
    options: { allNamespaces?: boolean; recheck?: number | undefined }
  ) {
    const { allNamespaces = false, recheck = RECHECK } = options
    this.#recheck = recheck
    this.#kinds = kinds
    this.#open = open
    this.#allNamespaces = allNamespaces
    this.#namespacesChanged = allNamespaces
    this.#own = new Space(kinds, null)
  }

  /** The iteration. It holds what a round read and has not been taken yet, which the state read is part of. */
  async *events(): AsyncGenerator<WatchEvent, void, void> {
    try {
      await this.#reopen()
      await this.#settle()
      yield this.snapshot()
      while (!this.#ended) {
        if (this.#resync === undefined && !this.#dirty) {
          await this.#sleep()
          continue
        }
        const { reason, changes } = await this.#advance()
        if (reason) yield { event: 'resync', reason }
        for (const change of changes) {
          if (this.#ended) break
          yield change
        }
      }
    } catch (error) {
      if (!this.#ended) throw error
    } finally {
      await this.#close()
    }
    if (typeof this.#ended === 'object') throw this.#ended.reason
  }

  /** All that is known: what the events tell when all of them are taken. */
  snapshot(): WatchSnapshot {
    const lists: Record<string, unknown[]> = {}
    const keys: Record<string, string[]> = {}
    for (const kind of this.#kinds) {
      const tables = this.#tables(kind)
      lists[kind.list] = tables.flatMap(table => table.views)
      keys[kind.list] = tables.flatMap(table => table.keys)
    }
    return { event: 'snapshot', ...lists, keys } as unknown as WatchSnapshot
  }

  /** Reads everything again, which becomes a resync. */
  refresh(): void {
    this.#lost('refresh')
  }

  /** Ends the iteration: quietly, or by throwing the reason. */
  async end(ended: { reason: unknown } | 'closed'): Promise<void> {
    this.#ended ??= ended
    this.#wake?.()
    await this.#close()
  }

  set keepAlive(keepAlive: boolean) {
    this.#keepAlive = keepAlive
    this.#hold(this.#waiting)
  }

  /** Whether somebody waits for the next event. */
  set waiting(waiting: boolean) {
    this.#hold(waiting)
  }

  /** While somebody waits for an event, the process stays. */
  #hold(waiting: boolean): void {
    this.#waiting = waiting
    if (waiting && this.#keepAlive) this.#sources?.ref()
    else this.#sources?.unref()
  }

  get #spaces(): Space[] {
    return [this.#own, ...this.#others.values()]
  }

  get #dirty(): boolean {
    return this.#namespacesChanged || this.#spaces.some(space => space.dirty)
  }

  #tables(kind: Kind): Table[] {
    return this.#spaces.flatMap(space => space.tables.filter(table => table.kind === kind))
  }

  /** Opens the sockets: announcements are heard before the first table is read. */
  async #reopen(): Promise<void> {
    await this.#sources?.close()
    this.#sources = undefined
    this.#throwIfEnded()
    this.#opening = this.#open({
      messages: (messages, nsid) => this.#hear(messages, nsid),
      lost: reason => this.#lost(reason),
      failed: () => {
        // It would be reported again and again.
        void this.#sources?.close()
        this.#sources = undefined
        this.#lost('socket')
      }
    })
    this.#sources = await this.#opening
    this.#hold(this.#waiting)
    this.#throwIfEnded()
  }

  #hear(messages: Message[], nsid: number): void {
    this.#heard = performance.now()
    const space = nsid === OWN ? this.#own : this.#others.get(nsid)
    for (const message of messages) {
      if (message.type === RTM.RTM_NEWNSID || message.type === RTM.RTM_DELNSID) this.#hearNsid(message)
      else if (space) space.hear(message)
      else this.#namespacesChanged ||= this.#allNamespaces
    }
    this.#wake?.()
  }

  /** An id may be another namespace's by the time that it is looked at. */
  #hearNsid({ data, start, end }: Message): void {
    this.#namespacesChanged = true
    const space = this.#others.get(nsidMessage.read(data, start, end).nsid ?? OWN)
    space?.forget()
    space?.markAll()
  }

  #lost(reason: WatchResync['reason']): void {
    this.#heard = performance.now()
    this.#resync ??= reason
    this.#wake?.()
  }

  /** The first reading, and what was announced during it. */
  async #settle(): Promise<void> {
    for (let round = 0; round < SNAPSHOT_ROUNDS && (this.#dirty || this.#resync); round++) {
      if (this.#resync) await this.#beginAgain()
      await this.#round()
      // A failure is the caller's to hear as long as there is nothing to go on from.
      this.#throwIfEnded()
    }
  }

  async #advance(): Promise<{ reason: WatchResync['reason'] | undefined; changes: WatchChange[] }> {
    const reason = this.#resync
    try {
      if (reason) await this.#beginAgain()
      await this.#pause(this.#restUntil - performance.now())
      const changes = await this.#round()
      this.#failures = 0
      return { reason, changes }
    } catch (error) {
      this.#throwIfEnded()
      if (!(error instanceof LinkwrightError) || ++this.#failures >= FAILURES) throw error
      await this.#sources?.close()
      this.#sources = undefined
      this.#lost('socket')
      await this.#pause(SILENCE)
      return { reason: undefined, changes: [] }
    }
  }

  /** After a loss: waits for a calm moment, if it comes soon, and marks everything. */
  async #beginAgain(): Promise<void> {
    const latest = performance.now() + LONGEST_STORM
    if (!this.#sources) await this.#reopen()
    for (;;) {
      const now = performance.now()
      const silence = Math.min(this.#heard + SILENCE, latest) - now
      if (silence <= 0) break
      await this.#pause(silence)
    }
    this.#resync = undefined
    for (const space of this.#spaces) space.forget()
    this.#markAll()
  }

  /** Reads what is marked. What others depend on comes before them and goes after them. */
  async #round(): Promise<WatchChange[]> {
    const sources = this.#sources
    if (!sources) throw new LinkwrightError('the socket failed', { code: 'ERR_CLOSED' })
    const gone = this.#namespacesChanged ? await this.#findNamespaces(sources.socket) : []
    const began = performance.now()
    const reader = new Reader(sources.socket, milliseconds => this.#pause(milliseconds))
    const readings = await reader.read(this.#spaces.flatMap(space => space.tables))
    const dumped = readings.some(
      ({ table, answers }) => table.kind.object !== 'link' || answers[0]?.scope === undefined
    )
    const now = performance.now()
    const whole = readings.filter(({ answers }) => answers[0]?.scope === undefined)
    if (whole.length === this.#spaces.length * this.#kinds.length) {
      this.#lastCheck = now
      this.#checkTook = now - began
    }
    if (dumped) this.#restUntil = now + Math.min(REST * (now - began), LONGEST_REST)
    const come: WatchChange[] = []
    const went: WatchChange[] = gone.flatMap(space => space.tables.flatMap(table => changesOf(table, table.clear())))
    for (const { table, answers } of readings) {
      const differences = table.apply(answers)
      if (table.kind.object === 'link') this.#follow(table, differences)
      for (const change of changesOf(table, differences)) {
        if (change.event === 'removed') went.unshift(change)
        else come.push(change)
      }
      if (answers.some(answer => answer.torn)) this.#readAgain()
    }
    return [...went, ...come]
  }

  #follow(table: Table, differences: Difference<unknown>[]): void {
    const space = this.#spaces.find(space => space.tables.includes(table))
    for (const difference of differences) space?.follow(difference as Difference<Link>)
  }

  /** A table that changed during each attempt is read once more when it may have calmed down. */
  #readAgain(): void {
    this.#again ??= setTimeout(() => {
      this.#again = undefined
      this.#lost('interrupted')
    }, AGAIN).unref()
  }

  /** Looks which namespaces have an id; returns those that are gone. */
  async #findNamespaces(socket: ReadingSocket): Promise<Space[]> {
    this.#namespacesChanged = false
    const request = encodeRequest('RTM_GETNSID', RTM.RTM_GETNSID, nsidMessage, {}, { flags: NLM_F_DUMP })
    const { messages, interrupted } = await socket.dumpOnce(request)
    if (interrupted) this.#namespacesChanged = true
    const found = new Set<number>()
    for (const { data, start, end } of messages) {
      const { nsid } = nsidMessage.read(data, start, end)
      if (nsid !== undefined && nsid >= 0) found.add(nsid)
    }
    for (const nsid of found) if (!this.#others.has(nsid)) this.#others.set(nsid, new Space(this.#kinds, nsid))
    const gone = interrupted ? [] : [...this.#others.values()].filter(space => !found.has(space.nsid as number))
    for (const space of gone) this.#others.delete(space.nsid as number)
    return gone
  }

  /** Until something is heard, or it is time to read everything again. */
  async #sleep(): Promise<void> {
    const due = this.#lastCheck + Math.max(this.#recheck, RECHECK_SHARE * this.#checkTook)
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>(resolve => {
      this.#wake = resolve
      const check = () => {
        this.#markAll()
        resolve()
      }
      // It keeps the process no more than the sockets do.
      if (due < Number.POSITIVE_INFINITY) {
        timer = setTimeout(check, Math.min(Math.max(due - performance.now(), 0), LONGEST_TIMER)).unref()
      }
    })
    clearTimeout(timer)
    this.#wake = undefined
  }

  #markAll(): void {
    this.#namespacesChanged = this.#allNamespaces
    for (const space of this.#spaces) space.markAll()
  }

  async #pause(milliseconds: number): Promise<void> {
    this.#throwIfEnded()
    if (!(milliseconds > 0)) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>(resolve => {
      timer = setTimeout(resolve, Math.ceil(milliseconds))
      this.#stopPausing = resolve
    })
    clearTimeout(timer)
    this.#throwIfEnded()
  }

  #throwIfEnded(): void {
    if (this.#ended) throw ENDED
  }

  async #close(): Promise<void> {
    this.#stopPausing?.()
    clearTimeout(this.#again)
    const sources = this.#sources ?? (await this.#opening?.catch(() => undefined))
    this.#sources = undefined
    this.#opening = undefined
    await sources?.close()
  }
}

/** Differences as they are told. */
function changesOf(table: Table, differences: Difference<unknown>[]): WatchChange[] {
  return differences.map(({ key, before, after }) => {
    const event = before === undefined ? 'added' : after === undefined ? 'removed' : 'changed'
    return { event, object: table.kind.object, key: table.keyOf(key), nsid: table.nsid, before, after } as WatchChange
  })
}
