/** The subnets of networks. */
import { type IpPrefix, parsePrefix } from '../../link/ip-prefix.js'
import { addressNumber, bounds } from '../dnsmasq/subnet.js'
import type { BridgeSettings } from './spec.js'

export function prefixesOf({ addresses = [] }: BridgeSettings): IpPrefix[] {
  return addresses.map((address, at) => parsePrefix(address, `addresses[${at}]`))
}

export function overlap(a: IpPrefix, b: IpPrefix): boolean {
  if (a.family !== b.family) return false
  const [one, other] = [bounds(a), bounds(b)]
  return one.first <= other.last && other.first <= one.last
}

/** fe80::/10, which is another one on each link. */
export const isLinkLocal = ({ family, address }: IpPrefix): boolean =>
  family === 'inet6' && addressNumber(address) >> 118n === 0x3fan
