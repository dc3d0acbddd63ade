/** Why TUNSETIFF failed, found out from the state of the system. */
import { holdersByName } from '../link/holders.js'
import type { Link } from '../link/link.js'
import { Netlink } from '../link/netlink.js'
import type { NetnsRef } from '../netns.js'
import { IFF } from './tun-constants.js'

interface Opening {
  name: string
  flags: number
  exclusive: boolean
}

/** Explains in words, or gives up with `undefined`. Never throws. */
export async function diagnoseTun(
  error: unknown,
  opening: Opening,
  netns: NetnsRef | undefined
): Promise<string | undefined> {
  const { code, syscall = '' } = error as { code?: string; syscall?: string }
  try {
    if (syscall === 'open(/dev/net/tun)') return explainOpen(code)
    if (syscall !== 'ioctl(TUNSETIFF)') return undefined
    const link = opening.name && !opening.name.includes('%') ? await findLink(opening.name, netns) : undefined
    switch (code) {
      case 'EBUSY':
        return await explainBusy(opening, link, netns)
      case 'EINVAL':
        return explainInvalid(opening, link)
      case 'EPERM':
        return link
          ? `${opening.name} belongs to another user (TUNSETOWNER); attaching takes CAP_NET_ADMIN`
          : 'making a device takes CAP_NET_ADMIN in the user namespace that owns the network namespace'
      case 'E2BIG':
        return 'all 256 queues of the device are open'
      default:
        return undefined
    }
  } catch {
    return undefined
  }
}

function explainOpen(code: string | undefined): string | undefined {
  if (code === 'ENOENT' || code === 'ENXIO' || code === 'ENODEV') return 'the tun module is missing: modprobe tun'
  if (code === 'EACCES' || code === 'EPERM')
    return '/dev/net/tun may not be opened by this user: chmod 0666 or give access'
  return undefined
}

async function findLink(name: string, netns: NetnsRef | undefined): Promise<Link | undefined> {
  const net = await Netlink.open({ netns })
  try {
    return await net.links.find(name)
  } finally {
    net.close()
  }
}

async function explainBusy(
  opening: Opening,
  link: Link | undefined,
  netns: NetnsRef | undefined
): Promise<string | undefined> {
  if (!link) return undefined
  if (!link.is('tun')) return `${opening.name} is ${link.kind ? `a ${link.kind}` : 'a device'}, not a TUN or TAP`
  const found = await holdersByName(netns, [opening.name]).catch(() => undefined)
  const processes = (found?.holders.get(opening.name) ?? []).map(({ pid, command }) => `process ${pid} (${command})`)
  const held = processes.length > 0 ? `, held by ${processes.join(', ')}` : ''
  if (opening.exclusive) return `${opening.name} exists${held}; exclusive: false attaches to a persistent device`
  return `the only queue of ${opening.name} is taken${held}`
}

function explainInvalid(opening: Opening, link: Link | undefined): string | undefined {
  if (!link) return undefined
  if (!link.is('tun')) return `${opening.name} is ${link.kind ? `a ${link.kind}` : 'a device'}, not a TUN or TAP`
  const wantsTap = (opening.flags & IFF.TAP) !== 0
  if (link.data.type === 'tun' && wantsTap) return `${opening.name} is a TUN, not a TAP`
  if (link.data.type === 'tap' && !wantsTap) return `${opening.name} is a TAP, not a TUN`
  const multi = (opening.flags & IFF.MULTI_QUEUE) !== 0
  if (link.data.multiQueue && !multi) return `${opening.name} is multi-queue: multiQueue: true is needed to attach`
  if (link.data.multiQueue === false && multi) return `${opening.name} has a single queue: multiQueue must be false`
  return undefined
}
