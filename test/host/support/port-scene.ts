/** A bridge with two guests on TAPs: what one sends, the other one and the host see or do not. */
import { writeSync } from 'node:fs'
import { onTestFinished } from 'vitest'
import { GuestPorts, Tap } from '../../../lib/index.js'
import type { Namespace } from '../../support/namespace.js'
import { tryRead } from '../../tap/support/io.js'

export interface PortScene {
  readonly ports: GuestPorts
  /** The one that is watched. */
  readonly guest: Tap
  readonly peer: Tap
  /** Whether a frame that the guest sends comes to the other one. */
  arrives(frame: Uint8Array, from?: Tap): boolean
  /** How many frames that the guest sends the bridge takes itself, for the host. */
  reachHost(frames: readonly Uint8Array[]): number
}

/** `bridge`: further options for `ip link add type bridge`. */
export async function portScene(ns: Namespace, bridge = ''): Promise<PortScene> {
  ns.tools.ip(`link add name br0 type bridge mcast_snooping 0 ${bridge}`)
  ns.tools.ip('link set dev br0 up')
  const [guest, peer] = await Promise.all(
    ['vnet0', 'vnet1'].map(name => Tap.open({ net: ns.net, name, master: 'br0', up: true }))
  )
  if (!guest || !peer) throw new Error('no TAPs')
  const ports = new GuestPorts(ns.net)
  onTestFinished(async () => {
    await ports.close()
    await Promise.all([guest.close(), peer.close()])
  })
  return {
    ports,
    guest,
    peer,
    arrives: (frame, from = guest) => passes(frame, from, from === guest ? peer : guest),
    reachHost(frames) {
      const before = received(ns)
      for (const frame of frames) writeSync(guest.fd, frame)
      return received(ns) - before
    }
  }
}

const received = (ns: Namespace): number => ns.tools.ipJson('-s link show dev br0')[0].stats64.rx.packets

/** The kernel takes a frame all the way while it is written. */
export function passes(frame: Uint8Array, from: Tap, to: Tap): boolean {
  while (tryRead(to.fd));
  writeSync(from.fd, frame)
  for (let read = tryRead(to.fd); read; read = tryRead(to.fd)) if (read.equals(frame)) return true
  return false
}
