/** Ethernet headers with up to two VLAN tags. */
import { macTextAt, setMacAt } from './addresses.js'
import { setU16At, u16At, u48At } from './fields.js'
import { HeaderView } from './header-view.js'
import { ETHERTYPE } from './numbers.js'

const HEADER = 14
const TYPE = 12
const TAG = 4
const MOST_TAGS = 2

function isTag(type: number): boolean {
  return type === ETHERTYPE.VLAN || type === ETHERTYPE.QINQ || type === ETHERTYPE.QINQ_OLD
}

/** The EtherType of a frame behind its VLAN tags (two at most), or 0 for what is too short to have one. */
export function etherType(bytes: Uint8Array, offset: number, length: number): number {
  if (length < HEADER) return 0
  let at = offset + TYPE
  let type = u16At(bytes, at)
  const last = Math.min(at + MOST_TAGS * TAG, offset + length - 2)
  while (isTag(type) && at + TAG <= last) {
    at += TAG
    type = u16At(bytes, at)
  }
  return type
}

export class EthernetView extends HeaderView {
  /** How many VLAN tags there are, the first two counted. */
  tags = 0
  /** The EtherType behind the tags; less than 0x600 is a length (802.3). */
  type = 0

  /** Sets the view on a frame; `false` if it is shorter than a header. */
  at(bytes: Uint8Array, offset: number, length: number): boolean {
    this.tags = 0
    this.type = 0
    const end = Math.min(offset + length, bytes.length)
    if (end - offset < HEADER) return this.miss()
    let at = offset + TYPE
    let type = u16At(bytes, at)
    while (this.tags < MOST_TAGS && isTag(type) && at + TAG + 2 <= end) {
      at += TAG
      type = u16At(bytes, at)
      this.tags++
    }
    this.type = type
    return this.place(bytes, offset, at + 2, end)
  }

  get destination(): string {
    return macTextAt(this.bytes, this.offset)
  }

  set destination(address: string | number) {
    setMacAt(this.bytes, this.offset, address)
  }

  /** As a number of 48 bits. */
  get destinationNumber(): number {
    return u48At(this.bytes, this.offset)
  }

  get source(): string {
    return macTextAt(this.bytes, this.offset + 6)
  }

  set source(address: string | number) {
    setMacAt(this.bytes, this.offset + 6, address)
  }

  /** As a number of 48 bits. */
  get sourceNumber(): number {
    return u48At(this.bytes, this.offset + 6)
  }

  get broadcast(): boolean {
    return this.destinationNumber === 0xffff_ffff_ffff
  }

  /** To a group, or to everybody. */
  get multicast(): boolean {
    return ((this.bytes[this.offset] as number) & 1) === 1
  }

  /** VLAN of the only or outer tag, `undefined` without one. */
  get vlan(): number | undefined {
    return this.tags > 0 ? this.#tag(0) & 0xfff : undefined
  }

  /** Priority (PCP, 0 to 7) of the only or outer tag, `undefined` without one. */
  get vlanPriority(): number | undefined {
    return this.tags > 0 ? this.#tag(0) >>> 13 : undefined
  }

  /** VLAN of the inner one of two tags, `undefined` without one. */
  get innerVlan(): number | undefined {
    return this.tags > 1 ? this.#tag(1) & 0xfff : undefined
  }

  /** Priority (PCP, 0 to 7) of the inner one of two tags, `undefined` without one. */
  get innerVlanPriority(): number | undefined {
    return this.tags > 1 ? this.#tag(1) >>> 13 : undefined
  }

  /** Puts another VLAN into the only or outer tag; `false` if there is none. */
  setVlan(id: number): boolean {
    return this.#setVlan(0, id)
  }

  /** Puts another VLAN into the inner one of two tags; `false` if there is none. */
  setInnerVlan(id: number): boolean {
    return this.#setVlan(1, id)
  }

  #tag(number: number): number {
    return u16At(this.bytes, this.offset + HEADER + number * TAG)
  }

  #setVlan(number: number, id: number): boolean {
    if (this.tags <= number) return false
    setU16At(this.bytes, this.offset + HEADER + number * TAG, (this.#tag(number) & 0xf000) | (id & 0xfff))
    return true
  }
}
