/** Hearing of links that go down, come up, and leave their namespace: one listening socket a namespace. */
import { fstatSync } from 'node:fs'
import { addon } from '../addon.js'
import { RTNLGRP_LINK } from '../netlink/constants.js'
import type { Message } from '../netlink/framing.js'
import { Notifications } from '../netlink/notifications.js'
import { linkMessage } from '../rtnetlink/link.js'
import { RTM } from '../rtnetlink/verbs.js'
import { Netlink } from './netlink.js'

/** What somebody wants to hear of a link. */
export interface LinkWatcher {
  up(): void
  down(): void
  /** It is not in its namespace any more: deleted, or moved. Nothing is heard of it from now on. */
  left(): void
}

/** A namespace by its descriptor; `undefined` is that of the process. */
type Place = { readonly fd: number } | undefined

/** A link that somebody watches. */
interface Watched {
  readonly watchers: Set<LinkWatcher>
  /** Announcements so far: what was asked for before the last of them may be out of date. */
  heard: number
}

/** The links of a namespace that somebody watches. */
class WatchedNamespace {
  readonly #links = new Map<number, Watched>()
  readonly #net: Netlink
  #notifications: Notifications | undefined

  private constructor(net: Netlink) {
    this.#net = net
  }

  static async open(place: Place): Promise<WatchedNamespace> {
    // A duplicate, for the owner of this number may close it meanwhile.
    const held = place && addon().adoptDescriptors([addon().duplicateDescriptor(place.fd)])
    try {
      return await WatchedNamespace.#listen(held && { fd: held.fds[0] as number })
    } finally {
      void held?.close()
    }
  }

  static async #listen(netns: Place): Promise<WatchedNamespace> {
    const net = await Netlink.open({ netns })
    const watched = new WatchedNamespace(net)
    try {
      watched.#notifications = await Notifications.open(
        [RTNLGRP_LINK],
        { messages: messages => watched.#read(messages), lost: () => watched.#lookAgain() },
        { netns }
      )
    } catch (error) {
      net.close()
      throw error
    }
    watched.#notifications.unref()
    return watched
  }

  /** Tells of a link from now on, and how it is now. */
  async add(index: number, watcher: LinkWatcher): Promise<void> {
    const link = this.#links.get(index) ?? { watchers: new Set(), heard: 0 }
    this.#links.set(index, link)
    link.watchers.add(watcher)
    await this.#look(index, link, [watcher])
  }

  remove(index: number, watcher: LinkWatcher): void {
    const link = this.#links.get(index)
    if (link?.watchers.delete(watcher) && link.watchers.size === 0) this.#links.delete(index)
  }

  async close(): Promise<void> {
    this.#net.close()
    await this.#notifications?.close()
  }

  async #look(index: number, watched: Watched, watchers: Iterable<LinkWatcher>): Promise<void> {
    const { heard } = watched
    const link = await this.#net.links.find(index)
    // What was announced meanwhile has been told, and is news.
    if (heard !== watched.heard) return
    // What is not there is news for everybody: its announcement may be behind this answer, and finds nobody then.
    if (!link) this.#left(index)
    else for (const watcher of watchers) if (watched.watchers.has(watcher)) tell(watcher, link)
  }

  /** After a loss of announcements. */
  #lookAgain(): void {
    for (const [index, link] of this.#links) {
      // What cannot be asked for any more is not there.
      this.#look(index, link, link.watchers).catch(() => this.#left(index))
    }
  }

  #read(messages: Message[]): void {
    for (const { type, data, start, end } of messages) {
      if (type !== RTM.RTM_NEWLINK && type !== RTM.RTM_DELLINK) continue
      const link = linkMessage.read(data, start, end)
      const watched = this.#links.get(link.index)
      // Bridges announce their ports with a family of their own.
      if (!watched || link.family !== 0) continue
      watched.heard++
      if (type === RTM.RTM_DELLINK) this.#left(link.index)
      else for (const watcher of watched.watchers) tell(watcher, { up: link.flags.up })
    }
  }

  #left(index: number): void {
    const link = this.#links.get(index)
    this.#links.delete(index)
    for (const watcher of link?.watchers ?? []) watcher.left()
  }
}

function tell(watcher: LinkWatcher, link: { up: boolean }): void {
  if (link.up) watcher.up()
  else watcher.down()
}

interface Shared {
  namespace: Promise<WatchedNamespace>
  users: number
}

const shared = new Map<bigint | 'own', Shared>()

/**
 * Tells of a link until it leaves its namespace or the result is disposed of; first, how it is now. The namespace's
 * descriptor may be closed afterwards.
 */
export async function watchLink(index: number, netns: Place, watcher: LinkWatcher): Promise<AsyncDisposable> {
  const key = netns ? fstatSync(netns.fd, { bigint: true }).ino : 'own'
  const entry = shared.get(key) ?? { namespace: WatchedNamespace.open(netns), users: 0 }
  shared.set(key, entry)
  entry.users++
  const leave = async () => {
    if (--entry.users > 0) return
    if (shared.get(key) === entry) shared.delete(key)
    await (await entry.namespace).close()
  }
  let namespace: WatchedNamespace
  try {
    namespace = await entry.namespace
  } catch (error) {
    entry.users--
    if (shared.get(key) === entry) shared.delete(key)
    throw error
  }
  let left: Promise<void> | undefined
  const stop = {
    async [Symbol.asyncDispose]() {
      namespace.remove(index, watcher)
      left ??= leave()
      await left
    }
  }
  try {
    await namespace.add(index, watcher)
  } catch (error) {
    await stop[Symbol.asyncDispose]()
    throw error
  }
  return stop
}
