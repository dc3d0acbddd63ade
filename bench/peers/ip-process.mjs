// `ip -batch`, whose lines come from stdin.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const exec = promisify(execFile)

/** Runs the lines in one process; returns what it printed. */
export async function ipBatch(lines, ...options) {
  const running = exec('ip', [...options, '-batch', '-'], { maxBuffer: Number.POSITIVE_INFINITY })
  running.child.stdin.end(lines.join('\n'))
  return (await running).stdout
}
