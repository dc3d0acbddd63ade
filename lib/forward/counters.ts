/** What a port has moved, and what became of frames that went nowhere. */

/** Counters of what a queue received, in the order of native/forward/counters.h. */
const RX = ['rxFrames', 'rxBytes', 'flooded', 'malformed', 'loop', 'storm', 'isolated', 'unknown', 'filtered'] as const
/** Counters of what was sent to the port. */
const TX = [
  'txFrames',
  'txBytes',
  'split',
  'completed',
  'refused',
  'down',
  'gone',
  'paused',
  'oversize',
  'error'
] as const
/** Counters of a queue, or of the way out, with space between them: each thread has cache lines of its own. */
const BLOCK = 24

type Name = (typeof RX)[number] | (typeof TX)[number]

/** Frames that went nowhere, each counted once. The first six were received from the port, the others were to be sent. */
export interface Drops {
  /** No Ethernet frame, from a group address, or a datagram that was refused (see the port's `faults`). */
  malformed: number
  /** From an address that is fixed to another port, or is ours: a loop, or somebody pretends. */
  loop: number
  /** Above the storm limit. */
  storm: number
  /** To an isolated port from another. */
  isolated: number
  /** There is no port for it. */
  unknown: number
  /** For where it came from, for an address of ours, or link-local (01:80:c2:00:00:01 to 0f). */
  filtered: number
  /** The port had no room for longer than it is waited for, or the kernel none behind it (ENOBUFS). */
  refused: number
  /** The link is down, or nobody listens. */
  down: number
  /** The device is gone. */
  gone: number
  /** The port is paused. */
  paused: number
  /** Longer than the port takes. */
  oversize: number
  /** Refused for itself, or not what its virtio-net header says. */
  error: number
}

/** Plain numbers of a moment. */
export interface PortCounts {
  rxFrames: number
  rxBytes: number
  flooded: number
  txFrames: number
  txBytes: number
  split: number
  completed: number
  drops: Drops
}

/**
 * Live counters of one port: what its threads write is read without a call into native code, at any time. A super-frame
 * counts as one frame where it is read, and as its segments where it is split to be sent.
 */
export class PortCounters {
  /** @internal The memory that native code writes to: blocks of counters, one a queue and one of what is sent. */
  readonly slots: BigUint64Array
  readonly #queues: number

  /** @internal */
  constructor(queues: number) {
    this.#queues = queues
    this.slots = new BigUint64Array(new SharedArrayBuffer((queues + 1) * BLOCK * BigUint64Array.BYTES_PER_ELEMENT))
  }

  /** Frames read from the port. */
  get rxFrames(): number {
    return this.#received('rxFrames')
  }

  /** Bytes of frames read, without virtio-net headers. */
  get rxBytes(): number {
    return this.#received('rxBytes')
  }

  /** Of the frames read, those that were sent to every port that may have them. */
  get flooded(): number {
    return this.#received('flooded')
  }

  /** Frames that the port took. */
  get txFrames(): number {
    return this.#sent('txFrames')
  }

  /** Bytes of frames that the port took, without virtio-net headers. */
  get txBytes(): number {
    return this.#sent('txBytes')
  }

  /** Super-frames that were split because the port does not take them. */
  get split(): number {
    return this.#sent('split')
  }

  /** Frames whose checksum was computed because the port wants it finished. */
  get completed(): number {
    return this.#sent('completed')
  }

  get drops(): Drops {
    return {
      malformed: this.#received('malformed'),
      loop: this.#received('loop'),
      storm: this.#received('storm'),
      isolated: this.#received('isolated'),
      unknown: this.#received('unknown'),
      filtered: this.#received('filtered'),
      refused: this.#sent('refused'),
      down: this.#sent('down'),
      gone: this.#sent('gone'),
      paused: this.#sent('paused'),
      oversize: this.#sent('oversize'),
      error: this.#sent('error')
    }
  }

  /** Frames read from each queue. */
  get rxFramesByQueue(): number[] {
    return Array.from({ length: this.#queues }, (_, queue) => this.#load(queue * BLOCK + RX.indexOf('rxFrames')))
  }

  toJSON(): PortCounts {
    const { rxFrames, rxBytes, flooded, txFrames, txBytes, split, completed, drops } = this
    return { rxFrames, rxBytes, flooded, txFrames, txBytes, split, completed, drops }
  }

  #received(name: (typeof RX)[number]): number {
    let sum = 0
    for (let queue = 0; queue < this.#queues; queue++) sum += this.#load(queue * BLOCK + slot(RX, name))
    return sum
  }

  #sent(name: (typeof TX)[number]): number {
    return this.#load(this.#queues * BLOCK + slot(TX, name))
  }

  #load(at: number): number {
    return Number(Atomics.load(this.slots, at))
  }
}

function slot(names: readonly Name[], name: Name): number {
  return names.indexOf(name)
}

/** The same of several ports together. */
export function addCounts(...all: readonly PortCounts[]): PortCounts {
  const sum = new PortCounters(0).toJSON()
  for (const counts of all) {
    for (const [name, value] of Object.entries(counts.drops)) sum.drops[name as keyof Drops] += value
    for (const [name, value] of Object.entries(counts)) {
      if (typeof value === 'number') sum[name as Exclude<keyof PortCounts, 'drops'>] += value
    }
  }
  return sum
}
