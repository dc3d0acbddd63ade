/** Forwarding entries that a port has instead of learning. */
import { invalidArgument, LinkwrightError } from '../../errors.js'
import type { Link } from '../../link/link.js'
import type { Netlink } from '../../link/netlink.js'

/** What the bridge knows and does about a port. */
export interface FdbState {
  readonly learning: boolean
  readonly flood: boolean
  /** Static entries; `undefined` is none, and learning. */
  readonly macs: readonly string[]
}

/** The static entries that a port has in its bridge's database. */
export async function staticEntries(net: Netlink, port: Link): Promise<string[]> {
  const entries = await net.fdb.list({ link: port.index })
  const isStatic = entries.filter(({ state, flags }) => state.noarp && !state.permanent && !flags.self)
  return [...new Set(isStatic.flatMap(({ lladdr }) => lladdr ?? []))]
}

export async function fdbStateOf(net: Netlink, link: Link): Promise<FdbState> {
  const { learning = true, flood = true } = link.port ?? {}
  return { learning, flood, macs: await staticEntries(net, link) }
}

/** What a port is to be like with these entries, or with none of its own. */
export function fdbStateFor(link: Link, macs: readonly string[] | null): FdbState {
  if (macs === null) return { learning: true, flood: true, macs: [] }
  const clash = link.address !== undefined && macs.includes(link.address)
  if (clash) {
    throw invalidArgument('staticFdb', `another address than the host's side of ${link.name} has`, link.address)
  }
  return { learning: false, flood: false, macs }
}

/** In each VLAN that the port is in. */
export async function addEntries(net: Netlink, { index }: Link, macs: readonly string[]): Promise<void> {
  for (const lladdr of macs) {
    // Without `sticky` a static entry moves, too, to the port that a frame with its address comes in by.
    await net.fdb.replace({ link: index, lladdr, type: 'static', sticky: true })
  }
}

/** From VLANs that the port is to leave: afterwards the kernel refuses it. */
export async function removeEntries(net: Netlink, { index }: Link, macs: readonly string[], vlans: readonly number[]) {
  for (const lladdr of macs) {
    for (const vlan of vlans) {
      await net.fdb.delete({ link: index, lladdr, vlan }).catch(error => {
        if (!(error instanceof LinkwrightError && error.code === 'ENOENT')) throw error
      })
    }
  }
}

/** Entries first, where learning ends, and last, where it begins: the guest stays known all the time. */
export async function writeFdb(net: Netlink, link: Link, before: FdbState, wanted: FdbState): Promise<void> {
  const { index } = link
  const { learning, flood } = wanted
  if (learning) await net.links.set(index, { port: { learning, flood } })
  await addEntries(
    net,
    link,
    wanted.macs.filter(mac => !before.macs.includes(mac))
  )
  for (const lladdr of before.macs) {
    if (!wanted.macs.includes(lladdr)) await net.fdb.delete({ link: index, lladdr })
  }
  // What was learned before would stay until it ages.
  if (!learning) await net.links.set(index, { port: { learning, flood, fdbFlush: true } })
}
