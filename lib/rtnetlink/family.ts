/** Address families of sys/socket.h that rtnetlink speaks of. */
import { isIPv4 } from 'node:net'
import { enumeration } from '../codec/enumeration.js'
import { u8 } from '../codec/integers.js'

export const AF_UNSPEC = 0
export const AF_INET = 2
export const AF_BRIDGE = 7
export const AF_INET6 = 10

export const family = enumeration(
  u8,
  { unspec: 0, inet: 2, bridge: 7, inet6: 10, mpls: 28, ipmr: 128, ip6mr: 129 },
  { open: true }
)

export type IpFamily = 'inet' | 'inet6'

/** The family of an address that was validated before. */
export function familyOf(address: string): IpFamily {
  return isIPv4(address) ? 'inet' : 'inet6'
}
