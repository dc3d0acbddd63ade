/** Each state that keeps packets away is made, and found, and nothing else is. */
import { execFileSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { describe, expect, onTestFinished, vi } from 'vitest'
import { diagnose, Macvtap, Netlink, type NetworksSpec, Tap } from '../../lib/index.js'
import { type Nft, test } from '../firewall/support/firewall.js'
import { has } from '../support/features.js'
import { holdElsewhere } from '../support/holding.js'
import type { Namespace } from '../support/namespace.js'
import { freshIndex } from '../tap/support/system.js'

const MAC = '52:54:00:00:00:01'
const OTHER = '52:54:00:00:00:02'

/** nft wants lines. */
const lines = (text: string) => text.replaceAll('}', '\n}\n').replaceAll(';', '\n')

/** A bridge with a guest's TAP, and a neighbour's. */
async function guest(ns: Namespace, bridge = ''): Promise<Tap> {
  ns.tools.ip(`link add name br0 type bridge ${bridge}`)
  ns.tools.ip('link set dev br0 up')
  const [tap] = await Promise.all(
    ['vnet0', 'vnet1'].map(async name => {
      const opened = await Tap.open({ net: ns.net, name, master: 'br0', up: true })
      onTestFinished(() => opened.close())
      return opened
    })
  )
  return tap as Tap
}

const codes = async (ns: Namespace, options = {}, link = 'vnet0') => {
  const found = await diagnose(ns.net, link, options)
  for (const { message, remedy, about } of found) {
    expect(message.length).toBeGreaterThan(10)
    expect(remedy.length).toBeGreaterThan(5)
    expect(about).not.toBe('')
  }
  return found.map(({ code }) => code)
}

test('a port that is well has no finding', async ({ ns, nft }) => {
  await guest(ns)
  expect(await codes(ns)).toEqual([])
  expect(await codes(ns, { mac: MAC, holder: process.pid })).toEqual([])
  ns.tools.ip('address add 192.0.2.1/24 dev br0')
  nft.run(
    lines(`table inet filter {
    chain input { type filter hook input priority 0; policy drop; ct state established accept; iifname "br0" accept; }
    chain forward { type filter hook forward priority 0; policy drop; ct state established,related accept; iifname "br0" accept; oifname "br0" ip daddr 192.0.2.0/24 accept; }
  }
  table bridge filter { chain c { type filter hook forward priority 0; iifname "other" drop; ip saddr 10.0.0.1 drop; } }`)
  )
  await netfilter(ns, true)
  expect(await codes(ns, { mac: MAC, ips: ['192.0.2.7'], holder: process.pid, peer: '192.0.2.1' })).toEqual([])
})

const netfilter = (ns: Namespace, on: boolean) =>
  ns.tools.ip(`link set dev br0 type bridge nf_call_iptables ${on ? 1 : 0}`)

describe('links', () => {
  test('down', async ({ ns }) => {
    await guest(ns)
    ns.tools.ip('link set dev vnet0 down')
    expect(await codes(ns)).toEqual(['link-down'])
    ns.tools.ip('link set dev vnet0 up')
    ns.tools.ip('link set dev br0 down')
    expect(await codes(ns)).toEqual(['bridge-down'])
  })

  test('without a carrier', async ({ ns }) => {
    const tap = await guest(ns)
    await tap.setCarrier(false)
    expect(await codes(ns)).toEqual(['no-carrier'])
    ns.tools.ip('link add name v0 type veth peer name v1')
    ns.tools.ip('link set dev v0 master br0 up')
    expect(await codes(ns, {}, 'v0')).toEqual(['no-carrier'])
  })

  test('a TAP that nobody holds, or somebody else', async ({ ns }) => {
    await guest(ns)
    ns.tools.ip('tuntap add dev kept mode tap')
    ns.tools.ip('link set dev kept master br0 up')
    expect(await codes(ns, {}, 'kept')).toEqual(['tap-not-held'])
    const held = await holdElsewhere(ns.name, ['kept'])
    await vi.waitFor(() => expect(ns.tools.link('kept').flags).toContain('LOWER_UP'), 5000)
    expect(await codes(ns, { holder: held.pid }, 'kept')).toEqual([])
    const [finding] = await diagnose(ns.net, 'kept', { holder: process.pid })
    expect(finding).toMatchObject({ code: 'tap-held-by-another', evidence: { holders: [{ pid: held.pid }] } })
  })
})

describe('ports', () => {
  test('listening, learning, and blocking where there is a loop', async ({ ns }) => {
    await guest(ns, 'stp_state 1 forward_delay 200')
    expect(await codes(ns)).toEqual(['port-listening'])
    ns.tools.ip('link add name loop0 type veth peer name loop1')
    for (const link of ['loop0', 'loop1']) ns.tools.ip(`link set dev ${link} master br0 up`)
    const soon = { timeout: 10_000, interval: 100 }
    await vi.waitFor(async () => expect(await codes(ns)).toEqual(['port-learning']), soon)
    await vi.waitFor(async () => expect(await codes(ns)).toEqual([]), soon)
    await vi.waitFor(async () => expect(await codes(ns, {}, 'loop1')).toEqual(['port-blocking']), soon)
  })

  test('disabled', async ({ ns }) => {
    await guest(ns)
    ns.tools.bridge('link set dev vnet0 state 0')
    expect(await codes(ns)).toEqual(['port-disabled'])
  })

  test('isolated from each other', async ({ ns }) => {
    await guest(ns)
    ns.tools.bridge('link set dev vnet0 isolated on')
    expect(await codes(ns)).toEqual([])
    ns.tools.bridge('link set dev vnet1 isolated on')
    expect(await codes(ns)).toEqual(['port-isolated'])
  })

  test('without learning and without an entry', async ({ ns }) => {
    await guest(ns)
    ns.tools.bridge('link set dev vnet0 learning off flood off')
    expect(await codes(ns)).toEqual(['no-forwarding-entry'])
    ns.tools.bridge(`fdb add ${OTHER} dev vnet0 master static`)
    expect(await codes(ns)).toEqual([])
    expect(await codes(ns, { mac: MAC })).toEqual(['no-forwarding-entry'])
    ns.tools.bridge(`fdb add ${MAC} dev vnet0 master static`)
    expect(await codes(ns, { mac: MAC })).toEqual([])
  })

  test('with a MAC address that others have', async ({ ns }) => {
    await guest(ns)
    ns.tools.ip(`link set dev vnet0 address ${MAC}`)
    expect(await codes(ns)).toEqual([])
    expect(await diagnose(ns.net, 'vnet0', { mac: MAC })).toMatchObject([{ code: 'mac-clash', about: 'vnet0' }])
    ns.tools.bridge(`fdb add ${OTHER} dev vnet1 master static`)
    expect(await diagnose(ns.net, 'vnet0', { mac: OTHER })).toMatchObject([{ code: 'mac-clash', about: 'vnet1' }])
    ns.tools.ip(`link set dev vnet1 address ${MAC}`)
    expect(await codes(ns)).toEqual(['mac-clash'])
  })

  test('with another MTU', async ({ ns }) => {
    await guest(ns)
    ns.tools.ip('link set dev vnet0 mtu 1400')
    expect(await diagnose(ns.net, 'vnet0')).toMatchObject([
      { code: 'mtu-mismatch', evidence: { mtu: { vnet0: 1400, vnet1: 1500 } } }
    ])
    ns.tools.ip('link set dev vnet1 mtu 1400')
    expect(await codes(ns)).toEqual([])
  })

  test('outside of their VLAN', async ({ ns, skip }) => {
    if (!has('vlanFiltering')) skip('this kernel’s bridge does not filter VLANs')
    await guest(ns, 'vlan_filtering 1')
    expect(await codes(ns)).toEqual([])
    expect(await codes(ns, { vlan: 7 })).toEqual(['vlan-missing'])
    ns.tools.bridge('vlan add dev vnet0 vid 7')
    expect(await codes(ns, { vlan: 7 })).toEqual(['vlan-alone'])
    ns.tools.bridge('vlan add dev vnet1 vid 7')
    expect(await codes(ns, { vlan: 7 })).toEqual([])
    ns.tools.bridge('vlan del dev vnet0 vid 1')
    expect(await codes(ns)).toEqual(['vlan-missing'])
  })
})

describe('firewalls', () => {
  const dropped = async (ns: Namespace, nft: Nft, rules: string) => {
    nft.run(lines(`flush ruleset; ${rules}`))
    const found = await diagnose(ns.net, 'vnet0')
    return found.map(({ code, evidence }) => [
      code,
      evidence['table'],
      evidence['chain'],
      evidence['hook'],
      evidence['rule']
    ])
  }

  test('of the bridge, and of the link', async ({ ns, nft }) => {
    await guest(ns)
    const chain = (rules: string, head = 'hook forward priority -5; policy accept') =>
      `table bridge wall { chain other { counter drop; } chain c { type filter ${head}; ${rules} } }`
    const drop = (rule: string, at = 'c', hook = 'forward') => [['firewall-drops', 'wall', at, hook, rule]]
    expect(await dropped(ns, nft, chain('iifname "vnet0" drop'))).toEqual(drop('iifname "vnet0" drop'))
    expect(await dropped(ns, nft, chain('oifname "vn*" drop'))).toEqual(drop('oifname "vn*" drop'))
    expect(await dropped(ns, nft, chain('drop', 'hook prerouting priority 0'))).toEqual(drop('drop', 'c', 'prerouting'))
    expect(await dropped(ns, nft, chain('', 'hook forward priority 0; policy drop'))).toEqual(drop('policy drop'))
    expect(await dropped(ns, nft, chain('iifname "vnet0" jump other'))).toEqual(
      drop('counter packets 0 bytes 0 drop', 'other')
    )
    expect(await dropped(ns, nft, chain('iifname vmap { "vnet0" : drop, "x" : accept }'))).toHaveLength(1)
    for (const fine of ['iifname "x" drop', 'iifname != "vnet0" drop', 'ip saddr 10.0.0.1 drop', 'accept; drop']) {
      expect(await dropped(ns, nft, chain(fine))).toEqual([])
    }
    expect(await dropped(ns, nft, chain('ether type arp accept; drop'))).toEqual([])
    const ingress = (dev: string) =>
      `table netdev wall { chain c { type filter hook ingress device ${dev} priority 0; policy drop; } }`
    expect(await dropped(ns, nft, ingress('vnet0'))).toEqual(drop('policy drop', 'c', 'ingress'))
    expect(await dropped(ns, nft, ingress('vnet1'))).toEqual([])
  })

  test('for routing, by br_netfilter', async ({ ns, nft }) => {
    await guest(ns)
    const forward = (rules: string) =>
      `table ip docker { chain FORWARD { type filter hook forward priority 0; policy drop; ${rules} } }`
    await netfilter(ns, true)
    expect(await dropped(ns, nft, forward(''))).toEqual([
      ['bridge-netfilter-drops', 'docker', 'FORWARD', 'forward', 'policy drop']
    ])
    expect(await dropped(ns, nft, forward('ct state established accept; iifname "docker0" accept'))).toHaveLength(1)
    expect(await dropped(ns, nft, forward('iifname "br0" accept'))).toEqual([])
    await netfilter(ns, false)
    ns.tools.ip(`netns exec ${ns.name} sysctl -qw net.bridge.bridge-nf-call-iptables=0`)
    ns.tools.ip(`netns exec ${ns.name} sysctl -qw net.bridge.bridge-nf-call-ip6tables=0`)
    expect(await dropped(ns, nft, forward(''))).toEqual([])
  })

  test('for routing, of guests that the host forwards for', async ({ ns, nft }) => {
    const spec = (kind: string) => ({ networks: { br0: { kind, addresses: ['192.0.2.1/24'] } } }) as NetworksSpec
    const plan = await ns.net.plan(spec('isolated'))
    await plan.apply()
    const tap = await Tap.open({ net: ns.net, name: 'vnet0', master: 'br0', up: true })
    onTestFinished(() => tap.close())
    const bridgeCalls = (on: number) => ns.tools.exec('sysctl', '-qw', `net.bridge.bridge-nf-call-iptables=${on}`)
    bridgeCalls(0)
    const restore = (...rules: string[]) =>
      ns.tools.exec('sh', '-c', `printf '%s\\n' "$@" | iptables-nft-restore`, 'sh', '*filter', ...rules, 'COMMIT')
    const docker = [':FORWARD DROP', '-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT']
    restore(...docker)
    expect(await codes(ns)).toEqual([])
    await (await ns.net.plan(spec('nat'))).apply()
    expect(await diagnose(ns.net, 'vnet0')).toMatchObject([
      { code: 'firewall-drops', about: 'br0', evidence: { family: 'ip', table: 'filter', hook: 'forward' } }
    ])
    restore(...docker, '-A FORWARD -i br0 -j ACCEPT', '-A FORWARD -o br0 -j ACCEPT')
    expect(await codes(ns)).toEqual([])
    expect(nft.list()).toContain('FORWARD')
  })

  test('by the way back', async ({ ns }) => {
    await guest(ns)
    ns.tools.ip('address add 192.0.2.1/24 dev br0')
    ns.tools.ip('link add name away type veth peer name far')
    for (const link of ['away', 'far']) ns.tools.ip(`link set dev ${link} up`)
    ns.tools.ip('route add 198.51.100.0/24 dev away')
    const ips = { ips: ['192.0.2.7', '198.51.100.7'] }
    const set = (mode: number) => ns.tools.ip(`netns exec ${ns.name} sysctl -qw net.ipv4.conf.br0.rp_filter=${mode}`)
    set(0)
    ns.tools.ip(`netns exec ${ns.name} sysctl -qw net.ipv4.conf.all.rp_filter=0`)
    expect(await codes(ns, ips)).toEqual([])
    set(1)
    expect(await diagnose(ns.net, 'vnet0', ips)).toMatchObject([
      {
        code: 'rp-filter-drops',
        about: 'br0',
        evidence: { ip: '198.51.100.7', route: 'away', rp_filter: { effective: 1 } }
      }
    ])
    set(2)
    expect(await codes(ns, ips)).toEqual([])
    expect(await codes(ns, { ips: ['203.0.113.1'] })).toEqual(['rp-filter-drops'])
    // Guests of a bridge that the host has no address on do not come by the host at all.
    ns.tools.ip('address del 192.0.2.1/24 dev br0')
    set(1)
    expect(await codes(ns, ips)).toEqual([])
  })
})

test('macvtaps: a lower device that is down, and the host', async ({ ns, skip }) => {
  if (!has('macvtap')) skip('no macvtap')
  ns.tools.ip('link add name eth0 type veth peer name far')
  for (const link of ['eth0', 'far']) ns.tools.ip(`link set dev ${link} up`)
  ns.tools.ip('address add 192.0.2.1/24 dev eth0')
  ns.tools.ip(`link add link eth0 name direct index ${freshIndex()} type macvtap mode bridge`)
  ns.tools.ip('link set dev direct up')
  const told = async (options = {}) => (await codes(ns, options, 'direct')).filter(code => code !== 'tap-not-held')
  expect(await told({ peer: '192.0.2.9' })).toEqual([])
  expect(await told({ peer: '192.0.2.1' })).toEqual(['host-over-macvtap'])
  ns.tools.ip('link set dev far down')
  await vi.waitFor(async () => expect(await told()).toEqual(['lower-down']), 5000)
  ns.tools.ip('link set dev eth0 down')
  expect(await told()).toEqual(['lower-down'])
})

test('a macvtap whose node is a link of another namespace, or is not there', async ({ ns, other, skip }) => {
  if (!has('macvtap')) skip('no macvtap')
  const index = freshIndex()
  for (const { tools } of [other, ns]) {
    tools.ip('link add name eth0 type veth peer name far')
    tools.ip(`link add link eth0 name direct index ${index} type macvtap mode bridge`)
    for (const link of ['eth0', 'far', 'direct']) tools.ip(`link set dev ${link} up`)
  }
  expect(await codes(other, {}, 'direct')).toEqual(['tap-not-held'])
  expect(await codes(ns, {}, 'direct')).toEqual(['tap-not-held', 'node-of-another'])
  const finding = async () => (await diagnose(ns.net, 'direct')).find(({ code }) => code !== 'tap-not-held')
  const own = execFileSync('ip', ['netns', 'exec', ns.name, 'cat', `/sys/class/net/direct/tap${index}/dev`])
  const device = own.toString().trim()
  const [major, minor] = device.split(':')
  const { rdev } = statSync(`/dev/tap${index}`)
  const nodeDevice = `${(rdev >> 8) & 0xfff}:${(rdev & 0xff) | ((rdev >> 12) & 0xfff00)}`
  expect(nodeDevice).not.toBe(device)
  expect(await finding()).toMatchObject({
    about: 'direct',
    evidence: { node: `/dev/tap${index}`, nodeDevice, device },
    remedy: expect.stringContaining(`mknod /dev/direct c ${major} ${minor}`)
  })
  {
    // Who has it open needs no node.
    await using _ = await Macvtap.open('direct', { net: ns.net })
    expect(await codes(ns, {}, 'direct')).toEqual([])
  }
  other.tools.ip('link del dev direct')
  expect(await finding()).toMatchObject({
    code: 'node-missing',
    evidence: { node: `/dev/tap${index}`, nodeDevice: '' }
  })
})

test('wrong input is refused', async ({ ns }) => {
  await using net = await Netlink.open({ netns: ns.name })
  const refused = (options: object, path: string) =>
    expect(diagnose(net, 'lo', options)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path })
  await refused({ mac: 'x' }, 'mac')
  await refused({ ips: ['x'] }, 'ips[0]')
  await refused({ vlan: 4095 }, 'vlan')
  await refused({ peer: 'host' }, 'peer')
  await refused({ holder: 0 }, 'holder')
  await refused({ port: 1 }, 'port')
  await expect(diagnose(net, 'nobody')).rejects.toMatchObject({ code: 'ENODEV' })
})
