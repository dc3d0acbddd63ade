/** Gateways and routes of a network of kind `bridge`. */
import { isIPv4 } from 'node:net'
import type { BridgeNetwork, StaticRoute } from './spec.js'

/** What the kernel makes of no metric: IP6_RT_PRIO_USER for IPv6. */
export const metricOf = ({ via, metric = 0 }: StaticRoute): number => metric || (isIPv4(via) ? 0 : 1024)

/** Gateways first. The whole of a family is `default`. */
export function routesWanted({ gateway, routes = [] }: BridgeNetwork): StaticRoute[] {
  const gateways = gateway === undefined ? [] : [gateway].flat()
  const all = [...gateways.map((via): StaticRoute => ({ to: 'default', via })), ...routes]
  return all.map(route => (route.to.endsWith('/0') ? { ...route, to: 'default' } : route))
}
