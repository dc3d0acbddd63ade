/** What a TAP is as a port of its bridge: settings, VLANs and forwarding entries, as requests there and back. */
import { type FdbEntry, fdbRequest } from '../../../link/fdb.js'
import { changeRequest } from '../../../link/link-requests.js'
import { NLM_F_CREATE, NLM_F_REPLACE } from '../../../netlink/constants.js'
import { ALL_GROUPS } from '../../port/anti-spoofing/anti-spoofing.js'
import { macList } from '../../port/mac-list.js'
import { readVlans, type VlanMap, vlanMap, vlanRequests } from '../../port/vlans.js'
import type { Change, Step } from '../../step.js'
import { changing, ENODEV, ENOENT, type Port, type PortsBridge, takingBack } from './port.js'
import { vlanWords } from './vlan-words.js'

/** Settings that change, by the names of IFLA_BRPORT_*. */
type Settings = Readonly<Record<string, boolean | number>>

/**
 * All in one go: when a guest runs already, nothing passes that shall not. What it has as a port goes when it leaves the
 * bridge, so the way back of one that joins is just that.
 */
export async function bridgePortSteps(port: Port, bridge: PortsBridge, guarded: boolean | undefined): Promise<Step[]> {
  const { link, index, name } = port
  const joins = link?.master !== bridge.index
  const now = joins ? joining(bridge) : await present(port, bridge)
  const wanted = wantedOf(port, bridge, now, guarded)
  const changes = difference(port, now, wanted)
  if (!joins) return changes.length > 0 ? [changing('port', changes, difference(port, wanted, now))] : []
  const enslaved = {
    request: changeRequest(index, { master: bridge.index }),
    command: `ip link set dev ${name} master ${bridge.name}`
  }
  const master = link?.master ?? 0
  const freed = {
    request: changeRequest(index, { master }),
    command: `ip link set dev ${name} ${master ? `master ${master}` : 'nomaster'}`
  }
  const step = changing('port', [enslaved, ...changes], [])
  return [{ ...step, back: link ? takingBack([freed]) : [] }]
}

interface State {
  readonly settings: Settings
  /** `undefined` where the bridge does not filter. */
  readonly vlans: VlanMap | undefined
  readonly entries: readonly Entry[]
}

/** A static forwarding entry. */
interface Entry {
  readonly mac: string
  /** That of all VLANs of the port is one of its own. */
  readonly vlan: number | undefined
  readonly sticky: boolean
}

function joining({ defaultPvid }: PortsBridge): State {
  const vlans = defaultPvid === undefined ? undefined : vlanMap(defaultPvid ? { untagged: defaultPvid } : {})
  return { settings: { isolated: false, learning: true, flood: true, groupFwdMask: 0 }, vlans, entries: [] }
}

async function present({ net, link, index }: Port, { defaultPvid }: PortsBridge): Promise<State> {
  const { isolated = false, learning = true, flood = true, groupFwdMask = 0 } = link?.port ?? {}
  const [entries, vlans] = await Promise.all([
    net.fdb.list({ link: index }),
    defaultPvid === undefined ? undefined : readVlans(net)
  ])
  return {
    settings: { isolated, learning, flood, groupFwdMask },
    vlans: vlans && (vlans.get(index) ?? new Map()),
    // Where it does not filter, it has them for its VLANs as well, and takes and removes them for all at once.
    entries: entries
      .filter(isStatic)
      .flatMap(entryOf)
      .filter(({ vlan }) => vlan === undefined || vlans !== undefined)
  }
}

const isStatic = ({ state, flags }: FdbEntry) => state.noarp && !state.permanent && !flags.self

function entryOf({ lladdr, vlan, flags }: FdbEntry): Entry[] {
  return lladdr === undefined ? [] : [{ mac: lladdr, vlan: vlan || undefined, sticky: flags.sticky }]
}

/** @param guarded whether what the guest sends is looked at; `undefined` leaves that as it is */
function wantedOf({ settings }: Port, bridge: PortsBridge, now: State, guarded: boolean | undefined): State {
  const { isolated, staticFdb, vlans } = settings
  const given: Record<string, boolean | number> = {
    ...(isolated === undefined ? {} : { isolated }),
    ...(staticFdb === undefined ? {} : { learning: staticFdb === null, flood: staticFdb === null }),
    ...(guarded === undefined ? {} : { groupFwdMask: guarded ? ALL_GROUPS : 0 })
  }
  const map = vlans === undefined || !now.vlans ? now.vlans : vlans ? vlanMap(vlans) : joining(bridge).vlans
  return { settings: { ...now.settings, ...given }, vlans: map, entries: entriesWanted(staticFdb, now, map) }
}

/** In each VLAN of the port, and where there is none. */
function entriesWanted(staticFdb: Port['settings']['staticFdb'], now: State, vlans: VlanMap | undefined): Entry[] {
  if (staticFdb === null) return []
  if (staticFdb === undefined && now.settings['learning']) return [...now.entries]
  const macs =
    staticFdb === undefined ? [...new Set(now.entries.map(({ mac }) => mac))] : macList(staticFdb, 'staticFdb')
  const places = [undefined, ...(vlans?.keys() ?? [])]
  // Without `sticky` a static entry moves, too, to the port that a frame with its address comes in by.
  return macs.flatMap(mac => places.map(vlan => ({ mac, vlan, sticky: true })))
}

/** Entries first, where learning ends, and last, where it begins: the guest stays known all the time. */
function difference(port: Port, from: State, to: State): Change[] {
  const { index, name } = port
  const settings = settingChanges(port, from.settings, to.settings)
  const learns = to.settings['learning'] === true
  const has = (list: readonly Entry[], { mac, vlan, sticky }: Entry) =>
    list.some(each => each.mac === mac && each.vlan === vlan && each.sticky === sticky)
  const gone = from.entries.filter(each => !to.entries.some(({ mac, vlan }) => mac === each.mac && vlan === each.vlan))
  const come = to.entries.filter(each => !has(from.entries, each))
  return [
    ...(learns ? settings : []),
    // From a VLAN that the port has left, the kernel removes nothing any more; without a VLAN it removes those of all.
    ...gone.map(each => entryChange('RTM_DELNEIGH', each, port)),
    ...vlanChanges(index, name, from.vlans, to.vlans),
    ...come.map(each => entryChange('RTM_NEWNEIGH', each, port)),
    ...(learns ? [] : settings)
  ]
}

const WORDS: Readonly<Record<string, string>> = { groupFwdMask: 'group_fwd_mask' }

function settingChanges({ index, name }: Port, from: Settings, to: Settings): Change[] {
  const changed = Object.entries(to).filter(([key, value]) => from[key] !== value)
  if (changed.length === 0) return []
  // What was learned before would stay until it ages.
  const forgets = from['learning'] === true && to['learning'] === false
  const options = { ...Object.fromEntries(changed), ...(forgets ? { fdbFlush: true } : {}) }
  const said = (value: boolean | number) => (typeof value === 'number' ? value : value ? 'on' : 'off')
  const plain = changed.filter(([key]) => key !== 'groupFwdMask').map(([key, value]) => `${key} ${said(value)}`)
  const mask = changed.filter(([key]) => key === 'groupFwdMask').map(([key, value]) => `${WORDS[key]} ${value}`)
  const commands = [
    ...(plain.length > 0 ? [`bridge link set dev ${name} ${plain.join(' ')}`] : []),
    ...(mask.length > 0 ? [`ip link set dev ${name} type bridge_slave ${mask.join(' ')}`] : [])
  ]
  return [{ request: changeRequest(index, { port: options }), command: commands.join('\n') }]
}

function entryChange(verb: 'RTM_NEWNEIGH' | 'RTM_DELNEIGH', entry: Entry, { index, name }: Port): Change {
  const { mac, vlan, sticky } = entry
  const options = { lladdr: mac, link: index, ...(vlan === undefined ? {} : { vlan }) }
  const at = `${mac} dev ${name} master${vlan === undefined ? '' : ` vlan ${vlan}`}`
  if (verb === 'RTM_DELNEIGH') {
    return { request: fdbRequest(verb, 0, options, index), command: `bridge fdb del ${at}`, settled: [ENOENT, ENODEV] }
  }
  const flags = NLM_F_CREATE | NLM_F_REPLACE
  const request = fdbRequest(verb, flags, { ...options, type: 'static', sticky }, index)
  return { request, command: `bridge fdb replace ${at} static${sticky ? ' sticky' : ''}` }
}

function vlanChanges(index: number, name: string, from: VlanMap | undefined, to: VlanMap | undefined): Change[] {
  if (!from || !to) return []
  const words = vlanWords(name, from, to)
  return vlanRequests(index, from, to).map((request, at) => ({
    request,
    command: at === 0 ? words.join('\n') : '',
    settled: request.verb === 'RTM_DELLINK' ? [ENOENT] : []
  }))
}
