/** Asking until it works. */
import { setTimeout } from 'node:timers/promises'
import { LinkwrightError } from '../errors.js'

/** Works when it resolves with anything but `false`. It is told to give up by the signal. */
export type Probe = (signal: AbortSignal) => unknown

const PAUSE = 200

/** @throws LinkwrightError `ERR_PROBE_FAILED` when it never worked; the signal's reason */
export async function probeUntil(probe: Probe, timeout: number, signal: AbortSignal): Promise<void> {
  const deadline = AbortSignal.timeout(timeout)
  const either = AbortSignal.any([signal, deadline])
  let last: unknown
  while (!either.aborted) {
    try {
      if ((await unlessAborted(Promise.resolve(probe(either)), either)) !== false) return
    } catch (error) {
      if (!either.aborted) last = error
    }
    await setTimeout(PAUSE, undefined, { signal: either }).catch(() => {})
  }
  signal.throwIfAborted()
  throw new LinkwrightError(`the probe did not succeed within ${timeout} ms`, {
    code: 'ERR_PROBE_FAILED',
    ...(last === undefined ? {} : { cause: last })
  })
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let abort = () => {}
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
