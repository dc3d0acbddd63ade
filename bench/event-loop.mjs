// How long the event loop was kept from its timers while something ran.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'

const RESOLUTION_MS = 1
const IDLE_MS = 150
const SOME_TICKS_MS = 5 // a block counts only between two ticks of the monitor

/**
 * The monitor records the time between the ticks of a 1 ms timer, so an idle loop shows about 1.1 ms.
 * The median of an idle stretch, measured first, is taken off what is reported.
 */
export async function watchEventLoop() {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  histogram.enable()
  await setTimeout(IDLE_MS)
  const idle = histogram.percentile(50)
  histogram.reset()
  await setTimeout(SOME_TICKS_MS)
  return {
    async stop() {
      await setTimeout(SOME_TICKS_MS)
      histogram.disable()
      const delay = percentile => Math.max(0, histogram.percentile(percentile) - idle) / 1e6
      return { eventLoopDelayP99Ms: delay(99), eventLoopDelayMaxMs: delay(100) }
    }
  }
}
