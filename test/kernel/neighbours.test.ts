/** Neighbours: ARP, neighbour discovery, proxies. */
import { describe, expect } from 'vitest'
import type { Parsed } from '../support/ip.js'
import { test as base, type Namespace } from '../support/namespace.js'

const MAC = '02:00:00:00:00:11'

const test = base.extend<{ host: Namespace }>({
  host: async ({ ns }, use) => {
    ns.tools.ip('link add name a type veth peer name b')
    for (const how of ['addrgenmode none', 'up']) {
      for (const name of ['a', 'b']) ns.tools.ip(`link set dev ${name} ${how}`)
    }
    await use(ns)
  }
})

const shown = ({ tools }: Namespace, options = 'dev a'): Parsed[] =>
  ['-4', '-6']
    .flatMap(family => tools.ipJson(`${family} neighbour show nud all ${options}`))
    .filter(
      // What the kernel makes by itself: multicast of the link.
      entry => !/^(ff02|224)/.test(entry.dst)
    )

describe('neighbours.add', () => {
  test.for(['192.0.2.9', '2001:db8::9'])('%s, permanent by default', async (address, { host }) => {
    await host.net.neighbours.add({ address, link: 'a', lladdr: MAC })
    expect(shown(host)).toMatchObject([{ dst: address, lladdr: MAC, state: ['PERMANENT'] }])
  })

  test.for(['reachable', 'stale', 'noarp', 'permanent'] as const)('state %s', async (state, { host }) => {
    await host.net.neighbours.add({ address: '192.0.2.9', link: 'a', lladdr: MAC, state: { [state]: true } })
    expect(shown(host)[0].state).toEqual([state.toUpperCase()])
  })

  test('flags and protocol', async ({ host }) => {
    await host.net.neighbours.add({ address: '2001:db8::9', link: 'a', lladdr: MAC, router: true })
    await host.net.neighbours.add({ address: '192.0.2.9', link: 'a', lladdr: MAC, extLearned: true, protocol: 186 })
    const entries = Object.fromEntries(shown(host).map(entry => [entry.dst, entry]))
    expect(entries['2001:db8::9']).toHaveProperty('router')
    expect(entries['192.0.2.9']).toHaveProperty('extern_learn')
    expect(entries['192.0.2.9'].protocol).toBe('bgp')
  })

  test('a proxy entry', async ({ host }) => {
    await host.net.neighbours.add({ address: '192.0.2.9', link: 'a', proxy: true })
    expect(host.tools.ipJson('neighbour show proxy')).toMatchObject([{ dst: '192.0.2.9', dev: 'a' }])
    expect((await host.net.neighbours.list({ proxy: true })).map(entry => entry.dst)).toEqual(['192.0.2.9'])
    expect(await host.net.neighbours.list({ family: 'inet' })).toEqual([])
    await host.net.neighbours.delete({ address: '192.0.2.9', link: 'a', proxy: true })
    expect(host.tools.ipJson('neighbour show proxy')).toEqual([])
  })

  test('of an entry that is there is EEXIST', async ({ host }) => {
    host.tools.ip(`neighbour add 192.0.2.9 lladdr ${MAC} dev a`)
    await expect(host.net.neighbours.add({ address: '192.0.2.9', link: 'a', lladdr: MAC })).rejects.toMatchObject({
      code: 'EEXIST',
      syscall: 'RTM_NEWNEIGH'
    })
  })
})

test('neighbours.replace changes an entry', async ({ host }) => {
  await host.net.neighbours.replace({ address: '192.0.2.9', link: 'a', lladdr: '02:00:00:00:00:12' })
  await host.net.neighbours.replace({ address: '192.0.2.9', link: 'a', lladdr: MAC, state: { stale: true } })
  expect(shown(host)).toMatchObject([{ lladdr: MAC, state: ['STALE'] }])
})

describe('neighbours.delete', () => {
  test('removes an entry', async ({ host }) => {
    host.tools.ip(`neighbour add 192.0.2.9 lladdr ${MAC} dev a`)
    host.tools.ip(`neighbour add 2001:db8::9 lladdr ${MAC} dev a`)
    await host.net.neighbours.delete({ address: '192.0.2.9', link: 'a' })
    // The kernel keeps a deleted entry a while as "failed".
    expect(shown(host).filter(entry => entry.lladdr)).toMatchObject([{ dst: '2001:db8::9' }])
  })

  test('of an entry that is not there is ENOENT', async ({ host }) => {
    await expect(host.net.neighbours.delete({ address: '192.0.2.9', link: 'a' })).rejects.toMatchObject({
      code: 'ENOENT',
      syscall: 'RTM_DELNEIGH'
    })
  })
})

test('neighbours.list filters by family and by link', async ({ host }) => {
  host.tools.ip(`neighbour add 192.0.2.9 lladdr ${MAC} dev a`)
  host.tools.ip(`neighbour add 192.0.2.8 lladdr ${MAC} dev b`)
  host.tools.ip(`neighbour add 2001:db8::9 lladdr ${MAC} dev a`)
  const list = async (filter: object) =>
    (await host.net.neighbours.list(filter)).filter(entry => entry.state.permanent).map(entry => entry.dst)
  expect(await list({ family: 'inet' })).toHaveLength(2)
  expect(await list({ family: 'inet6' })).toEqual(['2001:db8::9'])
  expect(await list({ link: 'b' })).toEqual(['192.0.2.8'])
  expect((await list({})).toSorted()).toEqual(['192.0.2.8', '192.0.2.9', '2001:db8::9'])
})
