/** Opening many devices: a result for each, progress, giving up, and the way back. */
import { setImmediate } from 'node:timers/promises'
import { amend, invalidArgument, LinkwrightError } from '../errors.js'
import { chunksOf } from '../link/chunks.js'
import { Progress } from '../link/progress.js'
import { checkKeys } from '../options.js'
import { signal as checkSignal } from './checks.js'

export interface OpenManyOptions {
  /** Whether one that fails leaves the others alone (`keep`, the default) or ends it all and closes them. */
  onError?: 'keep' | 'undo' | undefined
  /** Called with how many have a result, of how many if that is known. */
  onProgress?: ((done: number, total: number | undefined) => void) | undefined
  /** What has not begun when it is aborted fails with its reason; what is open stays, but for `onError: 'undo'`. */
  signal?: AbortSignal | undefined
}

const KEYS: ReadonlySet<string> = new Set<keyof OpenManyOptions>(['onError', 'onProgress', 'signal'])

/** Devices per step, and steps under way: the kernel has work while the next ones are prepared. */
const CHUNK = 32
const IN_FLIGHT = 3

export type Source<Spec> = Iterable<Spec> | AsyncIterable<Spec>
export type Settled<T> = PromiseSettledResult<T>

/** @param openChunk never rejects: each of the chunk has a result */
export async function openMany<Spec, Device>(
  source: Source<Spec>,
  options: OpenManyOptions,
  openChunk: (chunk: Spec[]) => Promise<Settled<Device>[]>,
  closeAll: (devices: Device[]) => Promise<void>
): Promise<Settled<Device>[]> {
  checkKeys(options, KEYS)
  const { onError = 'keep', onProgress, signal } = options
  if (onError !== 'keep' && onError !== 'undo') throw invalidArgument('onError', "'keep' or 'undo'", onError)
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw invalidArgument('onProgress', 'a function', onProgress)
  if (signal !== undefined) checkSignal(signal, 'signal')
  const total = Array.isArray(source) ? source.length : undefined
  const chunks: Promise<Settled<Device>[]>[] = []
  const progress = new Progress(onProgress)
  let done = 0
  let failed = false
  const finished = (settled: Settled<Device>[]) => {
    failed ||= settled.some(({ status }) => status === 'rejected')
    done += settled.length
    progress.report(done, total)
    return settled
  }
  try {
    for await (const chunk of chunksOf(source, CHUNK)) {
      if (chunks.length >= IN_FLIGHT) await chunks[chunks.length - IN_FLIGHT]
      if (chunks.length > 0) await setImmediate()
      if (progress.failed) break
      const givenUp = signal?.aborted ? { reason: signal.reason } : undefined
      if (givenUp || (failed && onError === 'undo')) {
        chunks.push(Promise.resolve(finished(chunk.map(() => rejected(givenUp?.reason)))))
      } else chunks.push(openChunk(chunk).then(finished))
    }
    await Promise.all(chunks)
    progress.end()
  } catch (error) {
    // The source or the callback threw: nobody gets what is open.
    await closeAll(openIn((await Promise.all(chunks)).flat()))
    throw error
  }
  const settled = (await Promise.all(chunks)).flat().map(numbered)
  return failed && onError === 'undo' ? await takeBack(settled, closeAll) : settled
}

async function takeBack<Device>(
  settled: Settled<Device>[],
  closeAll: (devices: Device[]) => Promise<void>
): Promise<Settled<Device>[]> {
  const at = settled.findIndex(result => result.status === 'rejected' && result.reason !== undefined)
  const cause = (settled[at] as PromiseRejectedResult).reason
  await closeAll(openIn(settled))
  return settled.map((result, item) => {
    if (result.status === 'rejected' && result.reason !== undefined) return result
    const what = result.status === 'rejected' ? 'not opened' : 'closed again'
    const message = `${what}, because item ${at} failed: ${cause instanceof Error ? cause.message : cause}`
    return rejected(new LinkwrightError(message, { code: 'ERR_UNDONE', item, cause }))
  })
}

function openIn<Device>(settled: Settled<Device>[]): Device[] {
  return settled.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
}

export function rejected(reason: unknown): PromiseRejectedResult {
  return { status: 'rejected', reason }
}

/** Errors say which of many they are about. */
function numbered<T>(result: Settled<T>, item: number): Settled<T> {
  if (result.status === 'fulfilled' || !(result.reason instanceof LinkwrightError)) return result
  return rejected(amend(result.reason, { item }))
}
