/** Carrying out a plan: what is lost first, then level by level, what is no longer wanted last. */
import { setImmediate } from 'node:timers/promises'
import type { Request } from '../../netlink/request.js'
import type { Link, LinkRef } from '../link.js'
import { altnamesRequest, changeRequest } from '../link-requests.js'
import { isIpv6, isLate, messagesOf, wayBack } from './changes.js'
import { type EnsureContext, type Journal, removeAsSeen } from './journal.js'
import type { Snapshot } from './snapshot.js'
import { type Move, type Moves, movesIn } from './steps.js'
import { creationOf, pinnedMtu } from './wanted.js'

/** Requests per exchange; the event loop turns in between. */
const CHUNK = 64

/** Reads when a message is sent, for the ifindexes that are known by then. */
interface Message {
  move: Move
  request(): Request
  /** Remembers how to take it back. */
  note?(): void
}

export interface ExecutionOptions {
  readonly snapshot: Snapshot
  readonly owner: string | undefined
  readonly signal: AbortSignal
  readonly onProgress: ((done: number, total: number) => void) | undefined
}

export class Execution {
  /** Moves that failed, and why. */
  readonly failures = new Map<Move, unknown>()
  readonly #context: EnsureContext
  readonly #journal: Journal
  readonly #moves: Moves
  readonly #options: ExecutionOptions
  readonly #made = new Map<string, number>()
  readonly #total: number
  #done = 0

  constructor(context: EnsureContext, journal: Journal, moves: Moves, options: ExecutionOptions) {
    this.#context = context
    this.#journal = journal
    this.#moves = moves
    this.#options = options
    this.#total = movesIn(moves).length
  }

  /** Stops after what fails. Throws the signal's reason. */
  async run(): Promise<void> {
    const { lost, levels, removals, early } = this.#moves
    if (lost.length > 0 && !(await this.#remove(lost, early))) return
    // A name that one gives up may be what another gets.
    await this.#send(levels.flat().flatMap(move => this.#givingUpNames(move)))
    if (this.failures.size > 0) return
    for (const level of levels) {
      await this.#change(level.filter(({ step }) => step.action === 'change'))
      if (this.failures.size === 0) await this.#create(level.filter(({ step }) => step.action !== 'change'))
      if (this.failures.size > 0) return
    }
    await this.#setBackupPorts(levels.flat())
    if (this.failures.size > 0 || removals.length === 0) return
    this.#options.signal.throwIfAborted()
    await this.#remove(
      removals.map(({ existing }) => existing as Link),
      removals
    )
  }

  /** Removes links, those of some moves among them. */
  async #remove(links: readonly Link[], moves: readonly Move[]): Promise<boolean> {
    this.#options.signal.throwIfAborted()
    const results = await removeAsSeen(this.#context, links, this.#options.owner)
    const removed = links.filter((_, at) => results[at]?.status === 'fulfilled')
    this.#journal.removed(removed)
    for (const [at, link] of links.entries()) {
      const result = results[at]
      const move = moves.find(({ existing }) => existing === link) ?? this.#moveOf(link)
      if (result?.status === 'rejected' && move) this.failures.set(move, result.reason)
    }
    for (const move of moves) if (!this.failures.has(move)) this.#finish(move)
    return this.failures.size === 0
  }

  #moveOf(link: Link): Move | undefined {
    const moves = movesIn(this.#moves)
    return moves.find(({ existing }) => existing === link) ?? moves[0]
  }

  async #create(moves: readonly Move[]): Promise<void> {
    if (moves.length === 0) return
    const { signal, owner } = this.#options
    signal.throwIfAborted()
    const specs = moves.map(({ wanted, peer }) => creationOf(wanted as never, peer, owner, this.#known))
    const results = await this.#context.create(specs, signal)
    for (const [at, result] of results.entries()) {
      const move = moves[at] as Move
      if (result.status === 'rejected') {
        this.failures.set(move, result.reason)
        continue
      }
      const link = result.value
      this.#journal.created(link)
      this.#made.set(link.name ?? '', link.index)
      if (move.peer && link.link !== undefined) this.#made.set(move.peer.name, link.link)
    }
    await this.#send(moves.flatMap(move => this.#pinning(move)))
    for (const move of moves) if (!this.failures.has(move)) this.#finish(move)
    signal.throwIfAborted()
  }

  #pinning(move: Move): Message[] {
    const { wanted } = move
    const index = wanted && this.#made.get(wanted.name)
    const mtu = wanted && pinnedMtu(wanted)
    if (index === undefined || mtu === undefined) return []
    return [{ move, request: () => changeRequest(index, { mtu }) }]
  }

  async #change(moves: readonly Move[]): Promise<void> {
    if (moves.length === 0) return
    this.#options.signal.throwIfAborted()
    await this.#switchIpv6(moves)
    const messages = moves.map(move => this.#messagesOf(move))
    const rounds = Math.max(...messages.map(({ length }) => length))
    for (let round = 0; round < rounds; round++) {
      await this.#send(messages.flatMap(of => of[round] ?? []))
    }
    for (const move of moves) if (!this.failures.has(move)) this.#finish(move)
  }

  /** Before any message: a link comes up with or without it. */
  async #switchIpv6(moves: readonly Move[]): Promise<void> {
    const switched = moves.filter(({ differences }) => differences.some(isIpv6))
    for (let at = 0; at < switched.length; at += CHUNK) {
      await Promise.all(switched.slice(at, at + CHUNK).map(move => this.#setIpv6(move)))
    }
  }

  async #setIpv6(move: Move): Promise<void> {
    const { index, name = '' } = move.existing as Link
    const { from, to } = move.differences.find(isIpv6) as Move['differences'][number]
    this.#journal.changed({ index, name, back: [], ipv6: from as boolean, altnames: { add: [], remove: [] } })
    try {
      await this.#context.setIpv6(index, to as boolean)
    } catch (error) {
      this.failures.set(move, error)
    }
  }

  #messagesOf(move: Move): Message[] {
    const { index } = move.existing as Link
    const { add } = move.altnames
    const messages: Message[] = messagesOf(move, this.#indexOf).map(options => ({
      move,
      request: () => changeRequest(index, options)
    }))
    if (add.length) messages.push({ move, request: () => altnamesRequest('RTM_NEWLINKPROP', index, [...add]) })
    // What fails half-way is put back as a whole.
    const entry = { index, name: move.step.link, back: wayBack(move), altnames: { add, remove: [] } }
    if (messages[0]) messages[0].note = () => this.#journal.changed(entry)
    return messages
  }

  #givingUpNames(move: Move): Message[] {
    const { remove } = move.altnames
    const index = move.existing?.index
    if (remove.length === 0 || index === undefined) return []
    const entry = { index, name: move.step.link, back: [], altnames: { add: [], remove } }
    const request = () => altnamesRequest('RTM_DELLINKPROP', index, [...remove])
    return [{ move, request, note: () => this.#journal.changed(entry) }]
  }

  async #setBackupPorts(moves: readonly Move[]): Promise<void> {
    const messages: Message[] = []
    for (const { move, wanted, difference } of moves.flatMap(lateDifferences)) {
      const index = this.#indexOf(wanted.name)
      const { value } = difference.wish
      const backupPort = value === null ? 0 : this.#indexOf(value as LinkRef)
      const back = { port: { backupPort: move.existing?.port?.backupPort ?? 0 } }
      const entry = { index, name: wanted.name, back: [back], altnames: { add: [], remove: [] } }
      messages.push({
        move,
        request: () => changeRequest(index, { port: { backupPort } }),
        note: () => {
          if (move.step.action === 'change') this.#journal.changed(entry)
        }
      })
    }
    await this.#send(messages)
  }

  /** Sends what of moves that have not failed. */
  async #send(messages: readonly Message[]): Promise<void> {
    for (let at = 0; at < messages.length; at += CHUNK) {
      if (at > 0) await setImmediate()
      const chunk = messages.slice(at, at + CHUNK).filter(({ move }) => !this.failures.has(move))
      for (const { note } of chunk) note?.()
      const results = await this.#context.socket.batch(chunk.map(({ request }) => request()))
      for (const [item, { error }] of results.entries()) {
        if (error !== undefined) this.failures.set((chunk[item] as Message).move, error)
      }
    }
  }

  readonly #known = (ref: LinkRef): LinkRef => {
    if (typeof ref !== 'string') return ref
    return this.#made.get(ref) ?? this.#options.snapshot.indexOf(ref) ?? ref
  }

  readonly #indexOf = (ref: LinkRef): number => {
    const known = this.#known(ref)
    if (typeof known === 'number') return known
    if (typeof known === 'object') return known.index
    throw new Error(`${known} was neither there nor made`)
  }

  #finish(move: Move): void {
    move.step.outcome = 'done'
    this.#options.onProgress?.(++this.#done, this.#total)
  }
}

type Late = { move: Move; wanted: NonNullable<Move['wanted']>; difference: Move['differences'][number] }

/** Backup ports, of a link and of a peer that was made with it. */
function lateDifferences(move: Move): Late[] {
  const { wanted, peer, differences } = move
  if (!wanted) return []
  const late: Late[] = differences.filter(isLate).map(difference => ({ move, wanted, difference }))
  for (const wish of peer?.wishes ?? []) {
    const difference = { wish, path: wish.path, from: undefined, to: wish.wanted }
    if (peer && isLate(difference)) late.push({ move, wanted: peer, difference })
  }
  return late
}
