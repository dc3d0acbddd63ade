/** Which boot of which machine and which network namespace a saved state is of. */
import { fstatSync, readFileSync } from 'node:fs'
import { addon } from '../addon.js'
import { LinkwrightError } from '../errors.js'
import type { Netlink } from '../link/netlink.js'

export interface HostIdentity {
  /** A number of this boot: after another one nothing of what was saved is there. */
  readonly boot: string
  /** Device, inode and cookie of the network namespace: a later one may get the inode of one that is gone. */
  readonly netns: string
}

export async function identify(net: Netlink): Promise<HostIdentity> {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  const netns = await net.openNetns()
  try {
    const { dev, ino } = fstatSync(netns.fds[0] ?? -1)
    return { boot, netns: `${dev}:${ino}:${addon().netnsCookie(net.socket.native)}` }
  } finally {
    await netns.close()
  }
}

/** @throws LinkwrightError `ERR_STALE_STATE` */
export function assertSameHost(saved: HostIdentity, now: HostIdentity): void {
  if (saved.boot !== now.boot) throw stale('the host was rebooted since, so there is nothing to undo')
  if (saved.netns !== now.netns) throw stale('it is of another network namespace')
}

export function stale(why: string): LinkwrightError {
  return new LinkwrightError(`the plan does not fit this host any more: ${why}`, {
    code: 'ERR_STALE_STATE',
    diagnosis: why
  })
}
