/** What a spec of networks must not say. */
import { describe, expect, test } from 'vitest'
import { checkSpec } from '../../lib/host/network/check-spec.js'
import type { NetworksSpec } from '../../lib/index.js'

const DHCP = { ranges: [{ start: '192.0.2.10', end: '192.0.2.20' }] }
const nat = (more: object) => ({ virbr0: { kind: 'nat', addresses: ['192.0.2.1/24'], ...more } })

const direct = (hostPeer: string) => ({ kind: 'direct', link: 'eth0', mode: 'bridge', hostPeer })
const isolated = (address: string): [string, unknown] => [
  'networks.x.addresses[0]',
  { x: { kind: 'isolated', addresses: [address] } }
]

const refused = (networks: unknown): string => {
  try {
    checkSpec({ networks } as NetworksSpec)
    return ''
  } catch (error) {
    const { code, path } = error as { code: string; path: string }
    return code === 'ERR_INVALID_ARG_VALUE' ? path : String(error)
  }
}

describe('a spec', () => {
  test('may say all of this', () => {
    const networks = {
      ...nat({ mtu: 9000, dhcp4: DHCP, dns: false, forward: { link: 'eth0', ports: '1-65535', ipv6: 'route' } }),
      br0: {
        kind: 'bridge',
        ports: ['eth0'],
        takeover: true,
        gateway: ['192.168.1.1', 'fe80::1'],
        stp: true,
        forwardDelay: 15
      },
      iso0: { kind: 'isolated', addresses: ['fe80::1/64'] },
      iso1: { kind: 'isolated', addresses: ['fe80::1/64', '10.0.0.1/8', '10.1.0.1/16'] },
      lan0: { kind: 'direct', link: 'eth1', mode: 'bridge', hostPeer: 'host0' }
    }
    expect(refused(networks)).toBe('')
  })

  test.each([
    ['networks', undefined],
    ['networks.a/b', { 'a/b': { kind: 'isolated' } }],
    ['networks.br+0', { 'br+0': { kind: 'isolated' } }],
    ['networks.a-name-too-long0', { 'a-name-too-long0': { kind: 'isolated' } }],
    ['networks.all', { all: { kind: 'isolated' } }],
    ['networks.x', { x: null }],
    ['networks.x.kind', { x: { kind: 'open' } }],
    ['networks.x.adresses', { x: { kind: 'isolated', adresses: [] } }],
    ['networks.x.forward', { x: { kind: 'isolated', forward: {} } }],
    ['networks.x.addresses', { x: { kind: 'nat' } }],
    ['networks.x.addresses', { x: { kind: 'isolated', dns: {} } }],
    ['networks.virbr0.addresses[1]', nat({ addresses: ['192.0.2.1/24', '198.51.100.1'] })],
    ['networks.virbr0.addresses[0]', nat({ addresses: ['192.0.2.0/24'] })],
    ['networks.virbr0.mac', nat({ mac: '01:00:00:00:00:01' })],
    ['networks.virbr0.mtu', nat({ mtu: 10 })],
    ['networks.virbr0.stp', nat({ stp: 'off' })],
    ['networks.virbr0.forwardDelay', nat({ stp: true, forwardDelay: 0 })],
    ['networks.virbr0.forward.ports', nat({ forward: { ports: '2000-1000' } })],
    ['networks.virbr0.forward.link', nat({ forward: { link: 'a b' } })],
    ['networks.virbr0.forward.ipv6', nat({ forward: { ipv6: true } })],
    ['networks.virbr0.dhcp4Checksum', nat({ dhcp4Checksum: 'fill' })],
    ['networks.virbr0.dhcp4.ranges[0].start', nat({ addresses: ['198.51.100.1/24'], dhcp4: DHCP })],
    ['networks.virbr0.reservations[0].mac', nat({ dhcp4: DHCP, reservations: [{ mac: 'x' }] })],
    ['networks.br0.takeover', { br0: { kind: 'bridge', takeover: true } }],
    ['networks.br0.gateway', { br0: { kind: 'bridge', gateway: ['192.0.2.1', '192.0.2.2'] } }],
    ['networks.br0.routes[0].to', { br0: { kind: 'bridge', routes: [{ to: '10.0.0.1/8', via: '192.0.2.1' }] } }],
    ['networks.br0.routes[0].via', { br0: { kind: 'bridge', routes: [{ to: '10.0.0.0/8', via: '::1' }] } }],
    ['networks.x.mode', { x: { kind: 'direct', link: 'eth0' } }],
    ['networks.x.hostPeer', { x: { kind: 'direct', link: 'eth0', mode: 'vepa', hostPeer: 'host0' } }],
    ['networks.x.kind', { x: { kind: 'constructor' } }],
    ['networks.__proto__', JSON.parse('{"__proto__":{"kind":"isolated"}}')],
    ['networks', new Map([['x', { kind: 'isolated' }]])],
    // Addresses that the kernel would refuse in the middle, or that no host has.
    ...['0.0.0.0/32', '192.0.2.1/0', '127.0.0.1/8', '224.0.0.1/24', '192.0.2.255/24', '255.255.255.255/32'].map(
      isolated
    ),
    ...['::/64', '::1/64', 'ff02::1/64', '::ffff:192.0.2.1/120', 'fe80::1%eth0/64'].map(isolated),
    ...['192.0.2.1/1e1', '192.0.2.1/0x18', '192.0.2.1/ 24', '192.0.2.1/24.0'].map(isolated),
    ['networks.virbr0.mac', nat({ mac: '00:00:00:00:00:00' })],
    ['networks.virbr0.mtu', nat({ addresses: ['fd00::1/64'], mtu: 1000 })],
    ['networks.virbr0.dhcp4', nat({ dhcp4: null })],
    ['networks.virbr0.dhcp6', nat({ dhcp6: false })],
    ['networks.virbr0.dns', nat({ dns: null, dhcp4: DHCP })],
    ['networks.virbr0.reservations', nat({ reservations: [] })],
    ['networks.virbr0.hosts', nat({ dns: false, hosts: [] })],
    ['networks.virbr0.forward.ports', nat({ forward: { ports: '01024-65535' } })],
    ['networks.br0.gateway', { br0: { kind: 'bridge', addresses: ['192.0.2.1/24'], gateway: '192.0.2.1' } }],
    [
      'networks.br0.routes[0].to',
      { br0: { kind: 'bridge', gateway: '192.0.2.2', routes: [{ to: '0.0.0.0/0', via: '192.0.2.3' }] } }
    ],
    ['networks.b.gateway', { a: { kind: 'bridge', gateway: 'fe80::1' }, b: { kind: 'bridge', gateway: 'fe80::2' } }],
    ['networks.b.link', { a: { kind: 'bridge', ports: ['eth0'] }, b: { kind: 'direct', link: 'eth0', mode: 'vepa' } }],
    ['networks.b.hostPeer', { a: direct('h0'), b: direct('h1') }],
    ['networks.a.link', { a: direct('eth0') }],
    ['networks.b.ports[0]', { a: { kind: 'bridge', ports: ['eth0'] }, b: { kind: 'bridge', ports: ['eth0'] } }],
    [
      'networks.b.addresses[0]',
      { a: { kind: 'isolated', addresses: ['10.0.0.1/8'] }, b: { kind: 'isolated', addresses: ['10.1.0.1/16'] } }
    ]
  ])('is refused at %s', (path, networks) => {
    expect(refused(networks)).toBe(path)
  })

  test('of a thousand networks is looked at in no time', () => {
    const subnet = (at: number) => `10.${at >> 8}.${at & 255}.1/24`
    const names = Array.from({ length: 1000 }, (_, at) => `net${at}`)
    const networks = Object.fromEntries(names.map((name, at) => [name, { kind: 'isolated', addresses: [subnet(at)] }]))
    expect(refused(networks)).toBe('')
    expect(refused({ ...networks, last: { kind: 'isolated', addresses: ['10.3.7.9/30'] } })).toBe(
      'networks.last.addresses[0]'
    )
  })
})
