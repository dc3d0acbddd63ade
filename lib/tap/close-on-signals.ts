/** Closing what is open before a signal ends the process. */
import { invalidArgument } from '../errors.js'
import { closeTunDevices } from './close-many.js'
import { TunDevice } from './tun-device.js'

/** What ends a process that does not handle it, and asks for it politely. */
const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']

const handlers = new Set<unknown>()
/** Handlers at work: none ends the process while another one closes. */
let closing = 0

/**
 * Closes devices when a signal ends the process, and lets it end then: by the signal, or as the program's own handlers
 * wish. A second signal ends it at once.
 *
 * A process that ends with TAPs open leaves their removal to the kernel, which takes 20 ms for each: a thousand keep it
 * from ending for 20 s. Closed this way they are gone in less than one. `process.exit()` and SIGKILL leave no time for
 * it: whoever may be killed makes TAPs persistent, with an `owner`, and removes what is left at the next start
 * (`links.removeOwned`).
 *
 * @param resources what is open at that time: Taps and Tuns (which are closed together), pools, or anything disposable
 * @returns disposing it takes the handlers away
 */
export function closeOnSignals(
  resources: () => Iterable<AsyncDisposable>,
  signals: readonly NodeJS.Signals[] = SIGNALS
): Disposable {
  if (typeof resources !== 'function') throw invalidArgument('resources', 'a function that gives them', resources)
  const stop = () => {
    for (const signal of signals) process.removeListener(signal, close)
    handlers.delete(close)
  }
  const close = async (signal: NodeJS.Signals) => {
    const isHandled = process.listeners(signal).some(listener => !handlers.has(listener))
    stop()
    closing++
    try {
      const all = [...resources()]
      const devices = all.filter(resource => resource instanceof TunDevice)
      const others = all.filter(resource => !(resource instanceof TunDevice))
      await Promise.allSettled([closeTunDevices(devices), ...others.map(other => other[Symbol.asyncDispose]())])
    } finally {
      closing--
    }
    if (!isHandled && closing === 0 && process.listenerCount(signal) === 0) process.kill(process.pid, signal)
  }
  handlers.add(close)
  // Before the program's own, which may be there but once.
  for (const signal of signals) process.prependListener(signal, close)
  return { [Symbol.dispose]: stop }
}
