/** What the addon offers of processes. */

export interface SpawnOptions {
  /** Descriptor of the network namespace that the program runs in, or -1 for that of the process. Not kept. */
  netns: number
  /** Path of the program: there is no search. */
  file: string
  /** With the name that it is called by. */
  arguments: string[]
  /** `NAME=value` */
  environment: string[]
  /** Empty for the directory of this process. */
  directory: string
  /** Its descriptors 0, 1, 2, …, duplicated at once; -1 for /dev/null. It gets no others. */
  stdio: number[]
  /** Whether it is killed when this environment ends; it runs on otherwise. Node's `process.exit()` ends none. */
  killAtEnd: boolean
}

/** A process held by a pidfd. */
export interface NativeChild {
  readonly pid: number
  /**
   * Once. Keeps the loop alive until the process has ended, unless it is `unref`ed.
   *
   * @param callback exit code or number of the signal; neither of a process that is not a child of this one
   */
  watch(callback: (code: number | null, signal: number | null) => void): void
  /** False when it has ended. Throws EPERM and the like. */
  kill(signal: number): boolean
  ref(): void
  unref(): void
  /** Lets the process run on unwatched. Idempotent. */
  close(): void
}
