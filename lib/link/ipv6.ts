/**
 * Links without IPv6 on the host's side.
 *
 * A link that comes up with IPv6 gets a link-local address and routes, for which the kernel walks the IPv6 routes of the
 * namespace (`fib6_ifup`, `fib6_add_rt2node`): thousands take quadratic time. A guest's port needs none of it, and should
 * not have it: the host would be reachable over it, and a macvtap would have its guest's own address.
 */
import { addon } from '../addon.js'
import { invalidArgument, LinkwrightError, nativeError } from '../errors.js'
import type { NetlinkSocket } from '../netlink/socket.js'
import type { Link, LinkRef } from './link.js'

/** What of a link's options decides about its IPv6. */
interface Options {
  ipv6?: unknown
  kind?: unknown
  master?: LinkRef | null | undefined
  netns?: unknown
}

/** Off because it was asked for, because it is a guest's port, or if the link proves to be the port of a bridge. */
export type Ipv6Off = 'asked' | 'guest' | 'port'

/** Looks at each master once: ports of a VRF have to keep their IPv6. */
export class Masters {
  readonly #get: (ref: LinkRef) => Promise<Link>
  readonly #bridges = new Map<string | number, boolean>()

  constructor(get: (ref: LinkRef) => Promise<Link>) {
    this.#get = get
  }

  async load(all: Iterable<Options>): Promise<void> {
    const wanted = new Set<string | number>()
    for (const { ipv6, master, netns } of all) {
      const ref = typeof master === 'object' ? master?.index : master
      if (ipv6 === undefined && netns === undefined && ref && !this.#bridges.has(ref)) wanted.add(ref)
    }
    if (wanted.size === 0) return
    const look = async (ref: string | number) => this.#bridges.set(ref, (await this.#get(ref)).kind === 'bridge')
    // One that is not there is refused when it is used.
    await Promise.allSettled([...wanted].map(look))
  }

  /** Whether and why a link that is to be made gets no IPv6. */
  ipv6Of(options: Options): Ipv6Off | undefined {
    const { kind, master, netns } = options
    if (checked(options) || (kind !== 'macvtap' && !master)) return asked(options)
    if (kind === 'macvtap') return 'guest'
    if (netns !== undefined) return 'port'
    return this.#bridges.get(typeof master === 'object' ? (master?.index ?? 0) : (master as string | number))
      ? 'guest'
      : undefined
  }
}

/** The same of a veth's peer, whose master is looked at when it has it. */
export function ipv6OfPeer(peer: Options): Ipv6Off | undefined {
  return checked(peer) || !peer.master ? asked(peer) : 'port'
}

const checked = ({ ipv6 }: Options): boolean => {
  if (ipv6 !== undefined && typeof ipv6 !== 'boolean') throw invalidArgument('ipv6', 'true or false', ipv6)
  return ipv6 !== undefined
}

const asked = ({ ipv6 }: Options): Ipv6Off | undefined => (ipv6 === false ? 'asked' : undefined)

/** Takes IPv6 from links of a socket's namespace: those of one turn of the event loop together. */
export class Ipv6Switch {
  readonly #socket: NetlinkSocket
  readonly #ownNetns: boolean
  #next: { indexes: number[]; errors: Promise<number[]> } | undefined

  constructor(socket: NetlinkSocket, ownNetns: boolean) {
    this.#socket = socket
    this.#ownNetns = ownNetns
  }

  /** @throws LinkwrightError `EROFS`, `EACCES` where /proc/sys/net cannot be written */
  async off(index: number): Promise<void> {
    this.#next ??= this.#gather()
    const { indexes, errors } = this.#next
    const at = indexes.push(index) - 1
    let errno: number | undefined
    try {
      errno = (await errors)[at]
    } catch (error) {
      throw nativeError(error, { link: index })
    }
    if (errno) throw nativeError({ errno, syscall: 'write(disable_ipv6)' }, { link: index })
  }

  #gather(): { indexes: number[]; errors: Promise<number[]> } {
    const indexes: number[] = []
    const errors = Promise.resolve().then(() => {
      this.#next = undefined
      return addon().disableIpv6(this.#ownNetns ? null : this.#socket.native, indexes)
    })
    return { indexes, errors }
  }
}

/** Whether /proc/sys/net is not ours to write, as in many containers. */
export function isRefusal(error: unknown): boolean {
  return error instanceof LinkwrightError && ['EROFS', 'EACCES', 'EPERM'].includes(error.code ?? '')
}
