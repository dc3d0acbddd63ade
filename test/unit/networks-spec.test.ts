/** What a spec of networks must not say. */
import { describe, expect, test } from 'vitest'
import { checkSpec } from '../../lib/host/network/check-spec.js'
import type { NetworksSpec } from '../../lib/index.js'

const DHCP = { ranges: [{ start: '192.0.2.10', end: '192.0.2.20' }] }
const nat = (more: object) => ({ virbr0: { kind: 'nat', addresses: ['192.0.2.1/24'], ...more } })

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
      iso0: { kind: 'isolated' },
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
    ['networks.b.ports[0]', { a: { kind: 'bridge', ports: ['eth0'] }, b: { kind: 'bridge', ports: ['eth0'] } }],
    [
      'networks.b.addresses[0]',
      { a: { kind: 'isolated', addresses: ['10.0.0.1/8'] }, b: { kind: 'isolated', addresses: ['10.1.0.1/16'] } }
    ]
  ])('is refused at %s', (path, networks) => {
    expect(refused(networks)).toBe(path)
  })
})
