/** As much of a guest's network stack as DHCP, DNS and router advertisements need, over the frames of a TAP. */
import { writeSync } from 'node:fs'
import { addressNumber } from '../../lib/host/dnsmasq/subnet.js'
import type { Tap } from '../../lib/index.js'
import { type Watched, watchFrames } from '../tap/support/io.js'
import { answerFrame, BROADCAST, checksum, ETHERTYPE, ethernet, ipv4, parseEthernet, parseIpv4, udp } from './frames.js'

const UDP = 17
const ICMPV6 = 58
const [NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT] = [135, 136]
export const [ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT] = [133, 134]

const bytesOf = (ip: string) => Buffer.from(addressNumber(ip).toString(16).padStart(32, '0'), 'hex')

export interface Received {
  readonly sourceMac: string
  readonly protocol: number
  /** From the UDP or ICMPv6 header on. */
  readonly payload: Buffer
}

export class GuestStack implements Disposable {
  ip = '0.0.0.0'
  readonly linkLocal: string
  readonly #tap: Tap
  readonly #watched: Watched
  readonly #waiting = new Set<(received: Received) => void>()

  constructor(
    tap: Tap,
    readonly mac: string
  ) {
    this.#tap = tap
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac.split(':').map(byte => Number.parseInt(byte, 16))
    const groups = [((a ^ 2) << 8) | b, (c << 8) | 0xff, 0xfe00 | d, (e << 8) | f]
    this.linkLocal = `fe80::${groups.map(group => group.toString(16)).join(':')}`
    this.#watched = watchFrames(tap.fds[0] as number, frame => this.#take(frame))
  }

  [Symbol.dispose](): void {
    this.#watched.stop()
  }

  /** Sends a datagram, from whatever address it has. */
  sendUdp(to: string, toMac: string, ports: [from: number, to: number], data: Uint8Array): void {
    this.#send(ethernet(toMac, this.mac, ETHERTYPE.ipv4, ipv4(this.ip, to, UDP, udp(...ports, data))))
  }

  sendUdp6(to: string, ports: [from: number, to: number], data: Uint8Array): void {
    const datagram = udp(...ports, data)
    const sum = this.#sum6(to, UDP, datagram)
    datagram.writeUInt16BE(sum || 0xffff, 6)
    this.#send6(to, UDP, 64, datagram)
  }

  sendIcmp6(to: string, message: Buffer): void {
    message.writeUInt16BE(0, 2)
    message.writeUInt16BE(this.#sum6(to, ICMPV6, message), 2)
    this.#send6(to, ICMPV6, 255, message)
  }

  /** The first of what comes that `take` makes something of, or `undefined` after some time. */
  async receive<T>(take: (received: Received) => T | undefined, milliseconds = 5000): Promise<T | undefined> {
    return await new Promise(resolve => {
      const finish = (value?: T) => {
        clearTimeout(timer)
        this.#waiting.delete(look)
        resolve(value)
      }
      const look = (received: Received) => {
        const value = take(received)
        if (value !== undefined) finish(value)
      }
      const timer = setTimeout(finish, milliseconds)
      this.#waiting.add(look)
    })
  }

  #send6(to: string, protocol: number, hopLimit: number, payload: Buffer): void {
    const header = Buffer.alloc(8)
    header[0] = 0x60
    header.writeUInt16BE(payload.length, 4)
    header[6] = protocol
    header[7] = hopLimit
    const last = bytesOf(to)
    const toMac = to.startsWith('ff') ? `33:33:${(last.toString('hex', 12).match(/../g) ?? []).join(':')}` : BROADCAST
    this.#send(
      ethernet(toMac, this.mac, ETHERTYPE.ipv6, Buffer.concat([header, bytesOf(this.linkLocal), last, payload]))
    )
  }

  #sum6(to: string, protocol: number, payload: Buffer): number {
    const tail = Buffer.alloc(8)
    tail.writeUInt32BE(payload.length, 0)
    tail[7] = protocol
    return checksum(Buffer.concat([bytesOf(this.linkLocal), bytesOf(to), tail, payload]))
  }

  #send(frame: Uint8Array): void {
    writeSync(this.#tap.fds[0] as number, frame)
  }

  #take(frame: Buffer): void {
    const reply = answerFrame(frame, { mac: this.mac, ip: this.ip })
    if (reply) {
      this.#send(reply)
      return
    }
    const { source, type, payload } = parseEthernet(frame)
    const packet = type === ETHERTYPE.ipv4 ? parseIpv4(payload) : undefined
    const six = type === ETHERTYPE.ipv6 ? { protocol: payload[6] ?? 0, payload: payload.subarray(40) } : undefined
    const found = packet ?? six
    if (!found) return
    if (six) this.#answerNeighbour(six.protocol, six.payload, payload.subarray(8, 24))
    const received = { sourceMac: source, protocol: found.protocol, payload: found.payload }
    for (const look of [...this.#waiting]) look(received)
  }

  #answerNeighbour(protocol: number, payload: Buffer, from: Buffer): void {
    if (protocol !== ICMPV6 || payload[0] !== NEIGHBOUR_SOLICITATION) return
    if (!payload.subarray(8, 24).equals(bytesOf(this.linkLocal))) return
    const message = Buffer.alloc(32)
    message[0] = NEIGHBOUR_ADVERTISEMENT
    message[4] = 0x60
    bytesOf(this.linkLocal).copy(message, 8)
    message.set([2, 1, ...Buffer.from(this.mac.replaceAll(':', ''), 'hex')], 24)
    const to = (from.toString('hex').match(/.{4}/g) ?? []).join(':')
    this.sendIcmp6(to, message)
  }
}
