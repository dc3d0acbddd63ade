/** The dead-man's switch: a native process that carries out the way back when this one does not say otherwise. */
import { type ChildProcess, spawn } from 'node:child_process'
import { guardExecutable } from '../addon.js'
import { errnoName, LinkwrightError } from '../errors.js'
import type { Netlink } from '../link/netlink.js'
import { encodeProgram, type Operation } from './way-back.js'

/** Why the guard restored: it was asked to, its deadline came, this process died, or hung up without dying. */
export type RestoreReason = 'asked' | 'deadline' | 'died' | 'abandoned'

/** What came of carrying out the way back. */
export interface Restoration {
  readonly reason: RestoreReason
  /** Operations that failed, by their position in the program. */
  readonly failures: readonly { readonly operation: number; readonly errno: number }[]
}

export interface GuardOptions {
  readonly net: Netlink
  /** A file that tells a later process what the guard did. */
  readonly outcomeFile?: string | undefined
  /** Told when the guard restores without being asked. */
  readonly onRestored?: ((restoration: Restoration) => void) | undefined
  /** Told when it ended and was neither told to nor asked for anything: somebody killed it. */
  readonly onLost?: (() => void) | undefined
}

type Waiting = { answer: string; resolve: (words: string[]) => void; reject: (error: unknown) => void }

/** It keeps this process alive until it is told that the change stays, or that it is not needed. */
export class Guard {
  readonly #child: ChildProcess
  readonly #onRestored: ((restoration: Restoration) => void) | undefined
  readonly #onLost: (() => void) | undefined
  #ending = false
  readonly #waiting: Waiting[] = []
  #text = ''
  #gone: LinkwrightError | undefined

  private constructor(child: ChildProcess, { onRestored, onLost }: GuardOptions) {
    this.#child = child
    this.#onRestored = onRestored
    this.#onLost = onLost
    const lost = (error?: Error) => this.#lose(error)
    child.on('error', lost)
    child.on('exit', () => lost())
    child.stdin?.on('error', lost)
    child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#hear(text))
  }

  /**
   * Starts it in the namespace of a socket. It does nothing until {@link arm}.
   *
   * @throws LinkwrightError `EPERM` when the namespace may not be entered, `ERR_GUARD_LOST`
   */
  static async start(options: GuardOptions): Promise<Guard> {
    const netns = await options.net.openNetns()
    try {
      const child = spawn(guardExecutable(), [String(process.pid), options.outcomeFile ?? '', '1'], {
        detached: true,
        stdio: ['pipe', 'pipe', 'ignore', netns.fds[0]]
      })
      return new Guard(child, options)
    } finally {
      await netns.close()
    }
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Gives it the way back, in place of what it had. From now on it restores when this process dies. */
  async arm(operations: readonly Operation[]): Promise<void> {
    await this.#ask('p', encodeProgram(operations), 'armed')
  }

  /** Restores unless confirmed until then; 0 for no deadline. */
  async setDeadline(milliseconds: number): Promise<void> {
    const bytes = Buffer.from(BigUint64Array.of(BigInt(Math.ceil(milliseconds))).buffer)
    await this.#ask('d', bytes, 'timed')
  }

  /** Restores now; it may be asked again. */
  async restore(): Promise<Restoration> {
    return restorationOf(await this.#ask('r', undefined, 'restored'))
  }

  /** The change stays; the guard ends. */
  async confirm(): Promise<void> {
    await this.#ask('c', undefined, 'confirmed')
    this.#ending = true
    await this.#ended()
  }

  /** Ends it without doing anything. */
  async dismiss(): Promise<void> {
    this.#ending = true
    if (!this.#gone) this.#send('q')
    await this.#ended()
  }

  async #ended(): Promise<void> {
    const { pid, exitCode, signalCode } = this.#child
    if (pid === undefined || exitCode !== null || signalCode !== null) return
    await new Promise(resolve => this.#child.once('exit', resolve))
  }

  #send(letter: string, payload: Buffer = Buffer.alloc(0)): void {
    const header = Buffer.from([letter.charCodeAt(0), 0, 0, 0, 0])
    Buffer.from(Uint32Array.of(payload.length).buffer).copy(header, 1)
    this.#child.stdin?.write(Buffer.concat([header, payload]))
  }

  async #ask(letter: string, payload: Buffer | undefined, answer: string): Promise<string[]> {
    if (this.#gone) throw this.#gone
    this.#send(letter, payload)
    return await new Promise((resolve, reject) => this.#waiting.push({ answer, resolve, reject }))
  }

  #hear(text: string): void {
    this.#text += text
    const lines = this.#text.split('\n')
    this.#text = lines.pop() ?? ''
    for (const line of lines) this.#take(line.split(' '))
  }

  #take(words: string[]): void {
    const [what, detail] = words
    if (what === 'restored' && detail !== 'asked') {
      this.#onRestored?.(restorationOf(words))
      return
    }
    const waiting = this.#waiting.shift()
    if (!waiting) return
    if (what === waiting.answer) waiting.resolve(words)
    else waiting.reject(refusal(Number(detail)))
  }

  #lose(cause?: Error): void {
    if (this.#gone) return
    this.#gone = new LinkwrightError('the guard is gone', { code: 'ERR_GUARD_LOST', cause })
    const waiting = this.#waiting.splice(0)
    for (const { reject } of waiting) reject(this.#gone)
    if (waiting.length === 0 && !this.#ending) this.#onLost?.()
  }
}

function restorationOf([, reason = 'asked', failures = '-']: string[]): Restoration {
  const parse = (text: string) => {
    const [operation = 0, errno = 0] = text.split(':').map(Number)
    return { operation, errno: -errno }
  }
  return { reason: reason as RestoreReason, failures: failures === '-' ? [] : failures.split(',').map(parse) }
}

function refusal(errno: number): LinkwrightError {
  const code = errnoName(-errno)
  return new LinkwrightError(`${code}: the guard could not be set up`, { code, errno: -errno })
}

/** What the guard left in its file, if anything. */
export function readOutcome(text: string): { outcome: 'confirmed' | 'restored'; restoration: Restoration } | undefined {
  const words = text.trim().split(' ')
  const [outcome] = words
  if (outcome !== 'confirmed' && outcome !== 'restored') return undefined
  return { outcome, restoration: restorationOf(words) }
}
