/** The host's side of the line protocol that `init.sh` speaks. */
import { randomBytes } from 'node:crypto'

/** What a guest's kernel buffers for a port whose reader is slow; beyond it, bytes would be lost. */
const MAX_REQUEST = 32_768

export class GuestShell {
  #output
  #received = Buffer.alloc(0)
  #wanted = null
  #failure = null
  #queue = Promise.resolve()

  /** @param {{ input: import('node:stream').Readable, output: import('node:stream').Writable }} port */
  constructor({ input, output }) {
    this.#output = output
    input.on('data', chunk => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#match()
    })
  }

  /** Makes whatever waits, and everything later, fail. */
  fail(error) {
    this.#failure = error
    this.#match()
  }

  async ready() {
    await this.#until(Buffer.from('\x1eready\n'))
  }

  /**
   * Runs a script, after those that were asked for before.
   *
   * @returns {Promise<{ status: number, output: string }>} both of its output streams, as they came
   */
  run(script, seconds) {
    const result = this.#queue.then(() => this.#exchange(script, seconds))
    this.#queue = result.catch(() => {})
    return result
  }

  async #exchange(script, seconds) {
    const mark = randomBytes(6).toString('hex')
    const request = `${mark} ${seconds} ${Buffer.from(script).toString('base64')}\n`
    if (request.length > MAX_REQUEST) throw new RangeError(`the script is too long: ${script.length} bytes`)
    this.#output.write(request)
    await this.#until(Buffer.from(`\x1e${mark}\n`))
    const output = await this.#until(Buffer.from(`\x1e${mark} `))
    const status = Number(await this.#until(Buffer.from('\n')))
    return { status, output: output.toString() }
  }

  /** Consumes up to and including the pattern; gives what was before it. */
  #until(pattern) {
    return new Promise((resolve, reject) => {
      this.#wanted = { pattern, from: 0, resolve, reject }
      this.#match()
    })
  }

  #match() {
    const wanted = this.#wanted
    if (!wanted) return
    const at = this.#received.indexOf(wanted.pattern, wanted.from)
    if (at === -1) {
      wanted.from = Math.max(0, this.#received.length - wanted.pattern.length)
      if (!this.#failure) return
      this.#wanted = null
      return wanted.reject(this.#failure)
    }
    this.#wanted = null
    const before = this.#received.subarray(0, at)
    this.#received = this.#received.subarray(at + wanted.pattern.length)
    wanted.resolve(before)
  }
}
