/** The namespace that a device is opened in. */
import { addon, type NativeDescriptors } from '../addon.js'
import { nativeError } from '../errors.js'
import { Netlink } from '../link/netlink.js'
import { type NetnsRef, openNetns } from '../netns.js'

export interface Place {
  /** The same namespace however often it is entered; `undefined` is that of the process. */
  readonly netns: { readonly fd: number } | undefined
  /** What keeps it reachable, whatever becomes of its name or of the caller's descriptor; to be closed. */
  readonly held: Held | undefined
}

interface Held {
  close(): Promise<void>
}

/** A namespace that several devices are opened in: it is held until the last of them, and its maker, has let go. */
export class SharedPlace {
  readonly #place: Place
  #users = 1

  constructor(place: Place) {
    this.#place = place
  }

  get netns(): Place['netns'] {
    return this.#place.netns
  }

  /** The same place for another device. */
  share(): Place {
    const { netns, held } = this.#place
    if (!held) return this.#place
    this.#users++
    let closing: Promise<void> | undefined
    const close = () => {
      closing ??= this.close()
      return closing
    }
    return { netns, held: { close } }
  }

  /** The maker's own part. */
  async close(): Promise<void> {
    if (--this.#users === 0) await this.#place.held?.close()
  }
}

/** Finds the namespace of an open Netlink, or the one that is asked for; a new one is made here. */
export async function placeOf(netns: NetnsRef | undefined, net: Netlink | undefined): Promise<Place> {
  if ((net ? net.netns : netns) === undefined) return { netns: undefined, held: undefined }
  const held = await hold(netns as NetnsRef, net)
  return { netns: { fd: held.fds[0] as number }, held }
}

async function hold(netns: NetnsRef, net: Netlink | undefined): Promise<NativeDescriptors> {
  // What the Netlink was opened with may mean another namespace by now: its socket knows.
  if (net) return namespaceOf(net)
  if (typeof netns === 'object' && netns !== null) {
    if ('new' in netns && netns.new === true) {
      using made = await Netlink.open({ netns })
      return await namespaceOf(made)
    }
    // A duplicate, for the caller may close this number at any time.
    if ('fd' in netns && Number.isInteger(netns.fd) && netns.fd >= 0)
      return hold(`/proc/self/fd/${netns.fd}`, undefined)
  }
  return addon().adoptDescriptors([openNetns(netns).fd])
}

async function namespaceOf(net: Netlink): Promise<NativeDescriptors> {
  try {
    return await addon().openNetns(net.socket.native)
  } catch (error) {
    throw nativeError(error)
  }
}
