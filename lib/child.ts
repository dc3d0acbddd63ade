/** Processes in network namespaces, held by a pidfd. */
import { constants } from 'node:os'
import { addon, type NativeChild } from './addon.js'
import { LinkwrightError, nativeError } from './errors.js'
import { type NetnsRef, withNetns } from './netns.js'

/** How a process ended. Both are `null` for one that another process started: only its parent is told. */
export interface ChildExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface ChildOptions {
  /** The network namespace that it runs in. Nothing of this process moves there. */
  netns?: NetnsRef | undefined
  args?: readonly string[] | undefined
  /** All of its environment; this process's by default. */
  env?: Readonly<Record<string, string | undefined>> | undefined
  cwd?: string | undefined
  /** Its descriptors 0, 1, 2, …, which stay the caller's; `'ignore'` is /dev/null. Those three by default. */
  stdio?: readonly (number | 'ignore')[] | undefined
  /**
   * What happens to it when this environment (the process, or a worker) ends: `kill` sends SIGKILL, except that nothing can
   * be sent by a process that a signal ends. It runs on by default, and its parent is the system's init then.
   */
  atEnd?: 'leave' | 'kill' | undefined
}

/**
 * A process by its pidfd: what it is sent never reaches a later process of the same pid. It leads a session of its own, so
 * a terminal's signals do not reach it.
 *
 * Waiting for its end keeps this process alive (see {@link unref}). A disposed one is left to run.
 */
export class Child implements Disposable {
  readonly pid: number
  /** Resolves when the process has ended, or never if it was left before. */
  readonly exited: Promise<ChildExit>
  readonly #native: NativeChild
  #running = true

  private constructor(native: NativeChild, kill: boolean) {
    this.pid = native.pid
    this.#native = native
    if (kill) killAtExit(this)
    this.exited = new Promise(resolve => {
      native.watch((code, signal) => {
        this.#forget()
        resolve({ code, signal: signal === null ? null : signalName(signal) })
      })
    })
  }

  /**
   * Starts a program; resolves when it runs. What is said of its descriptors, signals and session holds from its first
   * instruction on.
   *
   * @param file its path: nothing is searched
   * @throws LinkwrightError `ENOENT`, `EACCES` (the program), `ENOENT` (the namespace or directory), `EPERM` (it may not be
   * entered), `ERR_UNSUPPORTED` (Linux before 5.2)
   */
  static async spawn(file: string, options: ChildOptions = {}): Promise<Child> {
    const { args = [], env = process.env, cwd = '', stdio = ['ignore', 'ignore', 'ignore'], atEnd = 'leave' } = options
    const given = Object.entries(env).filter(([, value]) => value !== undefined)
    try {
      const native = await withNetns(options.netns, netns =>
        addon().spawnChild({
          netns,
          file,
          arguments: [file, ...args],
          environment: given.map(([name, value]) => `${name}=${value}`),
          directory: cwd,
          stdio: stdio.map(fd => (fd === 'ignore' ? -1 : fd)),
          killAtEnd: atEnd === 'kill'
        })
      )
      return new Child(native, atEnd === 'kill')
    } catch (error) {
      throw spawnError(error, file)
    }
  }

  /**
   * A process that runs already. Whoever knows it by a pid that was written down compares what it is *after* this: from here
   * on it cannot be mistaken.
   *
   * @throws LinkwrightError `ESRCH` when there is none
   */
  static open(pid: number): Child {
    try {
      return new Child(addon().openProcess(pid), false)
    } catch (error) {
      throw nativeError(error, { link: pid })
    }
  }

  /** Whether it has not ended, as far as the event loop has heard, and was not left. */
  get running(): boolean {
    return this.#running
  }

  /**
   * Sends it a signal: false when it has ended. `0` only looks.
   *
   * @throws LinkwrightError `EPERM`
   */
  kill(signal: NodeJS.Signals | 0 = 'SIGTERM'): boolean {
    if (!this.#running) return false
    try {
      return this.#native.kill(signal === 0 ? 0 : constants.signals[signal])
    } catch (error) {
      throw nativeError(error, { link: this.pid })
    }
  }

  /** Waiting for its end keeps this process alive (the default). */
  ref(): this {
    this.#native.ref()
    return this
  }

  unref(): this {
    this.#native.unref()
    return this
  }

  /** Lets it run on by itself; `exited` does not settle any more. Idempotent. */
  leave(): void {
    this.#forget()
    this.#native.close()
  }

  [Symbol.dispose](): void {
    this.leave()
  }

  #forget(): void {
    this.#running = false
    killedAtExit.delete(this)
  }
}

/** `process.exit()` ends no environment, so that native code hears nothing of it. */
const killedAtExit = new Set<Child>()
let listening = false

function killAtExit(child: Child): void {
  killedAtExit.add(child)
  if (listening) return
  listening = true
  process.once('exit', () => {
    for (const each of killedAtExit) each.kill('SIGKILL')
  })
}

function signalName(number: number): NodeJS.Signals | null {
  const found = Object.entries(constants.signals).find(([, value]) => value === number)
  return (found?.[0] as NodeJS.Signals | undefined) ?? null
}

function spawnError(error: unknown, file: string): Error {
  const { syscall = '', code } = error as { syscall?: string; code?: string }
  if (syscall.startsWith('clone') && (code === 'EINVAL' || code === 'ENOSYS')) {
    return new LinkwrightError('this kernel has no pidfd of new processes (CLONE_PIDFD, Linux 5.2)', {
      code: 'ERR_UNSUPPORTED',
      syscall,
      cause: error
    })
  }
  return nativeError(error, syscall.startsWith('execve') ? { link: file } : {})
}
