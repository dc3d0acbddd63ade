// A network namespace of its own, held by a process that ends when its stdin closes, so also when this one dies.
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { Conversation, hold, run } from './process.mjs'

// sysfs shows the links of the namespace in which it was mounted.
const INSIDE = 'mount -t sysfs sysfs /sys && echo ready && exec cat'
const SETTLE_MS = 100 // the kernel takes a namespace down in the background

export class Sandbox {
  #holder

  constructor(holder) {
    this.#holder = holder
  }

  static async open() {
    const isolated = ['--net', '--mount', '--propagation', 'private', '--']
    return new Sandbox(await hold('unshare', [...isolated, 'sh', '-c', INSIDE]))
  }

  /** What the processes of other namespaces call it by. */
  get pid() {
    return this.#holder.pid
  }

  /** A file as it is seen inside. */
  path = inside => `/proc/${this.pid}/root${inside}`

  #enter = (command, args) => [
    'nsenter',
    [`--net=/proc/${this.pid}/ns/net`, `--mount=/proc/${this.pid}/ns/mnt`, '--', command, ...args]
  ]

  run(command, args, options) {
    return run(...this.#enter(command, args), options)
  }

  /** A process inside to speak with; its pid is the command's own. */
  converse(command, args, options) {
    return new Conversation(...this.#enter(command, args), options)
  }

  async close() {
    const gone = once(this.#holder, 'exit')
    this.#holder.stdin.end()
    await gone
    await setTimeout(SETTLE_MS)
  }
}
