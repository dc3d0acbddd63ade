/** The spec files of the guide: loaded, applied, used, undone. */
import { fileURLToPath } from 'node:url'
import { describe, expect, vi } from 'vitest'
import { type DirectNetwork, Network } from '../../lib/index.js'
import { loadSpec } from '../../lib/spec/index.js'
import { obtain } from '../support/dhcp-client.js'
import { whyNoDnsmasq } from '../support/dnsmasq.js'
import { has } from '../support/features.js'
import { GuestStack } from '../support/guest-stack.js'
import { pings, reaches, type Scene, test } from './support/network.js'

const load = (name: string) => loadSpec(fileURLToPath(new URL(`specs/${name}.yaml`, import.meta.url)))

const open = async (scene: Scene, file: string, name: string) =>
  Network.open(scene.host.net, await load(file), name, { runtimeDirectory: scene.runtimeDirectory })

describe('with a bridge', () => {
  test('bridge', async ({ scene }) => {
    const before = scene.state()
    const spec = await load('bridge')
    const plan = await scene.apply(spec)
    const guest = await scene.guest('br0', 'vnet0', ['203.0.113.10/24'])
    expect([pings(guest, '203.0.113.1'), pings(guest, '203.0.113.2'), pings(scene.host, '198.51.100.7')]).toEqual([
      true,
      true,
      true
    ])
    expect(String(await scene.plan(spec))).toBe('')
    scene.host.tools.ip('link del dev vnet0')
    await plan.undo()
    expect(scene.state()).toBe(before)
  })

  for (const [file, name, prefix] of [
    ['nat', 'virbr0', '192.168.122.'],
    ['isolated', 'virbr2', '192.168.124.'],
    ['routed', 'virbr1', undefined]
  ] as const) {
    test(file, async ({ scene, skip }) => {
      const reason = whyNoDnsmasq()
      if (reason) skip(reason)
      const before = scene.state()
      const spec = await load(file)
      const plan = await scene.apply(spec)
      expect(String(await scene.plan(spec))).toBe('')
      {
        await using network = await open(scene, file, name)
        await using tap = await network.openTap({ vnetHeader: false })
        using guest = new GuestStack(tap, '52:54:00:00:00:01')
        // The kernel takes its time to see the carrier, and the client asks once.
        await vi.waitFor(
          () => expect(scene.host.tools.link(tap.name).linkinfo.info_slave_data.state).toBe('forwarding'),
          5000
        )
        if (prefix !== undefined) expect((await obtain(guest)).address.startsWith(prefix)).toBe(true)
      }
      await plan.undo()
      expect(scene.state()).toBe(before)
    })
  }
})

describe('direct', () => {
  for (const mode of ['private', 'vepa', 'passthru'] as const) {
    test(`macvtap in mode ${mode}`, async ({ scene, skip }) => {
      if (!has('macvtap')) skip('this kernel has no macvtap')
      const { host } = scene
      const before = scene.state()
      const plan = await scene.apply(await load(`macvtap-${mode}`))
      expect(plan.empty).toBe(true)
      {
        await using network = await open(scene, `macvtap-${mode}`, 'lan0')
        await using _ = await network.openMacvtap({ name: 'mt0', address: '52:54:00:00:00:01' })
        expect((network.spec as DirectNetwork).mode).toBe(mode)
        expect(host.tools.link('mt0')).toMatchObject({
          address: '52:54:00:00:00:01',
          link: 'eth0',
          linkinfo: { info_kind: 'macvtap', info_data: { mode } }
        })
        await expect(network.openTap()).rejects.toMatchObject({ code: 'ENODEV' })
        const sources = ['52:54:00:00:00:02']
        await expect(network.openMacvtap({ name: 'mt1', sources })).rejects.toMatchObject({ path: 'sources' })
        host.tools.ip('link del dev mt0')
      }
      expect(scene.state()).toBe(before)
    })
  }

  test('macvtap in mode bridge, with a host peer: host and guest reach each other', async ({ scene, skip }) => {
    if (!has('macvtap')) skip('this kernel has no macvtap')
    const { host, outside } = scene
    const before = scene.state()
    const spec = await load('macvtap-bridge')
    const plan = await scene.apply(spec)
    expect(String(await scene.plan(spec))).toBe('')
    {
      await using network = await open(scene, 'macvtap-bridge', 'lan0')
      await using tap = await network.openMacvtap({ name: 'mt0', address: '52:54:00:00:00:01', vnetHeader: false })
      using guest = new GuestStack(tap as never, '52:54:00:00:00:01')
      guest.ip = '203.0.113.10'
      const reached = [await reaches(host, '203.0.113.10'), await reaches(outside, '203.0.113.10')]
      expect([...reached, pings(host, '203.0.113.2')]).toEqual([true, true, true])
      host.tools.ip('link del dev mt0')
    }
    await plan.undo()
    expect(scene.state()).toBe(before)
  })

  test('has conflicts: no NIC, a port, one that is taken', async ({ scene, skip }) => {
    if (!has('macvtap')) skip('this kernel has no macvtap')
    const { host } = scene
    host.tools.ip('link add name br9 type bridge')
    host.tools.ip('link add name p0 type veth peer name p1')
    host.tools.ip('link set dev p0 master br9')
    host.tools.ip('link add link p1 name mv0 type macvlan mode passthru')
    const codes = async (link: string) => {
      const plan = await scene.plan({ networks: { lan0: { kind: 'direct', link, mode: 'vepa' } } })
      return plan.conflicts.map(({ code }) => code)
    }
    expect([await codes('eth7'), await codes('p0'), await codes('p1'), await codes('eth0')]).toEqual([
      ['no-such-link'],
      ['already-a-port'],
      ['upper-link'],
      []
    ])
  })
})
