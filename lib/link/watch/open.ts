/** A watch of the namespace that a socket speaks to, on sockets of its own. */
import { addon } from '../../addon.js'
import { closedError } from '../../errors.js'
import { type NotificationHandlers, Notifications } from '../../netlink/notifications.js'
import { NetlinkSocket } from '../../netlink/socket.js'
import type { NetnsRef } from '../../netns.js'
import type { LinkRef } from '../link.js'
import { type Sources, WatchCore } from './core.js'
import type { LinkInterest, WatchedLists, WatchOptions } from './events.js'
import { announcementFilter } from './filter.js'
import { checkWatchOptions } from './interest.js'
import type { Kind } from './kind.js'
import { watchedAddresses } from './kinds/addresses.js'
import { watchedFdb } from './kinds/fdb.js'
import { watchedLinks } from './kinds/links.js'
import { watchedNeighbours } from './kinds/neighbours.js'
import { watchedRoutes } from './kinds/routes.js'
import { watchedRules } from './kinds/rules.js'
import { announcements } from './space.js'
import { Watch } from './watch.js'

/** What a watch needs of the `Netlink` that it belongs to. */
export interface WatchContext {
  readonly socket: NetlinkSocket
  readonly netns: NetnsRef | undefined
  indexOf(ref: LinkRef): Promise<number>
}

/** The watches that are open on a `Netlink`, and end with it. */
export class Watches {
  readonly #context: WatchContext
  readonly #open = new Set<WatchCore>()

  constructor(context: WatchContext) {
    this.#context = context
  }

  create<L extends keyof WatchedLists>(options: WatchOptions): Watch<L> {
    checkWatchOptions(options)
    const { signal } = options
    const filter: { master: number | undefined } = { master: undefined }
    const open = async (handlers: NotificationHandlers) => {
      const master = typeof options.links === 'object' ? options.links.master : undefined
      if (master !== undefined) filter.master ??= await this.#context.indexOf(master)
      return await openSources(this.#context, options, handlers)
    }
    const kinds = kindsOf(options, () => filter.master)
    const core = new WatchCore(kinds, open, { allNamespaces: options.namespaces === 'all', recheck: options.recheck })
    const abort = () => void core.end({ reason: signal?.reason })
    return new Watch<L>(core, () => {
      this.#open.add(core)
      if (signal?.aborted) abort()
      else signal?.addEventListener('abort', abort, { once: true })
      return () => {
        this.#open.delete(core)
        signal?.removeEventListener('abort', abort)
      }
    })
  }

  close(): void {
    for (const core of this.#open) void core.end({ reason: closedError('the netlink socket') })
  }
}

/** Links come first: what else is read depends on them. */
function kindsOf(options: WatchOptions, master: () => number | undefined): Kind[] {
  const { links, addresses, routes, rules, neighbours, fdb } = options
  const kinds: unknown[] = []
  if (links) kinds.push(watchedLinks(narrowed<LinkInterest>(links), master))
  if (addresses) kinds.push(watchedAddresses(narrowed(addresses)))
  if (routes) kinds.push(watchedRoutes(narrowed(routes)))
  if (rules) kinds.push(watchedRules())
  if (neighbours) kinds.push(watchedNeighbours(narrowed(neighbours)))
  if (fdb) kinds.push(watchedFdb(narrowed(fdb)))
  return kinds as Kind[]
}

function narrowed<T extends object>(interest: true | T): T {
  return interest === true ? ({} as T) : interest
}

async function openSources(
  { socket, netns }: WatchContext,
  options: WatchOptions,
  handlers: NotificationHandlers
): Promise<Sources> {
  const allNamespaces = options.namespaces === 'all'
  const { groups, rules } = announcements(options, allNamespaces)
  const listening = { receiveBuffer: options.receiveBuffer, filter: announcementFilter(rules), allNamespaces }
  // Where the socket speaks, also in a namespace whose name or descriptor is gone by now.
  const native = socket.native
  const held = netns === undefined ? undefined : await addon().openNetns(native)
  const place = held && { fd: held.fds[0] as number }
  let own: NetlinkSocket | undefined
  try {
    own = await NetlinkSocket.open({ netns: place })
    const reading = own
    const notifications = await Notifications.open(groups, handlers, { ...listening, netns: place })
    return {
      socket: reading,
      ref() {
        reading.ref()
        notifications.ref()
      },
      unref() {
        reading.unref()
        notifications.unref()
      },
      async close() {
        reading.close()
        await notifications.close()
      }
    }
  } catch (error) {
    own?.close()
    throw error
  } finally {
    await held?.close()
  }
}
