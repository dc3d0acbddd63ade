/** What a plan of networks has to say of the host: collisions, MTUs, and firewalls of others. */
import { spawn } from 'node:child_process'
import { describe, expect, onTestFinished } from 'vitest'
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

  test('firewalld, and ufw by iptables, have to be told', async ({ scene }) => {
    const { tools } = scene.host
    const firewalld = `table inet firewalld {
      chain filter_IN_public_allow { tcp dport 22 accept; ip6 daddr fe80::/64 udp dport 546 accept; }
      chain filter_IN_public { jump filter_IN_public_allow; meta l4proto { icmp, ipv6-icmp } accept; reject with icmpx admin-prohibited; }
      chain filter_INPUT_ZONES { iifname "eth0" goto filter_IN_public; goto filter_IN_public; }
      chain filter_INPUT { type filter hook input priority filter + 10; policy accept
        ct state { established, related } accept; ct status dnat accept; iifname "lo" accept; ct state invalid drop
        jump filter_INPUT_ZONES; reject with icmpx admin-prohibited; }
    }`
    expect(await drops(scene, firewalld.replaceAll(';', '\n').replaceAll('}', '\n}'))).toEqual([
      `table inet firewalld, chain filter_INPUT drops DHCP, DNS of virbr0: it ${WARNING}`
    ])
    const ufw = [
      '*filter',
      ':INPUT DROP',
      ':FORWARD DROP',
      ':before -',
      ':not-local -',
      '-A INPUT -j before',
      '-A before -i lo -j ACCEPT',
      '-A before -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
      '-A before -m conntrack --ctstate INVALID -j DROP',
      '-A before -p udp --sport 67 --dport 68 -j ACCEPT',
      '-A before -j not-local',
      '-A before -p tcp -m multiport --dports 22,8000:8080 -j ACCEPT',
      '-A not-local -m addrtype --dst-type LOCAL -j RETURN',
      '-A not-local -j DROP',
      '-A FORWARD -i virbr0 -m comment --comment guests -j ACCEPT',
      '-A FORWARD -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
      'COMMIT'
    ]
    const codes = async (...rules: string[]) => {
      tools.exec('sh', '-c', `printf '%s\n' "$@" | iptables-nft-restore`, 'sh', ...rules)
      const { warnings } = await scene.plan(SPEC)
      return warnings.map(({ message }) => message)
    }
    expect(await codes(...ufw)).toEqual([`table ip filter, chain INPUT drops DHCP, DNS of virbr0: it ${WARNING}`])
    const allowed = ufw.toSpliced(10, 0, '-A before -i virbr0 -p udp -m multiport --dports 53,67 -j ACCEPT')
    expect(await codes(...allowed)).toEqual([])
    const refuses = ['*filter', ':INPUT ACCEPT', '-A INPUT -i virbr+ -j LOG', '-A INPUT -i virbr+ -j REJECT', 'COMMIT']
    expect(await codes(...refuses)).toEqual([`table ip filter, chain INPUT drops DHCP, DNS of virbr0: it ${WARNING}`])
  })

  test('of iptables-legacy cannot be looked into', async ({ scene, skip }) => {
    const { tools } = scene.host
    const holder = spawn('ip', ['netns', 'exec', scene.host.name, 'sleep', '60'], { stdio: 'ignore' })
    onTestFinished(() => void holder.kill('SIGKILL'))
    if (!tools.can(`netns exec ${scene.host.name} iptables-legacy -S`)) skip('this kernel has no ip_tables')
    const { warnings } = await scene.plan(SPEC)
    expect(warnings.map(({ code, message }) => [code, /filter/.test(message)])).toEqual([['iptables-legacy', true]])
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

test('what is in the way of a subnet, and what is not', async ({ scene }) => {
  const { tools } = scene.host
  const found = async (network: object) => {
    const { conflicts, warnings } = await scene.plan({ networks: { net0: network } } as NetworksSpec)
    return [...conflicts, ...warnings].map(({ code, message }) => `${code}: ${message}`)
  }
  const isolated = { kind: 'isolated', addresses: ['192.168.122.1/24', '2001:db8:7::1/64'] }
  // As VPNs take the default route's place, and sites keep their inside to themselves.
  for (const route of ['0.0.0.0/1 via 203.0.113.2', '128.0.0.0/1 via 203.0.113.2', 'unreachable 192.168.0.0/16']) {
    tools.ip(`route add ${route}`)
  }
  tools.ip('-6 route add 2000::/3 via 2001:db8:f::2')
  expect(await found(isolated)).toEqual([])
  tools.ip('route add blackhole 192.168.122.64/26')
  expect(await found(isolated)).toEqual([
    'route-collision: 192.168.122.1/24 overlaps with 192.168.122.64/26 by blackhole'
  ])
  tools.ip('route del blackhole 192.168.122.64/26')
  tools.ip('address add 192.168.122.9/32 dev lo')
  expect(await found(isolated)).toEqual([
    'route-collision: 192.168.122.1/24 overlaps with the address 192.168.122.9/32 of lo'
  ])
  tools.ip('address del 192.168.122.9/32 dev lo')
  tools.ip('route add 192.168.122.0/24 dev eth0 table 52')
  expect(await found(isolated)).toEqual([])
  tools.ip('rule add priority 5270 table 52')
  expect(await found(isolated)).toEqual([
    'other-table: 192.168.122.1/24 overlaps with 192.168.122.0/24 by eth0 in table 52, which packets may be led to by a rule'
  ])
  // The same subnet as the uplink's; a wider route elsewhere is usual.
  expect(await found({ kind: 'bridge', addresses: ['203.0.113.9/24'] })).toEqual([
    'route-collision: 203.0.113.9/24 overlaps with 203.0.113.0/24 by eth0'
  ])
  tools.ip('route add 10.0.0.0/8 via 203.0.113.2')
  expect(await found({ kind: 'bridge', addresses: ['10.1.0.1/16'] })).toEqual([])
})

test('a gateway that cannot be reached, and routes that are there', async ({ scene }) => {
  const conflicts = async (more: object) => {
    const spec = { networks: { br0: { kind: 'bridge', addresses: ['192.0.2.1/24'], ...more } } } as NetworksSpec
    return (await scene.plan(spec)).conflicts.map(({ code }) => code)
  }
  const to = (via: string, metric = 7) => ({ routes: [{ to: '10.0.0.0/8', via, metric }] })
  expect(await conflicts(to('198.51.100.1'))).toEqual(['gateway-unreachable'])
  expect(await conflicts(to('192.0.2.254'))).toEqual([])
  scene.host.tools.ip('route add unreachable 10.0.0.0/8 metric 7')
  expect(await conflicts(to('192.0.2.254'))).toEqual(['another-route'])
  // What the kernel writes in another way is there all the same.
  const spec: NetworksSpec = {
    networks: {
      br0: {
        kind: 'bridge',
        addresses: ['192.0.2.1/24', '2001:db8:1::1/64'],
        routes: [
          { to: '0.0.0.0/0', via: '192.0.2.254', metric: 77 },
          { to: '2001:db8:9::/48', via: '2001:db8:1::2', metric: 0 }
        ]
      }
    }
  }
  await scene.apply(spec)
  expect(String(await scene.plan(spec))).toBe('')
})

test('a table of others that has the name of ours is a conflict', async ({ scene }) => {
  scene.host.tools.exec('nft', 'add', 'table', 'inet', 'linkwright-iso0')
  const plan = await scene.plan({ networks: { iso0: { kind: 'isolated' } } })
  expect(plan.conflicts.map(({ code }) => code)).toEqual(['table-taken'])
})
