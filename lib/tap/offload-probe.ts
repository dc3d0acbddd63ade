/**
 * What this kernel does with offloads, tried out with real frames: several versions get some of them wrong, and what it
 * says of itself (TUNSETOFFLOAD) does not tell.
 */
import { release } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { addon, type TunOpened } from '../addon.js'
import { amend, LinkwrightError, nativeError } from '../errors.js'
import { FrameBatch } from '../frames/batch.js'
import { FrameQueue } from '../frames/queue.js'
import { VNET_HEADER_SIZE, VnetHeader } from '../frames/vnet-header.js'
import { Netlink } from '../link/netlink.js'
import { placeOf } from './place.js'
import { isProbeFrame, type ProbeFrame, pushProbeFrame } from './probe-frames.js'
import { headersOf, onTheWire, whatIsWrong } from './probe-verdict.js'
import { type Offloads, offloadMask } from './queue-options.js'
import { IFF } from './tun-constants.js'

export interface OffloadFinding {
  /** The kernel knows it. */
  supported: boolean
  /** What arrived is what was sent: whole where the reader takes it, and rightly split or completed where not. */
  correct: boolean
  /** Why not, if either is false. */
  reason?: string
}

/** Offloads that are tried out. */
export type ProbedOffload = 'csum' | 'tso4' | 'tso6' | 'tsoEcn' | 'uso4' | 'uso6'

export interface OffloadProbe {
  kernel: string
  /** Per offload. All others build on `csum`. */
  findings: Record<ProbedOffload, OffloadFinding>
  /**
   * VIRTIO_NET_HDR_F_DATA_VALID. `marked`: a reader is told of frames whose checksum the kernel has verified, and of no
   * others. `believed`: what a writer says of its frames is handed on.
   */
  dataValid: { marked: OffloadFinding; believed: OffloadFinding }
  /** All that were found right: what `offloads: 'auto'` switches on. */
  offloads: Offloads
}

const TSO_SIZES = [
  { payload: 3000, segment: 1000 },
  // A last segment of one byte.
  { payload: 2001, segment: 1000 },
  // No more than one segment has: some kernels refused these.
  { payload: 500, segment: 1000 },
  { payload: 60_000, segment: 1400 }
]

/** What is tried for each, and what the reader must take for that. */
const TRIALS: Record<ProbedOffload, { offloads: Offloads; frames: ProbeFrame[] }> = {
  csum: {
    offloads: { csum: true },
    frames: ([4, 6] as const).flatMap(version =>
      (['tcp', 'udp'] as const).flatMap(protocol => [0, 1, 1000].map(payload => ({ version, protocol, payload })))
    )
  },
  tso4: { offloads: { csum: true, tso4: true }, frames: superFrames(4, 'tcp') },
  tso6: { offloads: { csum: true, tso6: true }, frames: superFrames(6, 'tcp') },
  tsoEcn: {
    offloads: { csum: true, tso4: true, tso6: true, tsoEcn: true },
    frames: [...superFrames(4, 'tcp'), ...superFrames(6, 'tcp')].map(frame => ({ ...frame, cwr: true }))
  },
  uso4: { offloads: { csum: true, uso4: true, uso6: true }, frames: superFrames(4, 'udp') },
  uso6: { offloads: { csum: true, uso4: true, uso6: true }, frames: superFrames(6, 'udp') }
}

const DATA_FRAMES = TRIALS.csum.frames.filter(({ payload }) => payload > 0)

const OFFLOADS = Object.keys(TRIALS) as ProbedOffload[]

function superFrames(version: 4 | 6, protocol: 'tcp' | 'udp'): ProbeFrame[] {
  return TSO_SIZES.map(sizes => ({ version, protocol, ...sizes }))
}

let done: Promise<OffloadProbe> | undefined

/**
 * Tries out offloads with real frames, between two throw-away TAPs on a bridge in a network namespace of their own: about
 * 0.2 s. Once per process (and worker); asked again, it gives the same.
 *
 * @throws LinkwrightError `EPERM` (it takes CAP_NET_ADMIN and CAP_SYS_ADMIN, for the namespace), `ENOENT` (no
 * `/dev/net/tun`), `EOPNOTSUPP` (no bridges), `ERR_TIMEOUT` (no frame arrives at all)
 */
export async function probeOffloads(): Promise<OffloadProbe> {
  done ??= tryOut()
  try {
    return await done
  } catch (error) {
    done = undefined
    throw error
  }
}

async function tryOut(): Promise<OffloadProbe> {
  await using arena = await Arena.open()
  const findings = {} as Record<ProbedOffload, OffloadFinding>
  for (const offload of OFFLOADS) findings[offload] = await tryOffload(arena, offload)
  const right = (...offloads: ProbedOffload[]) => offloads.every(offload => findings[offload].correct)
  const offloads: Offloads = {}
  if (right('csum')) {
    offloads.csum = true
    if (right('tso4')) offloads.tso4 = true
    if (right('tso6')) offloads.tso6 = true
    if (right('tso4', 'tso6', 'tsoEcn')) offloads.tsoEcn = true
    // TUN and TAP take both or none.
    if (right('uso4', 'uso6')) {
      offloads.uso4 = true
      offloads.uso6 = true
    }
  }
  const dataValid = { marked: await tryMarks(arena), believed: await tryBelief(arena) }
  return { kernel: release(), findings, dataValid, offloads }
}

async function tryOffload(arena: Arena, offload: ProbedOffload): Promise<OffloadFinding> {
  const { offloads, frames } = TRIALS[offload]
  try {
    await arena.take(offloads)
  } catch (error) {
    if ((error as LinkwrightError).code !== 'EINVAL') throw error
    return { supported: false, correct: false, reason: 'TUNSETOFFLOAD refuses it' }
  }
  for (const frame of frames) {
    for (const taken of [offloads, {}]) {
      const wrong = await tryFrame(arena, frame, taken)
      if (!wrong) continue
      const { version, protocol, payload, segment } = frame
      const kind = segment === undefined ? 'without a checksum' : `in segments of ${segment}`
      const how = taken.csum ? 'taken whole' : 'finished by the kernel'
      const reason = `${protocol.toUpperCase()} over IPv${version}, ${payload} bytes ${kind}, ${how}: ${wrong}`
      return { supported: true, correct: false, reason }
    }
  }
  return { supported: true, correct: true }
}

/** What is wrong with what arrives when a frame is sent, if anything. */
async function tryFrame(arena: Arena, frame: ProbeFrame, taken: Offloads): Promise<string | undefined> {
  await arena.take(taken)
  const sent = arena.createBatch()
  pushProbeFrame(sent, frame, true)
  const whole = taken.csum === true
  const arrived = await arena.pass(sent, whole ? 1 : onTheWire(sent).length)
  return typeof arrived === 'string' ? arrived : whatIsWrong(sent, arrived, whole)
}

/** The kernel verifies checksums where it merges frames, which it does of those that come by NAPI. */
async function tryMarks(arena: Arena): Promise<OffloadFinding> {
  await arena.take({ csum: true })
  for (const frame of DATA_FRAMES) {
    for (const damaged of [false, true]) {
      const sent = arena.createBatch()
      pushProbeFrame(sent, frame, false)
      const bytes = sent.frame(0)
      if (damaged) bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1
      sent.vnetHeaderBytes(0).fill(0)
      const arrived = await arena.pass(sent, 1, 'verifying')
      if (typeof arrived === 'string') return { supported: false, correct: false, reason: arrived }
      const wrong = whatIsWrong(sent, arrived, true)
      if (wrong) return { supported: false, correct: false, reason: wrong }
      const marked = new VnetHeader(arrived.vnetHeaderBytes(0)).dataValid
      if (marked && damaged) return { supported: true, correct: false, reason: 'a wrong checksum is said to be right' }
      if (!marked && !damaged)
        return { supported: false, correct: true, reason: 'frames that were verified are not marked' }
    }
  }
  return { supported: true, correct: true }
}

async function tryBelief(arena: Arena): Promise<OffloadFinding> {
  await arena.take({ csum: true })
  const sent = arena.createBatch()
  for (const frame of DATA_FRAMES) pushProbeFrame(sent, frame, false)
  const arrived = await arena.pass(sent, sent.length)
  if (typeof arrived === 'string') return { supported: false, correct: false, reason: arrived }
  const wrong = whatIsWrong(sent, arrived, true)
  if (wrong) return { supported: false, correct: false, reason: wrong }
  return headersOf(arrived).every(({ dataValid }) => dataValid)
    ? { supported: true, correct: true }
    : { supported: false, correct: true, reason: 'the mark is lost on the way' }
}

/** TAPs on a bridge: what is written into one is read from the other, or should be. */
class Arena implements AsyncDisposable {
  readonly #net: Netlink
  readonly #taps: TunOpened[] = []
  readonly #queues: FrameQueue[] = []
  readonly #read = new FrameBatch({ vnetHeaderSize: VNET_HEADER_SIZE })

  private constructor(net: Netlink) {
    this.#net = net
  }

  static async open(): Promise<Arena> {
    const arena = new Arena(await openNamespace())
    try {
      await arena.#build()
      return arena
    } catch (error) {
      await arena[Symbol.asyncDispose]()
      throw nativeError(error)
    }
  }

  createBatch(): FrameBatch {
    return new FrameBatch({ vnetHeaderSize: VNET_HEADER_SIZE })
  }

  /** What the reader takes from now on. */
  async take(offloads: Offloads): Promise<void> {
    const [fd = -1] = (this.#taps[READER] as TunOpened).descriptors.fds
    try {
      await addon().tunIoctl(fd, 'TUNSETOFFLOAD', offloadMask(offloads))
    } catch (error) {
      throw nativeError(error, { syscall: 'ioctl(TUNSETOFFLOAD)' })
    }
  }

  /**
   * Writes frames and reads what becomes of them, or says why they were refused.
   *
   * @param by which TAP; frames from the verifying one go through NAPI, which verifies their checksums
   */
  async pass(batch: FrameBatch, expected: number, by: Writer = 'plain'): Promise<FrameBatch | string> {
    // What is late, or lost, on a busy machine proves nothing; what is so every time does.
    let arrived: FrameBatch | string = ''
    for (const patience of PATIENCE) {
      arrived = await this.#tryToPass(batch, expected, by, patience)
      if (typeof arrived === 'string' || arrived.length === expected) break
    }
    return arrived
  }

  async #tryToPass(batch: FrameBatch, expected: number, by: Writer, patience: number): Promise<FrameBatch | string> {
    const writer = this.#queues[by === 'plain' ? WRITER : VERIFYING_WRITER] as FrameQueue
    const arrived = new FrameBatch({ frames: 256, vnetHeaderSize: VNET_HEADER_SIZE })
    // What came too late for those before.
    this.#collect(arrived)
    arrived.clear()
    if (writer.writeBatch(batch) < batch.length) return `${writer.writeErrorCode} when it was written`
    for (const end = performance.now() + patience; ; ) {
      this.#collect(arrived)
      // Usually they are there at once.
      if (arrived.length >= expected || performance.now() > end) return arrived
      await setTimeout(1)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const queue of this.#queues) queue.close()
    this.#net.close()
    await Promise.all(this.#taps.map(({ descriptors }) => descriptors.close()))
  }

  async #build(): Promise<void> {
    const { index: master } = await this.#net.links.create({ kind: 'bridge', name: 'br0', stp: false, up: true })
    const place = await placeOf(undefined, this.#net)
    try {
      for (const flags of [0, 0, IFF.NAPI]) this.#taps.push(await openTap(place.netns?.fd as number, flags))
    } finally {
      await place.held?.close()
    }
    for (const { index, name, descriptors } of this.#taps) {
      await this.#net.links.set(index, { master, up: true })
      this.#queues.push(FrameQueue.of(descriptors.fds[0] as number, VNET_HEADER_SIZE, { name, layer: 'ethernet' }))
    }
    await this.#warmUp()
  }

  /** The bridge forwards as soon as its ports are up, but they may take their time. */
  async #warmUp(): Promise<void> {
    const batch = this.createBatch()
    pushProbeFrame(batch, { version: 4, protocol: 'udp', payload: 10 }, false)
    for (let attempt = 0; attempt < 50; attempt++) {
      const arrived = await this.#tryToPass(batch, 1, 'plain', 40)
      if (typeof arrived !== 'string' && arrived.length > 0) return
    }
    throw new LinkwrightError('no frame arrives from one TAP of a bridge at the other', { code: 'ERR_TIMEOUT' })
  }

  #collect(arrived: FrameBatch): void {
    const read = this.#read
    while ((this.#queues[READER] as FrameQueue).readBatch(read) > 0) {
      for (let index = 0; index < read.length; index++) {
        const frame = read.frame(index)
        if (isProbeFrame(frame)) arrived.push(frame, read.vnetHeaderBytes(index))
      }
    }
  }
}

type Writer = 'plain' | 'verifying'

/** Milliseconds that are waited for frames, one time after the other. */
const PATIENCE = [250, 500, 1000]

/** Places of the TAPs. */
const WRITER = 0
const READER = 1
const VERIFYING_WRITER = 2

async function openNamespace(): Promise<Netlink> {
  try {
    return await Netlink.open({ netns: { new: true } })
  } catch (error) {
    const { code } = error as LinkwrightError
    if (code !== 'EPERM') throw error
    throw amend(error as LinkwrightError, { diagnosis: 'offloads are tried out in a network namespace of their own' })
  }
}

function openTap(netns: number, flags: number): Promise<TunOpened> {
  return addon().openTun({
    netns,
    name: '',
    flags: IFF.TAP | IFF.NO_PI | IFF.VNET_HDR | flags,
    exclusive: true,
    queues: 1,
    index: 0,
    disableIpv6: true,
    ioctls: [['TUNSETVNETHDRSZ', VNET_HEADER_SIZE]]
  })
}
