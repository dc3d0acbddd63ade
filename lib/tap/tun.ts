/** TUN devices: IP packets through descriptors. */
import type { Layer } from '../frames/mirror.js'
import { TunDevice } from './tun-device.js'
import { openTunDevice } from './tun-opening.js'
import type { TunOptions } from './tun-options.js'

/** An open TUN device. It is gone when it is closed, unless it is persistent. */
export class Tun extends TunDevice {
  override get layer(): Layer {
    return 'ip'
  }

  /** Makes a TUN device; see `Tap.open`. It carries packets without an Ethernet header and cannot be a port. */
  static async open(options: Omit<TunOptions, 'master' | 'port'> = {}): Promise<Tun> {
    const opened = await openTunDevice('tun', options)
    return new Tun(opened.descriptors, opened)
  }
}
