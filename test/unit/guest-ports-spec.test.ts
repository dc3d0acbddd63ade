/** What a spec must not say of guests' ports, and where a file says it. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { checkSpec } from '../../lib/host/network/check-spec.js'
import type { NetworksSpec } from '../../lib/index.js'
import { loadSpec, parseSpec } from '../../lib/spec/index.js'

const MAC = '52:54:00:00:00:07'
const networks = {
  virbr0: { kind: 'isolated', vlanFiltering: true },
  flat0: { kind: 'isolated' },
  br0: { kind: 'bridge', ports: ['eth0'] },
  lan0: { kind: 'direct', link: 'eth1', mode: 'bridge', hostPeer: 'host0' },
  own0: { kind: 'direct', link: 'eth2', mode: 'passthru' },
  src0: { kind: 'direct', link: 'eth3', mode: 'source' }
}

const refused = (ports: unknown): string => {
  try {
    checkSpec({ networks, ports } as unknown as NetworksSpec)
    return ''
  } catch (error) {
    const { code, path } = error as { code: string; path: string }
    return code === 'ERR_INVALID_ARG_VALUE' ? path : String(error)
  }
}

const on = (network: string, more: object = {}) => ({ vnet0: { network, ...more } })

describe('ports of a spec', () => {
  test('may say all of this', () => {
    const ports = {
      vnet0: {
        network: 'virbr0',
        mac: MAC,
        uid: 0,
        gid: 100,
        vnetHeader: true,
        multiQueue: true,
        antiSpoofing: { ips: ['192.0.2.7'], dhcpServer: true, router: true, vlanTags: true },
        isolated: true,
        staticFdb: true,
        vlans: { untagged: 7, tagged: [8, '100-199'] },
        bandwidth: { inbound: { rate: '1gbit', burst: '1mb', ceil: 2e9 }, outbound: null },
        mtu: 'bridge',
        ipv6: true,
        carrier: false
      },
      vnet1: { network: 'br0', antiSpoofing: null, staticFdb: null, vlans: null, bandwidth: null, mtu: 9000 },
      vnet2: { network: 'br0', antiSpoofing: { mac: [MAC] }, staticFdb: [MAC] },
      mt0: { network: 'lan0', mac: MAC, bandwidth: { outbound: { rate: 1e6 } }, ipv6: false, mtu: 1400 },
      mt1: { network: 'own0' },
      mt2: { network: 'src0', sources: [MAC] }
    }
    expect(refused(ports)).toBe('')
    expect(refused({})).toBe('')
    expect(refused(undefined)).toBe('')
  })

  test.each<[string, unknown]>([
    ['ports', []],
    ['ports', null],
    ['ports.vnet0', { vnet0: null }],
    ['ports.a/b', { 'a/b': { network: 'br0' } }],
    ['ports.all', { all: { network: 'br0' } }],
    ['ports.a-name-too-long0', { 'a-name-too-long0': { network: 'br0' } }],
    ['ports.br0', { br0: { network: 'br0' } }],
    ['ports.eth0', { eth0: { network: 'br0' } }],
    ['ports.host0', { host0: { network: 'lan0' } }],
    ['ports.vnet0.network', { vnet0: {} }],
    ['ports.vnet0.network', on('virbr7')],
    ['ports.vnet0.network', on('toString')],
    ['ports.vnet0.isolate', on('br0', { isolate: true })],
    ['ports.vnet0.mac', on('br0', { mac: '52:54' })],
    ['ports.vnet0.mac', on('br0', { mac: '01:00:5e:00:00:01' })],
    ['ports.vnet0.mac', on('br0', { mac: [MAC] })],
    ['ports.vnet0.mac', on('br0', { staticFdb: true })],
    ['ports.vnet0.uid', on('br0', { uid: -1 })],
    ['ports.vnet0.gid', on('br0', { gid: 0xffff_ffff })],
    ['ports.vnet0.vnetHeader', on('br0', { vnetHeader: 12 })],
    ['ports.vnet0.multiQueue', on('br0', { multiQueue: 2 })],
    ['ports.vnet0.isolated', on('br0', { isolated: 'yes' })],
    ['ports.vnet0.ipv6', on('lan0', { ipv6: 1 })],
    ['ports.vnet0.carrier', on('br0', { carrier: 'off' })],
    ['ports.vnet0.mtu', on('br0', { mtu: 67 })],
    ['ports.vnet0.mtu', on('br0', { mtu: 'nic' })],
    ['ports.vnet0.mtu', on('lan0', { mtu: 'bridge' })],
    ['ports.vnet0.antiSpoofing', on('br0', { mac: MAC, antiSpoofing: true })],
    ['ports.vnet0.antiSpoofing', on('br0', { mac: MAC, antiSpoofing: [] })],
    ['ports.vnet0.antiSpoofing.mac', on('br0', { antiSpoofing: {} })],
    ['ports.vnet0.antiSpoofing.mac[1]', on('br0', { antiSpoofing: { mac: [MAC, 'x'] } })],
    ['ports.vnet0.antiSpoofing.ips[0]', on('br0', { mac: MAC, antiSpoofing: { ips: ['192.0.2.1/24'] } })],
    ['ports.vnet0.antiSpoofing.ip', on('br0', { mac: MAC, antiSpoofing: { ip: [] } })],
    ['ports.vnet0.antiSpoofing.router', on('br0', { mac: MAC, antiSpoofing: { router: 'yes' } })],
    ['ports.vnet0.staticFdb', on('br0', { staticFdb: [] })],
    ['ports.vnet0.staticFdb', on('br0', { staticFdb: false })],
    ['ports.vnet0.vlans', on('flat0', { vlans: { untagged: 7 } })],
    ['ports.vnet0.vlans.untagged', on('virbr0', { vlans: { untagged: 4095 } })],
    ['ports.vnet0.vlans.tagged[1]', on('virbr0', { vlans: { tagged: [7, '9-8'] } })],
    ['ports.vnet0.vlans.pvid', on('virbr0', { vlans: { pvid: 7 } })],
    ['ports.vnet0.bandwidth.up', on('br0', { bandwidth: { up: { rate: 1 } } })],
    ['ports.vnet0.bandwidth.inbound.rate', on('br0', { bandwidth: { inbound: {} } })],
    ['ports.vnet0.bandwidth.outbound.ceil', on('lan0', { bandwidth: { outbound: { rate: 2e6, ceil: 1e6 } } })],
    ['ports.vnet0.isolated', on('lan0', { isolated: true })],
    ['ports.vnet0.antiSpoofing', on('lan0', { antiSpoofing: { mac: MAC } })],
    ['ports.vnet0.uid', on('lan0', { uid: 1 })],
    ['ports.vnet0.sources', on('lan0', { sources: [MAC] })],
    ['ports.vnet0.sources[0]', on('src0', { sources: ['x'] })],
    ['ports.mt1.network', { mt0: { network: 'own0' }, mt1: { network: 'own0' } }]
  ])('are refused at %s', (path, ports) => {
    expect(refused(ports)).toBe(path)
  })
})

describe('in a file', () => {
  const file = (name: string) => fileURLToPath(new URL(`../host/specs/${name}.yaml`, import.meta.url))
  const YAML = readFileSync(file('guest-ports'), 'utf8')
  const lineOf = (text: string) => YAML.slice(0, YAML.indexOf(text)).split('\n').length

  const wrong = (from: string, to: string): string => {
    expect(YAML).toContain(from)
    try {
      parseSpec(YAML.replace(from, to), 'net.yaml')
      return ''
    } catch (error) {
      const { code, message } = error as Error & { code: string }
      return code === 'ERR_INVALID_SPEC' ? message : String(error)
    }
  }

  test('they are read', async () => {
    const { ports } = await loadSpec(file('guest-ports'))
    expect(ports).toEqual({
      vnet0: {
        network: 'virbr0',
        mac: MAC,
        uid: 64055,
        antiSpoofing: { ips: ['192.168.122.7'] },
        bandwidth: { inbound: { rate: '100mbit' }, outbound: { rate: '20mbit', burst: '64kb' } }
      },
      vnet1: { network: 'virbr0', isolated: true }
    })
    expect(Object.keys((await loadSpec(file('macvtap-ports'))).ports ?? {})).toEqual(['macvtap0', 'macvtap1'])
  })

  test.each([
    [
      'another network',
      '  vnet1:\n    network: virbr0',
      '  vnet1:\n    network: virbr9',
      'network: virbr0\n    isolated',
      14,
      'ports.vnet1.network: expected one of virbr0'
    ],
    [
      'an option that is misspelt',
      'isolated: true',
      'isolate: true',
      'isolated',
      5,
      'ports.vnet1.isolate: there is no such option'
    ],
    ['a value of another type', 'uid: 64055', 'uid: qemu', 'uid:', 10, 'ports.vnet0.uid: '],
    [
      'no address',
      'ips: [192.168.122.7]',
      'ips: [192.168.122.777]',
      '192.168.122.7] }',
      27,
      'ports.vnet0.antiSpoofing.ips[0]: expected'
    ],
    [
      'a rate that is none',
      'rate: 100mbit',
      'rate: fast',
      '100mbit',
      24,
      'ports.vnet0.bandwidth.inbound.rate: expected'
    ],
    [
      'a limit of nothing',
      '{ rate: 100mbit }',
      '{ burst: 64kb }',
      '{ rate: 100mbit }',
      16,
      'ports.vnet0.bandwidth.inbound.rate: '
    ]
  ] as const)('%s is told with line and path', (_, from, to, at, column, expected) => {
    expect(wrong(from, to).startsWith(`net.yaml:${lineOf(at)}:${column}: ${expected}`), wrong(from, to)).toBe(true)
  })
})
