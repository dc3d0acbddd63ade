/** What was read can be given again, in the way that the views say. */
import { expect } from 'vitest'
import type { Address, FdbEntry, Neighbour, Route } from '../../lib/index.js'
import { test as base, type Namespace } from '../support/namespace.js'

const MAC = '02:00:00:00:00:11'

/** A namespace with a pair of links that are up and say nothing by themselves. */
const test = base.extend<{ host: Namespace }>({
  host: async ({ ns }, use) => {
    ns.tools.ip('link add name a type veth peer name b')
    for (const name of ['a', 'b']) ns.tools.ip(`link set dev ${name} up addrgenmode none`)
    await use(ns)
  }
})

/** Deletes and adds what was read, and looks with iproute2 whether it is the same then. */
async function again<T>(
  show: () => unknown,
  read: T | undefined,
  how: { delete(entry: T): Promise<void>; add(entry: T): Promise<void> }
): Promise<void> {
  if (read === undefined) throw new Error('there is none')
  const before = show()
  await how.delete(read)
  expect(show()).not.toEqual(before)
  await how.add(read)
  expect(show()).toEqual(before)
}

test.for([
  'address add 192.0.2.1/24 dev a broadcast 192.0.2.255 label a:one scope link metric 7',
  'address add 192.0.2.1 peer 198.51.100.0/24 dev a',
  'address add 2001:db8::1/64 dev a metric 7 nodad'
])('%s', async (command, { host: { net, tools } }) => {
  tools.ip(command)
  const [read] = await net.addresses.list({ link: 'a' })
  const options = (it: Address) => ({
    address: String(it),
    link: it.index,
    peer: it.local !== it.address && it.local !== undefined ? `${it.address}/${it.prefixLength}` : undefined,
    broadcast: it.broadcast,
    label: it.label,
    scope: it.scope,
    metric: it.metric,
    nodad: it.flags?.nodad || undefined
  })
  await again(() => tools.ipJson('address show dev a')[0].addr_info, read, {
    delete: it => {
      const { address, link, peer } = options(it)
      return net.addresses.delete({ address, link, peer })
    },
    add: it => net.addresses.add(options(it))
  })
})

test.for([
  'route add 198.51.100.0/24 via 192.0.2.2 metric 7 table 300 mtu 1400',
  'route add 198.51.100.0/24 nexthop via 192.0.2.2 weight 3 nexthop via 192.0.2.3',
  'route add default dev a src 192.0.2.1 protocol boot'
])('%s', async (command, { host: { net, tools }, skip }) => {
  tools.ip('address add 192.0.2.1/24 dev a')
  if (!tools.can(command)) skip('this kernel has no such routes')
  const wanted = command.includes('default') ? 'default' : '198.51.100.0/24'
  const read = (await net.routes.list({ table: 0, family: 'inet' })).find(route => route.destination === wanted)
  const options = (it: Route) => ({
    destination: it.destination,
    link: it.oif,
    table: it.tableId,
    gateway: it.gateway,
    prefsrc: it.prefsrc,
    priority: it.priority,
    protocol: it.protocol,
    scope: it.scope,
    tos: it.tos,
    metrics: it.metrics,
    nexthops: it.multipath?.map(({ index, weight, gateway }) => ({ link: index, weight, gateway }))
  })
  await again(() => tools.ipJson('route show table all'), read, {
    delete: it => net.routes.delete(options(it)),
    add: it => net.routes.add(options(it))
  })
})

test.for([
  `neighbour add 192.0.2.7 lladdr ${MAC} dev a protocol 7`,
  `neighbour add 2001:db8::7 lladdr ${MAC} dev a router`,
  'neighbour add proxy 192.0.2.8 dev a'
])('%s', async (command, { host: { net, tools } }) => {
  tools.ip(command)
  const proxy = command.includes('proxy')
  const [read] = (await net.neighbours.list({ link: 'a', proxy })).filter(({ dst }) => /\.[78]$|::7$/.test(dst ?? ''))
  const options = (it: Neighbour) => ({
    address: it.dst ?? '',
    link: it.index,
    lladdr: it.lladdr,
    state: it.state,
    protocol: it.protocol,
    proxy: it.flags.proxy,
    router: it.flags.router
  })
  await again(() => tools.ipJson(`neighbour show ${proxy ? 'proxy' : ''} dev a`), read, {
    delete: it => net.neighbours.delete({ address: it.dst ?? '', link: it.index, proxy: it.flags.proxy }),
    add: it => net.neighbours.add(options(it))
  })
})

test.for([
  `fdb add ${MAC} dev a master static sticky`,
  `fdb add ${MAC} dev a master permanent`,
  `fdb add ${MAC} dev a master dynamic extern_learn`,
  `fdb add ${MAC} dev vx self permanent dst 192.0.2.9 port 5000 vni 9 via b`
])('%s', async (command, { host: { net, tools } }) => {
  tools.ip('link add name br0 type bridge')
  tools.ip('link set dev a master br0')
  tools.ip('link add name vx type vxlan id 7 dstport 4789')
  tools.bridge(command)
  const [read] = (await net.fdb.list()).filter(({ lladdr }) => lladdr === MAC)
  const options = (it: FdbEntry) => ({
    lladdr: it.lladdr ?? '',
    link: it.index,
    self: it.flags.self,
    dst: it.dst,
    port: it.port,
    vni: it.vni,
    via: it.ifindex,
    type: it.state.permanent ? ('permanent' as const) : it.state.noarp ? ('static' as const) : ('dynamic' as const),
    sticky: it.flags.sticky,
    extLearned: it.flags.extLearned
  })
  await again(() => tools.bridgeJson('fdb show').filter(({ mac }) => mac === MAC), read, {
    delete: async it => {
      const { type: _, sticky: _sticky, extLearned: _learned, ...rest } = options(it)
      await net.fdb.delete(rest)
    },
    add: it => net.fdb.add(options(it))
  })
})
