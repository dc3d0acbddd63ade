/** Telling a network where a guest is now, by frames that its own port sends in its name. */
import { setTimeout } from 'node:timers/promises'
import { ipv4, ipv6, mac } from '../../codec/addresses.js'
import type { Codec } from '../../codec/codec.js'
import { Writer } from '../../codec/writer.js'
import { invalidArgument, LinkwrightError } from '../../errors.js'
import { internetChecksum, onesSum } from '../../frames/packet/checksum.js'
import { ETHERTYPE, IPPROTO } from '../../frames/packet/numbers.js'
import { checkKeys } from '../../options.js'
import type { QueueDevice } from '../../tap/queue-device.js'

export interface AnnounceOptions {
  /** The guest's MAC address. */
  address: string
  /** The guest's IP addresses, so that neighbours learn them too. */
  ips?: readonly string[] | undefined
  /** How often, for a frame may be lost: 5 times by default, within a second. */
  rounds?: number | undefined
  signal?: AbortSignal | undefined
}

const KEYS: ReadonlySet<string> = new Set<keyof AnnounceOptions>(['address', 'ips', 'rounds', 'signal'])
const MOST_ROUNDS = 100

/** Milliseconds between rounds, as QEMU's `announce-self` has them: 50, 150, 250, … */
const FIRST_PAUSE = 50
const LONGER_EACH = 100
const LONGEST_PAUSE = 550

/** What the longest frame takes (86 bytes), and with a virtio-net header and its alignment in the batch. */
const ROOM = 128
const SLOT = 256

/**
 * Announces a guest that has come by a TAP or macvtap: a RARP request, from which switches and bridges learn where its MAC
 * address is now; for its IP addresses a gratuitous ARP (RFC 5227) or an unsolicited neighbour advertisement (RFC 4861),
 * from which its neighbours learn that MAC address. They go into the network as if the guest had sent them.
 *
 * @throws LinkwrightError `ERR_INVALID_ARG_VALUE`; `EIO` while the device is down; the signal's reason
 */
export async function announce(device: QueueDevice, options: AnnounceOptions): Promise<void> {
  checkKeys(options, KEYS)
  const { ips = [], rounds = 5, signal } = options
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > MOST_ROUNDS) {
    throw invalidArgument('rounds', `a number from 1 to ${MOST_ROUNDS}`, rounds)
  }
  if (!Array.isArray(ips)) throw invalidArgument('ips', 'an array of IP addresses', ips)
  const address = encoded(mac, options.address, 'address')
  const frames = [rarp(address), ...ips.map((ip, at) => announcementOf(address, ip, `ips[${at}]`))]
  if (device.layer !== 'ethernet') throw invalidArgument('device', 'one that has Ethernet frames', device.name)
  await device.readVnetHeaderSize()
  const queue = device.frames()
  const batch = queue.createBatch({ frames: frames.length, room: ROOM, bytes: (frames.length + 1) * SLOT })
  for (const frame of frames) batch.push(frame)
  for (let round = 0; ; round++) {
    signal?.throwIfAborted()
    await queue.write(batch)
    if (round + 1 === rounds) return
    const pause = Math.min(FIRST_PAUSE + round * LONGER_EACH, LONGEST_PAUSE)
    await setTimeout(pause, undefined, { signal }).catch(() => signal?.throwIfAborted())
  }
}

const BROADCAST = new Uint8Array(6).fill(0xff)
/** ff02::1 */
const ALL_NODES = Uint8Array.from([0xff, 0x02, ...new Array(13).fill(0), 1])
const ALL_NODES_MAC = Uint8Array.from([0x33, 0x33, 0, 0, 0, 1])
const ETHERTYPE_RARP = 0x8035
/** Without the checksum that follows. */
const SHORTEST = 60

const ARP_REQUEST = 1
const RARP_REQUEST = 3

function rarp(address: Uint8Array): Uint8Array {
  const nobody = new Uint8Array(4)
  return frame(BROADCAST, address, ETHERTYPE_RARP, arpBody(RARP_REQUEST, address, nobody, address, nobody))
}

function announcementOf(address: Uint8Array, ip: string, path: string): Uint8Array {
  if (typeof ip === 'string' && ip.includes(':')) return advertisement(address, encoded(ipv6, ip, path))
  const sender = encoded(ipv4, ip, path)
  const body = arpBody(ARP_REQUEST, address, sender, new Uint8Array(6), sender)
  return frame(BROADCAST, address, ETHERTYPE.ARP, body)
}

function arpBody(
  operation: number,
  senderMac: Uint8Array,
  senderIp: Uint8Array,
  targetMac: Uint8Array,
  targetIp: Uint8Array
): Uint8Array {
  return Buffer.concat([Uint8Array.from([0, 1, 8, 0, 6, 4, 0, operation]), senderMac, senderIp, targetMac, targetIp])
}

const NEIGHBOUR_ADVERTISEMENT = 136
/** What is known of the address is replaced. */
const OVERRIDE = 0x20
const TARGET_LINK_LAYER_ADDRESS = 2
const CHECKSUM_AT = 2

function advertisement(address: Uint8Array, ip: Uint8Array): Uint8Array {
  const body = Buffer.concat([
    Uint8Array.from([NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, OVERRIDE, 0, 0, 0]),
    ip,
    Uint8Array.from([TARGET_LINK_LAYER_ADDRESS, 1]),
    address
  ])
  const addresses = Buffer.concat([ip, ALL_NODES])
  const pseudoHeader = onesSum(addresses, 0, addresses.length, body.length + IPPROTO.ICMPV6)
  body.writeUInt16BE(internetChecksum(body, 0, body.length, pseudoHeader), CHECKSUM_AT)
  const header = Uint8Array.from([0x60, 0, 0, 0, 0, body.length, IPPROTO.ICMPV6, 255])
  return frame(ALL_NODES_MAC, address, ETHERTYPE.IPV6, Buffer.concat([header, addresses, body]))
}

function frame(destination: Uint8Array, source: Uint8Array, type: number, payload: Uint8Array): Uint8Array {
  const bytes = Buffer.concat([destination, source, Uint8Array.from([type >> 8, type & 255]), payload])
  return bytes.length < SHORTEST ? Buffer.concat([bytes, Buffer.alloc(SHORTEST - bytes.length)]) : bytes
}

function encoded(codec: Codec<string>, text: string, path: string): Uint8Array {
  const writer = new Writer()
  try {
    codec.write(writer, text)
  } catch (error) {
    throw error instanceof LinkwrightError ? invalidArgument(path, codec.expects, text) : error
  }
  return writer.copy()
}
