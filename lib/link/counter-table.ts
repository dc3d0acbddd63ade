/** The counters of many links as columns of numbers, filled from the kernel's answers without an object per link. */
import { seek } from '../codec/attributes.js'
import type { Block } from '../codec/block.js'
import { hostLittleEndian } from '../codec/endian.js'
import { NLMSG_HEADER } from '../netlink/constants.js'
import { linkinfo, linkMessage, stats64 } from '../rtnetlink/link.js'
import { statisticsMessage } from '../rtnetlink/statistics.js'
import { RTM } from '../rtnetlink/verbs.js'

/** A counter of struct rtnl_link_stats64. */
export type CounterName = keyof (typeof stats64)['fields']

export const COUNTER_NAMES = Object.keys(stats64.fields) as CounterName[]

/** Which links to keep: kernels before 4.20 send all. */
export interface Wanted {
  kind?: Buffer | undefined
  master?: number | undefined
}

const WIDTH = COUNTER_NAMES.length
/** Rows of a table that has none yet. */
const SMALLEST = 64
/** Both headers have the ifindex there. */
const INDEX_AT = 4
const LOW = hostLittleEndian ? 0 : 1

const [LINK_64] = statisticsMessage.attributes.link64
const [STATS64] = linkMessage.attributes.stats64
const [MASTER] = linkMessage.attributes.master
const [LINKINFO] = linkMessage.attributes.linkinfo
const [KIND] = linkinfo.table.kind

export class CounterTable {
  length = 0
  readonly #bigint: boolean
  #capacity = 0
  #indexes = new Uint32Array()
  #values: Float64Array | BigUint64Array
  /** The same memory, for 64 bits at a time without a bigint for each. */
  #halves = new Uint32Array()

  constructor(bigint: boolean) {
    this.#bigint = bigint
    this.#values = bigint ? new BigUint64Array() : new Float64Array()
  }

  get indexes(): Uint32Array {
    return this.#indexes.subarray(0, this.length)
  }

  /** A counter of all links, by its place in {@link COUNTER_NAMES}. */
  column(at: number): Float64Array | BigUint64Array {
    return this.#values.subarray(at * this.#capacity, at * this.#capacity + this.length)
  }

  /** Adds a row for each link in a buffer of whole messages. */
  take(data: Block, wanted: Wanted): void {
    const words = new Uint32Array(data.buffer, data.byteOffset, data.byteLength >> 2)
    for (let at = 0; at + NLMSG_HEADER <= data.byteLength; ) {
      const length = data.getUint32(at, hostLittleEndian)
      if (length < NLMSG_HEADER || at + length > data.byteLength) return
      const type = data.getUint16(at + 4, hostLittleEndian)
      const payload = at + NLMSG_HEADER
      const end = at + length
      if (type === RTM.RTM_NEWSTATS) {
        this.#add(data, words, payload, seek(data.bytes, payload + statisticsMessage.headerLength, end, LINK_64))
      } else if (type === RTM.RTM_NEWLINK && isWanted(data, payload + linkMessage.headerLength, end, wanted)) {
        this.#add(data, words, payload, seek(data.bytes, payload + linkMessage.headerLength, end, STATS64))
      }
      at += (length + 3) & ~3
    }
  }

  /** Puts the rows in the order of their ifindexes, one of each. */
  sort(): void {
    const { indexes, length } = this
    if (indexes.every((index, row) => row === 0 || index > (indexes[row - 1] as number))) return
    const rows = new Map<number, number>()
    for (let row = 0; row < length; row++) rows.set(indexes[row] as number, row)
    const order = [...rows].sort(([one], [other]) => one - other)
    for (let at = 0; at < WIDTH; at++) {
      const column = this.column(at)
      const before = column.slice()
      for (let row = 0; row < order.length; row++) {
        column[row] = before[(order[row] as [number, number])[1]] as number & bigint
      }
    }
    this.#indexes.set(order.map(([index]) => index))
    this.length = order.length
  }

  #add(data: Block, words: Uint32Array, payload: number, found: number): void {
    if (found < 0) return
    if (this.length === this.#capacity) this.#grow()
    const row = this.length++
    this.#indexes[row] = words[(payload + INDEX_AT) >> 2] as number
    // Older kernels know fewer counters.
    const sent = Math.min(WIDTH, (data.getUint16(found, hostLittleEndian) - 4) >> 3)
    const values = this.#values
    const halves = this.#halves
    const capacity = this.#capacity
    let word = (found + 4) >> 2
    for (let at = 0; at < WIDTH; at++, word += 2) {
      const into = at * capacity + row
      const first = at < sent ? (words[word] as number) : 0
      const second = at < sent ? (words[word + 1] as number) : 0
      if (this.#bigint) {
        halves[2 * into] = first
        halves[2 * into + 1] = second
      } else {
        values[into] = LOW === 0 ? second * 2 ** 32 + first : first * 2 ** 32 + second
      }
    }
  }

  #grow(): void {
    const columns = COUNTER_NAMES.map((_, at) => this.column(at))
    const indexes = this.#indexes
    this.#capacity = Math.max(SMALLEST, 2 * this.#capacity)
    const buffer = new ArrayBuffer(this.#capacity * WIDTH * 8)
    this.#values = this.#bigint ? new BigUint64Array(buffer) : new Float64Array(buffer)
    this.#halves = new Uint32Array(buffer)
    this.#indexes = new Uint32Array(this.#capacity)
    this.#indexes.set(indexes)
    for (const [at, column] of columns.entries()) this.#values.set(column as never, at * this.#capacity)
  }
}

function isWanted(data: Block, start: number, end: number, { kind, master }: Wanted): boolean {
  if (master !== undefined) {
    const found = seek(data.bytes, start, end, MASTER)
    if (found < 0 || data.getUint32(found + 4, hostLittleEndian) !== master) return false
  }
  if (kind === undefined) return true
  const info = seek(data.bytes, start, end, LINKINFO)
  if (info < 0) return false
  const found = seek(data.bytes, info + 4, info + data.getUint16(info, hostLittleEndian), KIND)
  if (found < 0) return false
  const length = data.getUint16(found, hostLittleEndian) - 4
  // Some kernels count the NUL at the end.
  const text = data.bytes[found + 3 + length] === 0 ? length - 1 : length
  return kind.compare(data.bytes, found + 4, found + 4 + text) === 0
}
