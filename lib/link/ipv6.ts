/**
 * Links without IPv6 on the host's side.
 *
 * A link that comes up with IPv6 gets a link-local address and routes, for which the kernel walks the IPv6 routes of the
 * namespace (`fib6_ifup`, `fib6_add_rt2node`): thousands take quadratic time. A guest's port needs none of it, and should
 * not have it: the host would be reachable over it, and a macvtap would have its guest's own address.
 */
import { addon } from '../addon.js'
import { hostLittleEndian } from '../codec/endian.js'
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

/** Where to find masters. */
interface Finding {
  /** One that was looked up by its name. */
  linkOf(name: string): Link | undefined
  /** Those that there are. */
  find(indexes: readonly number[]): Promise<(Link | undefined)[]>
  /** Whether the namespace gives no new link IPv6. */
  isOff(): Promise<boolean>
}

/** What decides about the IPv6 of new links: looked at once for many of them. */
export class Ipv6Defaults {
  readonly #finding: Finding
  /** Kinds of masters that were given by ifindex. */
  readonly #kinds = new Map<number, string | undefined>()
  #off: Promise<boolean> | undefined
  #isOffAnyway = false

  constructor(finding: Finding) {
    this.#finding = finding
  }

  /** Masters that are given by name have been looked up. */
  async load(all: Iterable<Options>): Promise<void> {
    const wanted = new Set<number>()
    let concerned = false
    for (const { ipv6, kind, master, netns } of all) {
      if (ipv6 === true || netns !== undefined) continue
      concerned ||= ipv6 === false || kind === 'macvtap' || Boolean(master)
      const ref = typeof master === 'object' ? master?.index : master
      if (ipv6 !== undefined || kind === 'macvtap') continue
      if (typeof ref === 'number' && !this.#kinds.has(ref)) wanted.add(ref)
    }
    if (!concerned) return
    this.#off ??= this.#finding.isOff()
    this.#isOffAnyway = await this.#off
    if (this.#isOffAnyway || wanted.size === 0) return
    const indexes = [...wanted]
    const links = await this.#finding.find(indexes)
    for (const [at, index] of indexes.entries()) this.#kinds.set(index, links[at]?.kind)
  }

  /** Whether and why a link that is to be made gets no IPv6. */
  ipv6Of(options: Options): Ipv6Off | undefined {
    const { kind, master, netns } = options
    const given = checked(options)
    if (this.#isOffAnyway && netns === undefined) return undefined
    if (given || (kind !== 'macvtap' && !master)) return asked(options)
    if (kind === 'macvtap') return 'guest'
    if (netns !== undefined) return 'port'
    return this.#kindOf(master as LinkRef) === 'bridge' ? 'guest' : undefined
  }

  /** Ports of a VRF have to keep their IPv6. */
  #kindOf(master: LinkRef): string | undefined {
    if (typeof master === 'string') return this.#finding.linkOf(master)?.kind
    return this.#kinds.get(typeof master === 'object' ? master.index : master)
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

/** DEVCONF_DISABLE_IPV6 (linux/ipv6.h): where IFLA_INET6_CONF, an array of `s32`, tells it. */
const DISABLE_IPV6 = 4 * 26

/** Whether a link has IPv6; `undefined` where the kernel does not say: without IPv6, or with an MTU below 1280. */
export function hasIpv6({ afSpec }: Link): boolean | undefined {
  const conf = afSpec?.inet6?.conf
  if (!conf || conf.byteLength < DISABLE_IPV6 + 4) return undefined
  return new DataView(conf.buffer, conf.byteOffset).getInt32(DISABLE_IPV6, hostLittleEndian) === 0
}

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

  /** Gives a link back what {@link off} took: by name, which is how the kernel has it. */
  async on(name: string): Promise<void> {
    const there = this.#ownNetns ? undefined : await addon().openNetns(this.#socket.native)
    try {
      await addon().writeSysctl(there?.fds[0] ?? -1, `ipv6/conf/${name}/disable_ipv6`, '0')
    } catch (error) {
      throw nativeError(error, { link: name })
    } finally {
      await there?.close()
    }
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

/** Whether the namespace of a socket gives no new link IPv6. */
export async function isIpv6OffByDefault(socket: NetlinkSocket, ownNetns: boolean): Promise<boolean> {
  const there = ownNetns ? undefined : await addon().openNetns(socket.native)
  try {
    return (await addon().readSysctl(there?.fds[0] ?? -1, 'ipv6/conf/default/disable_ipv6')).trim() === '1'
  } catch {
    return false
  } finally {
    await there?.close()
  }
}

/** Whether /proc/sys/net is not ours to write, as in many containers. */
export function isRefusal(error: unknown): boolean {
  return error instanceof LinkwrightError && ['EROFS', 'EACCES', 'EPERM'].includes(error.code ?? '')
}
