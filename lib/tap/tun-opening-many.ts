/** Opening TUN and TAP devices in few steps: the namespace is entered once a chunk, and their links are set together. */
import { addon, NOT_SENT, type TunOpened } from '../addon.js'
import { nativeError } from '../errors.js'
import { changeRequest, readdressed } from '../link/link-requests.js'
import { Netlink } from '../link/netlink.js'
import { References } from '../link/references.js'
import type { Request } from '../netlink/request.js'
import { tracing } from '../netlink/trace.js'
import { type NetnsRef, withNetns } from '../netns.js'
import { rejected, type Settled } from './open-many.js'
import { placeOf, SharedPlace } from './place.js'
import {
  finishOpening,
  type NativeOpening,
  nativeOpening,
  type OpenedTun,
  type Opening,
  openedAtOnce,
  openingError,
  openTunDevice,
  readOptions
} from './tun-opening.js'
import { linkChanges, type TunOptions } from './tun-options.js'

/** Failures that are looked into: a look at all processes takes a while. */
const DIAGNOSED = 4

/** A device on its way. */
interface Item {
  readonly at: number
  readonly opening: Opening
  /** What sets up its link, once there is one. */
  requests?: Request[]
  native?: NativeOpening
  opened?: TunOpened
  /** Its link is set as asked for. */
  configured?: boolean
}

/** Opens chunks of devices, in their order: a name by pattern is the next free one for the next device. */
export class TunOpenings {
  readonly #type: 'tun' | 'tap'
  readonly #scenes = new Map<unknown, Scene>()
  #last: Promise<unknown> = Promise.resolve()

  constructor(type: 'tun' | 'tap') {
    this.#type = type
  }

  /** Never rejects: each has a result. */
  async open(specs: readonly TunOptions[]): Promise<Settled<OpenedTun>[]> {
    const results: (Settled<OpenedTun> | undefined)[] = specs.map(() => undefined)
    const together = new Map<unknown, Item[]>()
    const alone: number[] = []
    for (const [at, options] of specs.entries()) {
      try {
        options.signal?.throwIfAborted()
        const opening = readOptions(this.#type, options)
        const key = sceneKey(options)
        // One that may be there already is noted, changed and put back by itself.
        if (opening.attaching || key === undefined) alone.push(at)
        else put(together, key, { at, opening })
      } catch (reason) {
        results[at] = rejected(reason)
      }
    }
    const groups = [...together].map(([key, items]) => {
      const scene = this.#scenes.get(key) ?? new Scene(items[0]?.opening.options as TunOptions)
      this.#scenes.set(key, scene)
      return { scene, items }
    })
    const before = this.#last
    // Prepared while those before are opened. The addon opens in the order that it is asked in.
    const asked = (async () => {
      await Promise.all(groups.map(({ scene, items }) => scene.prepare(items, results)))
      await before
      return { opened: Promise.all(groups.map(({ scene, items }) => scene.open(items, results))) }
    })()
    this.#last = asked
    await (await asked).opened
    await Promise.all([
      ...groups.map(({ scene, items }) => scene.finish(items, results)),
      ...alone.map(async at => {
        results[at] = await settled(openTunDevice(this.#type, specs[at] as TunOptions))
      })
    ])
    return results as Settled<OpenedTun>[]
  }

  async close(): Promise<void> {
    await Promise.all([...this.#scenes.values()].map(scene => scene.close()))
  }
}

/** What several devices have in common: their namespace, and a Netlink that speaks to it. */
class Scene {
  readonly #options: TunOptions
  readonly #references: References
  #diagnosed = 0
  #placing: Promise<SharedPlace> | undefined
  /** Once anything is prepared. */
  #place: SharedPlace | undefined
  #net: Promise<Netlink> | undefined

  constructor(options: TunOptions) {
    this.#options = options
    this.#references = new References(async names => (await this.#links()).links.getMany(names))
  }

  /** What needs no device yet: whatever is wrong is refused before it costs one. */
  async prepare(items: readonly Item[], results: (Settled<OpenedTun> | undefined)[]): Promise<void> {
    try {
      const { netns, net } = this.#options
      this.#placing ??= placeOf(netns, net).then(place => new SharedPlace(place))
      this.#place = await this.#placing
      await this.#encode(items, results)
    } catch (error) {
      const reason = nativeError(error)
      for (const { at } of items) results[at] ??= rejected(reason)
    }
  }

  async open(items: readonly Item[], results: (Settled<OpenedTun> | undefined)[]): Promise<void> {
    const ready = items.filter(({ native }) => native)
    if (ready.length === 0) return
    const place = this.#place as SharedPlace
    try {
      const devices = ready.map(({ native }) => (native as NativeOpening).device)
      const opened = await withNetns(place.netns, fd => addon().openTuns(fd, devices))
      for (const [i, item] of ready.entries()) {
        const found = opened[i] as TunOpened | Error
        if (!(found instanceof Error)) item.opened = found
        else results[item.at] = rejected(await this.#explain(found, item, place))
      }
    } catch (error) {
      const reason = nativeError(error)
      for (const { at, opened } of ready) if (!opened) results[at] ??= rejected(reason)
    }
  }

  async #encode(items: readonly Item[], results: (Settled<OpenedTun> | undefined)[]): Promise<void> {
    const changes = items.map(({ opening }) => linkChanges(opening.options))
    await this.#references.load(changes.flat())
    for (const [i, item] of items.entries()) {
      try {
        item.requests = changes[i]?.map(change => changeRequest(1, this.#references.resolve(change))) ?? []
        const opening = nativeOpening(item.opening)
        const native = opening instanceof Promise ? await opening : opening
        // A message that somebody wants to see goes by a socket that tells of it.
        const link = isSetTogether(item) && !tracing() ? item.requests[0]?.bytes : undefined
        item.native = { ...native, device: { ...native.device, link } }
      } catch (error) {
        results[item.at] = rejected(nativeError(error, { link: item.opening.options.name }))
      }
    }
  }

  async #explain(error: Error, { opening, native }: Item, { netns }: SharedPlace): Promise<Error> {
    const { options } = opening
    if (this.#diagnosed++ >= DIAGNOSED) return nativeError(error, { link: options.name })
    return await openingError(error, options, (native as NativeOpening).device, netns)
  }

  async finish(items: readonly Item[], results: (Settled<OpenedTun> | undefined)[]): Promise<void> {
    const open = items.filter(({ opened }) => opened)
    if (open.length === 0) return
    await this.#configure(open.filter(isSetTogether))
    const place = this.#place as SharedPlace
    const finish = async ({ at, opening, native, opened, configured }: Item): Promise<void> => {
      const finishing = finishOpening(opening, native as NativeOpening, opened as TunOpened, place.share(), configured)
      results[at] = await settled(finishing)
    }
    const unfinished: Promise<void>[] = []
    for (const item of open) {
      const value = item.configured && openedAtOnce(item.opening, item.opened as TunOpened, () => place.share())
      if (value) results[item.at] = { status: 'fulfilled', value }
      else unfinished.push(finish(item))
    }
    if (unfinished.length > 0) await Promise.all(unfinished)
  }

  /** Sets the links of all in as few exchanges as possible. Those that fail are set again one by one, which explains. */
  async #configure(items: readonly Item[]): Promise<void> {
    const wasSet = ({ opened }: Item) => opened?.linkStatus === 0
    let due = items.filter(item => wasSet(item) || item.opened?.linkStatus === NOT_SENT)
    for (let step = 0; due.length > 0; step++) {
      for (const item of due) if (item.requests?.length === step) item.configured = true
      due = due.filter(item => !item.configured)
      const taken = step === 0 ? due.filter(wasSet) : []
      const left = step === 0 ? due.filter(item => !wasSet(item)) : due
      due = left.length > 0 ? [...taken, ...(await this.#send(left, step))] : taken
    }
  }

  /** Those that took it. */
  async #send(items: readonly Item[], step: number): Promise<Item[]> {
    try {
      const requests = items.map(item =>
        readdressed(item.requests?.[step] as Request, (item.opened as TunOpened).index)
      )
      const answers = await (await this.#links()).socket.batch(requests)
      return items.filter((_, i) => answers[i]?.error === undefined)
    } catch {
      return []
    }
  }

  async #links(): Promise<Netlink> {
    if (this.#options.net) return this.#options.net
    this.#net ??= (this.#placing as Promise<SharedPlace>).then(({ netns }) => Netlink.open({ netns }))
    return await this.#net
  }

  async close(): Promise<void> {
    // What could not be opened has been told.
    const [net, place] = await Promise.all([this.#net?.catch(() => undefined), this.#placing?.catch(() => undefined)])
    net?.close()
    await place?.close()
  }
}

/** Whether its link takes messages alone, which go together with those of others. */
function isSetTogether({ opening: { options } }: Item): boolean {
  return !options.altnames?.length
}

/** What tells whether two devices are to be in one namespace; nothing for one that is made for the purpose. */
function sceneKey({ netns, net }: TunOptions): unknown {
  if (net) return net
  if (typeof netns === 'object' && netns !== null) return 'new' in netns ? undefined : netns
  return `${typeof netns} ${netns satisfies NetnsRef | undefined}`
}

function put<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const values = map.get(key)
  if (values) values.push(value)
  else map.set(key, [value])
}

async function settled<T>(promise: Promise<T>): Promise<Settled<T>> {
  const [result] = await Promise.allSettled([promise])
  return result as Settled<T>
}
