/** Limits of what guests' ports carry: HTB on the port for the one direction, on an ifb for the other. */
import { LinkwrightError } from '../../errors.js'
import type { CallOptions } from '../../netlink/socket.js'
import { checkKeys } from '../../options.js'
import type { LinkRef } from '../link.js'
import type { Qdisc } from '../qdiscs.js'
import { type BandwidthLimit, type BandwidthLimits, limitOf, type Shape, shapeOf } from './limits.js'
import {
  directSteps,
  ifbName,
  ifbStep,
  orphans,
  PLAIN,
  type RedirectState,
  type RedirectVerbs,
  readRedirect,
  redirectSteps
} from './redirect.js'
import { BARE, type RootState, readRoot, type ShapedLink, shapedTo, shapeSteps, unshapeSteps } from './shaper.js'
import { type BandwidthStep, carryOut } from './steps.js'

export interface BandwidthOptions extends CallOptions {
  /** Takes the place of qdiscs of others, which are lost. */
  replace?: boolean | undefined
  /** Only says what would be done. */
  dryRun?: boolean | undefined
}

/** What was done, or would be. */
export class BandwidthPlan {
  readonly steps: readonly Pick<BandwidthStep, 'command'>[]

  /** @internal */
  constructor(steps: readonly BandwidthStep[]) {
    this.steps = steps.map(({ command }) => ({ command }))
  }

  /** Commands of tc and ip, for a shell. */
  toString(): string {
    return this.steps.map(({ command }) => command).join('\n')
  }
}

const LIMITS_KEYS: ReadonlySet<string> = new Set(['inbound', 'outbound'])
const OPTION_KEYS: ReadonlySet<string> = new Set(['replace', 'dryRun', 'signal', 'timeout'])

/** What the link sends (egress), and what it receives (ingress). */
interface Wanted {
  readonly egress: Shape | null | undefined
  readonly ingress: Shape | null | undefined
}

/** A port, and whether it is the guest's own NIC. */
export interface LimitedPort extends ShapedLink {
  readonly swapped: boolean
}

/** What a port has, and what it takes to have something else. */
export interface LimitChange {
  readonly root: RootState
  readonly redirect: RedirectState
  readonly steps: readonly BandwidthStep[]
}

/**
 * Limits of ports, seen by the guest: what a TAP or veth of the host sends is inbound. A macvtap is the guest's own NIC:
 * there it is the other way round.
 */
export class Bandwidth {
  readonly #verbs: RedirectVerbs
  /** Two changes of one port wait for each other. */
  readonly #busy = new Map<number, Promise<unknown>>()

  /** @internal */
  constructor(verbs: RedirectVerbs) {
    this.#verbs = verbs
  }

  /**
   * Limits a port. What is limited already is changed in place: nothing is lost of what waits. If a step fails, those before
   * it are taken back; qdiscs that were replaced are not.
   *
   * What the guest sends goes by an ifb, `ifb-` and the port's ifindex. It does not go with its port: `clear` removes it, as
   * does `removeOrphans`, and the next `set` of any port. Frames that went by it are not seen by chains of nf_tables at the
   * ingress hook (`table netdev`).
   *
   * @throws LinkwrightError `EEXIST` where a qdisc is somebody else's, and nothing was changed; `ERR_UNSUPPORTED` where the
   * kernel lacks HTB, u32, mirred or ifb; `ERR_INVALID_ARG_VALUE`
   */
  async set(ref: LinkRef, limits: BandwidthLimits, options: BandwidthOptions = {}): Promise<BandwidthPlan> {
    const shapes = shapesOf(limits)
    checkKeys(options, OPTION_KEYS)
    const port = await this.#port(ref, options)
    const wanted = wantedOf(shapes, port)
    return await this.#alone(port.index, () => this.#set(port, wanted, options))
  }

  /**
   * What it would take to limit a port; one that is `new` is not there yet. Nothing is changed.
   *
   * @internal
   */
  async change(port: LimitedPort, limits: BandwidthLimits, options: { new?: boolean } = {}): Promise<LimitChange> {
    const wanted = wantedOf(shapesOf(limits), port)
    if (options.new) return { root: BARE, redirect: PLAIN, steps: this.#steps(port, wanted, BARE, PLAIN) }
    return await this.#change(port, wanted, false)
  }

  /** Lifts both limits. */
  async clear(ref: LinkRef, options: BandwidthOptions = {}): Promise<BandwidthPlan> {
    return await this.set(ref, { inbound: null, outbound: null }, options)
  }

  /** The limits that a port has from `set`. */
  async get(ref: LinkRef, options: CallOptions = {}): Promise<BandwidthLimits> {
    const port = await this.#port(ref, options)
    const [root, redirect] = await Promise.all([readRoot(this.#verbs, port), readRedirect(this.#verbs, port)])
    const sent = shapedTo(root)
    const received = redirect.filter && redirect.root && shapedTo(redirect.root)
    const limit = (settings: typeof sent): BandwidthLimit | undefined => settings && limitOf(settings)
    const [inbound, outbound] = port.swapped ? [limit(received), limit(sent)] : [limit(sent), limit(received)]
    return { ...(inbound ? { inbound } : {}), ...(outbound ? { outbound } : {}) }
  }

  /** Removes the ifbs of ports that are gone; resolves with their names. */
  async removeOrphans(options: CallOptions = {}): Promise<string[]> {
    const found = await orphans(this.#verbs)
    const results = await this.#verbs.links.deleteMany(found, { ifExists: true, ...options })
    const failed = results.find(result => result.status === 'rejected')
    if (failed) throw failed.reason
    return found.map(({ name }) => name as string)
  }

  async #set(port: ShapedLink, wanted: Wanted, { replace = false, dryRun = false, signal }: BandwidthOptions) {
    const { steps, redirect } = await this.#change(port, wanted, replace)
    if (!dryRun) {
      if (wanted.ingress && !redirect.ifb) await this.removeOrphans()
      await carryOut(steps, signal)
    }
    return new BandwidthPlan(steps)
  }

  async #change(port: ShapedLink, wanted: Wanted, replace: boolean): Promise<LimitChange> {
    const [root, redirect] = await Promise.all([readRoot(this.#verbs, port), readRedirect(this.#verbs, port)])
    if (!replace) {
      if (wanted.egress && root.foreign) throw foreignError(port, 'root', root.qdisc)
      if (wanted.ingress && redirect.foreign) throw foreignError(port, 'ingress', redirect.qdisc)
    }
    return { root, redirect, steps: this.#steps(port, wanted, root, redirect) }
  }

  /** What is added comes first, and what cannot be taken back, an ifb that is removed, last. */
  #steps(port: ShapedLink, wanted: Wanted, root: RootState, redirect: RedirectState): BandwidthStep[] {
    const steps: BandwidthStep[] = []
    if (wanted.ingress) steps.push(...this.#ingressSteps(port, wanted.ingress, redirect))
    if (wanted.egress) steps.push(...shapeSteps(this.#verbs, port, root, wanted.egress))
    if (wanted.egress === null) steps.push(...unshapeSteps(this.#verbs, port, root))
    if (wanted.ingress === null) steps.push(...directSteps(this.#verbs, port, redirect))
    return steps
  }

  #ingressSteps(port: ShapedLink, shape: Shape, state: RedirectState): BandwidthStep[] {
    const ifb = { name: ifbName(port.index), index: state.ifb?.index ?? 0 }
    const made = (link: ShapedLink) => {
      ifb.index = link.index
    }
    return [
      ...(state.ifb ? [] : [ifbStep(this.#verbs, port, made)]),
      ...shapeSteps(this.#verbs, ifb, state.root ?? BARE, shape),
      ...redirectSteps(this.#verbs, port, state, () => ifb)
    ]
  }

  async #port(ref: LinkRef, options: CallOptions): Promise<LimitedPort> {
    const target = typeof ref === 'object' && ref !== null ? ref.index : ref
    const { name, index, kind } = await this.#verbs.links.get(target, options)
    return { name: name as string, index, swapped: isGuestNic(kind) }
  }

  async #alone<T>(port: number, work: () => Promise<T>): Promise<T> {
    const before = this.#busy.get(port)
    const mine = (async () => {
      await before?.catch(() => {})
      return await work()
    })()
    this.#busy.set(port, mine)
    try {
      return await mine
    } finally {
      if (this.#busy.get(port) === mine) this.#busy.delete(port)
    }
  }
}

/** What such a link sends, the guest sends; of a TAP the guest has the other end. */
export const isGuestNic = (kind: string | undefined): boolean => kind === 'macvtap' || kind === 'ipvtap'

/** Refuses what makes no sense. */
export function shapesOf(limits: BandwidthLimits): Record<'inbound' | 'outbound', Shape | null | undefined> {
  checkKeys(limits, LIMITS_KEYS)
  const shape = (direction: 'inbound' | 'outbound') => {
    const limit = limits[direction]
    return limit === undefined || limit === null ? limit : shapeOf(limit, direction)
  }
  return { inbound: shape('inbound'), outbound: shape('outbound') }
}

function wantedOf({ inbound, outbound }: ReturnType<typeof shapesOf>, { swapped }: LimitedPort): Wanted {
  return swapped ? { egress: outbound, ingress: inbound } : { egress: inbound, ingress: outbound }
}

function foreignError({ name }: ShapedLink, place: string, qdisc: Qdisc | undefined): LinkwrightError {
  const what = `a qdisc ${qdisc?.kind} ${qdisc?.handle} that is somebody else's`
  const message = `EEXIST: ${name} has ${what} (${place}); { replace: true } takes its place`
  return new LinkwrightError(message, { code: 'EEXIST', link: name, diagnosis: what })
}
