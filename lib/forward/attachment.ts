/** Devices and other ports, made ready for a forwarder. */
import { addon, type NativePort, RECEIVER } from '../addon.js'
import { hostLittleEndian } from '../codec/endian.js'
import { closedError, invalidArgument, LinkwrightError, nativeError } from '../errors.js'
import type { Layer } from '../frames/mirror.js'
import type { ReceiverOffloads } from '../frames/offload.js'
import { kernelAtLeast } from '../kernel-release.js'
import { anything, type Check, checkOptions, signal as signalCheck } from '../tap/checks.js'
import { QueueDevice } from '../tap/queue-device.js'
import { integerFrom, text } from './options.js'
import { Port } from './port.js'

/** Where frames come from and go to: a Tap, Tun or Macvtap, or another port (UDP, VXLAN, packet socket, Unix socket). */
export type PortSource = QueueDevice | Port

export interface PortOptions {
  /** What it is called in errors and events; the name of the device or port by default. */
  name?: string | undefined
  /** The queues of a device to forward, from 0; all by default. Leave them alone otherwise: a queue has one reader. */
  queues?: readonly number[] | undefined
  /**
   * What a device with a virtio-net header gets besides finished frames: `false` for nothing, everything that its kernel
   * knows by default. What it does not get is split, and checksums are completed, on the way there.
   */
  offloads?: ReceiverOffloads | false | undefined
  /** Bytes of the longest frame that a device gets, or of the longest segment of a super-frame; any by default. */
  maxFrame?: number | undefined
  signal?: AbortSignal | undefined
}

const LARGEST_FRAME = 65_536 + 64

export const PORT_CHECKS: Record<keyof PortOptions, Check> = {
  name: text,
  queues: (value, path) => {
    const right = Array.isArray(value) && value.length > 0 && new Set(value).size === value.length
    if (!right || !value.every(queue => Number.isInteger(queue) && queue >= 0)) {
      throw invalidArgument(path, 'an array of different queues, from 0', value)
    }
  },
  offloads: (value, path) => {
    if (value !== false && (typeof value !== 'object' || value === null)) {
      throw invalidArgument(path, 'false or single offloads', value)
    }
  },
  maxFrame: integerFrom(14, LARGEST_FRAME, 'bytes'),
  signal: signalCheck
}

/** Something that a forwarder can use. */
export interface Attachment {
  readonly source: PortSource
  readonly name: string
  readonly native: NativePort
  readonly layer: Layer
  /** Gives it back. Idempotent. */
  release(): Promise<void>
}

/** Queues that are forwarded already. */
const taken = new WeakMap<QueueDevice, Set<number>>()

/** @throws LinkwrightError `EBUSY` (a queue is in use by another forwarder), `ERR_CLOSED`, `ERR_INVALID_ARG_VALUE` */
export async function attach(source: PortSource, options: PortOptions, path: string): Promise<Attachment> {
  if (source instanceof QueueDevice) return attachDevice(source, options, path)
  if (source instanceof Port) return attachPort(source, options, path)
  throw invalidArgument(path, 'a Tap, Tun or Macvtap, or another port', source)
}

function attachPort(port: Port, options: PortOptions, path: string): Attachment {
  for (const key of ['queues', 'offloads', 'maxFrame'] as const) {
    if (options[key] !== undefined) throw invalidArgument(`${path}.${key}`, 'nothing (it is for devices)', options[key])
  }
  const { layer } = port.native
  if (port.closed || layer === undefined) throw closedError(port.name)
  return { source: port, name: options.name ?? port.name, native: port.native, layer, release: async () => {} }
}

async function attachDevice(device: QueueDevice, options: PortOptions, path: string): Promise<Attachment> {
  const { fds, name } = device
  if (device.closed) throw closedError(name)
  const queues = options.queues ?? fds.keys()
  const inUse = taken.get(device) ?? new Set()
  taken.set(device, inUse)
  const claimed = [...queues]
  for (const queue of claimed) {
    if (queue >= fds.length) throw invalidArgument(`${path}.queues`, `queues below ${fds.length}`, queue)
    if (inUse.has(queue)) {
      throw new LinkwrightError(`queue ${queue} of ${name} is forwarded already`, { code: 'EBUSY', link: name })
    }
  }
  for (const queue of claimed) inUse.add(queue)
  const release = async () => {
    for (const queue of claimed.splice(0)) inUse.delete(queue)
  }
  try {
    const { layer, vnetHeaderSize } = device
    const swapped = vnetHeaderSize > 0 && (await isSwapped(device.fd))
    // Their numbers may be others' once the device is closed.
    if (device.closed) throw closedError(name)
    const chosen = claimed.map(queue => fds[queue] as number)
    const native = addon().openTapPort(chosen, {
      vnetHeader: vnetHeaderSize,
      ip: layer === 'ip',
      offloads: receiverBits(options.offloads, `${path}.offloads`),
      largest: options.maxFrame ?? LARGEST_FRAME,
      swapped
    })
    return {
      source: device,
      name: options.name ?? name,
      native,
      layer,
      async release() {
        await release()
        await native.close()
      }
    }
  } catch (error) {
    await release()
    throw nativeError(error, { link: name })
  }
}

/** USO came with Linux 6.2: before, a kernel refuses such frames. */
function receiverBits(offloads: ReceiverOffloads | false | undefined, path: string): number {
  if (offloads === false) return 0
  const { csum, tso4, tso6, uso } = RECEIVER
  if (offloads === undefined) return csum | tso4 | tso6 | (kernelAtLeast('6.2') ? uso : 0)
  checkOptions(offloads, { csum: anything, tso4: anything, tso6: anything, uso4: anything, uso6: anything }, path)
  if (!offloads.csum) {
    if (Object.values(offloads).some(Boolean)) {
      throw invalidArgument(`${path}.csum`, 'true (the others need it)', offloads.csum)
    }
    return 0
  }
  return csum | (offloads.tso4 ? tso4 : 0) | (offloads.tso6 ? tso6 : 0) | (offloads.uso4 && offloads.uso6 ? uso : 0)
}

/** Whether a device's headers are of the other byte order than the machine. */
async function isSwapped(fd: number): Promise<boolean> {
  if (!hostLittleEndian) return (await addon().tunIoctl(fd, 'TUNGETVNETLE', 0)) !== 0
  // Most kernels are built without the other order, and say so.
  return (
    (await addon()
      .tunIoctl(fd, 'TUNGETVNETBE', 0)
      .catch(() => 0)) !== 0
  )
}
