/** What a watch does not need is not delivered to its socket: the kernel filters. */
import { execFileSync } from 'node:child_process'
import diagnosticsChannel from 'node:diagnostics_channel'
import { expect, onTestFinished } from 'vitest'
import { RTM, type TracedMessage, type WatchOptions } from '../../lib/index.js'
import { announcementFilter } from '../../lib/link/watch/filter.js'
import { type Namespace, test } from '../support/namespace.js'
import { take, takeUntil } from '../support/watching.js'

const MAC = '02:00:00:00:00:09'

/** The announcements that reach a watch, by verb: those have no port id. */
function received(): string[] {
  const verbs: string[] = []
  const hear = (message: unknown) => {
    const { portId, type } = message as TracedMessage
    if (portId === 0) verbs.push(type)
  }
  diagnosticsChannel.subscribe('linkwright:netlink:receive', hear)
  onTestFinished(() => void diagnosticsChannel.unsubscribe('linkwright:netlink:receive', hear))
  return verbs
}

function make({ tools }: Namespace): void {
  tools.ip('link add name br0 type bridge')
  tools.ip('link add name a type veth peer name b')
  tools.ip('link set dev a master br0')
}

test('forwarding entries without neighbours', async ({ ns }) => {
  make(ns)
  const verbs = received()
  await using watch = ns.net.watch({ fdb: true })
  await take(watch)
  for (let i = 1; i < 20; i++) ns.tools.ip(`neigh add 192.0.2.${i} lladdr ${MAC} dev a`)
  ns.tools.bridge(`fdb add ${MAC} dev a master static`)
  await takeUntil(watch, `added fdb ${MAC}`)
  expect(verbs.filter(verb => verb === 'RTM_NEWNEIGH')).toHaveLength(1)
})

test('neighbours without forwarding entries', async ({ ns }) => {
  make(ns)
  const verbs = received()
  await using watch = ns.net.watch({ neighbours: true })
  await take(watch)
  for (let i = 10; i < 30; i++) ns.tools.bridge(`fdb add 02:00:00:00:00:${i} dev a master static`)
  ns.tools.ip(`neigh add 192.0.2.1 lladdr ${MAC} dev a`)
  await takeUntil(watch, 'added neighbour 192.0.2.1')
  expect(verbs.filter(verb => verb === 'RTM_NEWNEIGH')).toHaveLength(1)
})

const narrowed: [string, (index: number) => WatchOptions][] = [
  ['links', index => ({ links: { index: [index] } })],
  ['addresses', index => ({ addresses: { index: [index] } })],
  ['neighbours', index => ({ neighbours: { index: [index, 9999] } })]
]
test.for(narrowed)('%s of a chosen link', async ([list, options], { ns }) => {
  make(ns)
  const verbs = received()
  await using watch = ns.net.watch(options(ns.tools.link('br0').ifindex))
  await take(watch)
  for (let i = 1; i < 20; i++) {
    ns.tools.ip(`link set dev a mtu ${1300 + i}`)
    ns.tools.ip(`addr add 192.0.2.${i}/24 dev a`)
    ns.tools.ip(`neigh add 192.0.2.${100 + i} lladdr ${MAC} dev a`)
  }
  expect(verbs).toEqual([])
  ns.tools.ip('link set dev br0 group 7 txqueuelen 77')
  ns.tools.ip('addr add 192.0.2.200/24 dev br0')
  ns.tools.ip(`neigh add 192.0.2.201 lladdr ${MAC} dev br0`)
  const { value } = await watch.next()
  expect(value?.event).toBe(list === 'links' ? 'changed' : 'added')
  expect(verbs.length).toBeGreaterThan(0)
})

test.for([
  ['one sort', { links: true }],
  ['several sorts', { links: true, addresses: true, neighbours: true, fdb: true }]
] as const)(
  'hundreds of links of %s, in the memory that kernels before 6.7 give a socket',
  async ([, lists], { ns }) => {
    make(ns)
    // There it is the same for all namespaces.
    const files = execFileSync('ip', ['netns', 'exec', ns.name, 'ls', '/proc/sys/net/core'], { encoding: 'utf8' })
    if (files.includes('optmem_max')) {
      execFileSync('ip', ['netns', 'exec', ns.name, 'sysctl', '-qw', 'net.core.optmem_max=20480'])
    }
    const index = [ns.tools.link('br0').ifindex, ...Array.from({ length: 499 }, (_, i) => 5000 + i)]
    const options = Object.fromEntries(Object.keys(lists).map(list => [list, { index }]))
    await using watch = ns.net.watch(options as { links: object })
    await take(watch)
    ns.tools.ip('link set dev br0 txqueuelen 77')
    expect(await take(watch)).toMatchObject({ event: 'changed', after: { name: 'br0' } })
  }
)

test('more links than a program has room for are sorted out here', async ({ ns }) => {
  make(ns)
  const index = Array.from({ length: 3000 }, (_, i) => 5000 + i)
  await using watch = ns.net.watch({ links: { index: [ns.tools.link('br0').ifindex, ...index] } })
  await take(watch)
  ns.tools.ip('link set dev a mtu 1400')
  ns.tools.ip('link set dev br0 txqueuelen 77')
  expect(await take(watch)).toMatchObject({ event: 'changed', after: { name: 'br0' } })
  expect(announcementFilter([{ types: [RTM.RTM_NEWLINK], index }]).length).toBeLessThan(100)
})
