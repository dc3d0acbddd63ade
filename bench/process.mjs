// Child processes that can all be ended together, and whose failure says in one line what went wrong.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

const exec = promisify(execFile)
const children = new Set()

const NOISE = /^\s+at |^Node\.js v|^npm warn|complete log of this run/
const NAMES_ERROR = /Error\b|error:|failed|cannot/i

// The first line that names an error, else the last one.
function reason(stderr) {
  const lines = stderr.split('\n').filter(line => line.trim() && !NOISE.test(line))
  return (lines.find(line => NAMES_ERROR.test(line)) ?? lines.at(-1) ?? '').trim().slice(0, 300)
}

function failure(error, command, timeout) {
  if (error.code === 'ENOENT') return new Error(`${command} is not installed`)
  if (error.killed) return new Error(`killed after ${timeout / 1000} s`)
  return new Error(reason(error.stderr ?? '') || error.message)
}

/** Runs to the end and returns stdout; throws an Error with the reason found on stderr. */
export async function run(command, args, { timeout = 120_000, ...options } = {}) {
  const running = exec(command, args, { timeout, killSignal: 'SIGKILL', maxBuffer: 64 << 20, ...options })
  children.add(running.child)
  try {
    return (await running).stdout
  } catch (error) {
    throw failure(error, command, timeout)
  } finally {
    children.delete(running.child)
  }
}

/** For children that a Ctrl-C must not reach: they end when this process does, after it has cleared up. */
export const ASIDE = { detached: true }

/** A process that lives until its stdin is closed; it is ready once it has written something. */
export async function hold(command, args) {
  const child = spawn(command, args, ASIDE)
  children.add(child)
  child.once('exit', () => children.delete(child))
  let stderr = ''
  child.stderr.on('data', text => {
    stderr += text
  })
  const failed = once(child, 'close').then(() => {
    throw new Error(reason(stderr) || `${command} ended`)
  })
  await Promise.race([once(child.stdout, 'data'), failed])
  failed.catch(() => {}) // from here on its end is wanted
  return child
}

/** A process that is spoken with in lines. */
export class Conversation {
  #child
  #stderr = ''
  #lines
  #closed

  constructor(command, args, options) {
    this.#child = spawn(command, args, options)
    children.add(this.#child)
    this.#child.stderr.on('data', text => {
      this.#stderr += text
    })
    this.#child.stdin.on('error', () => {}) // it ended, which the next answer tells
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
    this.#closed = new Promise(resolve => {
      this.#child.once('error', resolve)
      this.#child.once('close', code => resolve(code === 0 ? undefined : new Error(`ended with ${code}`)))
    })
    this.#closed.then(() => children.delete(this.#child))
  }

  get pid() {
    return this.#child.pid
  }

  say(line) {
    this.#child.stdin.write(`${line}\n`)
  }

  /** The next line; the reason, if there is none. */
  async answer(timeout = 30_000) {
    const late = setTimeout(() => this.kill(), timeout)
    const { value, done } = await this.#lines.next()
    clearTimeout(late)
    if (!done) return value
    const error = await this.#closed
    throw new Error(
      reason(this.#stderr) || (this.#child.killed ? `silent for ${timeout / 1000} s` : error?.message) || 'it ended'
    )
  }

  /** Tells it that nothing more is wanted. */
  endInput() {
    this.#child.stdin.end()
  }

  /** Tells it the same, and resolves when it has ended; it is killed if it does not within `timeout` ms. */
  async end(timeout = 10_000) {
    this.endInput()
    const late = setTimeout(() => this.kill(), timeout)
    await this.#closed
    clearTimeout(late)
  }

  /** Resolves when it has ended. */
  kill() {
    this.#child.kill('SIGKILL')
    return this.#closed
  }
}

export function killAll() {
  for (const child of children) child.kill('SIGKILL')
}
