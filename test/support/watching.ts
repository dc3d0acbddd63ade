/** Consumers of watches, as tests need them. */
import { setTimeout as sleep } from 'node:timers/promises'
import type {
  AttributesView,
  Netlink,
  Watch,
  WatchChange,
  WatchEvent,
  WatchedLists,
  WatchResync
} from '../../lib/index.js'
import { lasting } from './lasting.js'

/** An event of whatever watch. */
export type Told =
  | WatchChange
  | WatchResync
  | { event: 'snapshot'; keys: Partial<Record<keyof WatchedLists, string[]>> }

/** A change in a few words: `added link br0`. */
export function inWords(event: Told): string {
  if (event.event === 'snapshot') return 'snapshot'
  if (event.event === 'resync') return `resync ${event.reason}`
  return `${event.event} ${event.object} ${nameOf(event)}`
}

function nameOf(change: WatchChange): string {
  switch (change.object) {
    case 'link':
      return (change.after ?? change.before)?.name ?? ''
    case 'address':
      return String(change.after ?? change.before)
    case 'route':
      return (change.after ?? change.before)?.destination ?? ''
    case 'rule': {
      const { family, priority = 0 } = change.after ?? change.before ?? {}
      return `${family} ${priority}`
    }
    case 'neighbour':
      return (change.after ?? change.before)?.dst ?? ''
    case 'fdb':
      return (change.after ?? change.before)?.lladdr ?? ''
  }
}

/** The next event, which there has to be. */
export async function take<L extends keyof WatchedLists>(watch: Watch<L>): Promise<WatchEvent<L>> {
  const { value, done } = await watch.next()
  if (done) throw new Error('the watch ended')
  return value
}

/** Takes events until one reads as wanted, and gives what all of them read. */
export async function takeUntil<L extends keyof WatchedLists>(watch: Watch<L>, last: string): Promise<string[]> {
  const taken: string[] = []
  for (;;) {
    taken.push(inWords((await take(watch)) as Told))
    if (taken.at(-1) === last) return taken
  }
}

/** Takes events until one is a change that reads as wanted. */
export async function takeChange<L extends keyof WatchedLists>(watch: Watch<L>, words: string): Promise<WatchChange> {
  for (;;) {
    const event = (await take(watch)) as Told
    if (inWords(event) === words) return event as WatchChange
  }
}

const LIST_OF = {
  link: 'links',
  address: 'addresses',
  route: 'routes',
  neighbour: 'neighbours',
  fdb: 'fdb',
  rule: 'rules'
} as const

/** Applies events, and has what they say. */
export class Follower {
  readonly #state: Record<string, Map<string, AttributesView>> = {}
  readonly counts: Record<string, number> = {}

  /** Throws where an event does not fit what is there. */
  apply(event: Told): void {
    this.counts[event.event] = (this.counts[event.event] ?? 0) + 1
    if (event.event === 'resync') return
    if (event.event === 'snapshot') {
      for (const [object, list] of Object.entries(LIST_OF)) {
        const keys = event.keys[list] ?? []
        const views = (event as unknown as WatchedLists)[list]
        this.#state[object] = new Map(keys.map((key, at) => [key, views[at] as AttributesView]))
      }
      return
    }
    const known = this.#state[event.object] as Map<string, AttributesView>
    if (known.get(event.key) !== event.before) throw new Error(`${inWords(event)}: it was something else before`)
    if (event.after) known.set(event.key, event.after)
    else known.delete(event.key)
  }

  async follow(watch: AsyncIterable<Told>): Promise<void> {
    for await (const event of watch) this.apply(event)
  }

  has(object: keyof typeof LIST_OF, test: (view: never) => boolean): boolean {
    return [...(this.#state[object]?.values() ?? [])].some(view => test(view as never))
  }

  /** A line for each lasting attribute of each object. */
  lines(object: keyof typeof LIST_OF): string[] {
    return linesOf(object, this.#state[object]?.values() ?? [])
  }
}

export function linesOf(object: string, views: Iterable<AttributesView>): string[] {
  const lines: string[] = []
  for (const view of views) {
    const { index = 0 } = view as { index?: number }
    const all = Object.entries(lasting(object, view)).map(([path, hex]) => `${path} ${hex}`)
    // Of a route that is one of several to one destination, only the whole line tells which.
    if (object === 'link') for (const line of all) lines.push(`${index} ${line}`)
    else lines.push(all.join(' '))
  }
  return lines.toSorted()
}

/** What the kernel has and the follower lacks, and the other way round. */
export async function deviations(follower: Follower, net: Netlink, objects: (keyof typeof LIST_OF)[]) {
  const found: Record<string, { missing: string[]; wrong: string[] }> = {}
  for (const object of objects) {
    const theirs = linesOf(object, await listOf(net, object))
    const ours = follower.lines(object)
    const missing = theirs.filter(line => !ours.includes(line))
    const wrong = ours.filter(line => !theirs.includes(line))
    if (missing.length > 0 || wrong.length > 0) found[object] = { missing, wrong }
  }
  return found
}

async function listOf(net: Netlink, object: keyof typeof LIST_OF): Promise<AttributesView[]> {
  switch (object) {
    case 'link':
      return await net.links.list()
    case 'address':
      return await net.addresses.list()
    case 'route':
      return await net.routes.list({ table: 0 })
    case 'rule':
      return await net.rules.list()
    case 'neighbour':
      return (await net.neighbours.list()).filter(it =>
        Object.keys(it.state).some(state => state !== 'noarp' && it.state[state as 'noarp'])
      )
    case 'fdb':
      return await net.fdb.list()
  }
}

/** Waits until nothing deviates; gives what still does after a while. */
export async function settled(follower: Follower, net: Netlink, objects: (keyof typeof LIST_OF)[], patience = 5000) {
  for (const end = performance.now() + patience; ; await sleep(30)) {
    const found = await deviations(follower, net, objects)
    if (Object.keys(found).length === 0 || performance.now() > end) return found
  }
}
