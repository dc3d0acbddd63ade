/** Devices that are closed when the test is over, whatever becomes of it. */
import { onTestFinished } from 'vitest'
import { Macvtap, Netlink, Tap, Tun } from '../../../lib/index.js'

function closedAfterwards<T extends { close(): Promise<void> }>(device: T): T {
  onTestFinished(() => device.close())
  return device
}

export async function openTap(...options: Parameters<typeof Tap.open>): Promise<Tap> {
  return closedAfterwards(await Tap.open(...options))
}

export async function openTun(...options: Parameters<typeof Tun.open>): Promise<Tun> {
  return closedAfterwards(await Tun.open(...options))
}

export async function openMacvtap(...options: Parameters<typeof Macvtap.open>): Promise<Macvtap> {
  return closedAfterwards(await Macvtap.open(...options))
}

export async function openNetlink(...options: Parameters<typeof Netlink.open>): Promise<Netlink> {
  const net = await Netlink.open(...options)
  onTestFinished(() => net.close())
  return net
}
