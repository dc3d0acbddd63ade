/** The namespace that a device is opened in. */
import type { NativeDescriptors } from '../addon.js'
import { Netlink } from '../link/netlink.js'
import type { NetnsRef } from '../netns.js'

export interface Place {
  /** The same namespace however often it is entered: never `{ new: true }`. */
  readonly netns: NetnsRef | undefined
  /** What keeps a namespace without a name reachable; to be closed. */
  readonly held: NativeDescriptors | undefined
}

/** Finds the namespace of an open Netlink, or the one that is asked for; a new one is made here. */
export async function placeOf(netns: NetnsRef | undefined, net: Netlink | undefined): Promise<Place> {
  const where = netns ?? net?.netns
  if (typeof where !== 'object' || where === null || !('new' in where)) return { netns: where, held: undefined }
  const socket = net ?? (await Netlink.open({ netns: where }))
  try {
    const held = await socket.openNetns()
    return { netns: { fd: held.fds[0] as number }, held }
  } finally {
    if (socket !== net) socket.close()
  }
}
