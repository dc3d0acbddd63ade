/** Waiting for the kernel's tables to be as wanted. */
import { type CallOptions, Cancellation } from '../../netlink/cancellation.js'
import type { WatchedLists, WatchSnapshot } from './events.js'
import type { Watch } from './watch.js'

/** Looks at the first snapshot, and again whenever something has been taken over. Closes the watch. */
export async function waitForState<L extends keyof WatchedLists>(
  watch: Watch<L>,
  condition: (state: WatchSnapshot<L>) => boolean,
  options: CallOptions
): Promise<WatchSnapshot<L>> {
  const cancel = new Cancellation(options)
  cancel.throwIfGivenUp()
  const unwatch = cancel.watch(() => void watch.close())
  try {
    for await (const _ of watch) {
      const state = watch.snapshot()
      if (condition(state)) return state
    }
    cancel.throwIfGivenUp()
    throw new Error('a watch ends by being closed')
  } finally {
    unwatch()
    await watch.close()
  }
}
