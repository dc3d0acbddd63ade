/** Many frames in one piece of memory. */
import { invalidArgument } from '../errors.js'

export interface BatchOptions {
  /** Most frames that it holds; 64 by default. More per system call gains nothing. */
  frames?: number | undefined
  /** Bytes of the slab; 256 KiB by default, more where `room` needs it. */
  bytes?: number | undefined
  /**
   * Longest frame that is read, in bytes without its virtio-net header: 65,600 by default, which holds any super-frame.
   * Reading stops when less than this is left in the slab, so a small MTU's worth fits more frames into less memory.
   */
  room?: number | undefined
  /** Bytes of the virtio-net header before each frame: that of the device, 0 by default. */
  vnetHeaderSize?: number | undefined
  /** Bytes left free before each frame and its header, to put another header there; 0 by default. */
  headroom?: number | undefined
}

const DEFAULT_FRAMES = 64
const DEFAULT_BYTES = 262_144
/** 64 KiB behind an IPv6 header, an Ethernet header, and two tags: 65,597. */
const LARGEST_FRAME = 65_600
const ALIGNMENT = 64

/**
 * A slab of frames and the tables that say where they are. It is filled again and again: what it holds is valid until the
 * next read into it, and nothing is allocated per frame. The slab is shared memory, so that workers can have it too.
 */
export class FrameBatch {
  readonly bytes: Uint8Array<SharedArrayBuffer>
  /** Where each frame begins, in bytes from the beginning of the slab. Its virtio-net header lies right before it. */
  readonly offsets: Uint32Array<SharedArrayBuffer>
  /** Bytes of each frame, without its virtio-net header. */
  readonly lengths: Uint32Array<SharedArrayBuffer>
  readonly vnetHeaderSize: number
  readonly headroom: number
  readonly room: number
  #length = 0

  constructor(options: BatchOptions = {}) {
    const { frames = DEFAULT_FRAMES, room = LARGEST_FRAME, vnetHeaderSize = 0, headroom = 0 } = options
    count('frames', frames, 1, 65_536)
    count('room', room, 14, 1_048_576)
    count('vnetHeaderSize', vnetHeaderSize, 0, 64)
    count('headroom', headroom, 0, 65_536)
    const least = headroom + vnetHeaderSize + room + 1
    const { bytes = Math.max(DEFAULT_BYTES, least) } = options
    count('bytes', bytes, least, 0x7fffffff)
    this.bytes = new Uint8Array(new SharedArrayBuffer(bytes))
    this.offsets = new Uint32Array(new SharedArrayBuffer(4 * frames))
    this.lengths = new Uint32Array(new SharedArrayBuffer(4 * frames))
    this.vnetHeaderSize = vnetHeaderSize
    this.headroom = headroom
    this.room = room
  }

  /** Most frames that it holds. */
  get capacity(): number {
    return this.offsets.length
  }

  /** Frames in it. */
  get length(): number {
    return this.#length
  }

  /** Whoever writes the tables says how many frames there are. */
  set length(frames: number) {
    count('length', frames, 0, this.capacity)
    this.#length = frames
  }

  /** The bytes of a frame: a view, valid until the next read. */
  frame(index: number): Uint8Array<SharedArrayBuffer> {
    this.#check(index)
    const offset = this.offsets[index] as number
    return this.bytes.subarray(offset, offset + (this.lengths[index] as number))
  }

  /** The virtio-net header of a frame: a view of its bytes, empty without one. */
  vnetHeaderBytes(index: number): Uint8Array<SharedArrayBuffer> {
    this.#check(index)
    const offset = this.offsets[index] as number
    return this.bytes.subarray(offset - this.vnetHeaderSize, offset)
  }

  /**
   * Adds a frame behind the others, with an empty virtio-net header if none is given.
   *
   * @returns whether there was room
   */
  push(frame: Uint8Array, vnetHeader?: Uint8Array): boolean {
    const offset = this.allocate(frame.length)
    if (offset < 0) return false
    this.bytes.set(frame, offset)
    if (vnetHeader) this.bytes.set(vnetHeader.subarray(0, this.vnetHeaderSize), offset - this.vnetHeaderSize)
    return true
  }

  /**
   * Makes room for a frame behind the others, with an empty virtio-net header, to be filled by the caller.
   *
   * @returns where it begins, or -1 if there was no room
   */
  allocate(length: number): number {
    count('length', length, 0, 0x7fffffff)
    const { length: index, vnetHeaderSize, headroom } = this
    if (index === this.capacity) return -1
    const last = index - 1
    const end = index === 0 ? 0 : (this.offsets[last] as number) + (this.lengths[last] as number)
    const header = Math.ceil(end / ALIGNMENT) * ALIGNMENT + headroom
    const offset = header + vnetHeaderSize
    if (offset + length > this.bytes.length) return -1
    this.bytes.fill(0, header, offset)
    this.offsets[index] = offset
    this.lengths[index] = length
    this.#length++
    return offset
  }

  clear(): void {
    this.#length = 0
  }

  /** The frames, as views. */
  *[Symbol.iterator](): Generator<Uint8Array<SharedArrayBuffer>, void, undefined> {
    for (let index = 0; index < this.#length; index++) yield this.frame(index)
  }

  #check(index: number): void {
    if (!Number.isInteger(index) || index < 0 || index >= this.#length) {
      throw invalidArgument('index', `a frame of the batch (0 to ${this.#length - 1})`, index)
    }
  }
}

function count(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw invalidArgument(name, `a whole number from ${least} to ${most}`, value)
  }
}
