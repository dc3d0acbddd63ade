/** One running dnsmasq, from its start to its end. */
import { constants } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { Child, type ChildExit } from '../../child.js'
import { LinkwrightError, type LinkwrightErrorDetails } from '../../errors.js'
import type { NetnsRef } from '../../netns.js'
import type { Files } from './configuration.js'
import { LastWords } from './last-words.js'
import { configurationArgument } from './leftover.js'
import { type awaitedSockets, missingOf } from './listening.js'
import { holdersOfPort } from './port-holder.js'
import { isSignalPending, processState } from './proc.js'

/** Milliseconds between two looks at what has to become true. */
const LOOK_EVERY = 10

const IN_USE = 'Address already in use'

export interface ServerPlace {
  readonly program: string
  readonly files: Files
  /** As it is entered, and as `/proc/PID/ns/net` reads. */
  readonly netns: NetnsRef | undefined
  readonly namespace: string
  readonly interface: string
  readonly awaited: ReturnType<typeof awaitedSockets>
  /** Milliseconds. */
  readonly startTimeout: number
  readonly stopTimeout: number
}

/** How it ended, and what it said last. */
export interface ServerExit extends ChildExit {
  readonly stderr: readonly string[]
}

export class Server {
  /** Resolves when it has ended. */
  readonly exited: Promise<ServerExit>
  readonly #child: Child
  readonly #words: LastWords | undefined
  readonly #place: ServerPlace
  #end: ServerExit | undefined

  private constructor(child: Child, words: LastWords | undefined, place: ServerPlace) {
    this.#child = child
    this.#words = words
    this.#place = place
    // It does not keep the process alive by itself; what waits for it does.
    child.unref()
    this.exited = child.exited.then(async exit => {
      this.#end = { ...exit, stderr: (await words?.rest()) ?? [] }
      return this.#end
    })
  }

  /**
   * Resolves when it serves; otherwise it has ended.
   *
   * @throws LinkwrightError `EADDRINUSE`, `ERR_PROGRAM_FAILED`, `ERR_TIMEOUT`; the signal's reason
   */
  static async start(place: ServerPlace, signal: AbortSignal): Promise<Server> {
    signal.throwIfAborted()
    const words = new LastWords()
    let child: Child
    try {
      child = await Child.spawn(place.program, {
        args: ['--keep-in-foreground', configurationArgument(place.files)],
        env: { PATH: process.env['PATH'], LC_ALL: 'C' },
        cwd: '/',
        stdio: ['ignore', 'ignore', words.fd],
        netns: place.netns
      })
    } catch (error) {
      words.close()
      throw error
    } finally {
      words.given()
    }
    const server = new Server(child, words, place)
    try {
      await server.ready(signal)
      return server
    } catch (error) {
      await server.stop()
      throw error
    }
  }

  /** One that runs already. What it says is for the system's log. */
  static adopt(child: Child, place: ServerPlace): Server {
    return new Server(child, undefined, place)
  }

  get pid(): number {
    return this.#child.pid
  }

  get running(): boolean {
    return this.#end === undefined && this.#child.running
  }

  /** Waits until it serves. Throws what {@link start} does. */
  async ready(signal: AbortSignal): Promise<void> {
    const deadline = Date.now() + this.#place.startTimeout
    for (;;) {
      signal.throwIfAborted()
      if (!this.#child.running) throw await this.#failed((await this.exited).stderr)
      const words = this.#words?.lines ?? []
      if (words.some(line => line.includes(IN_USE))) throw await this.#failed(words)
      const missing = await missingOf(this.pid, this.#place.files.pid, this.#place.awaited)
      if (missing.length === 0) return
      if (Date.now() > deadline) throw timeout(`dnsmasq does not serve: ${missing.join(', ')} missing`, words)
      await delay(LOOK_EVERY)
    }
  }

  /**
   * Lets it read reservations and hosts again; resolves when it has.
   *
   * @throws LinkwrightError `ERR_TIMEOUT`
   */
  async reload(): Promise<void> {
    if (!this.#child.kill('SIGHUP')) return
    const deadline = Date.now() + this.#place.startTimeout
    for (;;) {
      // Its handler wakes it, and it reads before it sleeps again.
      if (!(await isSignalPending(this.pid, constants.signals.SIGHUP)) && (await processState(this.pid)) === 'S') return
      if (!this.running) return
      if (Date.now() > deadline) throw timeout('dnsmasq does not answer SIGHUP', this.#words?.lines ?? [])
      await delay(LOOK_EVERY)
    }
  }

  /** Ends it: asks, and kills it if it takes too long. */
  async stop(): Promise<void> {
    if (!this.running) return
    this.#child.ref()
    this.#child.kill('SIGTERM')
    const patience = new AbortController()
    const late = delay(this.#place.stopTimeout, undefined, { signal: patience.signal }).then(
      () => this.#child.kill('SIGKILL'),
      () => {}
    )
    await this.#child.exited
    patience.abort()
    await late
    this.#words?.close()
  }

  /** Lets it run on, unwatched. */
  leave(): void {
    this.#child.leave()
    this.#words?.close()
  }

  async #failed(stderr: readonly string[]): Promise<LinkwrightError> {
    const { interface: link, namespace } = this.#place
    const said = stderr.join('\n')
    if (!said.includes(IN_USE)) return programFailed(this.#end, stderr, { link })
    const port = portOf(stderr.find(line => line.includes(IN_USE)) ?? '')
    const holders = await holdersOfPort(namespace, port)
    const who = holders.map(({ pid, command }) => `${command} (process ${pid})`).join(', ')
    return new LinkwrightError(
      `EADDRINUSE: dnsmasq cannot have port ${port} on ${link}; ${who || 'nobody that may be looked at'} has it`,
      {
        code: 'EADDRINUSE',
        errno: -constants.errno.EADDRINUSE,
        syscall: 'bind',
        link,
        diagnosis: `${who || 'nobody that may be looked at'} has UDP port ${port} in this namespace`
      }
    )
  }
}

/** It ended where it should not. */
export function programFailed(
  exit: ChildExit | undefined,
  stderr: readonly string[],
  more: Partial<LinkwrightErrorDetails> = {}
): LinkwrightError {
  const how = exit?.signal ? `by ${exit.signal}` : `with code ${exit?.code ?? 'unknown'}`
  const words = stderr.length > 0 ? `: ${stderr.join('; ')}` : ''
  return new LinkwrightError(`dnsmasq ended ${how}${words}`, { ...more, code: 'ERR_PROGRAM_FAILED' })
}

function timeout(message: string, stderr: readonly string[]): LinkwrightError {
  const words = stderr.length > 0 ? `: ${stderr.join('; ')}` : ''
  return new LinkwrightError(message + words, { code: 'ERR_TIMEOUT' })
}

/** Which of its ports a line of its log is about. */
function portOf(line: string): number {
  if (line.includes('DHCPv6')) return 547
  return line.includes('DHCP') ? 67 : 53
}
