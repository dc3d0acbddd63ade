/** TAP devices: Ethernet frames through descriptors. */
import { openTunDevice, TunDevice } from './tun-device.js'
import type { TunOptions } from './tun-options.js'

export type TapOptions = TunOptions

/** An open TAP device. It is gone when it is closed, unless it is persistent. */
export class Tap extends TunDevice {
  /**
   * Makes a TAP device, or attaches to a persistent one with `exclusive: false`, and sets its link up in as few kernel
   * messages as possible. If anything fails, nothing stays.
   *
   * @throws LinkwrightError `EBUSY` (exists, or its queue is taken; the diagnosis names the process), `EPERM`,
   * `ERR_INVALID_ARG_VALUE` (nothing was done), and what the link settings run into
   */
  static async open(options: TapOptions = {}): Promise<Tap> {
    const opened = await openTunDevice('tap', options)
    return new Tap(opened.descriptors, opened)
  }
}
