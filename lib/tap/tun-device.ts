/** TUN and TAP devices: /dev/net/tun, see Documentation/networking/tuntap.rst. */
import { addon, type NativeDescriptors, type TunIoctl } from '../addon.js'
import { LinkwrightError } from '../errors.js'
import { type NetnsRef, withNetns } from '../netns.js'
import * as check from './checks.js'
import type { Place } from './place.js'
import { QueueDevice } from './queue-device.js'
import { checkQueues, QUEUE_CHECKS } from './queue-options.js'
import type { OpenedTun } from './tun-opening.js'
import { ownerIoctls } from './tun-options.js'

/** An open TUN or TAP device. */
export class TunDevice extends QueueDevice {
  /** The namespace that it was made in, as it was given. */
  readonly netns: NetnsRef | undefined
  readonly #opened: OpenedTun

  protected constructor(descriptors: NativeDescriptors, opened: OpenedTun) {
    super(descriptors, opened.name, opened.index, opened.vnetHeaderSize)
    this.netns = opened.netns
    this.#opened = opened
  }

  /** @internal */
  override get place(): Place {
    return this.#opened.place
  }

  override release(): number[] {
    const fds = super.release()
    void this.#opened.place.held?.close()
    return fds
  }

  override async closeAfter(before: Promise<unknown> | undefined): Promise<void> {
    await super.closeAfter(before)
    await this.#opened.place.held?.close()
  }

  /** Opens further queues of a multi-queue device. */
  async addQueues(count: number): Promise<void> {
    this.assertOpen()
    checkQueues(count)
    const { name } = await this.describe()
    const { flags } = this.#opened
    // All else is the device's, and may have been changed since it was opened.
    const ioctls: [TunIoctl, number][] = [['TUNSETSNDBUF', await this.ioctl('TUNGETSNDBUF', 0)]]
    const more = await this.run(
      () =>
        withNetns(this.#opened.place.netns, netns =>
          addon().openTun({ netns, name, flags, exclusive: false, queues: count, index: 0, disableIpv6: false, ioctls })
        ),
      'ioctl(TUNSETIFF)'
    )
    if (this.closed || more.index !== this.index) {
      await more.descriptors.close()
      this.assertOpen()
      throw new LinkwrightError(`${name} is another device now`, { code: 'ENODEV', link: name })
    }
    this.descriptors.adopt(more.descriptors.release())
  }

  /** Link up or down as the host's stack sees it (TUNSETCARRIER). */
  async setCarrier(on: boolean): Promise<void> {
    check.boolean(on, 'carrier')
    await this.ioctl('TUNSETCARRIER', on ? 1 : 0)
  }

  /** Whether the device outlives its descriptors. */
  async setPersist(on: boolean): Promise<void> {
    check.boolean(on, 'persist')
    await this.ioctl('TUNSETPERSIST', on ? 1 : 0)
  }

  /** @internal Lets it go with its descriptors, if it is its opening that made it stay. */
  async unpersist(): Promise<void> {
    if (this.#opened.persisted) await this.setPersist(false)
  }

  /** Bytes that may wait on the way to the stack. */
  async setSndbuf(bytes: number): Promise<void> {
    this.assertOpen()
    check.sndbuf(bytes, 'sndbuf')
    for (let queue = 0; queue < this.queues; queue++) await this.ioctl('TUNSETSNDBUF', bytes, queue)
  }

  /** User and group who may attach; `undefined` leaves one as it is. */
  async setOwner(owner: { uid?: number | undefined; gid?: number | undefined }): Promise<void> {
    check.checkOptions(owner, { uid: check.identity, gid: check.identity })
    for (const [ioctl, id] of ownerIoctls(owner)) await this.ioctl(ioctl, id)
  }

  /** Byte order of the virtio-net header. */
  async setVnetEndian(endian: 'little' | 'big'): Promise<void> {
    this.assertOpen()
    QUEUE_CHECKS.vnetEndian(endian, 'vnetEndian')
    for (let queue = 0; queue < this.queues; queue++) {
      await this.ioctl(endian === 'little' ? 'TUNSETVNETLE' : 'TUNSETVNETBE', 1, queue)
    }
  }

  /** Classic BPF program that chooses what reaches the descriptors, or `null` for none; TAP only. */
  async setFilter(program: Uint8Array | null): Promise<void> {
    const fd = this.queue(0)
    if (program !== null) check.bpf(program, 'filter')
    if (program === null) await this.ioctl('TUNDETACHFILTER', 0)
    else await this.run(() => addon().tunAttachFilter(fd, program), 'ioctl(TUNATTACHFILTER)')
  }

  /** eBPF program that chooses the queue of each frame, or `null` for none. */
  async setSteeringProgram(program: number | null): Promise<void> {
    if (program !== null) check.descriptor(program, 'steeringProgram')
    await this.ioctl('TUNSETSTEERINGEBPF', program ?? -1)
  }

  /** eBPF program that drops frames, or `null` for none. */
  async setFilterProgram(program: number | null): Promise<void> {
    if (program !== null) check.descriptor(program, 'filterProgram')
    await this.ioctl('TUNSETFILTEREBPF', program ?? -1)
  }
}
