/** What a network's dnsmasq may be asked for; the rest is refused with its path, before anything is written. */
import { describe, expect, test } from 'vitest'
import { checkOptions } from '../../lib/host/dnsmasq/check-options.js'
import { configurationText, hostsText, reservationsText } from '../../lib/host/dnsmasq/configuration.js'
import { byAddress, differences } from '../../lib/host/dnsmasq/lease-watch.js'
import { parseLeases } from '../../lib/host/dnsmasq/leases.js'
import { addressNumber, isHostOf, netmask, networkAddress } from '../../lib/host/dnsmasq/subnet.js'
import type { DnsmasqOptions } from '../../lib/index.js'
import { parsePrefix } from '../../lib/link/ip-prefix.js'
import { thrown } from '../support/fake-kernel.js'

const base: DnsmasqOptions = { name: 'n', interface: 'br0', addresses: ['192.0.2.1/24', '2001:db8::1/64'] }
const dhcp4 = (more: object) => ({ dhcp4: { ranges: [{ start: '192.0.2.10', end: '192.0.2.20' }], ...more } })
const range = (start: string, end: string) => ({ dhcp4: { ranges: [{ start, end }] } })

describe('refused', () => {
  test.each([
    [{ name: 'a/b' }, 'name'],
    [{ name: '..' }, 'name'],
    [{ name: '' }, 'name'],
    [{ interface: 'br*' }, 'interface'],
    [{ interface: 'br0:1' }, 'interface'],
    [{ interface: 'br0\nuser=root' }, 'interface'],
    [{ netns: { new: true } }, 'netns'],
    [{ nonsense: 1 }, 'nonsense'],
    [{ addresses: [] }, 'addresses'],
    [{ addresses: undefined }, 'addresses'],
    [{ addresses: ['192.0.2.1'] }, 'addresses[0]'],
    [{ addresses: ['192.0.2.1/33'] }, 'addresses[0]'],
    [{ addresses: ['fe80::1%eth0/64'] }, 'addresses[0]'],
    [{ addresses: ['2001:db8::1/64'], ...dhcp4({}) }, 'dhcp4'],
    [{ addresses: ['192.0.2.1/24'], dhcp6: { mode: 'ra-only' } }, 'dhcp6'],
    [range('192.0.3.10', '192.0.3.20'), 'dhcp4.ranges[0].start'],
    [range('192.0.2.10', '192.0.3.20'), 'dhcp4.ranges[0].end'],
    [range('192.0.2.20', '192.0.2.10'), 'dhcp4.ranges[0].end'],
    [range('192.0.2.0', '192.0.2.10'), 'dhcp4.ranges[0].start'],
    [range('192.0.2.10', '192.0.2.255'), 'dhcp4.ranges[0].end'],
    [range('2001:db8::5', '2001:db8::6'), 'dhcp4.ranges[0].start'],
    [dhcp4({ ranges: [{ start: '192.0.2.10', end: '192.0.2.20', lease: 5 }] }), 'dhcp4.ranges[0].lease'],
    [dhcp4({ lease: 60 }), 'dhcp4.lease'],
    [dhcp4({ lease: '1h' }), 'dhcp4.lease'],
    [dhcp4({ router: '192.0.3.1' }), 'dhcp4.router'],
    [dhcp4({ dnsServers: ['one'] }), 'dhcp4.dnsServers[0]'],
    [dhcp4({ mtu: 40 }), 'dhcp4.mtu'],
    [dhcp4({ ping: 1 }), 'dhcp4.ping'],
    [dhcp4({ routes: [{ to: '198.51.100.1/24', via: '192.0.2.1' }] }), 'dhcp4.routes[0].to'],
    [dhcp4({ routes: [{ to: '198.51.100.0/24', via: 'x' }] }), 'dhcp4.routes[0].via'],
    [{ dhcp6: { mode: 'loud' } }, 'dhcp6.mode'],
    [{ dhcp6: { mode: 'ra-only', ranges: [] } }, 'dhcp6.ranges'],
    [{ addresses: ['2001:db8::1/48'], dhcp6: { mode: 'stateful' } }, 'addresses'],
    [{ addresses: ['2001:db8::1/96'], dhcp6: { mode: 'slaac' } }, 'addresses'],
    [{ dhcp6: { mode: 'slaac', mtu: 1000 } }, 'dhcp6.mtu'],
    [{ dns: { upstream: ['example.com'] } }, 'dns.upstream[0]'],
    [{ dns: { upstream: [{ address: '192.0.2.9', port: 0 }] } }, 'dns.upstream[0].port'],
    [{ dns: { upstream: [{ address: '192.0.2.9', domains: ['a/b'] }] } }, 'dns.upstream[0].domains[0]'],
    [{ dns: { upstream: 'all' } }, 'dns.upstream'],
    [{ dns: { cname: [{ alias: 'a b', target: 'c' }] } }, 'dns.cname[0].alias'],
    [{ dns: { txt: [{ name: 'a', text: 'say "no"' }] } }, 'dns.txt[0].text'],
    [{ dns: { txt: [{ name: 'a', text: 'one\ntwo' }] } }, 'dns.txt[0].text'],
    [{ domain: 'vm test' }, 'domain'],
    [{ domain: 'x,192.0.2.0/24' }, 'domain'],
    [{ maxLeases: 0 }, 'maxLeases'],
    [{ directory: 'relative' }, 'directory'],
    [{ directory: '/run/with space' }, 'directory'],
    [{ program: 'dnsmasq' }, 'program'],
    [{ restart: { attempts: -1 } }, 'restart.attempts'],
    [{ restart: { tries: 1 } }, 'restart.tries'],
    [{ startTimeout: '5s' }, 'startTimeout'],
    [{ reservations: [{}] }, 'reservations[0]'],
    [{ reservations: [{ mac: '52:54:00:00:00' }] }, 'reservations[0].mac'],
    [{ reservations: [{ mac: '52:54:00:00:00:01', hostname: 'a\n52:54:00:00:00:02' }] }, 'reservations[0].hostname'],
    [{ reservations: [{ mac: '52:54:00:00:00:01', hostname: 'a,ignore' }] }, 'reservations[0].hostname'],
    [{ reservations: [{ mac: '52:54:00:00:00:01', hostname: 'ignore' }] }, 'reservations[0].hostname'],
    [{ reservations: [{ mac: '52:54:00:00:00:01', hostname: '300' }] }, 'reservations[0].hostname'],
    [{ reservations: [{ mac: '52:54:00:00:00:01', hostname: '5m' }] }, 'reservations[0].hostname'],
    [{ reservations: [{ mac: '52:54:00:00:00:01', ipv4: '192.0.3.5' }] }, 'reservations[0].ipv4'],
    [{ reservations: [{ mac: '52:54:00:00:00:01', ipv6: '2001:db9::5' }] }, 'reservations[0].ipv6'],
    [{ reservations: [{ clientId: 'xx' }] }, 'reservations[0].clientId'],
    [{ reservations: [{ mac: '52:54:00:00:00:01' }, { mac: '52:54:00:00:00:01' }] }, 'reservations[1].mac'],
    [
      {
        reservations: [
          { mac: '52:54:00:00:00:0a', ipv6: '2001:db8::5' },
          { mac: '52:54:00:00:00:02', ipv6: '2001:db8:0::5' }
        ]
      },
      'reservations[1].ipv6'
    ],
    [{ hosts: [{ addresses: ['192.0.2.9'], names: [] }] }, 'hosts[0].names'],
    [{ hosts: [{ addresses: ['x'], names: ['a'] }] }, 'hosts[0].addresses[0]'],
    [{ hosts: [{ addresses: ['192.0.2.9'], names: ['a b'] }] }, 'hosts[0].names[0]']
  ])('%j: %s', (wrong, path) => {
    const error = thrown(() => checkOptions({ ...base, ...wrong } as DnsmasqOptions))
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path })
  })
})

describe('texts', () => {
  const files = { configuration: '/d/c', reservations: '/d/r', hosts: '/d/h', leases: '/d/l', pid: '/d/p' }
  const text = (more: Partial<DnsmasqOptions>) => {
    const options = { ...base, ...more }
    const around = { files, identity: { user: 'nobody', group: 'nogroup' }, index: 7, namespace: 'net:[1]' }
    return configurationText(options, checkOptions(options), around).split('\n')
  }

  test('a network of guests and host alone', () => {
    const lines = text({ dhcp4: { router: false }, dhcp6: { mode: 'ra-only', router: false } })
    expect(lines).toEqual(
      expect.arrayContaining([
        'no-resolv',
        'no-hosts',
        'bind-dynamic',
        'interface=br0',
        'except-interface=lo',
        'dhcp-range=192.0.2.0,static,255.255.255.0,3600',
        'dhcp-option=option:router',
        'dhcp-range=2001:db8::,ra-only,64,3600',
        'ra-param=br0,0,0'
      ])
    )
    expect(lines.some(line => line.startsWith('server='))).toBe(false)
  })

  test('the host’s files are read if they shall be', () => {
    const lines = text({ dns: { upstream: 'resolv.conf', hostsFile: true } })
    expect(lines).not.toContain('no-resolv')
    expect(lines).not.toContain('no-hosts')
  })

  test('one that replaces the link asks for a new start', () => {
    expect(text({})[0]).toBe('# n: br0 (7) in net:[1]; made by linkwright, changes are lost')
  })

  test('reservations and hosts', () => {
    const both = { mac: '52:54:00:00:00:0A', ipv4: '192.0.2.5', ipv6: '2001:db8::5', hostname: 'a', lease: Infinity }
    expect(reservationsText([both, { clientId: '00:AB', lease: 300 }])).toBe(
      '52:54:00:00:00:0a,192.0.2.5,[2001:db8::5],a,infinite\nid:00:ab,300\n'
    )
    expect(hostsText([{ addresses: ['192.0.2.9', '2001:DB8::0:9'], names: ['a', 'b.c'] }])).toBe(
      '192.0.2.9 a b.c\n2001:db8::9 a b.c\n'
    )
  })
})

test('subnets', () => {
  const in24 = parsePrefix('192.0.2.77/24', '')
  expect([networkAddress(in24), netmask(24), netmask(0), netmask(32)]).toEqual([
    '192.0.2.0',
    '255.255.255.0',
    '0.0.0.0',
    '255.255.255.255'
  ])
  expect(networkAddress(parsePrefix('2001:db8:1:2::77/64', ''))).toBe('2001:db8:1:2::')
  expect(addressNumber('::ffff:192.0.2.1')).toBe(0xffffc0000201n)
  expect(addressNumber('::')).toBe(0n)
  expect([isHostOf(in24, '192.0.2.0'), isHostOf(in24, '192.0.2.255'), isHostOf(in24, '192.0.2.254')]).toEqual([
    false,
    false,
    true
  ])
  const pair = parsePrefix('192.0.2.0/31', '')
  expect([isHostOf(pair, '192.0.2.0'), isHostOf(pair, '192.0.2.1'), isHostOf(pair, '192.0.2.2')]).toEqual([
    true,
    true,
    false
  ])
})

test('leases as dnsmasq writes them', () => {
  const text = [
    '1800000000 52:54:00:00:00:01 192.0.2.5 alice 01:52:54:00:00:00:01',
    '0 06-52:54:00:00:00:02 192.0.2.6 * *',
    'duid 00:01:00:01:2c:00:00:00:52:54:00:00:00:00',
    '1800000000 7 2001:db8::5 * 00:03:00:01:52:54:00:00:00:01',
    '1800000000 T9 2001:db8::6 bob 00:03:00:01:52:54:00:00:00:02',
    ''
  ].join('\n')
  const expires = new Date(1_800_000_000_000)
  const none = { iaid: undefined, temporary: false }
  expect(parseLeases(text)).toEqual([
    {
      family: 'inet',
      address: '192.0.2.5',
      mac: '52:54:00:00:00:01',
      hostname: 'alice',
      clientId: '01:52:54:00:00:00:01',
      expires,
      ...none
    },
    {
      family: 'inet',
      address: '192.0.2.6',
      mac: '52:54:00:00:00:02',
      hostname: undefined,
      clientId: undefined,
      expires: null,
      ...none
    },
    {
      family: 'inet6',
      address: '2001:db8::5',
      mac: undefined,
      hostname: undefined,
      clientId: '00:03:00:01:52:54:00:00:00:01',
      expires,
      iaid: 7,
      temporary: false
    },
    {
      family: 'inet6',
      address: '2001:db8::6',
      mac: undefined,
      hostname: 'bob',
      clientId: '00:03:00:01:52:54:00:00:00:02',
      expires,
      iaid: 9,
      temporary: true
    }
  ])
})

test('differences of leases', () => {
  const line = (seconds: number, last: number, name = '*') =>
    `${seconds} 52:54:00:00:00:0${last} 192.0.2.${last} ${name} *`
  const leases = (...lines: string[]) => byAddress(parseLeases(lines.join('\n')))
  const [past, future] = [1_000_000_000, 4_000_000_000]
  const before = leases(line(past, 1), line(future, 2), line(future, 3), line(future, 4))
  const after = leases(line(future, 3, 'c'), line(future, 4), line(future, 5))
  expect(
    [...differences(before, after)].map(({ event, ...rest }) => [event, 'lease' in rest && rest.lease.address])
  ).toEqual([
    ['expired', '192.0.2.1'],
    ['removed', '192.0.2.2'],
    ['changed', '192.0.2.3'],
    ['added', '192.0.2.5']
  ])
})
