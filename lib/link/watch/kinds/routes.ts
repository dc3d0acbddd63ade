/** Routes as they are watched. IPv4 routes vanish without a word when their link or address does. */
import { NLM_F_DUMP } from '../../../netlink/constants.js'
import { encodeRequest } from '../../../netlink/request.js'
import type { IpFamily } from '../../../rtnetlink/family.js'
import { routeMessage } from '../../../rtnetlink/route.js'
import { RTM } from '../../../rtnetlink/verbs.js'
import { Route } from '../../routes.js'
import type { RouteInterest } from '../events.js'
import { type Kind, sameMessage } from '../kind.js'

/** A scope is a table of a family: `inet 254`. */
export function routeScope(family: string, table: number): string {
  return `${family} ${table}`
}

export function watchedRoutes({ table }: RouteInterest): Kind<Route> {
  const dump = (family: IpFamily | 'unspec', of: number | undefined) =>
    encodeRequest('RTM_GETROUTE', RTM.RTM_GETROUTE, routeMessage, { family, table: of }, { flags: NLM_F_DUMP })
  return {
    object: 'route',
    list: 'routes',
    headerLength: routeMessage.headerLength,
    view: message => new Route(message),
    // Several that agree in this: the kernel takes them in their order.
    ordered: true,
    key: it =>
      `${routeScope(it.family as string, it.tableId)} ${it.destination} ${it.srcLength ? `from ${it.src}/${it.srcLength} ` : ''}` +
      `tos ${it.tos} metric ${it.priority ?? 0}`,
    scope: it => routeScope(it.family as string, it.tableId),
    same: (a, b) => sameMessage(routeMessage, a, b),
    wanted: it =>
      (it.family === 'inet' || it.family === 'inet6') &&
      (table === undefined || it.tableId === table) &&
      // Entries of a cache, which kernels before 4.20 put among the routes.
      !it.flags.cloned,
    // Of all families at once: a kernel without IPv6 takes a request for its routes as one for all.
    readAll: () => [dump('unspec', table)],
    read: scope => {
      const [family, of] = scope.split(' ')
      return [dump(family as IpFamily, Number(of))]
    }
  }
}
