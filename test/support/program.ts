/** Programs of test/lifecycle/programs in child processes, against the built library. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

export interface RunOptions {
  args?: string[]
  nodeArgs?: string[]
  /**
   * Memory that nothing points to any more when the program has ended is an error, under the sanitizers. For programs
   * that end by themselves: otherwise Node does not free its own.
   */
  leaks?: boolean
  /** Sent when the program has printed its first line. */
  signal?: NodeJS.Signals
  /** Milliseconds after that line. */
  after?: number
  timeout?: number
}

const PREPARE = 'mount -t sysfs sysfs /sys; ip link set lo up'

/** Runs a program to its end; one that hangs is killed, and shows it by its signal. */
export function runProgram(name: string, options: RunOptions = {}): Promise<Ended> {
  const { args = [], nodeArgs = [], leaks = false, signal, after = 0, timeout = 60_000 } = options
  const path = fileURLToPath(new URL(`../lifecycle/programs/${name}.mjs`, import.meta.url))
  return new Promise((resolve, reject) => {
    // In namespaces of its own, so that nothing stays for the next; no process in between, so that signals arrive.
    const namespaced = ['--net', '--mount', '--propagation', 'private', 'sh', '-c', `${PREPARE}; exec "$@"`, 'sh']
    const child = spawn('unshare', [...namespaced, process.execPath, ...nodeArgs, path, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, LINKWRIGHT_LEAKS: leaks ? '1' : '0' }
    })
    const timer = setTimeout(() => child.kill('SIGKILL'), timeout)
    let stdout = ''
    let stderr = ''
    let signalled = false
    child.stdout.setEncoding('utf8').on('data', text => {
      stdout += text
      if (signal && !signalled && stdout.includes('\n')) {
        signalled = true
        setTimeout(() => child.kill(signal), after)
      }
    })
    child.stderr.setEncoding('utf8').on('data', text => {
      stderr += text
    })
    child.on('error', reject)
    child.on('close', (code, endedBy) => {
      clearTimeout(timer)
      resolve({ code, signal: endedBy, stdout, stderr })
    })
  })
}
