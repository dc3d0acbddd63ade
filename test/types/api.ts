/** What the types promise, checked by `tsc`: never run. */
import { type Link, type Netlink, Tap } from '../../lib/index.js'

export async function typed(net: Netlink): Promise<void> {
  const bridge = await net.links.create({ kind: 'bridge', name: 'br0', stp: false, up: true })
  const delay: number | undefined = bridge.data.forwardDelay
  void delay

  // @ts-expect-error a mode is required
  await net.links.create({ kind: 'macvtap', name: 'm0', link: 'eth0' })
  // @ts-expect-error a lower device is required
  await net.links.create({ kind: 'macvtap', name: 'm0', mode: 'bridge' })
  // @ts-expect-error there is no such mode
  await net.links.create({ kind: 'macvtap', name: 'm0', link: 'eth0', mode: 'passthrough' })
  // @ts-expect-error an attribute of another kind
  await net.links.create({ kind: 'ifb', name: 'i0', stp: true })
  // @ts-expect-error read-only attributes cannot be given
  await net.links.create({ kind: 'bridge', rootPort: 1 })
  // @ts-expect-error there is no such kind
  await net.links.create({ kind: 'bridg', name: 'b' })

  await net.links.set('br0', { kind: 'bridge', ageingTime: 100 })
  // @ts-expect-error attributes of a kind need the kind beside them
  await net.links.set('br0', { ageingTime: 100 })
  // @ts-expect-error only at creation
  await net.links.set('v0', { kind: 'vlan', id: 5 })

  await net.links.create({ kind: 'bridge', unknown: bridge.unknown, unknownData: bridge.data.unknown })
  await net.links.set('br0', { kind: 'bridge', unknownData: bridge.data.unknown })
  // @ts-expect-error they belong to a kind
  await net.links.set('br0', { unknownData: bridge.data.unknown })

  const plan = await net.links.ensure(
    [
      { kind: 'bridge', name: 'br0', stp: false },
      { kind: 'veth', name: 'v0', master: 'br0', peer: { name: 'v1' } },
      { kind: 'tun', name: 'tap0', mtu: 9000 },
      { name: 'eth0', master: 'br0' }
    ],
    { owner: 'vmm', adopt: ['eth0'], dryRun: true }
  )
  const text: string = plan.toString()
  void text
  // @ts-expect-error a name is required
  await net.links.ensure([{ kind: 'bridge' }])
  // @ts-expect-error links of another namespace are ensured there
  await net.links.ensure([{ kind: 'bridge', name: 'b', netns: 'blue' }])

  const link: Link = await net.links.get('x')
  if (link.is('macvtap')) {
    const mode: 'private' | 'vepa' | 'bridge' | 'passthru' | 'source' | number | undefined = link.data.mode
    void mode
  }
  // @ts-expect-error not narrowed
  void link.data?.mode

  await net.qdiscs.add({ link: 'a', handle: '1:', kind: 'htb', default: 1 })
  // @ts-expect-error a setting of another kind
  await net.qdiscs.add({ link: 'a', kind: 'bfifo', default: 1 })
  // @ts-expect-error a rate is required
  await net.classes.add({ link: 'a', classid: '1:1', kind: 'htb' })
  // @ts-expect-error there is no such action
  await net.filters.add({ link: 'a', kind: 'matchall', actions: [{ kind: 'dorp' }] })
  await net.bandwidth.set('a', { inbound: { rate: '10mbit' }, outbound: null })

  await using tap = await Tap.open({ name: 'vnet%d', queues: 2, vnetHeader: 12, offloads: { csum: true } })
  const fds: number[] = tap.fds
  void fds

  for await (const event of net.watch({ links: true, addresses: { index: [1] }, routes: false })) {
    if (event.event === 'snapshot') {
      const links: Link[] = event.links
      void [links, event.addresses, event.keys.links]
      // @ts-expect-error not asked for
      void event.routes
    } else if (event.event === 'resync') {
      void event.reason
    } else if (event.object === 'link') {
      const after: Link | undefined = event.after
      if (event.event === 'changed') void [event.before.mtu, event.after.mtu]
      if (event.event === 'removed') void event.before.name
      void after
    } else {
      void (event.after ?? event.before).ownAddress
    }
  }
  // @ts-expect-error there is no such table
  net.watch({ qdiscs: true })
}
