/** A DHCP client (RFC 2131), and one of DHCPv6 (RFC 8415), of a guest's. */
import { BROADCAST } from './frames.js'
import type { GuestStack, Received } from './guest-stack.js'

const UDP = 17
const COOKIE = 0x63825363
export const DHCP = { discover: 1, offer: 2, request: 3, ack: 5, nak: 6, release: 7 } as const
const OPTION = { hostname: 12, address: 50, type: 53, server: 54, asked: 55 } as const

export interface DhcpAnswer {
  type: number
  address: string
  /** By number, raw. */
  options: Map<number, Buffer>
}

export interface Bound {
  address: string
  server: string
  serverMac: string
  options: Map<number, Buffer>
}

const dotted = (bytes: Buffer) => [...bytes].join('.')
const packed = (ip: string) => Buffer.from(ip.split('.').map(Number))
let transaction = 0x1000_0000

function message(guest: GuestStack, xid: number, type: number, options: [number, Uint8Array][], ciaddr = '0.0.0.0') {
  const head = Buffer.alloc(240)
  head.set([1, 1, 6, 0], 0)
  head.writeUInt32BE(xid, 4)
  // Answers by broadcast: there is no address yet.
  head.writeUInt16BE(ciaddr === '0.0.0.0' ? 0x8000 : 0, 10)
  packed(ciaddr).copy(head, 12)
  Buffer.from(guest.mac.replaceAll(':', ''), 'hex').copy(head, 28)
  head.writeUInt32BE(COOKIE, 236)
  const all: [number, Uint8Array][] = [[OPTION.type, Buffer.of(type)], ...options]
  return Buffer.concat([head, ...all.flatMap(([code, data]) => [Buffer.of(code, data.length), data]), Buffer.of(255)])
}

function parse({ protocol, payload }: Received, xid: number): DhcpAnswer | undefined {
  if (protocol !== UDP || payload.readUInt16BE(2) !== 68) return undefined
  const data = payload.subarray(8)
  if (data.readUInt32BE(4) !== xid) return undefined
  const options = new Map<number, Buffer>()
  for (let at = 240; at < data.length && data[at] !== 255; ) {
    if (data[at] === 0) at++
    else {
      const length = data[at + 1] ?? 0
      options.set(data[at] ?? 0, data.subarray(at + 2, at + 2 + length))
      at += 2 + length
    }
  }
  return { type: options.get(OPTION.type)?.[0] ?? 0, address: dotted(data.subarray(16, 20)), options }
}

/** The options that the tests look at. */
const ASKED = Buffer.of(1, 3, 6, 12, 15, 26, 51, 121)

async function ask(guest: GuestStack, type: number, options: [number, Uint8Array][], wait = 5000) {
  const xid = transaction++
  const common: [number, Uint8Array][] = [[OPTION.asked, ASKED]]
  let serverMac = ''
  const answer = guest.receive(received => {
    const parsed = parse(received, xid)
    if (parsed) serverMac = received.sourceMac
    return parsed
  }, wait)
  guest.sendUdp('255.255.255.255', BROADCAST, [68, 67], message(guest, xid, type, [...options, ...common]))
  const parsed = await answer
  return parsed && { ...parsed, serverMac }
}

export async function discover(guest: GuestStack, hostname?: string, wait?: number) {
  guest.ip = '0.0.0.0'
  return await ask(guest, DHCP.discover, hostname ? [[OPTION.hostname, Buffer.from(hostname)]] : [], wait)
}

/** DISCOVER, OFFER, REQUEST, ACK: the guest has the address then. */
export async function obtain(guest: GuestStack, hostname?: string): Promise<Bound> {
  const offer = await discover(guest, hostname)
  if (offer?.type !== DHCP.offer) throw new Error('no offer')
  const server = offer.options.get(OPTION.server) ?? Buffer.alloc(4)
  const ack = await ask(guest, DHCP.request, [
    [OPTION.address, packed(offer.address)],
    [OPTION.server, server],
    ...(hostname ? [[OPTION.hostname, Buffer.from(hostname)] as [number, Uint8Array]] : [])
  ])
  if (ack?.type !== DHCP.ack) throw new Error(`no ACK but ${ack?.type}`)
  guest.ip = ack.address
  return { address: ack.address, server: dotted(server), serverMac: ack.serverMac, options: ack.options }
}

export function release(guest: GuestStack, bound: Bound): void {
  const data = message(guest, transaction++, DHCP.release, [[OPTION.server, packed(bound.server)]], bound.address)
  guest.sendUdp(bound.server, bound.serverMac, [68, 67], data)
}

const SIX = { solicit: 1, advertise: 2, request: 3, reply: 7, informationRequest: 11 } as const
const SIX_OPTION = { client: 1, server: 2, iaNa: 3, address: 5, asked: 6, dns: 23 } as const

const option6 = (code: number, data: Uint8Array) => {
  const head = Buffer.alloc(4)
  head.writeUInt16BE(code, 0)
  head.writeUInt16BE(data.length, 2)
  return Buffer.concat([head, data])
}

function options6(data: Buffer): Map<number, Buffer> {
  const options = new Map<number, Buffer>()
  for (let at = 0; at + 4 <= data.length; at += 4 + data.readUInt16BE(at + 2)) {
    options.set(data.readUInt16BE(at), data.subarray(at + 4, at + 4 + data.readUInt16BE(at + 2)))
  }
  return options
}

async function ask6(guest: GuestStack, type: number, options: Buffer[]) {
  const xid = transaction++ & 0xffffff
  const answer = guest.receive(({ protocol, payload }) => {
    if (protocol !== UDP || payload.readUInt16BE(2) !== 546 || payload.readUIntBE(9, 3) !== xid) return undefined
    return { type: payload[8], options: options6(payload.subarray(12)) }
  })
  const head = Buffer.of(type, xid >> 16, xid >> 8, xid)
  guest.sendUdp6('ff02::1:2', [546, 547], Buffer.concat([head, ...options]))
  return await answer
}

/** DUID-LL, which has the MAC in it. */
export const duidOf = (guest: GuestStack) => `00:03:00:01:${guest.mac}`

const client = (guest: GuestStack) => option6(SIX_OPTION.client, Buffer.from(duidOf(guest).replaceAll(':', ''), 'hex'))

/** SOLICIT, ADVERTISE, REQUEST, REPLY: the address of the reply. */
export async function obtain6(guest: GuestStack): Promise<string | undefined> {
  const iaNa = Buffer.alloc(12)
  iaNa.writeUInt32BE(7, 0)
  const advertise = await ask6(guest, SIX.solicit, [client(guest), option6(SIX_OPTION.iaNa, iaNa)])
  if (advertise?.type !== SIX.advertise) return undefined
  const server = option6(SIX_OPTION.server, advertise.options.get(SIX_OPTION.server) ?? Buffer.alloc(0))
  const offered = option6(SIX_OPTION.iaNa, advertise.options.get(SIX_OPTION.iaNa) ?? iaNa)
  const reply = await ask6(guest, SIX.request, [client(guest), server, offered])
  if (reply?.type !== SIX.reply) return undefined
  const address = options6((reply.options.get(SIX_OPTION.iaNa) ?? Buffer.alloc(12)).subarray(12)).get(
    SIX_OPTION.address
  )
  if (!address) return undefined
  const groups = address.toString('hex', 0, 16).match(/.{4}/g) ?? []
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1)
}

/** INFORMATION-REQUEST: whether a DNS server is told. */
export async function inform6(guest: GuestStack): Promise<boolean> {
  const reply = await ask6(guest, SIX.informationRequest, [client(guest), option6(SIX_OPTION.asked, Buffer.of(0, 23))])
  return reply?.options.has(SIX_OPTION.dns) ?? false
}
