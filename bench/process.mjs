// Child processes that can all be ended together, and whose failure says in one line what went wrong.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
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

/** A process that lives until its stdin is closed; it is ready once it has written something. */
export async function hold(command, args) {
  const child = spawn(command, args)
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

export function killAll() {
  for (const child of children) child.kill('SIGKILL')
}
