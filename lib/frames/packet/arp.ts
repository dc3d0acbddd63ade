/** ARP for IPv4 over Ethernet. */
import { ipv4TextAt, macTextAt, setIpv4At, setMacAt } from './addresses.js'
import { setU16At, u16At, u32At, u48At } from './fields.js'
import { HeaderView } from './header-view.js'
import { ETHERTYPE } from './numbers.js'

const LENGTH = 28
const ETHERNET = 1
/** Lengths of the addresses: 6 and 4. */
const LENGTHS = 0x0604

export class ArpView extends HeaderView {
  /** Sets the view on the payload of a frame; `false` if it is no ARP packet for IPv4 over Ethernet. */
  at(bytes: Uint8Array, offset: number, length: number): boolean {
    const end = Math.min(offset + length, bytes.length)
    if (
      end - offset < LENGTH ||
      u16At(bytes, offset) !== ETHERNET ||
      u16At(bytes, offset + 2) !== ETHERTYPE.IPV4 ||
      u16At(bytes, offset + 4) !== LENGTHS
    ) {
      return this.miss()
    }
    return this.place(bytes, offset, offset + LENGTH, offset + LENGTH)
  }

  /** 1: request, 2: reply. */
  get operation(): number {
    return u16At(this.bytes, this.offset + 6)
  }

  set operation(operation: number) {
    setU16At(this.bytes, this.offset + 6, operation)
  }

  get senderMac(): string {
    return macTextAt(this.bytes, this.offset + 8)
  }

  set senderMac(address: string | number) {
    setMacAt(this.bytes, this.offset + 8, address)
  }

  /** As a number of 48 bits. */
  get senderMacNumber(): number {
    return u48At(this.bytes, this.offset + 8)
  }

  get senderIp(): string {
    return ipv4TextAt(this.bytes, this.offset + 14)
  }

  set senderIp(address: string | number) {
    setIpv4At(this.bytes, this.offset + 14, address)
  }

  /** As a number of 32 bits. */
  get senderIpNumber(): number {
    return u32At(this.bytes, this.offset + 14)
  }

  get targetMac(): string {
    return macTextAt(this.bytes, this.offset + 18)
  }

  set targetMac(address: string | number) {
    setMacAt(this.bytes, this.offset + 18, address)
  }

  /** As a number of 48 bits. */
  get targetMacNumber(): number {
    return u48At(this.bytes, this.offset + 18)
  }

  get targetIp(): string {
    return ipv4TextAt(this.bytes, this.offset + 24)
  }

  set targetIp(address: string | number) {
    setIpv4At(this.bytes, this.offset + 24, address)
  }

  /** As a number of 32 bits. */
  get targetIpNumber(): number {
    return u32At(this.bytes, this.offset + 24)
  }
}
