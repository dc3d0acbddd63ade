/** What this process may do on this machine, and what to do about what it may not. */
import { constants } from 'node:fs'
import { access, readFile } from 'node:fs/promises'
import { release } from 'node:os'
import { LinkwrightError } from './errors.js'
import { kernelAtLeast } from './kernel-release.js'
import { Netlink } from './link/netlink.js'
import { NLM_F_CREATE, NLM_F_EXCL } from './netlink/constants.js'
import { encodeRequest } from './netlink/request.js'
import type { NetlinkSocket } from './netlink/socket.js'
import { linkMessage } from './rtnetlink/link.js'
import { linkKindNames } from './rtnetlink/link-kind.js'
import { RTM } from './rtnetlink/verbs.js'
import { Tap } from './tap/tap.js'

/** Whether something works here; if not, why, and what to do. */
export interface Finding {
  available: boolean
  /** Only where it is not available. */
  reason?: string
  remedy?: string
}

export interface Probe {
  kernel: string
  /** CAP_NET_ADMIN over the process's network namespace. */
  netAdmin: Finding
  /** A private namespace can be made (CAP_SYS_ADMIN). */
  netns: Finding
  /** TUN and TAP devices can be made. */
  tun: Finding
  /** Private nodes can be made where `/dev/tapN` is missing or another namespace's. */
  mknod: Finding
  vhostNet: Finding
  /** Creations are answered with the link (NLM_F_ECHO); else it is looked up. */
  echo: Finding
  /** Links by kind. */
  kinds: Record<string, Finding>
}

const CAP_SYS_ADMIN = 21
const CAP_MKNOD = 27

/** Tries things out without leaving a trace: in a private namespace where it may make one. */
export async function probe(): Promise<Probe> {
  const capabilities = await effectiveCapabilities()
  const scratch = await openScratch()
  try {
    const net = scratch ?? (await Netlink.open())
    try {
      return {
        kernel: release(),
        netAdmin: await probeNetAdmin(net.socket),
        netns: scratch
          ? yes
          : no(
              'a network namespace may not be made',
              `run as root or under unshare -Urn (${capability(capabilities, CAP_SYS_ADMIN, 'CAP_SYS_ADMIN')})`
            ),
        tun: await probeTun(),
        mknod:
          has(capabilities, CAP_MKNOD) && (await inInitialUserNamespace())
            ? yes
            : no(
                'device nodes may not be made',
                'give CAP_MKNOD in the initial user namespace; needed for macvtap links of other namespaces only'
              ),
        vhostNet: await probeVhost(),
        echo: kernelAtLeast('6.3')
          ? yes
          : no(`Linux ${release()} does not answer creations`, 'none needed: the link is looked up by name'),
        kinds: await probeKinds(net.socket)
      }
    } finally {
      net.close()
    }
  } finally {
    scratch?.close()
  }
}

const yes: Finding = { available: true }

function no(reason: string, remedy: string): Finding {
  return { available: false, reason, remedy }
}

async function openScratch(): Promise<Netlink | undefined> {
  try {
    return await Netlink.open({ netns: { new: true } })
  } catch {
    return undefined
  }
}

/** A creation with an impossible number of queues: refused after the permission and the kind were looked at. */
async function tryKind(socket: NetlinkSocket, kind: string): Promise<LinkwrightError | undefined> {
  const request = encodeRequest(
    'RTM_NEWLINK',
    RTM.RTM_NEWLINK,
    linkMessage,
    { linkinfo: { kind }, numTxQueues: 0xffff },
    { flags: NLM_F_CREATE | NLM_F_EXCL, creating: true, link: kind }
  )
  try {
    await socket.request(request)
    return undefined
  } catch (error) {
    if (error instanceof LinkwrightError) return error
    throw error
  }
}

async function probeNetAdmin(socket: NetlinkSocket): Promise<Finding> {
  const error = await tryKind(socket, 'bridge')
  if (error?.code !== 'EPERM') return yes
  return no(
    'CAP_NET_ADMIN is missing',
    'run as root, give the capability (setcap cap_net_admin+ep), or use unshare -Urn'
  )
}

async function probeKinds(socket: NetlinkSocket): Promise<Record<string, Finding>> {
  const findings: Record<string, Finding> = {}
  for (const kind of linkKindNames()) {
    if (kind === 'tun') continue
    const error = await tryKind(socket, kind)
    if (error?.code === 'EPERM') findings[kind] = no('CAP_NET_ADMIN is missing', 'see netAdmin')
    else if (error?.code === 'EOPNOTSUPP')
      findings[kind] = no('the kernel has no such links', `modprobe ${kind === 'vlan' ? '8021q' : kind}`)
    else findings[kind] = yes
  }
  return findings
}

async function probeTun(): Promise<Finding> {
  try {
    const tap = await Tap.open({ netns: { new: true }, ipv6: true }).catch(async error => {
      // Without a private namespace the node is all that can be tried without a trace.
      if (!(error as LinkwrightError).syscall?.startsWith('unshare')) throw error
      await access('/dev/net/tun', constants.R_OK | constants.W_OK)
      return undefined
    })
    await tap?.close()
    return yes
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === 'ENOENT' || code === 'ENODEV')
      return no('/dev/net/tun is missing', 'modprobe tun; in a container pass the device')
    if (code === 'EACCES')
      return no('/dev/net/tun may not be opened', 'chmod 0666 /dev/net/tun, or give access to the user')
    return no((error as Error).message, 'run as root or give CAP_NET_ADMIN')
  }
}

async function probeVhost(): Promise<Finding> {
  try {
    await access('/dev/vhost-net', constants.R_OK | constants.W_OK)
    return yes
  } catch (error) {
    return (error as { code?: string }).code === 'EACCES'
      ? no('/dev/vhost-net may not be opened', 'join its group (kvm)')
      : no('/dev/vhost-net is missing', 'modprobe vhost_net')
  }
}

async function effectiveCapabilities(): Promise<bigint> {
  const status = await readFile('/proc/self/status', 'utf8')
  return BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`)
}

function has(capabilities: bigint, bit: number): boolean {
  return ((capabilities >> BigInt(bit)) & 1n) === 1n
}

function capability(capabilities: bigint, bit: number, name: string): string {
  return has(capabilities, bit) ? `${name} is there, the system forbids it` : `${name} is missing`
}

/** The initial user namespace maps every id to itself. */
async function inInitialUserNamespace(): Promise<boolean> {
  const map = await readFile('/proc/self/uid_map', 'utf8')
  return /^\s*0\s+0\s+4294967295\s*$/.test(map)
}
