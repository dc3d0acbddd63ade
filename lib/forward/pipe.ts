/** A pipe: the frames of each of two ports go to the other. */
import { checkOptions } from '../tap/checks.js'
import { PORT_CHECKS, type PortOptions } from './attachment.js'
import { ForwardedPort } from './forwarded-port.js'
import { FORWARD_CHECKS, Forwarder, type ForwardOptions, type PortGiven, portAndOptions } from './forwarder.js'

export interface PipeOptions extends ForwardOptions {}

/** Nothing is read before there is somewhere to send it to. */
const SETTINGS = { paused: true, isolated: false, learning: false, flood: 7, stormLimit: 0 }
const DEFAULT_PATIENCE = 100

/**
 * Moves the frames of each of two ports to the other, on native threads. A flow keeps its order and its queue: what is
 * read from queue 1 of a device is written to queue 1 of the other, if it has so many.
 *
 * ```ts
 * await using pipe = await Pipe.open(tap, await UdpPort.open({ … }))
 * pipe.a.on('gone', error => console.log(`${pipe.a.name}: ${error.message}`))
 * ```
 *
 * A super-frame passes whole where the other side takes it; where not it is split, and checksums are completed.
 */
export class Pipe extends Forwarder {
  #ends: [ForwardedPort, ForwardedPort] | undefined

  private constructor(options: PipeOptions) {
    const { name = 'pipe', threads = 64, busyPoll = 0, patience = DEFAULT_PATIENCE, merge = false } = options
    super('the pipe', {
      switching: false,
      name,
      threads,
      busyPoll: Math.round(busyPoll),
      patience: Math.round(patience * 1000),
      merge,
      entries: 1,
      ageing: 1
    })
  }

  /**
   * Begins to forward. Both ports must carry the same: Ethernet frames, or IP packets (TUN).
   *
   * @throws LinkwrightError `EBUSY` (a queue is forwarded already), `ERR_CLOSED`, `EAGAIN` (the system has no thread left),
   * `EBADFD`, `ENOLINK` or `ENODEV` (a device was deleted), `ERR_INVALID_ARG_VALUE` (also where a TUN and something of Ethernet would be joined)
   */
  static async open(a: PortGiven<PortOptions>, b: PortGiven<PortOptions>, options: PipeOptions = {}): Promise<Pipe> {
    checkOptions(options, FORWARD_CHECKS)
    const one = portAndOptions(a, PORT_CHECKS, 'a')
    const other = portAndOptions(b, PORT_CHECKS, 'b')
    const { signal } = options
    signal?.throwIfAborted()
    const pipe = new Pipe(options)
    try {
      const first = await pipe.#join(one, undefined, 'a', signal)
      const second = await pipe.#join(other, first, 'b', signal)
      // Nobody could listen for it yet.
      if (first.lost) throw first.lost
      pipe.#ends = [first, second]
      pipe.resume()
      return pipe
    } catch (error) {
      await pipe.close()
      throw error
    }
  }

  get a(): ForwardedPort {
    return (this.#ends as [ForwardedPort, ForwardedPort])[0]
  }

  get b(): ForwardedPort {
    return (this.#ends as [ForwardedPort, ForwardedPort])[1]
  }

  /** Nothing is read from either port until {@link resume}. */
  pause(): void {
    ForwardedPort.change([this.a, this.b], { paused: true })
  }

  resume(): void {
    ForwardedPort.change([this.a, this.b], { paused: false })
  }

  #join(
    { source, options }: ReturnType<typeof portAndOptions<PortOptions>>,
    other: ForwardedPort | undefined,
    path: string,
    signal: AbortSignal | undefined
  ): Promise<ForwardedPort> {
    const make = (...parameters: ConstructorParameters<typeof ForwardedPort>) => new ForwardedPort(...parameters)
    return this.join(source, { signal, ...options }, other?.layer, path, SETTINGS, make)
  }
}
