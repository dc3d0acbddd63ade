/** Changing a persistent device that was there, so that it can be put back when the opening fails. */
import { addon, type TunIoctl } from '../addon.js'
import type { AttributeTable } from '../codec/attributes.js'
import type { Link } from '../link/link.js'
import type { ChangeLink } from '../link/link-options.js'
import { Netlink } from '../link/netlink.js'
import { type NetnsRef, withNetns } from '../netns.js'
import { bridgePort } from '../rtnetlink/bridge-port.js'

/** Steps back, to be taken in reverse; one that fails does not keep the others from being taken. */
export type Undo = (() => Promise<unknown>)[]

/** Runs ioctls on one queue. They are all device-wide. */
export async function runIoctls(fd: number, ioctls: [TunIoctl, number][], before: Link, undo: Undo): Promise<void> {
  for (const [ioctl, value] of ioctls) {
    const old = await oldValue(fd, ioctl, before)
    if (old !== undefined) undo.push(() => addon().tunIoctl(fd, ioctl, old))
    await addon().tunIoctl(fd, ioctl, value)
  }
}

/** What an ioctl is about to change, where the kernel tells. */
async function oldValue(fd: number, ioctl: TunIoctl, before: Link): Promise<number | undefined> {
  switch (ioctl) {
    case 'TUNSETVNETHDRSZ':
      return addon().tunIoctl(fd, 'TUNGETVNETHDRSZ', 0)
    case 'TUNSETVNETLE':
      return addon().tunIoctl(fd, 'TUNGETVNETLE', 0)
    case 'TUNSETVNETBE':
      // Kernels may be built without it; the setting of it says so then.
      return addon()
        .tunIoctl(fd, 'TUNGETVNETBE', 0)
        .catch(() => undefined)
    case 'TUNSETCARRIER':
      return before.carrier ? 1 : 0
    case 'TUNSETOWNER':
      return before.is('tun') ? before.data.owner : undefined
    case 'TUNSETGROUP':
      return before.is('tun') ? before.data.group : undefined
    default:
      return undefined
  }
}

/** Switches IPv6 off on the link. */
export async function disableIpv6(netns: NetnsRef | undefined, name: string, undo: Undo): Promise<void> {
  const path = `ipv6/conf/${name}/disable_ipv6`
  const write = (value: string) => withNetns(netns, fd => addon().writeSysctl(fd, path, value))
  try {
    const before = (await withNetns(netns, fd => addon().readSysctl(fd, path))).trim()
    if (before === '1') return
    undo.push(() => write(before))
    await write('1')
  } catch (error) {
    // Where the kernel has no IPv6 there is nothing to switch off.
    if ((error as { code?: string }).code !== 'ENOENT') throw error
  }
}

/** Puts a link back to what it was: settings that were changed, and alternative names that were added. */
export async function restoreLink(
  netns: NetnsRef | undefined,
  before: Link,
  changed: Record<string, unknown>,
  altnames: string[]
): Promise<void> {
  const { index } = before
  const net = await Netlink.open({ netns })
  const set = (changes: object) => net.links.set(index, changes as ChangeLink).catch(() => {})
  try {
    const { master: _master, port, ...others } = changed
    const now = await net.links.get(index)
    const moved = now.master !== before.master
    if (moved) await set({ master: before.master ?? null })
    if (before.port && (moved || port)) await set({ port: oldPort(before.port, moved ? undefined : (port as object)) })
    await set(Object.fromEntries(Object.keys(others).map(key => [key, oldSetting(before, key)])))
    const added = altnames.filter(name => now.altnames.includes(name) && !before.altnames.includes(name))
    if (added.length > 0) await net.links.removeAltnames(index, added)
  } finally {
    net.close()
  }
}

/** Settings as a port that were changed; all of them where the port has left its bridge and come back. */
function oldPort(before: NonNullable<Link['port']>, changed: object | undefined): Record<string, unknown> {
  const keys = Object.entries(bridgePort.table as AttributeTable)
    .filter(([key, [, , options]]) => {
      if (options?.readOnly || options?.writeOnly) return false
      // Who comes back starts in the state that the bridge gives.
      return changed ? key in changed : key !== 'state'
    })
    .map(([key]) => key)
  return Object.fromEntries(keys.map(key => [key, before[key as 'cost']]))
}

function oldSetting(before: Link, key: string): unknown {
  if (key === 'up' || key === 'promisc' || key === 'allmulti' || key === 'multicast') return before.flags[key]
  // The kernel sends no empty alias.
  if (key === 'alias') return before.alias ?? ''
  return before[key as 'mtu']
}
