/** Which processes have the descriptors of links open: TUNs, TAPs, and the character devices of macvtaps. */
import { addon } from '../addon.js'
import { nativeError } from '../errors.js'
import type { NetlinkSocket } from '../netlink/socket.js'
import { type NetnsRef, withNetns } from '../netns.js'
import type { Link } from './link.js'

/** A process that has a device open. */
export interface Holder {
  readonly pid: number
  /** As the kernel keeps it: its first 15 bytes. */
  readonly command: string
}

/** A link, and who has it open. */
export interface LinkHolders {
  readonly link: Link
  readonly holders: Holder[]
  /**
   * Whether anybody has it open. `true` without a holder: the kernel says so, but it is nobody that may be looked at.
   * `undefined`: not to be known, as there are such processes, or a descriptor is on its way between two (SCM_RIGHTS).
   */
  readonly held: boolean | undefined
}

/** What one pass over all processes found. */
export interface Holdings<T> {
  readonly holders: Map<T, Holder[]>
  /** Those whose holders cannot be found. */
  readonly unknown: Set<T>
  /** Descriptors, of whatever, that wait in messages for somebody to receive them: look again when they have arrived. */
  readonly inFlight: number
  /** Some process could not be looked at. */
  readonly incomplete: boolean
}

/** A TUN or TAP by its name, or a macvtap or ipvtap by all it has. */
interface Openable {
  readonly kind?: string | undefined
  readonly name?: string | undefined
  readonly index?: number
  readonly address?: string | undefined
}

/** Who has TUNs and TAPs of these names open in a namespace, but for descriptors of this process that do not count. */
export async function holdersByName(
  netns: NetnsRef | undefined,
  names: readonly string[],
  excluded: readonly number[] = []
): Promise<Omit<Holdings<string>, 'unknown'>> {
  const devices = names.map(name => ({ kind: 'tun', name }))
  const { holders, inFlight, incomplete } = await findHolders(netns, devices, excluded)
  return { holders: new Map([...holders].map(([{ name }, who]) => [name, who])), inFlight, incomplete }
}

/** Who has links open; those of other kinds have no descriptors. */
export async function findHolders<T extends Openable>(
  netns: NetnsRef | undefined,
  links: readonly T[],
  excluded: readonly number[] = []
): Promise<Holdings<T>> {
  const tuns = links.filter(link => link.kind === 'tun')
  const macvtaps = links.filter(isMacvtap)
  const query = {
    names: tuns.map(({ name = '' }) => name),
    macvtaps: macvtaps.map(({ name = '', index = 0, address }) => ({ name, index, address: bytesOf(address) })),
    excluded: [...excluded]
  }
  const asked = [...tuns, ...macvtaps]
  const holders = new Map<T, Holder[]>()
  const { processes, holdings, unknown, inFlight, incomplete } = await scan(netns, query)
  for (let at = 0; at < holdings.length; at += 2) {
    const link = asked[holdings[at] as number] as T
    const holder = processes[holdings[at + 1] as number] as Holder
    const others = holders.get(link)
    if (others) others.push(holder)
    else holders.set(link, [holder])
  }
  return { holders, unknown: new Set([...unknown].map(at => asked[at] as T)), inFlight, incomplete }
}

async function scan(netns: NetnsRef | undefined, query: Parameters<ReturnType<typeof addon>['findHolders']>[1]) {
  try {
    return await withNetns(netns, fd => addon().findHolders(fd, query))
  } catch (error) {
    throw nativeError(error)
  }
}

/** The same of links that were just listed, with what the kernel itself knows of them. */
export async function holdersOfLinks(
  socket: NetlinkSocket,
  netns: NetnsRef | undefined,
  links: readonly Link[]
): Promise<{ found: LinkHolders[]; inFlight: number }> {
  if (!links.some(isOpenable)) return { found: links.map(nobody), inFlight: 0 }
  const place = await placeOf(socket)
  try {
    const { holders, unknown, inFlight, incomplete } = await findHolders(
      place ? { fd: place.fds[0] as number } : netns,
      links
    )
    const found = links.map(link => {
      if (!isOpenable(link)) return nobody(link)
      const known = holders.get(link) ?? []
      const sure = known.length > 0 || isAttached(link)
      const unsure = incomplete || inFlight > 0 || unknown.has(link)
      return { link, holders: known, held: sure || (unsure && !tellsQueues(link) ? undefined : false) }
    })
    return { found, inFlight }
  } finally {
    await place?.close()
  }
}

/** What the socket was opened with may mean another namespace by now; where it may not be asked, that is what there is. */
async function placeOf(socket: NetlinkSocket) {
  const { native } = socket
  return await addon()
    .openNetns(native)
    .catch(() => undefined)
}

function nobody(link: Link): LinkHolders {
  return { link, holders: [], held: false }
}

/** Whether a link is of a kind that has descriptors. */
export function isOpenable(link: Openable): boolean {
  return link.kind === 'tun' || isMacvtap(link)
}

function isMacvtap({ kind }: Openable): boolean {
  return kind === 'macvtap' || kind === 'ipvtap'
}

/**
 * Whether the kernel says that somebody has a TUN or TAP open: it would be gone if it does not persist, nobody else can
 * give it a carrier (tun_net_change_carrier()), and queues are counted where there may be several.
 */
function isAttached(link: Link): boolean {
  if (!link.is('tun')) return false
  const { persist, numQueues = 0, numDisabledQueues = 0 } = link.data
  return persist !== true || link.carrier === true || numQueues + numDisabledQueues > 0
}

/** Whether the kernel counts the queues, so that there is nothing else to be known. */
function tellsQueues(link: Link): boolean {
  return link.is('tun') && link.data.numQueues !== undefined
}

function bytesOf(address = ''): Uint8Array {
  const bytes = Uint8Array.from(address.split(':'), byte => Number.parseInt(byte, 16))
  return bytes.length === 6 ? bytes : new Uint8Array(6)
}
