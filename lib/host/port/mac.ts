/** MAC addresses of guests, and of the host's side of their ports. */
import { randomBytes } from 'node:crypto'
import { invalidArgument, LinkwrightError } from '../../errors.js'
import { macNumber, macText } from '../../frames/packet/addresses.js'
import type { Netlink } from '../../link/netlink.js'
import { checkKeys } from '../../options.js'

/** Locally administered, and known as QEMU's and KVM's. */
const GUESTS = '52:54:00'
const MAC_BYTES = 6
/** A prefix that is nearly used up is not searched for ever. */
const ATTEMPTS = 64

export interface GenerateMacOptions {
  /** The first one to five bytes; `52:54:00` by default. */
  prefix?: string | undefined
  /** Addresses that are taken though no link or table shows it: of guests that are shut down, say. */
  avoid?: Iterable<string> | undefined
}

const KEYS: ReadonlySet<string> = new Set<keyof GenerateMacOptions>(['prefix', 'avoid'])

/**
 * A random MAC address for a guest that nobody has, as far as the namespace knows: no link, no forwarding entry, no
 * neighbour, and no port whose host side was derived from it ({@link hostSideMac}).
 *
 * @throws LinkwrightError `ERR_INVALID_ARG_VALUE`; `EADDRINUSE` if none is found
 */
export async function generateMac(net: Netlink, options: GenerateMacOptions = {}): Promise<string> {
  checkKeys(options, KEYS)
  const prefix = prefixBytes(options.prefix ?? GUESTS)
  const taken = await takenBy(net)
  for (const address of options.avoid ?? []) taken.add(number(address, 'avoid'))
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const bytes = randomBytes(MAC_BYTES)
    bytes.set(prefix)
    const address = macText(bytes.readUIntBE(0, MAC_BYTES))
    if (!taken.has(macNumber(address)) && !taken.has(macNumber(hostSideMac(address)))) return address
  }
  throw new LinkwrightError(`no free MAC address was found that begins with ${options.prefix ?? GUESTS}`, {
    code: 'EADDRINUSE',
    path: 'prefix'
  })
}

/**
 * The MAC address for the host's side of a guest's TAP: the guest's with `fe` in front, as libvirt has it. The same one
 * on both sides would make the bridge drop the guest's frames as its own, and one this high never becomes the bridge's.
 */
export function hostSideMac(address: string): string {
  const text = macText(number(address, 'address'))
  return (text.startsWith('fe:') ? 'fa' : 'fe') + text.slice(2)
}

async function takenBy(net: Netlink): Promise<Set<number>> {
  const [links, entries, neighbours] = await Promise.all([net.links.list(), net.fdb.list(), net.neighbours.list()])
  const addresses = [
    ...links.flatMap(({ address, permAddress }) => [address, permAddress]),
    ...entries.map(({ lladdr }) => lladdr),
    ...neighbours.map(({ lladdr }) => lladdr)
  ]
  const isMac = (address: unknown): address is string => typeof address === 'string' && MAC.test(address)
  return new Set(addresses.filter(isMac).map(macNumber))
}

const MAC = /^[\da-f]{2}(:[\da-f]{2}){5}$/i
const PREFIX = /^[\da-f]{2}(:[\da-f]{2}){0,4}$/i

function number(address: unknown, path: string): number {
  if (typeof address !== 'string' || !MAC.test(address)) throw invalidArgument(path, 'a MAC address', address)
  return macNumber(address)
}

function prefixBytes(prefix: unknown): Buffer {
  if (typeof prefix !== 'string' || !PREFIX.test(prefix)) {
    throw invalidArgument('prefix', 'one to five bytes of a MAC address (52:54:00)', prefix)
  }
  const bytes = Buffer.from(prefix.replaceAll(':', ''), 'hex')
  if ((bytes[0] as number) & 1) throw invalidArgument('prefix', 'that of a unicast address', prefix)
  return bytes
}
