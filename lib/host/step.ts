/** A described change: what does it, and what undoes it. */
import { addon } from '../addon.js'
import { LinkwrightError, nativeError } from '../errors.js'
import type { Netlink } from '../link/netlink.js'
import type { Request } from '../netlink/request.js'
import type { Operation } from './way-back.js'

export interface StepContext {
  readonly net: Netlink
  readonly signal: AbortSignal
  /** Tells of something that was left out. */
  warn(code: string, message: string): void
  /**
   * Adds to the way back what is only known now, ahead of the step's own `back` and of what was added before. The guard has
   * it when this resolves, and the state file too.
   *
   * Ask before making what it removes wherever that can be described beforehand; one that has to come after (a pid) leaves
   * a moment in which nobody would remove it. If it rejects, the step removes that itself.
   */
  undoAlso(...operations: Operation[]): Promise<void>
}

export interface Step {
  /** What it does, in a word: `bridge`, `addresses`. */
  readonly name: string
  /** The same as commands of iproute2 and sysctl. What they have no word for is a comment. */
  readonly commands: readonly string[]
  /** The way back, in its order; to be carried out also where the step was done in part, or not at all. */
  readonly back: readonly Operation[]
  apply(context: StepContext): Promise<void>
}

/** A request with the errnos that say that it is so already. */
export interface Change {
  readonly request: Request
  readonly command?: string | undefined
  readonly settled?: readonly number[] | undefined
}

/** Sends requests in order, in one batch; throws the first error that is not settled. */
export async function send(net: Netlink, changes: readonly Change[]): Promise<void> {
  const results = await net.socket.batch(changes.map(({ request }) => request))
  for (const [at, { error }] of results.entries()) {
    if (error !== undefined && !isSettled(error, changes[at]?.settled)) throw error
  }
}

function isSettled(error: unknown, settled: readonly number[] = []): boolean {
  return error instanceof LinkwrightError && error.errno !== undefined && settled.includes(-error.errno)
}

/** Requests as one operation of the way back. */
export function wayBackOf(
  changes: readonly Change[],
  options: { settled?: readonly number[]; bestEffort?: boolean } = {}
): Operation[] {
  if (changes.length === 0) return []
  const settled = new Set([...(options.settled ?? []), ...changes.flatMap(each => each.settled ?? [])])
  return [
    {
      op: 'netlink',
      protocol: 0,
      requests: Buffer.concat(changes.map(({ request }) => request.bytes)),
      command: changes.map(({ command, request }) => command ?? request.verb).join('; '),
      settled: [...settled],
      ...(options.bestEffort ? { bestEffort: true } : {})
    }
  ]
}

/** A file below /proc/sys, and what is to be in it. */
export interface Sysctl {
  /** `net/ipv4/conf/br0/rp_filter` */
  readonly name: string
  readonly value: string
}

export const sysctlCommand = ({ name, value }: Sysctl): string => `sysctl -qw ${name}=${value}`

export async function writeSysctls(net: Netlink, sysctls: readonly Sysctl[]): Promise<void> {
  if (sysctls.length === 0) return
  const netns = await net.openNetns()
  try {
    for (const { name, value } of sysctls) {
      await addon().writeSysctl(netns.fds[0] ?? -1, `/proc/sys/${name}`, value)
    }
  } catch (error) {
    throw nativeError(error)
  } finally {
    await netns.close()
  }
}

/** Reads files below /proc/sys/net; `undefined` for those that there are not. */
export async function readSysctls(net: Netlink, names: readonly string[]): Promise<(string | undefined)[]> {
  const netns = await net.openNetns()
  try {
    const read = (name: string) => addon().readSysctl(netns.fds[0] ?? -1, `/proc/sys/${name}`)
    const results = await Promise.allSettled(names.map(read))
    return results.map(result => (result.status === 'fulfilled' ? result.value.trim() : undefined))
  } finally {
    await netns.close()
  }
}

export function sysctlBack(sysctl: Sysctl, bestEffort = false): Operation {
  const command = sysctlCommand(sysctl)
  return { op: 'write', path: `/proc/sys/${sysctl.name}`, content: sysctl.value, command, bestEffort }
}
