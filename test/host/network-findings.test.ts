/** What a plan of networks has to say of the host: collisions, MTUs, and firewalls of others. */
import { describe, expect } from 'vitest'
import type { NetworksSpec } from '../../lib/index.js'
import { type Scene, test } from './support/network.js'

const SPEC: NetworksSpec = {
  networks: {
    virbr0: {
      kind: 'nat',
      addresses: ['192.168.122.1/24'],
      dhcp4: { ranges: [{ start: '192.168.122.100', end: '192.168.122.199' }] }
    }
  }
}

const WARNING = 'has to accept that itself'

async function drops(scene: Scene, rules: string): Promise<string[]> {
  const { tools } = scene.host
  tools.exec('sh', '-c', `nft -f - <<'END'\n${rules}\nEND`)
  const { warnings } = await scene.plan(SPEC)
  tools.exec('nft', 'flush', 'ruleset')
  return warnings.filter(({ code }) => code === 'firewall-drops').map(({ message }) => message)
}

const base = (hook: string, policy: string, rules = '') =>
  `table inet fw { chain guard { type filter hook ${hook} priority 0; policy ${policy}; ${rules}
}
}`

describe('firewalls of others', () => {
  test('that drop what comes in by default keep guests from DHCP and DNS', async ({ scene }) => {
    const found = await drops(scene, base('input', 'drop', 'ct state established,related accept\niifname "lo" accept'))
    expect(found).toEqual([`table inet fw, chain guard drops DHCP, DNS of virbr0: it ${WARNING}`])
  })

  test('are named for what they drop alone', async ({ scene }) => {
    const lets = 'iifname "virbr0" udp dport { 53, 67 } accept'
    expect(await drops(scene, base('input', 'drop', lets))).toEqual([])
    expect(await drops(scene, base('input', 'drop', 'iifname "virbr*" udp dport 60-70 accept'))).toEqual([
      `table inet fw, chain guard drops DNS of virbr0: it ${WARNING}`
    ])
    expect(await drops(scene, base('input', 'accept', 'udp dport 67 drop'))).toEqual([
      `table inet fw, chain guard drops DHCP of virbr0: it ${WARNING}`
    ])
    // Not for certain: an address decides.
    expect(await drops(scene, base('input', 'accept', 'ip saddr 10.0.0.0/8 drop'))).toEqual([])
    expect(await drops(scene, base('input', 'drop', 'ip saddr 192.168.0.0/16 accept'))).toEqual([])
    expect(await drops(scene, base('input', 'accept', 'iifname "eth0" drop\ntcp dport 67 reject'))).toEqual([])
  })

  test('that forward nothing, or only for their own', async ({ scene }) => {
    expect(await drops(scene, base('forward', 'drop'))).toEqual([
      `table inet fw, chain guard drops traffic of guests to the outside, answers to guests of virbr0: it ${WARNING}`
    ])
    expect(
      await drops(scene, base('forward', 'drop', 'ct state vmap { established : accept, related : accept }'))
    ).toEqual([])
    const docker = `table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; jump USER
 }

      chain USER { iifname "docker0" accept; return
}
}`
    expect(await drops(scene, docker)).toHaveLength(1)
    const open = docker.replace('iifname "docker0" accept', 'iifname "virbr0" accept; oifname "virbr0" accept')
    expect(await drops(scene, open)).toEqual([])
  })

  test('that see bridged frames', async ({ scene, skip }) => {
    const { tools } = scene.host
    const path = '/proc/sys/net/bridge/bridge-nf-call-iptables'
    const call = tools.exec('sh', '-c', `echo 1 > ${path} 2>/dev/null && cat ${path} || true`).trim()
    if (call !== '1') skip('this kernel has no br_netfilter')
    tools.exec('nft', 'add table ip fw; add chain ip fw guard { type filter hook forward priority 0; policy drop; }')
    const spec: NetworksSpec = { networks: { br0: { kind: 'bridge' } } }
    const codes = async () => (await scene.plan(spec)).warnings.map(({ code, about }) => [code, about])
    expect(await codes()).toEqual([['bridge-netfilter', 'table ip fw, chain guard']])
    tools.exec('sh', '-c', `echo 0 > ${path}`)
    expect(await codes()).toEqual([])
  })
})

test('a route to the subnet that leads elsewhere is a conflict, to be overridden', async ({ scene }) => {
  const { host } = scene
  host.tools.ip('route add 192.168.0.0/16 via 203.0.113.2')
  const plan = await scene.plan({ networks: { iso0: { kind: 'isolated', addresses: ['192.168.122.1/24'] } } })
  expect(plan.conflicts).toEqual([
    {
      code: 'route-collision',
      message: '192.168.122.1/24 overlaps with 192.168.0.0/16 by eth0',
      about: '192.168.122.1/24'
    }
  ])
  await expect(plan.apply()).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
  const again = await scene.plan({ networks: { iso0: { kind: 'isolated', addresses: ['192.168.122.1/24'] } } })
  await again.apply({ despite: ['route-collision'] })
  expect(host.tools.link('iso0')).toBeDefined()
})

test('a table of others that has the name of ours is a conflict', async ({ scene }) => {
  scene.host.tools.exec('nft', 'add', 'table', 'inet', 'linkwright-iso0')
  const plan = await scene.plan({ networks: { iso0: { kind: 'isolated' } } })
  expect(plan.conflicts.map(({ code }) => code)).toEqual(['table-taken'])
})
