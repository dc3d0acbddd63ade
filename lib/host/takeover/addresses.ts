/** Addresses of a NIC, for the link that takes them over, and for the NIC when it gets them back. */
import { constants } from 'node:os'
import { hostLittleEndian } from '../../codec/endian.js'
import type { Address } from '../../link/addresses.js'
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from '../../netlink/constants.js'
import { addressFlags, addressMessage } from '../../rtnetlink/address.js'
import { type Attribute, replaced, requestOf, type Told, toldBy, u32, viewOf } from '../rewriting.js'
import type { Change } from '../step.js'

const { EEXIST, EADDRNOTAVAIL, ENODEV } = constants.errno

/** IFA_* */
const ADDRESS = 1
const LOCAL = 2
const LABEL = 3
const CACHEINFO = 6
const FLAGS = 8
const TARGET_NETNSID = 10

const FOREVER = 0xffffffff
const NODAD = addressFlags.toMask({ nodad: true }).value
/** What can be asked for; the kernel sets the others. */
const ASKED = {
  inet: addressFlags.toMask({ noprefixroute: true, autojoin: true }).value,
  inet6: addressFlags.toMask({ nodad: true, home: true, mngtmpaddr: true, noprefixroute: true, autojoin: true }).value
}

export interface Target {
  readonly index: number
  readonly name: string
}

export const isLinkLocal = ({ family, scope }: Address): boolean => family === 'inet6' && scope === 'link'

/** In the order in which they have to be added to stand as they stood: the kernel puts the newest of IPv6 first. */
export function inAddingOrder(addresses: readonly Address[]): Address[] {
  return [
    ...addresses.filter(({ family }) => family !== 'inet6'),
    ...addresses.filter(({ family }) => family === 'inet6').toReversed()
  ]
}

/** Adds an address; that of IPv6 without a detection of duplicates, which would keep it from use for a second. */
export function adding(address: Address, from: string, to: Target): Change {
  return {
    request: requestOf(
      'RTM_NEWADDR',
      NLM_F_CREATE | NLM_F_EXCL,
      told(address, from, to, address.family === 'inet6' ? NODAD : 0),
      `${address} on ${to.name}`
    ),
    command: `ip address add ${words(address, from, to)}${address.family === 'inet6' ? ' nodad' : ''}`,
    settled: [EEXIST]
  }
}

/** Gives an address of IPv6 the very flags that it had; nothing for one that got them when it was added. */
export function finishing(address: Address, from: string, to: Target): Change[] {
  if (address.family !== 'inet6' || address.flags?.nodad) return []
  const request = requestOf('RTM_NEWADDR', NLM_F_REPLACE, told(address, from, to, 0), `${address} on ${to.name}`)
  return [{ request, command: `ip address change ${words(address, from, to)}`, settled: [] }]
}

export function removing(address: Address, from: Target): Change {
  const { header, attributes } = toldBy(address, addressMessage.headerLength)
  const kept = attributes.filter(({ type }) => type === ADDRESS || type === LOCAL)
  return {
    request: requestOf(
      'RTM_DELADDR',
      0,
      { header: placed(header, from), attributes: kept },
      `${address} on ${from.name}`
    ),
    command: `ip address del ${address} dev ${from.name}`,
    settled: [EADDRNOTAVAIL, ENODEV]
  }
}

function told(address: Address, from: string, to: Target, moreFlags: number): Told {
  const { header, attributes } = toldBy(address, addressMessage.headerLength)
  const flags = address.flags ? addressFlags.toMask(address.flags).value : 0
  const asked = flags & ASKED[address.family === 'inet6' ? 'inet6' : 'inet']
  const { preferred = FOREVER, valid = FOREVER } = address.cacheinfo ?? {}
  const by = new Map<number, Uint8Array | undefined>([
    [FLAGS, u32(asked | moreFlags)],
    [CACHEINFO, Buffer.concat([u32(preferred), u32(valid), u32(0), u32(0)])],
    [TARGET_NETNSID, undefined],
    [LABEL, label(address.label, from, to.name)]
  ])
  return { header: placed(header, to), attributes: withoutEmpty(replaced(attributes, by)) }
}

const withoutEmpty = (attributes: readonly Attribute[]) => attributes.filter(({ payload }) => payload.length > 0)

/** Labels begin with the link's name; that of the link alone is the kernel's to give. */
function label(given: string | undefined, from: string, to: string): Uint8Array | undefined {
  const renamed = relabelled(given, from, to)
  return renamed === undefined ? undefined : Buffer.from(`${renamed}\0`)
}

function relabelled(given: string | undefined, from: string, to: string): string | undefined {
  if (given === undefined || given === from) return undefined
  if (!given.startsWith(`${from}:`)) return given
  const renamed = `${to}${given.slice(from.length)}`
  return renamed.length > 15 ? undefined : renamed
}

/** struct ifaddrmsg: the flags' low byte at 2, the index at 4. */
function placed(header: Uint8Array, { index }: Target): Uint8Array {
  const copy = header.slice()
  copy[2] = 0
  viewOf(copy).setUint32(4, index, hostLittleEndian)
  return copy
}

function words(address: Address, from: string, to: Target): string {
  const { local, address: peer, broadcast, scope, metric, flags, cacheinfo } = address
  const isPeer = local !== undefined && peer !== undefined && local !== peer
  const named = relabelled(address.label, from, to.name)
  const lifetime = (seconds: number) => (seconds === FOREVER ? 'forever' : `${seconds}sec`)
  return [
    ...(isPeer ? [local, 'peer', `${peer}/${address.prefixLength}`] : [String(address)]),
    ...(broadcast ? ['broadcast', broadcast] : []),
    ...(scope === 'global' ? [] : ['scope', String(scope)]),
    ...(named ? ['label', named] : []),
    ...(metric ? ['metric', String(metric)] : []),
    'dev',
    to.name,
    ...(cacheinfo && cacheinfo.valid !== FOREVER
      ? ['valid_lft', lifetime(cacheinfo.valid), 'preferred_lft', lifetime(cacheinfo.preferred)]
      : []),
    ...(flags?.noprefixroute ? ['noprefixroute'] : []),
    ...(flags?.home && address.family === 'inet6' ? ['home'] : []),
    ...(flags?.mngtmpaddr ? ['mngtmpaddr'] : []),
    ...(flags?.autojoin ? ['autojoin'] : [])
  ].join(' ')
}
