/** The steps that settings of a port come to, each with its way back. */
import { invalidArgument } from '../../errors.js'
import type { BandwidthStep } from '../../link/bandwidth/steps.js'
import { hasIpv6 } from '../../link/ipv6.js'
import type { Link } from '../../link/link.js'
import type { Netlink } from '../../link/netlink.js'
import { writeSysctls } from '../step.js'
import type { SpoofingGuard } from './anti-spoofing/anti-spoofing.js'
import { macList } from './mac-list.js'
import type { GuestPortSettings } from './settings.js'
import { addEntries, fdbStateFor, fdbStateOf, removeEntries, staticEntries, writeFdb } from './static-fdb.js'
import { type VlanMap, vlanMap, vlansOfPort, writeVlans } from './vlans.js'

interface Port {
  readonly net: Netlink
  readonly link: Link
  readonly bridge: Link
  guard(): Promise<SpoofingGuard>
}

/** What can be carried out and taken back, with the same as a command. */
type Step = BandwidthStep

/**
 * In the order in which nothing gets through meanwhile that shall not: a cable is pulled out first and plugged in last, and
 * who the guest may be is said before where it may go.
 */
export async function stepsFor(port: Port, settings: GuestPortSettings): Promise<Step[]> {
  const { link } = port
  const { antiSpoofing, isolated, staticFdb, vlans, bandwidth, mtu, ipv6, carrier } = settings
  const plug = carrier === undefined || carrier === link.carrier ? [] : [carrierStep(port, carrier)]
  const all: (Step | undefined | Promise<Step | undefined>)[] = [
    ...(carrier ? [] : plug),
    antiSpoofing === undefined ? undefined : spoofingStep(port, antiSpoofing),
    ipv6 === undefined || ipv6 === hasIpv6(link) ? undefined : ipv6Step(port, ipv6),
    mtu === undefined ? undefined : mtuStep(port, mtu),
    isolated === undefined || isolated === link.port?.isolated ? undefined : isolationStep(port, isolated),
    vlans === undefined ? undefined : vlanStep(port, vlans),
    staticFdb === undefined ? undefined : fdbStep(port, staticFdb),
    bandwidth === undefined ? undefined : bandwidthStep(port, bandwidth),
    ...(carrier ? plug : [])
  ]
  return (await Promise.all(all)).filter(step => step !== undefined)
}

function carrierStep({ net, link }: Port, carrier: boolean): Step {
  const set = (on: boolean) => net.links.set(link.index, { carrier: on })
  return {
    command: `ip link set dev ${link.name} carrier ${carrier ? 'on' : 'off'}`,
    run: () => set(carrier),
    undo: () => set(!carrier)
  }
}

function spoofingStep({ link, guard }: Port, wanted: NonNullable<GuestPortSettings['antiSpoofing']> | null): Step {
  let undo: (() => Promise<void>) | undefined
  return {
    command: `# anti-spoofing of ${link.name}: ${wanted ? [wanted.mac].flat().join(', ') : 'none'}`,
    run: async () => {
      undo = await (await guard()).set(link, wanted)
    },
    undo: async () => undo?.()
  }
}

function ipv6Step({ net, link }: Port, on: boolean): Step {
  const write = (value: boolean) =>
    writeSysctls(net, [{ name: `net/ipv6/conf/${link.name}/disable_ipv6`, value: value ? '0' : '1' }])
  return {
    command: `sysctl -qw net/ipv6/conf/${link.name}/disable_ipv6=${on ? 0 : 1}`,
    run: () => write(on),
    undo: () => write(!on)
  }
}

function mtuStep({ net, link, bridge }: Port, wanted: number | 'bridge'): Step | undefined {
  const mtu = wanted === 'bridge' ? bridge.mtu : wanted
  if (mtu === undefined || mtu === link.mtu) return undefined
  return {
    command: `ip link set dev ${link.name} mtu ${mtu}`,
    run: () => net.links.set(link.index, { mtu }),
    undo: () => net.links.set(link.index, { mtu: link.mtu })
  }
}

function isolationStep({ net, link }: Port, isolated: boolean): Step {
  const set = (on: boolean) => net.links.set(link.index, { port: { isolated: on } })
  return {
    command: `bridge link set dev ${link.name} isolated ${isolated ? 'on' : 'off'}`,
    run: () => set(isolated),
    undo: () => set(!isolated)
  }
}

async function fdbStep({ net, link }: Port, given: string | readonly string[] | null): Promise<Step> {
  const wanted = fdbStateFor(link, given === null ? null : macList(given, 'staticFdb'))
  const before = await fdbStateOf(net, link)
  const command = wanted.macs.map(mac => `bridge fdb replace ${mac} dev ${link.name} master static`)
  return {
    command: [...command, `bridge link set dev ${link.name} learning ${wanted.learning ? 'on' : 'off'}`].join('; '),
    run: () => writeUndoing(() => writeFdb(net, link, before, wanted), undo),
    undo
  }
  async function undo() {
    await writeFdb(net, link, { ...wanted, macs: (await fdbStateOf(net, link)).macs }, before)
  }
}

async function vlanStep(
  { net, link, bridge }: Port,
  given: (GuestPortSettings['vlans'] & object) | null
): Promise<Step> {
  if (!bridge.is('bridge') || !bridge.data.vlanFiltering) {
    throw invalidArgument('vlans', `a port of a bridge that filters VLANs, and ${bridge.name} does not`, link.name)
  }
  const { vlanDefaultPvid = 0 } = bridge.data
  const usual: VlanMap = vlanMap(vlanDefaultPvid ? { untagged: vlanDefaultPvid } : {})
  const wanted = given === null ? usual : vlanMap(given)
  const before = await vlansOfPort(net, link.index)
  return {
    command: `# bridge vlan of ${link.name}: ${[...wanted.keys()].join(', ')}`,
    run: () => writeUndoing(() => write(before, wanted), undo),
    undo
  }
  async function write(from: VlanMap, to: VlanMap) {
    // Entries are of a VLAN each: those that go do not take theirs along, and those that come need theirs.
    const macs = link.port?.learning === false ? await staticEntries(net, link) : []
    const gone = [...from.keys()].filter(vid => !to.has(vid))
    await removeEntries(net, link, macs, gone)
    await writeVlans(net, link.index, from, to)
    await addEntries(net, link, macs)
  }
  async function undo() {
    await write(await vlansOfPort(net, link.index), before)
  }
}

async function bandwidthStep(
  { net, link }: Port,
  wanted: NonNullable<GuestPortSettings['bandwidth']> | null
): Promise<Step> {
  const { inbound = null, outbound = null } = await net.bandwidth.get(link.index)
  return {
    command: `# bandwidth of ${link.name}`,
    run: () => net.bandwidth.set(link.index, wanted ?? { inbound: null, outbound: null }),
    undo: () => net.bandwidth.set(link.index, { inbound, outbound })
  }
}

/** What consists of several requests takes itself back if one of them fails. */
async function writeUndoing(write: () => Promise<void>, undo: () => Promise<void>): Promise<void> {
  try {
    await write()
  } catch (error) {
    await undo().catch(() => {})
    throw error
  }
}
