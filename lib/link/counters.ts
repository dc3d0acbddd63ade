/** The counters of many links, read again and again: for monitoring. */
import type { CallOptions } from '../netlink/cancellation.js'
import { NLM_F_DUMP } from '../netlink/constants.js'
import { encodeRequest, type Request } from '../netlink/request.js'
import type { NetlinkSocket } from '../netlink/socket.js'
import { statisticsMessage } from '../rtnetlink/statistics.js'
import { RTM } from '../rtnetlink/verbs.js'
import { COUNTER_NAMES, type CounterName, CounterTable } from './counter-table.js'
import type { LinkRef } from './link.js'
import { listRequest } from './link-requests.js'

export interface CounterOptions {
  /** Only links of this kind, chosen by the kernel. */
  kind?: string | undefined
  /** Only ports of this master, chosen by the kernel. A name is looked up at each reading. */
  master?: LinkRef | undefined
  /**
   * Exact beyond 2^53 (9 PB, eight days at 100 Gbit/s), as bigints. Numbers are the default: rates are computed with them
   * many times faster, and beyond that they are off by one in 2^53.
   */
  bigint?: boolean | undefined
}

/**
 * Counters of many links, as of the last reading: an array per counter of `struct rtnl_link_stats64` (`rxPackets`,
 * `txBytes`, `rxDropped`, …), in packets or bytes since the link was made. The same row of each array is the same link,
 * `indexes` says which; rows are in the order of their ifindexes.
 *
 * ```ts
 * const counters = await net.links.counters({ master: 'br0' }).read()
 * const row = counters.row(tap.index)
 * const before = { time: counters.time, bytes: counters.rxBytes[row] }
 * // a second later
 * await counters.read()
 * const rate = (counters.rxBytes[counters.row(tap.index)] - before.bytes) / (counters.time - before.time) * 1000
 * ```
 *
 * A reading is one request: of all links RTM_GETSTATS with nothing but these counters (230 bytes each), with `kind` or
 * `master` a filtered RTM_GETLINK. It is decoded into the arrays without an object per link. The arrays are filled anew in
 * place; other ones take their place when the number of links changes.
 */
export class LinkCounters<A extends Float64Array | BigUint64Array = Float64Array> {
  /** Ifindex of each row, ascending. */
  indexes = new Uint32Array()
  /** When the kernel had answered, in milliseconds of `performance.now()`; NaN before the first reading. */
  time = Number.NaN
  /** Links came or went during the reading: on kernels before 6.7 one that stays may be missing. */
  interrupted = false
  readonly #socket: NetlinkSocket
  readonly #options: CounterOptions
  readonly #indexOf: (ref: LinkRef, options: CallOptions) => Promise<number>
  /** Filled by a reading, and not by two. */
  #spare: CounterTable | undefined

  /** @internal */
  constructor(
    socket: NetlinkSocket,
    options: CounterOptions,
    indexOf: (ref: LinkRef, options: CallOptions) => Promise<number>
  ) {
    this.#socket = socket
    this.#options = options
    this.#indexOf = indexOf
    this.#publish(new CounterTable(options.bigint ?? false))
  }

  /** Number of links. */
  get length(): number {
    return this.indexes.length
  }

  /** The row of a link, or -1. */
  row(index: number): number {
    let from = 0
    for (let to = this.indexes.length; from < to; ) {
      const middle = (from + to) >> 1
      if ((this.indexes[middle] as number) < index) from = middle + 1
      else to = middle
    }
    return this.indexes[from] === index ? from : -1
  }

  /**
   * Reads the counters again. They stay as they were until all have come, and if that fails.
   *
   * @returns this
   * @throws LinkwrightError `ENODEV` if the master is gone
   */
  async read(options: CallOptions = {}): Promise<this> {
    const { kind, master, bigint = false } = this.#options
    const index = master === undefined ? undefined : await this.#indexOf(master, options)
    const all = kind === undefined && index === undefined
    const request = all ? statisticsRequest() : listRequest({ kind, master: index })
    const wanted = { kind: kind === undefined ? undefined : Buffer.from(kind), master: index }
    const table = this.#spare ?? new CounterTable(bigint)
    this.#spare = undefined
    table.length = 0
    let time: number | undefined
    const interrupted = await this.#socket.dumpBytes(
      request,
      data => {
        time ??= performance.now()
        table.take(data, wanted)
      },
      options
    )
    table.sort()
    this.#publish(table)
    this.interrupted = interrupted
    this.time = time ?? performance.now()
    this.#spare = table
    return this
  }

  #publish(table: CounterTable): void {
    const counters = this as unknown as Record<CounterName, A>
    const again = this.indexes.length === table.length && counters.rxPackets !== undefined
    if (again) this.indexes.set(table.indexes)
    else this.indexes = table.indexes.slice()
    for (const [at, name] of COUNTER_NAMES.entries()) {
      if (again) counters[name].set(table.column(at) as never)
      else counters[name] = table.column(at).slice() as A
    }
  }
}

export interface LinkCounters<A extends Float64Array | BigUint64Array> extends Readonly<Record<CounterName, A>> {}

function statisticsRequest(): Request {
  return encodeRequest(
    'RTM_GETSTATS',
    RTM.RTM_GETSTATS,
    statisticsMessage,
    { filterMask: { link64: true } },
    { flags: NLM_F_DUMP }
  )
}
