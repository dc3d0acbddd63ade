/** A kernel played by the test at the other end of a socket pair, and netlink bytes made by hand. */
import { closeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { addon } from '../../lib/addon.js'
import type { AnyCodec } from '../../lib/codec/codec.js'
import { Writer } from '../../lib/codec/writer.js'
import type { Request } from '../../lib/netlink/request.js'
import { NetlinkSocket } from '../../lib/netlink/socket.js'
import { rtnetlink } from '../../lib/rtnetlink/verbs.js'

export const NLMSG_ERROR = 2
export const NLMSG_DONE = 3
export const NLM_F_REQUEST = 1
export const NLM_F_MULTI = 2
export const NLM_F_ACK = 4
export const NLM_F_DUMP_INTR = 0x10
export const NLM_F_CAPPED = 0x100
export const NLM_F_ACK_TLVS = 0x200

/** A request as the fake kernel received it. */
export interface Received {
  type: number
  flags: number
  sequence: number
  /** The whole message. */
  bytes: Buffer
}

/** Integers in the machine's byte order. */
export const u8 = (value: number) => Buffer.of(value)
export const u16 = (value: number) => Buffer.from(Uint16Array.of(value).buffer)
export const u32 = (value: number) => Buffer.from(Uint32Array.of(value).buffer)
export const s32 = (value: number) => Buffer.from(Int32Array.of(value).buffer)
export const u64 = (value: bigint) => Buffer.from(BigUint64Array.of(value).buffer)
/** Text with its closing NUL. */
export const text = (value: string) => Buffer.from(`${value}\0`)

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)])
}

/** struct nlattr, its payload, and padding. */
export function attr(type: number, ...payload: Buffer[]): Buffer {
  const body = Buffer.concat(payload)
  return padded(Buffer.concat([u16(body.length + 4), u16(type), body]))
}

/** struct nlmsghdr, a payload, and padding. */
export function nlmsg(type: number, flags: number, sequence: number, ...payload: Buffer[]): Buffer {
  const body = Buffer.concat(payload)
  return padded(Buffer.concat([u32(body.length + 16), u16(type), u16(flags), u32(sequence), u32(0), body]))
}

/** NLMSG_ERROR as the kernel sends it to a socket with NETLINK_CAP_ACK; errno 0 is an acknowledgement. */
export function ack(request: Received, errno = 0, ...extack: Buffer[]): Buffer {
  const flags = NLM_F_CAPPED | (extack.length > 0 ? NLM_F_ACK_TLVS : 0)
  return nlmsg(NLMSG_ERROR, flags, request.sequence, s32(errno), request.bytes.subarray(0, 16), ...extack)
}

export function done(request: Received, errno = 0, flags = 0, ...extack: Buffer[]): Buffer {
  const tlvs = extack.length > 0 ? NLM_F_ACK_TLVS : 0
  return nlmsg(NLMSG_DONE, NLM_F_MULTI | flags | tlvs, request.sequence, s32(errno), ...extack)
}

/** The messages of one datagram. */
export function split(datagram: Buffer): Received[] {
  const requests: Received[] = []
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.length)
  const little = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1
  for (let at = 0; at < datagram.length; ) {
    const length = view.getUint32(at, little)
    requests.push({
      type: view.getUint16(at + 4, little),
      flags: view.getUint16(at + 6, little),
      sequence: view.getUint32(at + 8, little),
      bytes: datagram.subarray(at, at + length)
    })
    at += (length + 3) & ~3
  }
  return requests
}

/** A request of a type that no schema knows, with `payload` behind the header. */
export function request(type: number, payload: Buffer = Buffer.alloc(4), flags = NLM_F_REQUEST): Request {
  return { verb: `TEST_${type}`, type, flags, bytes: nlmsg(type, flags, 0, payload), since: '' }
}

export class FakeKernel {
  readonly socket: NetlinkSocket
  readonly #fd: number
  readonly #waiting: Received[] = []

  constructor() {
    const [own, theirs] = addon().unixPair(5)
    this.#fd = own
    this.socket = NetlinkSocket.adopt(addon().adoptNetlink(theirs), rtnetlink)
  }

  /** The next datagram as it came, or undefined if none comes within `patience` milliseconds. */
  async datagram(patience = 5000): Promise<Buffer | undefined> {
    const room = Buffer.alloc(1 << 20)
    for (const end = performance.now() + patience; performance.now() < end; await sleep(1)) {
      const received = addon().unixReceive(this.#fd, room)
      if (received) return received.bytes > 0 ? room.subarray(0, received.bytes) : undefined
    }
    return undefined
  }

  /** The next request, whatever datagram it came in. */
  async next(): Promise<Received> {
    if (this.#waiting.length === 0) this.#waiting.push(...split((await this.datagram()) ?? Buffer.alloc(0)))
    const first = this.#waiting.shift()
    if (!first) throw new Error('no request arrived')
    return first
  }

  /** Whether nothing more was sent. */
  async quiet(patience = 50): Promise<boolean> {
    return this.#waiting.length === 0 && (await this.datagram(patience)) === undefined
  }

  /** Sends one datagram. */
  async say(...messages: Buffer[]): Promise<void> {
    const datagram = Buffer.concat(messages)
    for (const end = performance.now() + 5000; performance.now() < end; await sleep(1)) {
      if (addon().unixSend(this.#fd, datagram, []) >= 0) return
    }
    throw new Error('the socket took nothing for five seconds')
  }

  /** Hangs up. */
  hangUp(): void {
    closeSync(this.#fd)
  }

  [Symbol.dispose](): void {
    this.socket.close()
    try {
      this.hangUp()
    } catch {}
  }
}

/** The bytes that a codec makes of a value. */
export function encode(codec: AnyCodec, value: unknown, creating = false): Buffer {
  const writer = new Writer()
  writer.creating = creating
  codec.write(writer, value)
  return Buffer.from(writer.copy())
}

/** What a codec makes of bytes; they lie at an odd place of a larger buffer, as attributes do. */
export function decode(codec: AnyCodec, bytes: Uint8Array): unknown {
  const around = Buffer.concat([Buffer.alloc(7, 0xaa), bytes, Buffer.alloc(9, 0x55)])
  return codec.read(new DataView(around.buffer, around.byteOffset, around.length), 7, bytes.length)
}

/** The error that `call` throws. */
export function thrown(call: () => unknown): { code?: string; path?: string; allowed?: string; message: string } {
  try {
    call()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}
