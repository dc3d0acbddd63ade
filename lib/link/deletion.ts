/** Noticing that a device is deleted, where its descriptor does not tell. */
import { type LinkWatcher, watchLink } from './link-watch.js'

/** Milliseconds between two looks at a device that left its namespace. */
const LOOK_EVERY = 1000

/**
 * Calls `gone` once when the device is deleted, which may be at once. It does not keep the process alive. Disposing it
 * stops it.
 *
 * @param check rejects when the device is deleted: one that left its namespace may only have been moved
 */
export function watchDeletion(
  index: number,
  netns: Parameters<typeof watchLink>[1],
  check: () => Promise<unknown>,
  gone: () => void
): Disposable {
  let stopped = false
  let watch: AsyncDisposable | undefined
  let looking: NodeJS.Timeout | undefined
  const stop = () => {
    stopped = true
    clearInterval(looking)
    void watch?.[Symbol.asyncDispose]()
  }
  const look = async () => {
    try {
      await check()
    } catch {
      if (stopped) return
      stop()
      gone()
    }
  }
  const left = async () => {
    await look()
    if (!stopped) looking = setInterval(() => void look(), LOOK_EVERY).unref()
  }
  const watcher: LinkWatcher = { up() {}, down() {}, left: () => void left() }
  const start = async () => {
    watch = await watchLink(index, netns, watcher)
    if (stopped) await watch[Symbol.asyncDispose]()
  }
  // A namespace that cannot be entered tells nothing.
  start().catch(left)
  return { [Symbol.dispose]: stop }
}
