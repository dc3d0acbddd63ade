/** Following leases: all of them first, then what differs. */
import { type FSWatcher, watch } from 'node:fs'
import { basename, dirname } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Lease } from './leases.js'

/**
 * `changed`: another end, host name or client, `expired`: nobody asked for it any more, `removed`: given back before its
 * end, or taken away.
 */
export type LeaseEvent =
  | { readonly event: 'snapshot'; readonly leases: readonly Lease[] }
  | { readonly event: 'added'; readonly lease: Lease }
  | { readonly event: 'changed'; readonly before: Lease; readonly lease: Lease }
  | { readonly event: 'expired' | 'removed'; readonly lease: Lease }

export interface LeaseWatchOptions {
  /** Ends it; the iteration throws the signal's reason. */
  signal?: AbortSignal | undefined
}

/**
 * A change of the file is a hint only: it is read as a whole, so that no state is missed, whoever wrote it and whenever.
 * What comes and goes between two readings is not told.
 *
 * @param stopped aborts when there is nothing to follow any more: the iteration ends
 */
export async function* leaseEvents(
  path: string,
  read: () => Promise<Lease[]>,
  stopped: AbortSignal,
  { signal }: LeaseWatchOptions
): AsyncGenerator<LeaseEvent, void, void> {
  signal?.throwIfAborted()
  if (stopped.aborted) return
  const changes = new Changes(path)
  const wake = () => changes.hint()
  stopped.addEventListener('abort', wake)
  signal?.addEventListener('abort', wake)
  try {
    const first = await read()
    let known = byAddress(first)
    yield { event: 'snapshot', leases: first }
    for (;;) {
      await changes.next()
      signal?.throwIfAborted()
      if (stopped.aborted) return
      const now = byAddress(await read())
      yield* differences(known, now)
      known = now
    }
  } finally {
    stopped.removeEventListener('abort', wake)
    signal?.removeEventListener('abort', wake)
    changes.close()
  }
}

export function* differences(
  before: ReadonlyMap<string, Lease>,
  after: ReadonlyMap<string, Lease>
): Generator<LeaseEvent, void, void> {
  for (const [address, lease] of before) {
    if (after.has(address)) continue
    const isOver = lease.expires !== null && lease.expires.getTime() <= Date.now()
    yield { event: isOver ? 'expired' : 'removed', lease }
  }
  for (const [address, lease] of after) {
    const known = before.get(address)
    if (!known) yield { event: 'added', lease }
    else if (!isDeepStrictEqual(known, lease)) yield { event: 'changed', before: known, lease }
  }
}

export function byAddress(leases: readonly Lease[]): Map<string, Lease> {
  return new Map(leases.map(lease => [lease.address, lease]))
}

/** Hints that a file changed; several become one. The directory is watched, as the file may be replaced. */
class Changes {
  readonly #watcher: FSWatcher
  #hinted = false
  #wake: (() => void) | undefined

  constructor(path: string) {
    this.#watcher = watch(dirname(path), { persistent: true }, (_event, name) => {
      if (name === null || name === basename(path)) this.hint()
    })
    // A directory that goes away takes the leases with it; whoever removes it says so.
    this.#watcher.on('error', () => this.hint())
    this.#watcher.unref()
  }

  hint(): void {
    this.#hinted = true
    this.#wake?.()
  }

  /** Keeps the process alive while it waits. */
  async next(): Promise<void> {
    if (!this.#hinted) {
      this.#watcher.ref()
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
      this.#wake = undefined
      this.#watcher.unref()
    }
    this.#hinted = false
  }

  close(): void {
    this.#watcher.close()
  }
}
