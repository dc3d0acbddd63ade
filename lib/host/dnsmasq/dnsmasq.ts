/** DHCP and DNS of one network, by a dnsmasq that is looked after. */
import { EventEmitter } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { Descriptors } from '../../descriptors.js'
import { closedError, type LinkwrightError } from '../../errors.js'
import { checkHosts, checkOptions, checkReservations, type Subnets } from './check-options.js'
import { hostsText, reservationsText } from './configuration.js'
import type { PrivateDirectory } from './directory.js'
import { type LeaseEvent, type LeaseWatchOptions, leaseEvents } from './lease-watch.js'
import { type Lease, readLeases } from './leases.js'
import { killOrphans } from './leftover.js'
import { type Opened, openDnsmasq } from './opening.js'
import type { DnsmasqOptions, HostRecord, Reservation, RestartOptions } from './options.js'
import { programFailed, Server, type ServerExit, type ServerPlace } from './server.js'

export interface DnsmasqEvents {
  /** It ended although nobody stopped it. It is started again, after some milliseconds, unless `failed` follows. */
  died: [exit: ServerExit]
  /** It serves again. */
  restarted: [pid: number]
  /** It died or did not come up as often as `restart.attempts` says, and is left alone now. */
  failed: [error: LinkwrightError | Error]
}

/**
 * A dnsmasq for one network: DHCP, router advertisements and DNS on one link, and on no other.
 *
 * It survives this process, with its leases: whoever opens the network again, with the same options, takes it over as it
 * runs. It reads nothing of the host's (`/etc/dnsmasq.conf`, hosts, `resolv.conf`) unless asked to. An `EventEmitter`; an
 * open one does not keep the process alive.
 */
export class Dnsmasq extends EventEmitter<DnsmasqEvents> implements AsyncDisposable {
  readonly name: string
  readonly interface: string
  /** Whether it ran already when it was opened. */
  readonly adopted: boolean
  readonly #directory: PrivateDirectory
  readonly #place: ServerPlace
  readonly #subnets: Subnets
  readonly #netns: Descriptors | undefined
  readonly #restart: Required<{ [K in keyof RestartOptions]: number }>
  readonly #ending = new AbortController()
  #server: Server | undefined
  #reservations: readonly Reservation[]
  #hosts: readonly HostRecord[]
  /** What is done to it, one after the other. */
  #work: Promise<unknown> = Promise.resolve()
  #closing: Promise<void> | undefined

  private constructor(options: DnsmasqOptions, opened: Opened) {
    super()
    const { attempts = 5, delay: first = 100, longest = 10_000, lasting = 10_000 } = options.restart ?? {}
    this.name = options.name
    this.interface = options.interface
    this.adopted = opened.adopted
    this.#directory = opened.directory
    this.#place = opened.place
    this.#subnets = opened.subnets
    this.#netns = opened.netns
    this.#restart = { attempts, delay: first, longest, lasting }
    this.#reservations = options.reservations ?? []
    this.#hosts = options.hosts ?? []
    this.#supervise(opened.server)
  }

  /**
   * Starts it, or takes over the one of an earlier life; resolves when it serves. A different configuration replaces what
   * runs, with its leases kept.
   *
   * @throws LinkwrightError `ERR_INVALID_ARG_VALUE` (before anything is written), `ERR_NOT_INSTALLED`, `ENODEV` (no such
   * link), `EADDRNOTAVAIL` (an address is not the link's), `EBUSY` (another manager has the network), `EADDRINUSE` (another
   * program has a port: which one is in the message), `ERR_INVALID_CONFIGURATION`, `ERR_PROGRAM_FAILED`, `ERR_TIMEOUT`,
   * `EPERM`, `EACCES` and `ENOTEMPTY` of the directory; the signal's reason
   */
  static async open(options: DnsmasqOptions): Promise<Dnsmasq> {
    checkOptions(options)
    // Taken now: the caller's object may change while it is awaited.
    const given = structuredClone({ ...options, signal: undefined })
    const signal = options.signal ?? new AbortController().signal
    return new Dnsmasq(given, await openDnsmasq(given, signal))
  }

  /** `undefined` while it does not run. */
  get pid(): number | undefined {
    return this.#server?.running ? this.#server.pid : undefined
  }

  /** Where its files are. */
  get directory(): string {
    return this.#directory.path
  }

  get closed(): boolean {
    return this.#closing !== undefined
  }

  get reservations(): readonly Reservation[] {
    return this.#reservations
  }

  get hosts(): readonly HostRecord[] {
    return this.#hosts
  }

  /**
   * Replaces the reservations, while it runs; resolves when they are in force. A guest gets its new address when it asks
   * the next time; what it has meanwhile stays its own.
   *
   * @throws LinkwrightError `ERR_INVALID_ARG_VALUE`, `ERR_CLOSED`, `ERR_TIMEOUT` (dnsmasq does not answer)
   */
  async setReservations(reservations: readonly Reservation[]): Promise<void> {
    checkReservations(reservations, this.#subnets)
    const given = structuredClone(reservations)
    await this.#change(this.#directory.reservations, reservationsText(given))
    this.#reservations = given
  }

  /** Replaces the names and addresses of DNS in the same way. Its cache is emptied. Throws what {@link setReservations} does. */
  async setHosts(hosts: readonly HostRecord[]): Promise<void> {
    checkHosts(hosts)
    const given = structuredClone(hosts)
    await this.#change(this.#directory.hosts, hostsText(given))
    this.#hosts = given
  }

  /**
   * What guests have now.
   *
   * @throws LinkwrightError `ERR_CLOSED`, `ERR_NOT_SETTLED`
   */
  async leases(): Promise<Lease[]> {
    this.#checkOpen()
    return await readLeases(this.#directory.leases, () => this.pid)
  }

  /**
   * All leases, and then what changes, until this is closed. dnsmasq's own file is followed, which has every lease before
   * its guest hears of it and is there when nobody looks: nothing that lasts is missed, also across restarts of dnsmasq.
   * What comes and goes between two readings is not told. Waiting for an event keeps the process alive.
   */
  watchLeases(options: LeaseWatchOptions = {}): AsyncGenerator<LeaseEvent, void, void> {
    this.#checkOpen()
    const read = () => readLeases(this.#directory.leases, () => this.pid)
    return leaseEvents(this.#directory.leases, read, this.#ending.signal, options)
  }

  /** Stops it and removes its files, leases too. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#end(async () => {
      await this.#server?.stop()
      await this.#directory.remove()
    })
    return this.#closing
  }

  /** Lets it run on with nobody to look after it, until the network is opened again. Idempotent. */
  leave(): Promise<void> {
    this.#closing ??= this.#end(async () => {
      this.#server?.leave()
      await this.#directory.unlock()
    })
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #end(how: () => Promise<void>): Promise<void> {
    this.#ending.abort()
    await this.#next(how)
    await this.#netns?.close()
  }

  /** Runs when all that was asked for before is done. */
  #next<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#work.then(work)
    this.#work = done.catch(() => {})
    return done
  }

  async #change(file: string, text: string): Promise<void> {
    this.#checkOpen()
    await this.#next(async () => {
      this.#checkOpen()
      await this.#directory.write(file, text)
      // One that does not run reads it when it starts.
      if (this.#server?.running) await this.#server.reload()
    })
  }

  #checkOpen(): void {
    if (this.closed) throw closedError(`dnsmasq of ${this.name}`)
  }

  /** Starts it anew as often as it dies, until it dies too often. */
  async #supervise(first: Server): Promise<void> {
    const { attempts, lasting } = this.#restart
    let server = first
    let failures = 0
    for (;;) {
      this.#server = server
      const since = Date.now()
      const exit = await server.exited
      if (this.#ending.signal.aborted) return
      if (Date.now() - since >= lasting) failures = 0
      this.#tell('died', exit)
      let failure: LinkwrightError | Error = programFailed(exit, exit.stderr, { link: this.interface })
      let next: Server | undefined
      while (!next) {
        if (failures >= attempts) {
          this.#tell('failed', failure)
          return
        }
        try {
          next = await this.#startAgain(failures++)
        } catch (error) {
          if (this.#ending.signal.aborted) return
          failure = error as Error
        }
      }
      server = next
      this.#server = next
      this.#tell('restarted', next.pid)
    }
  }

  async #startAgain(failures: number): Promise<Server> {
    const { signal } = this.#ending
    const pause = Math.min(this.#restart.delay * 2 ** failures, this.#restart.longest)
    await delay(pause, undefined, { signal, ref: false })
    return await this.#next(async () => {
      await killOrphans(this.#directory)
      this.#server = await Server.start(this.#place, signal)
      return this.#server
    })
  }

  /** A listener that throws is the program's mistake, and does not end the supervision. */
  #tell<E extends keyof DnsmasqEvents>(event: E, ...args: DnsmasqEvents[E]): void {
    process.nextTick(() => (this as EventEmitter).emit(event, ...args))
  }
}
