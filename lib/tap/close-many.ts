/**
 * Closing many TUN and TAP devices.
 *
 * The last close() of one costs the kernel some 20 ms (RCU grace periods), one after the other. Links that are removed
 * together cost that once, and descriptors of removed links are closed in no time: so the links go first.
 */
import { fstatSync } from 'node:fs'
import { addon, type TunPlace } from '../addon.js'
import { invalidArgument } from '../errors.js'
import type { Link } from '../link/link.js'
import { Netlink } from '../link/netlink.js'
import { removeLinks } from '../link/removal.js'
import { Cancellation } from '../netlink/cancellation.js'
import { withNetns } from '../netns.js'
import type { Place } from './place.js'
import { IFF } from './tun-constants.js'
import { TunDevice } from './tun-device.js'

/** Fewer are closed side by side just as fast. */
const FEW = 8
/** Descriptors that are duplicated at a time, to be looked at. */
const LOOKED_AT = 256

interface Found {
  readonly device: TunDevice
  /** As it is called now. */
  readonly name: string
}

/** Closes devices; resolves when all are closed. */
export async function closeTunDevices(all: Iterable<TunDevice>): Promise<void> {
  const devices = [...new Set(all)]
  for (const [at, device] of devices.entries()) {
    if (!(device instanceof TunDevice)) throw invalidArgument(`devices[${at}]`, 'a Tap or Tun', device)
  }
  const open = devices.filter(({ closed }) => !closed)
  const removed = open.length > FEW ? removeTheirLinks(open) : undefined
  await Promise.all(devices.map(device => (open.includes(device) ? device.closeAfter(removed) : device.close())))
}

/** Removes the links that would be gone anyway once their descriptors are closed. Never rejects. */
async function removeTheirLinks(devices: readonly TunDevice[]): Promise<void> {
  // What may be in somebody else's hands lives on with that.
  const own = devices.filter(({ handedOut }) => !handedOut)
  const places = new Map<bigint | 'own', TunDevice[]>()
  for (const device of own) {
    const { netns } = device.place
    const key = netns ? fstatSync(netns.fd, { bigint: true }).ino : 'own'
    const there = places.get(key)
    if (there) there.push(device)
    else places.set(key, [device])
  }
  await Promise.allSettled([...places.values()].map(removeIn))
}

async function removeIn(devices: readonly TunDevice[]): Promise<void> {
  const { netns } = (devices[0] as TunDevice).place
  const passing = (await Promise.all(slices(devices, LOOKED_AT).map(some => find(some, netns)))).flat()
  if (passing.length <= FEW) return
  const found = new Map(passing.map(it => [it.device.index, it]))
  const net = await Netlink.open({ netns })
  try {
    await removeLinks(
      net.socket,
      passing.map(({ device }) => device.index),
      {
        ifExists: true,
        isMeant: link => isSame(link, found.get(link.index)),
        cancel: new Cancellation({}),
        onProgress: undefined
      }
    )
  } finally {
    net.close()
  }
}

/** Whether a link is the device, and nobody else has attached to queues of it. */
function isSame(link: Link, found: Found | undefined): boolean {
  if (!link.is('tun') || !found || link.name !== found.name) return false
  const { numQueues = 0, numDisabledQueues = 0 } = link.data
  return numQueues + numDisabledQueues <= found.device.queues
}

/** Those that are still in their namespace and do not outlive their descriptors. */
async function find(devices: readonly TunDevice[], netns: Place['netns']): Promise<Found[]> {
  const descriptors = devices.map(({ descriptor }) => descriptor)
  const places = await withNetns(netns, fd => addon().findTuns(fd, descriptors))
  return devices.flatMap((device, i) => {
    const place = places[i] as TunPlace | Error
    return place instanceof Error || !place.here || place.flags & IFF.PERSIST ? [] : [{ device, name: place.name }]
  })
}

function slices<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, at) => all.slice(at * size, (at + 1) * size))
}
