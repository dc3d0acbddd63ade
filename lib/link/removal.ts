/**
 * Removing many links at once.
 *
 * One by one the kernel waits 15-20 ms for each (an RCU grace period). Links of one group (IFLA_GROUP) are removed by one
 * message and one wait: so they are put into a group that nobody else uses, and that is removed.
 */
import { randomInt } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { addon, type NativeDescriptors } from '../addon.js'
import { amend, LinkwrightError } from '../errors.js'
import { kernelAtLeast } from '../kernel-release.js'
import type { Cancellation } from '../netlink/cancellation.js'
import type { Request } from '../netlink/request.js'
import { type BatchResult, NetlinkSocket } from '../netlink/socket.js'
import { RTM } from '../rtnetlink/verbs.js'
import { Link } from './link.js'
import {
  changeRequest,
  deleteGroupRequest,
  deleteRequest,
  getRequest,
  listRequest,
  readdressed
} from './link-requests.js'
import { groupAlias, isOwnerGroup } from './owner.js'
import { Progress } from './progress.js'

/** Links removed by one message. The kernel does nothing else to links meanwhile (RTNL), for some 0.3 s. */
const TOGETHER = 1024
/** A bridge takes the kernel 17 ms in whatever company. */
const BRIDGES_TOGETHER = 16
/** Requests per exchange, exchanges under way, and links looked at before the event loop turns. */
const CHUNK = 64
const IN_FLIGHT = 4
const LOOKED_AT = 256
/** So many are found faster in one dump of all links than one by one. */
const DUMPED_FROM = 256

/** Groups that nobody uses by accident: those of people are small numbers. */
const GROUP_FROM = 0x4000_0000
const GROUP_TO = 0x7fff_0000
/** Choices of groups until nobody is in them. */
const ATTEMPTS = 3

/** Whether a group is one of those that links are removed by: several, from a random one on. */
export function isRemovalGroup(group: number): boolean {
  return group >= GROUP_FROM && group <= 0x7fff_ffff
}

export interface RemovalOptions {
  ifExists: boolean
  /** Whether a link with an ifindex of the list is one that was meant; looked at until it is removed. */
  isMeant?: ((link: Link) => boolean) | undefined
  cancel: Cancellation
  onProgress: ((done: number, total: number) => void) | undefined
}

type Settled = PromiseSettledResult<void>

/** A link of the list. */
interface Member {
  readonly link: Link
  /** What identifies it beside its ifindex, which another link may have by now. */
  readonly kind: string | undefined
  readonly address: string | undefined
  readonly groupBefore: number
  /** What says the owner while the group cannot, for a link without an alias: should we be killed, it is found by that. */
  readonly tag: string | undefined
  result?: Settled
}

const DONE: Settled = { status: 'fulfilled', value: undefined }

/** Removes links, a result each. Links that are not in the list are never touched. */
export async function removeLinks(
  socket: NetlinkSocket,
  refs: readonly (string | number)[],
  options: RemovalOptions
): Promise<Settled[]> {
  const removal = new Removal(socket, refs.length, options)
  const found = await removal.find(refs)
  const members = new Map<number, Member>()
  for (const item of found) {
    if ('link' in item && !members.has(item.link.index)) members.set(item.link.index, item)
    // Not there, or there twice.
    else removal.progressed()
  }
  await removal.remove([...members.values()])
  return found.map((item, at) => {
    const result = 'link' in item ? (members.get(item.link.index)?.result ?? DONE) : rejected(item.error)
    return options.ifExists && isAbsence(result) ? DONE : numbered(result, refs.length > 1 ? at : undefined)
  })
}

class Removal {
  readonly #socket: NetlinkSocket
  readonly #options: RemovalOptions
  readonly #total: number
  readonly #progress: Progress<number>
  #done = 0
  /** The socket's namespace: should the socket be closed on the way, links are put back over another one. */
  #place: NativeDescriptors | undefined

  constructor(socket: NetlinkSocket, total: number, options: RemovalOptions) {
    this.#socket = socket
    this.#total = total
    this.#options = options
    this.#progress = new Progress(options.onProgress)
  }

  /** The links that the references mean now. */
  async find(refs: readonly (string | number)[]): Promise<(Member | { error: unknown })[]> {
    if (refs.length >= DUMPED_FROM) {
      const links = await this.#all()
      if (links) return refs.map(ref => this.#member(ref, links.get(ref)))
    }
    const answers = await this.#exchange(refs.map(ref => getRequest(ref, false)))
    return answers.map((answer, at) => {
      if (answer.error !== undefined) return { error: answer.error }
      const reply = answer.replies.find(({ type }) => type === RTM.RTM_NEWLINK)
      return this.#member(refs[at] as string | number, reply && new Link(reply))
    })
  }

  /** All links by whatever names them, if they hold still enough. */
  async #all(): Promise<Map<string | number, Link> | undefined> {
    const there = await this.#dump()
    if (!there) return undefined
    const links = new Map<string | number, Link>()
    for (const [at, link] of there.entries()) {
      if (at % LOOKED_AT === LOOKED_AT - 1) await setImmediate()
      links.set(link.index, link)
      if (link.name !== undefined) links.set(link.name, link)
      for (const name of link.altnames) links.set(name, link)
    }
    return links
  }

  /** All links. Since Linux 6.9 the ones that stay are in it whatever others create and remove meanwhile. */
  async #dump(): Promise<Link[] | undefined> {
    const attempts = kernelAtLeast('6.9') ? 1 : undefined
    try {
      return await this.#socket.dumpAs(listRequest({}), payload => new Link(payload), {}, attempts)
    } catch (error) {
      if (error instanceof LinkwrightError && error.code === 'ERR_DUMP_INTERRUPTED') return undefined
      throw error
    }
  }

  #member(ref: string | number, link: Link | undefined): Member | { error: unknown } {
    if (!link) return { error: gone(ref) }
    if (this.#options.isMeant?.(link) === false) return { error: another(link) }
    const { kind, group = 0, alias } = link
    const tag = !alias && isOwnerGroup(group) ? groupAlias(group) : undefined
    // A bridge that was given no address has that of one of its ports, which are removed before it.
    return { link, kind, address: kind === 'bridge' ? undefined : link.address, groupBefore: group, tag }
  }

  /** Gives each a result. Bridges come last: their ports are gone then. */
  async remove(members: Member[]): Promise<void> {
    const bridges = members.filter(({ kind }) => kind === 'bridge')
    // What has no kind (lo, a network card) cannot be removed: the kernel says so of each.
    const alone = members.filter(({ kind }) => kind === undefined)
    const others = members.filter(({ kind }) => kind !== undefined && kind !== 'bridge')
    const { native } = this.#socket
    this.#place = await addon()
      .openNetns(native)
      .catch(() => undefined)
    try {
      await this.#removeInGroups(others, TOGETHER)
      await this.#removeInGroups(bridges, BRIDGES_TOGETHER)
      await this.#removeAlone(alone)
    } finally {
      await this.#place?.close()
    }
    this.#progress.end()
  }

  async #removeInGroups(members: Member[], together: number): Promise<void> {
    if (members.length === 1) return this.#removeAlone(members)
    for (let attempt = 1; members.length > 0; attempt++) {
      const base = randomInt(GROUP_FROM, GROUP_TO)
      const groups = slices(members, together)
      await this.#mark(groups, base)
      const strangers = await this.#check(groups, base).catch(async error => {
        await this.#restore(members)
        throw error
      })
      if (strangers === false) return this.#removeGroups(groups, base)
      await this.#restore(members)
      if (strangers === undefined || attempt === ATTEMPTS) return this.#removeAlone(members.filter(isLeft))
    }
  }

  /** Puts each slice into a group of its own. */
  async #mark(groups: Member[][], base: number): Promise<void> {
    const members = groups.flat()
    const requests = groups.flatMap((group, at) => {
      const untagged = changeRequest(1, { group: base + at })
      return group.map(({ link: { index }, tag }) =>
        tag === undefined ? readdressed(untagged, index) : changeRequest(index, { group: base + at, alias: tag })
      )
    })
    const answers = await this.#exchange(requests)
    for (const [at, { error }] of answers.entries()) if (error !== undefined) this.#settle(members[at], rejected(error))
  }

  /**
   * Whether somebody else is in the groups; `undefined` where that is not to be known. Settles those of ours that are not
   * what they were: gone, or another link with the same ifindex.
   */
  async #check(groups: Member[][], base: number): Promise<boolean | undefined> {
    const members = new Map(groups.flat().map(member => [member.link.index, member]))
    const there = await this.#dump()
    if (!there) return undefined
    const seen = new Set<number>()
    const taken: Member[] = []
    for (const [at, link] of there.entries()) {
      if (at % LOOKED_AT === LOOKED_AT - 1) await setImmediate()
      const member = members.get(link.index)
      const group = link.group ?? 0
      const within = group >= base && group < base + groups.length
      if (!member && within) return true
      if (!member || member.result) continue
      seen.add(link.index)
      const same = isSame(link, member) && this.#options.isMeant?.(link) !== false
      if (within && same) continue
      // The group that somebody else gave it meanwhile is not ours to change.
      if (within) taken.push(member)
      this.#settle(member, rejected(same ? changing(member.link) : another(member.link)))
    }
    await this.#restore(taken)
    for (const [index, member] of members) if (!seen.has(index)) this.#settle(member, rejected(gone(index)))
    return false
  }

  async #removeGroups(groups: Member[][], base: number): Promise<void> {
    for (const [at, group] of groups.entries()) {
      const left = group.filter(({ result }) => !result)
      if (left.length === 0) continue
      const { givenUp } = this.#options.cancel
      try {
        if (givenUp) throw givenUp.reason
        await this.#socket.request(deleteGroupRequest(base + at))
        for (const member of left) this.#settle(member, DONE)
      } catch (error) {
        // All were there: they went with others, such as the other ends of pairs.
        if (isAbsence(rejected(error))) {
          for (const member of left) this.#settle(member, DONE)
          continue
        }
        await this.#restore(left)
        if (givenUp || this.#socket.closed) for (const member of left) this.#settle(member, rejected(error))
        // One that cannot be removed keeps the others of its group.
        else await this.#removeAlone(left)
      }
    }
  }

  async #removeAlone(members: Member[]): Promise<void> {
    for (const chunk of slices(members, CHUNK)) {
      const { givenUp } = this.#options.cancel
      const answers = givenUp
        ? chunk.map(() => ({ error: givenUp.reason }))
        : await this.#socket.batch(chunk.map(({ link }) => deleteRequest(link.index)))
      for (const [at, { error }] of answers.entries()) {
        this.#settle(chunk[at], error === undefined ? DONE : rejected(error))
      }
    }
  }

  /** Puts links back into the groups that they were in. */
  async #restore(members: Member[]): Promise<void> {
    const requests = members.map(({ link, groupBefore, tag }) =>
      changeRequest(link.index, { group: groupBefore, alias: tag === undefined ? undefined : '' })
    )
    await this.#exchange(requests)
    if (!this.#socket.closed || !this.#place || requests.length === 0) return
    const place = { fd: this.#place.fds[0] as number }
    using socket = await NetlinkSocket.open({ netns: place }).catch(() => undefined)
    // Without CAP_SYS_ADMIN no namespace can be entered.
    if (socket) await this.#exchange(requests, socket)
  }

  /** A result for each request, whatever becomes of the socket. */
  async #exchange(requests: Request[], socket = this.#socket): Promise<BatchResult[]> {
    const answers: Promise<BatchResult[]>[] = []
    for (const chunk of slices(requests, CHUNK)) {
      // The kernel has work while the answers to the chunks before are read.
      if (answers.length >= IN_FLIGHT) await answers[answers.length - IN_FLIGHT]
      if (answers.length > 0) await setImmediate()
      answers.push(socket.batch(chunk).catch(error => chunk.map((): BatchResult => ({ replies: [], error }))))
    }
    return (await Promise.all(answers)).flat()
  }

  #settle(member: Member | undefined, result: Settled): void {
    if (!member || member.result) return
    member.result = result
    this.progressed()
  }

  /** One more has a result. */
  progressed(): void {
    this.#progress.report(++this.#done, this.#total)
  }
}

function slices<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, at) => all.slice(at * size, (at + 1) * size))
}

function rejected(reason: unknown): Settled {
  return { status: 'rejected', reason }
}

function gone(ref: string | number): LinkwrightError {
  return new LinkwrightError(`RTM_DELLINK ${ref}: it is gone`, { code: 'ENODEV', link: ref, syscall: 'RTM_DELLINK' })
}

function another({ name, index }: Link): LinkwrightError {
  return new LinkwrightError(`RTM_DELLINK ${name}: the link with ifindex ${index} is another one by now`, {
    code: 'ENODEV',
    link: name,
    syscall: 'RTM_DELLINK'
  })
}

function changing({ name }: Link): LinkwrightError {
  return new LinkwrightError(`RTM_DELLINK ${name}: somebody else changes it at the same time`, {
    code: 'ERR_NOT_SETTLED',
    link: name,
    syscall: 'RTM_DELLINK'
  })
}

/** Others may rename a link, and udev gives many a new address right after their creation. */
function isSame(link: Link, { link: before, kind, address }: Member): boolean {
  return link.kind === kind && (address === undefined || link.address === address || link.name === before.name)
}

function isLeft({ result }: Member): boolean {
  return result === undefined
}

function isAbsence(result: Settled): boolean {
  return result.status === 'rejected' && result.reason instanceof LinkwrightError && result.reason.code === 'ENODEV'
}

/** Errors say which of many they are about. */
function numbered(result: Settled, item: number | undefined): Settled {
  if (item === undefined || result.status === 'fulfilled' || !(result.reason instanceof LinkwrightError)) return result
  return rejected(amend(result.reason, { item }))
}
