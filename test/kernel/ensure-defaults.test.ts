/** What `create` does by default, and the options against it, in lists of `ensure`. */
import { describe, expect } from 'vitest'
import { type EnsureLink, Netlink } from '../../lib/index.js'
import { hasIpv6 } from '../../lib/link/ipv6.js'
import { groupAlias, ownerGroup } from '../../lib/link/owner.js'
import { type Namespace, test } from '../support/namespace.js'
import { traffic } from '../support/trace.js'

const VMM = { owner: 'vmm' }

/** Ensures, and sees that nothing is left to do. Gives what was done. */
async function settled(ns: Namespace, specs: EnsureLink[]): Promise<string[]> {
  const { steps } = await ns.net.links.ensure(specs, VMM)
  const { result, sent } = await traffic(() => ns.net.links.ensure(specs, VMM))
  expect(result).toMatchObject({ steps: [] })
  expect(sent).toHaveLength(1)
  return steps.map(({ action, link, changes }) => `${action} ${link} ${changes.map(({ path }) => path).join()}`)
}

const ipv6 = async (ns: Namespace, ...names: string[]) =>
  Promise.all(names.map(async name => hasIpv6(await ns.net.links.get(name))))

const PORT: EnsureLink = { kind: 'ifb', name: 'p', master: 'br0' }

describe('ipv6', () => {
  test('is as it was asked for, and by default off on ports', async ({ ns }) => {
    await settled(ns, [
      { kind: 'bridge', name: 'br0', ipv6: false },
      { ...PORT, ipv6: true },
      { kind: 'veth', name: 'q', master: 'br0', peer: { name: 'r', ipv6: false } }
    ])
    expect(await ipv6(ns, 'br0', 'p', 'q', 'r')).toEqual([false, true, false, false])
  })

  test('is switched on what is there', async ({ ns }) => {
    await settled(ns, [{ kind: 'bridge', name: 'br0' }, PORT])
    const specs: EnsureLink[] = [
      { kind: 'bridge', name: 'br0', ipv6: false, up: true },
      { ...PORT, ipv6: true }
    ]
    expect(await settled(ns, specs)).toEqual(['change br0 up,ipv6', 'change p ipv6'])
    expect(await ipv6(ns, 'br0', 'p')).toEqual([false, true])
    ns.tools.ip('link set dev br0 mtu 1200')
    // The kernel says nothing of it then.
    expect(await settled(ns, specs)).toEqual([])
  })

  test('is put back when a step fails, also on what was replaced', async ({ ns }) => {
    ns.tools.ip('link add name strange type ifb')
    await settled(ns, [
      { kind: 'bridge', name: 'br0' },
      { ...PORT, ipv6: true },
      { kind: 'ifb', name: 'i' }
    ])
    const specs: EnsureLink[] = [
      { kind: 'bridge', name: 'br0', ipv6: false },
      { ...PORT, numTxQueues: 3 },
      { kind: 'ifb', name: 'i', ipv6: false },
      { kind: 'ifb', name: 'refused', master: 'strange' }
    ]
    await expect(ns.net.links.ensure(specs, VMM)).rejects.toThrow(/what was done before is taken back/)
    expect(await ipv6(ns, 'br0', 'p', 'i')).toEqual([true, true, true])
  })

  test('is true or false', async ({ ns }) => {
    const specs = [{ kind: 'bridge', name: 'br0', ipv6: 'no' }] as unknown as EnsureLink[]
    await expect(ns.net.links.ensure(specs, { dryRun: true })).rejects.toMatchObject({ path: 'specs[0].ipv6' })
  })
})

describe('a bridge', () => {
  test('may leave its address to the kernel', async ({ ns }) => {
    const specs: EnsureLink[] = [
      { kind: 'bridge', name: 'br0', address: null },
      { ...PORT, address: '02:00:00:00:00:01' }
    ]
    const text = String(await ns.net.links.ensure(specs, { ...VMM, dryRun: true }))
    expect(text).toContain('ip link add br0 type bridge')
    await settled(ns, specs)
    expect(ns.tools.link('br0').address).toBe('02:00:00:00:00:01')
  })

  test('keeps an MTU that was asked for, whatever joins it', async ({ ns }) => {
    await settled(ns, [
      { kind: 'bridge', name: 'br0', mtu: 1500 },
      { kind: 'bridge', name: 'br1', mtu: 9000 },
      { ...PORT, mtu: 1300 },
      { kind: 'ifb', name: 'p1', master: 'br1', mtu: 1300 }
    ])
    expect([ns.tools.link('br0').mtu, ns.tools.link('br1').mtu]).toEqual([1500, 9000])
  })
})

test('links whose removal was killed are the owner’s', async ({ ns }) => {
  const killed = { alias: groupAlias(ownerGroup('vmm')), group: 0x41234567 }
  for (const name of ['kept', 'gone']) {
    ns.tools.ip(`link add name ${name} type ifb`)
    await ns.net.links.set(name, killed)
  }
  expect(await settled(ns, [{ kind: 'ifb', name: 'kept' }])).toEqual(['change kept group,alias', 'remove gone '])
})

test('what has the ifindex of a link of ours by now is not removed', async ({ ns }) => {
  await ns.net.links.ensure([{ kind: 'ifb', name: 'ours' }], VMM)
  const { ifindex } = ns.tools.link('ours')
  using net = await Netlink.open({ netns: ns.name })
  const dumpAs = net.socket.dumpAs.bind(net.socket)
  // Somebody replaces it right after it was looked at.
  net.socket.dumpAs = async (request, make, options) => {
    const links = await dumpAs(request, make, options)
    if (ns.tools.ipJson('link show').some(({ ifname }) => ifname === 'ours')) {
      ns.tools.ip('link del dev ours')
      ns.tools.ip(`link add name strange index ${ifindex} type bridge`)
    }
    return links
  }
  await net.links.ensure([], VMM)
  expect(ns.tools.link('strange').ifindex).toBe(ifindex)
})
