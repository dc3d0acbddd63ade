/** What a program says on its standard error. */
import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { addon } from '../../addon.js'

const SOCK_STREAM = 1
/** Lines that are kept, and bytes of each. */
const LINES = 20
const LONGEST = 1000
/** Milliseconds that the end of the pipe is waited for. */
const PATIENCE = 200

/** A pipe to read it by: its last lines. Whoever writes is never held up, not even by a reader that is gone. */
export class LastWords {
  /** The end that the program gets; to be given away by {@link given}. */
  readonly fd: number
  readonly #socket: Socket
  readonly #lines: string[] = []
  #rest = ''
  readonly #ended: Promise<void>

  constructor() {
    const [ours, theirs] = addon().unixPair(SOCK_STREAM)
    this.fd = theirs
    this.#socket = new Socket({ fd: ours, readable: true, writable: false })
    this.#socket.setEncoding('utf8').on('data', (text: unknown) => this.#take(String(text)))
    this.#socket.on('error', () => {})
    this.#ended = new Promise(resolve => this.#socket.once('close', () => resolve()))
    this.#socket.unref()
  }

  /** The last lines, the newest at the end. */
  get lines(): readonly string[] {
    return this.#rest === '' ? this.#lines : [...this.#lines, this.#rest]
  }

  /** The program has its own by now. */
  given(): void {
    closeSync(this.fd)
  }

  /** Reads what a program that has ended left. */
  async rest(): Promise<readonly string[]> {
    // A process that it forked, for a query over TCP, has the pipe as well and may take its time.
    await Promise.race([this.#ended, delay(PATIENCE)])
    this.close()
    return this.lines
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = (lines.pop() ?? '').slice(0, LONGEST)
    this.#lines.push(...lines.filter(line => line.trim() !== '').map(line => line.slice(0, LONGEST)))
    this.#lines.splice(0, this.#lines.length - LINES)
  }
}
