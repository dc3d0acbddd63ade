/** VLANs of a port of a bridge that filters them. */
import { prefixPath } from '../../codec/codec.js'
import { invalidArgument } from '../../errors.js'
import type { Netlink } from '../../link/netlink.js'
import { NLM_F_DUMP } from '../../netlink/constants.js'
import { encodeRequest, type Request } from '../../netlink/request.js'
import { checkKeys } from '../../options.js'
import { bridgeVlanMessage } from '../../rtnetlink/bridge-vlan.js'
import { AF_BRIDGE } from '../../rtnetlink/family.js'
import { RTM } from '../../rtnetlink/verbs.js'

/** All VLANs of a port: others that it has are taken away. */
export interface PortVlans {
  /** That of frames without a tag (access VLAN, PVID), from 1 to 4094. Left out, frames without a tag are dropped. */
  untagged?: number | undefined
  /** Those that the guest tags (trunk): `[100, '200-299']`. Anti-spoofing needs `vlanTags` for them to pass. */
  tagged?: readonly (number | string)[] | undefined
}

const KEYS: ReadonlySet<string> = new Set<keyof PortVlans>(['untagged', 'tagged'])
const LAST = 4094

export interface VlanFlags {
  readonly pvid: boolean
  readonly untagged: boolean
}

/** Flags of each VLAN of a port, by its number. */
export type VlanMap = ReadonlyMap<number, VlanFlags>

/** Throws `ERR_INVALID_ARG_VALUE`. */
export function vlanMap(vlans: PortVlans, path = 'vlans'): VlanMap {
  if (typeof vlans !== 'object' || vlans === null) throw invalidArgument(path, 'an object, or null', vlans)
  try {
    checkKeys(vlans, KEYS)
  } catch (error) {
    throw prefixPath(error, path)
  }
  const { untagged, tagged = [] } = vlans
  const map = new Map<number, VlanFlags>()
  if (!Array.isArray(tagged)) throw invalidArgument(`${path}.tagged`, 'an array of VLANs and ranges', tagged)
  for (const [at, item] of tagged.entries()) {
    const [from, to] = rangeOf(item, `${path}.tagged[${at}]`)
    for (let vid = from; vid <= to; vid++) map.set(vid, { pvid: false, untagged: false })
  }
  if (untagged !== undefined) {
    if (!isVid(untagged)) throw invalidArgument(`${path}.untagged`, `a VLAN from 1 to ${LAST}`, untagged)
    if (map.has(untagged)) throw invalidArgument(`${path}.untagged`, 'a VLAN that is not tagged as well', untagged)
    map.set(untagged, { pvid: true, untagged: true })
  }
  return map
}

function rangeOf(item: unknown, path: string): [from: number, to: number] {
  const [, first, last = first] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(String(item)) ?? []
  const [from, to] = [Number(first), Number(last)]
  if (!isVid(from) || !isVid(to) || from > to) throw invalidArgument(path, `a VLAN from 1 to ${LAST}, or a range`, item)
  return [from, to]
}

const isVid = (vid: unknown): vid is number => Number.isInteger(vid) && (vid as number) >= 1 && (vid as number) <= LAST

/** What was asked for, as far as it can be said so. */
export function vlansOf(map: VlanMap): PortVlans {
  const untagged = [...map].find(([, { pvid }]) => pvid)?.[0]
  const tagged = [...map.keys()].filter(vid => vid !== untagged).sort((a, b) => a - b)
  const ranges: (number | string)[] = []
  for (let at = 0; at < tagged.length; ) {
    const first = tagged[at] as number
    let next = at + 1
    while (tagged[next] === first + next - at) next++
    const last = tagged[next - 1] as number
    ranges.push(last === first ? first : `${first}-${last}`)
    at = next
  }
  return { ...(untagged === undefined ? {} : { untagged }), ...(ranges.length > 0 ? { tagged: ranges } : {}) }
}

const RTEXT_FILTER_BRVLAN = 2

/** The VLANs of each port and bridge. */
export async function readVlans(net: Netlink): Promise<Map<number, VlanMap>> {
  const value = { family: AF_BRIDGE, extMask: RTEXT_FILTER_BRVLAN }
  const request = encodeRequest('RTM_GETLINK', RTM.RTM_GETLINK, bridgeVlanMessage, value, { flags: NLM_F_DUMP })
  const found = new Map<number, VlanMap>()
  for (const { data, start, end } of await net.socket.dump(request)) {
    const { index, afSpec } = bridgeVlanMessage.read(data, start, end)
    const vlans = (afSpec?.vlans ?? []).map(({ vid, flags }): [number, VlanFlags] => [vid, flags])
    found.set(index, new Map(vlans))
  }
  return found
}

export async function vlansOfPort(net: Netlink, index: number): Promise<VlanMap> {
  return (await readVlans(net)).get(index) ?? new Map()
}

/** What fits into a message with some room to spare. */
const AT_ONCE = 1000

/** Gives a port these VLANs and no others: first those that come, so that nothing is interrupted that stays. */
export async function writeVlans(net: Netlink, index: number, before: VlanMap, wanted: VlanMap): Promise<void> {
  for (const request of vlanRequests(index, before, wanted)) await net.socket.request(request)
}

/** What makes these VLANs of those. */
export function vlanRequests(index: number, before: VlanMap, wanted: VlanMap): Request[] {
  const come = [...wanted].filter(([vid, { pvid, untagged }]) => {
    const old = before.get(vid)
    return !old || old.pvid !== pvid || old.untagged !== untagged
  })
  const gone = [...before.keys()].filter(vid => !wanted.has(vid)).map((vid): [number, object] => [vid, {}])
  return [...inChunks('RTM_SETLINK', index, come), ...inChunks('RTM_DELLINK', index, gone)]
}

function inChunks(verb: 'RTM_SETLINK' | 'RTM_DELLINK', index: number, all: readonly [number, object][]): Request[] {
  const requests: Request[] = []
  for (let at = 0; at < all.length; at += AT_ONCE) {
    const vlans = all.slice(at, at + AT_ONCE).map(([vid, flags]) => ({ vid, flags }))
    const value = { family: AF_BRIDGE, index, afSpec: { vlans } }
    requests.push(encodeRequest(verb, RTM[verb], bridgeVlanMessage, value, { link: index }))
  }
  return requests
}
