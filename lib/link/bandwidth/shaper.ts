/**
 * A link that sends no faster than a rate: HTB at its root with one class, and a queue in it.
 *
 * Objects of traffic control carry no name, so ours are told by a handle that nobody else chooses: those that the kernel
 * gives out begin at 8000:, and people write 1:.
 */
import { LinkwrightError } from '../../errors.js'
import { htbClass } from '../../rtnetlink/qdiscs/htb.js'
import { rateText } from '../../rtnetlink/tc-units.js'
import type { Classes, TrafficClass } from '../classes.js'
import type { Qdisc, Qdiscs } from '../qdiscs.js'
import type { Shape } from './limits.js'
import { type BandwidthStep, carryOut } from './steps.js'

export const ROOT = '6c77:'
export const CLASS = '6c77:1'
export const LEAF = '6c78:'

export interface ShapedLink {
  readonly name: string
  readonly index: number
}

export interface ShaperVerbs {
  readonly qdiscs: Qdiscs
  readonly classes: Classes
}

/** What a link has at its root. */
export interface RootState {
  readonly qdisc: Qdisc | undefined
  /** Ours, if there. */
  readonly shaper: TrafficClass | undefined
  readonly leaf: Qdisc | undefined
  /** Whether it is neither ours nor the kernel's own. */
  readonly foreign: boolean
}

export async function readRoot({ qdiscs, classes }: ShaperVerbs, { index }: ShapedLink): Promise<RootState> {
  const qdisc = await qdiscs.find({ link: index })
  const ours = qdisc?.kind === 'htb' && qdisc.handle === ROOT
  if (!ours) return { qdisc, shaper: undefined, leaf: undefined, foreign: qdisc !== undefined && !qdisc.isDefault }
  const all = await classes.list({ link: index })
  const shaper = all.find(one => one.classid === CLASS)
  const leaf = shaper && (await qdiscs.find({ link: index, parent: CLASS }))
  return { qdisc, shaper, leaf: leaf?.handle === LEAF ? leaf : undefined, foreign: false }
}

/** The limit that a link has. */
export function shapedTo({ shaper }: RootState): Shape['settings'] | undefined {
  return shaper && settingsOf(shaper)
}

/** What it takes that the link has this shape. */
export function shapeSteps(verbs: ShaperVerbs, link: ShapedLink, state: RootState, shape: Shape): BandwidthStep[] {
  const steps: BandwidthStep[] = []
  if (!state.qdisc || state.qdisc.handle !== ROOT) steps.push(rootStep(verbs, link, state))
  if (!state.shaper || !isSame(state.shaper, shape)) steps.push(classStep(verbs, link, state, shape))
  const wanted = queuesFor(shape)
  const kind = state.leaf?.kind
  const same = wanted.find(queue => queue.kind === kind)
  if (!state.leaf || !same) steps.push(leafStep(verbs, link, wanted))
  else if (!hasSettings(state.leaf, same)) steps.push(leafChange(verbs, link, state.leaf, same))
  return steps
}

/** What it takes to have the kernel's own root qdisc again. */
export function unshapeSteps(verbs: ShaperVerbs, link: ShapedLink, state: RootState): BandwidthStep[] {
  if (state.foreign || state.qdisc?.handle !== ROOT) return []
  const before = shapedTo(state)
  return [
    {
      command: `tc qdisc del dev ${link.name} root`,
      run: () => verbs.qdiscs.delete({ link: link.index, handle: ROOT, parent: 'root' }),
      undo: async () => {
        if (before) await carryOut(shapeSteps(verbs, link, BARE, { settings: before, bytes: bytesOf(before) }))
      }
    }
  ]
}

/** What a link has whose root qdisc is the kernel's own, or that is not there yet. */
export const BARE: RootState = { qdisc: undefined, shaper: undefined, leaf: undefined, foreign: false }

export function bytesOf({ rate }: Shape['settings']): number {
  return Number(BigInt(rate) / 8n)
}

function rootStep({ qdiscs }: ShaperVerbs, link: ShapedLink, state: RootState): BandwidthStep {
  const verb = state.foreign ? 'replace' : 'add'
  return {
    command: `tc qdisc ${verb} dev ${link.name} root handle ${ROOT} htb default 1`,
    // A qdisc that came meanwhile is not replaced: the kernel refuses.
    run: () => qdiscs[verb]({ link: link.index, handle: ROOT, kind: 'htb', default: 1 }),
    undo: () => qdiscs.delete({ link: link.index, handle: ROOT, parent: 'root' })
  }
}

function classStep({ classes }: ShaperVerbs, link: ShapedLink, state: RootState, shape: Shape): BandwidthStep {
  const { rate, ceil, burst, cburst, quantum } = shape.settings
  const before = shapedTo(state)
  return {
    command:
      `tc class ${before ? 'change' : 'add'} dev ${link.name} parent ${ROOT} classid ${CLASS} htb ` +
      `rate ${rateText(rate)} ceil ${rateText(ceil)} burst ${burst}b cburst ${cburst}b quantum ${quantum}`,
    run: () => classes.replace({ link: link.index, classid: CLASS, kind: 'htb', ...shape.settings }),
    undo: async () => {
      if (before) await classes.change({ link: link.index, classid: CLASS, kind: 'htb', ...before })
    }
  }
}

type Queue =
  | { kind: 'fq_codel'; target: number; interval: number; memoryLimit: number }
  | { kind: 'bfifo'; limit: number }

/** Microseconds. */
const TARGET = 5000
const INTERVAL = 100_000
const FRAME = 1514
/** The longest that an offload makes has to fit: 64 KiB, which counts with the headers of all its segments. */
const LEAST_QUEUE = 70_000
const QUEUE_SECONDS = 0.1
/** A frame takes about this much more of the host's memory than its length says. */
const OVERHEAD = 4

/** Queues for a rate, the best first; every kernel that has HTB has the last. */
export function queuesFor({ bytes }: Shape): [Queue, Queue] {
  // A frame may take longer than the usual target: then nothing would ever be in time.
  const target = Math.min(Math.max(TARGET, Math.ceil((1.5 * FRAME * 1e6) / bytes)), 2 ** 31)
  const waiting = Math.min(Math.max(LEAST_QUEUE, Math.ceil(bytes * QUEUE_SECONDS)), 2 ** 28)
  return [
    { kind: 'fq_codel', target, interval: INTERVAL - TARGET + target, memoryLimit: OVERHEAD * waiting },
    { kind: 'bfifo', limit: waiting }
  ]
}

function leafStep({ qdiscs }: ShaperVerbs, link: ShapedLink, [best, plain]: [Queue, Queue]): BandwidthStep {
  const add = (queue: Queue) => `tc qdisc add dev ${link.name} parent ${CLASS} handle ${LEAF} ${queueText(queue)}`
  return {
    command: `${add(best)} || ${add(plain)}`,
    async run() {
      try {
        await qdiscs.add({ link: link.index, parent: CLASS, handle: LEAF, ...best })
      } catch (error) {
        if (!(error instanceof LinkwrightError) || error.code !== 'ERR_UNSUPPORTED') throw error
        await qdiscs.add({ link: link.index, parent: CLASS, handle: LEAF, ...plain })
      }
    }
    // It goes with its class where that was added, and does no harm where it was not.
  }
}

function leafChange({ qdiscs }: ShaperVerbs, link: ShapedLink, leaf: Qdisc, queue: Queue): BandwidthStep {
  const before = leaf.settings as Queue
  const place = { link: link.index, parent: CLASS, handle: LEAF }
  return {
    command: `tc qdisc change dev ${link.name} parent ${CLASS} handle ${LEAF} ${queueText(queue)}`,
    run: () => qdiscs.change({ ...place, ...queue }),
    undo: () => qdiscs.change({ ...place, ...only(before, queue) })
  }
}

function queueText(queue: Queue): string {
  return queue.kind === 'bfifo'
    ? `bfifo limit ${queue.limit}b`
    : `fq_codel target ${queue.target}us interval ${queue.interval}us memory_limit ${queue.memoryLimit}b`
}

/** Whether the class has the shape, to the tick. */
function isSame(shaper: TrafficClass, { settings }: Shape): boolean {
  const wanted = htbClass.toOptions(settings) as { parms: Record<string, unknown>; rate64?: bigint; ceil64?: bigint }
  const got = shaper.toJSON()['options'] as typeof wanted
  const rate = (options: typeof wanted, which: string) => (options.parms[which] as { rate: number }).rate
  return (
    rate(wanted, 'rate') === rate(got, 'rate') &&
    rate(wanted, 'ceil') === rate(got, 'ceil') &&
    Number(wanted.rate64 ?? 0) === Number(got.rate64 ?? 0) &&
    Number(wanted.ceil64 ?? 0) === Number(got.ceil64 ?? 0) &&
    wanted.parms['buffer'] === got.parms['buffer'] &&
    wanted.parms['cbuffer'] === got.parms['cbuffer']
  )
}

/** CoDel keeps times in units of 1.024 µs: they come back a little less. */
const CODEL_ERROR = 2

function hasSettings(leaf: Qdisc, queue: Queue): boolean {
  const got = leaf.settings as Record<string, unknown> | undefined
  return Object.entries(queue).every(([name, value]) =>
    typeof value === 'number' ? Math.abs(Number(got?.[name]) - value) <= CODEL_ERROR : got?.[name] === value
  )
}

/** The settings of `before` that `queue` has. */
function only(before: Queue, queue: Queue): Queue {
  return Object.fromEntries(Object.entries(before).filter(([name]) => name in queue)) as Queue
}

function settingsOf(shaper: TrafficClass): Shape['settings'] {
  const { rate, ceil, burst, cburst, quantum } = shaper.settings as unknown as Shape['settings']
  return { rate, ceil, burst, cburst, quantum }
}
