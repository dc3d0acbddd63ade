/** What errors say. */
import { describe, expect } from 'vitest'
import { encodeRequest, LinkwrightError, type Netlink } from '../../lib/index.js'
import { NLM_F_CREATE } from '../../lib/netlink/constants.js'
import { neighbourMessage } from '../../lib/rtnetlink/neighbour.js'
import { has } from '../support/features.js'
import { test } from '../support/namespace.js'
import { traffic } from '../support/trace.js'

const LOWER = [
  'link add name low index 70 mtu 1400 address 02:00:00:00:00:70 type veth peer name end',
  'link set dev low up'
]

/** What the kernel refuses without a word: what we say of it. */
const DIAGNOSES: [
  title: string,
  setup: string[],
  action: (net: Netlink) => Promise<unknown>,
  expected: { code: string; diagnosis: string }
][] = [
  [
    'a lower device that is a port of a bridge',
    [...LOWER, 'link add name br0 type bridge', 'link set dev low master br0'],
    net => net.links.create({ kind: 'macvtap', name: 'm', link: 'low', mode: 'bridge' }),
    { code: 'EBUSY', diagnosis: 'low is a port of br0: a device carries macvlan links or is a port, not both' }
  ],
  [
    'a port that carries macvlan links',
    [...LOWER, 'link add name br0 type bridge', 'link add link low name m type macvtap mode bridge'],
    net => net.links.enslave('low', 'br0'),
    { code: 'EBUSY', diagnosis: 'low carries m: a device carries macvlan links or is a port, not both' }
  ],
  [
    'a macvtap as a port',
    [...LOWER, 'link add name br0 type bridge', 'link add link low name m type macvtap mode bridge'],
    net => net.links.enslave('m', 'br0'),
    { code: 'EBUSY', diagnosis: 'a macvtap cannot become a port' }
  ],
  [
    'a master that takes no ports',
    [...LOWER, 'link add name x type veth'],
    net => net.links.enslave('low', 'x'),
    { code: 'EOPNOTSUPP', diagnosis: 'x takes no ports: it is a veth' }
  ],
  [
    'a master that does not exist',
    LOWER,
    net => net.links.enslave('low', 4711),
    { code: 'EINVAL', diagnosis: 'there is no link with ifindex 4711 to be a port of' }
  ],
  [
    'a lower device that does not exist',
    LOWER,
    net => net.links.create({ kind: 'macvlan', name: 'm', link: 4711, mode: 'bridge' }),
    { code: 'ENODEV', diagnosis: 'there is no lower device with ifindex 4711' }
  ],
  [
    'the address of the lower device',
    LOWER,
    net =>
      net.links.create({
        kind: 'macvlan',
        name: 'm',
        link: 'low',
        mode: 'bridge',
        address: '02:00:00:00:00:70',
        up: true
      }),
    { code: 'EADDRINUSE', diagnosis: 'the MAC address is that of low or of another link on it (none)' }
  ],
  [
    'the address of another link',
    [...LOWER, 'link add link low name m address 02:00:00:00:00:71 type macvlan mode bridge', 'link set dev m up'],
    net =>
      net.links.create({
        kind: 'macvtap',
        name: 'n',
        link: 'low',
        mode: 'bridge',
        address: '02:00:00:00:00:71',
        up: true
      }),
    { code: 'EADDRINUSE', diagnosis: 'the MAC address is that of low or of another link on it (m)' }
  ],
  [
    'another link beside one in passthru',
    [...LOWER, 'link add link low name m type macvlan mode passthru'],
    net => net.links.create({ kind: 'macvtap', name: 'n', link: 'low', mode: 'bridge' }),
    { code: 'EINVAL', diagnosis: 'm has low for itself (passthru)' }
  ],
  [
    'passthru beside another link',
    [...LOWER, 'link add link low name m type macvlan mode bridge'],
    net => net.links.create({ kind: 'macvtap', name: 'n', link: 'low', mode: 'passthru' }),
    { code: 'EINVAL', diagnosis: 'passthru wants low for itself, and m is on it' }
  ],
  [
    'a change to passthru',
    [...LOWER, 'link add link low name m type macvlan mode bridge'],
    net => net.links.set('m', { kind: 'macvlan', mode: 'passthru' }),
    { code: 'EINVAL', diagnosis: 'the mode cannot be changed from or to passthru' }
  ],
  [
    'source addresses in another mode',
    [...LOWER, 'link add link low name m type macvlan mode bridge'],
    net => net.links.set('m', { kind: 'macvlan', macaddrMode: 'add', macaddr: '02:00:00:00:00:01' }),
    { code: 'EINVAL', diagnosis: 'source MAC addresses are for mode source' }
  ],
  [
    'an MTU above that of the lower device',
    LOWER,
    net => net.links.create({ kind: 'macvlan', name: 'm', link: 'low', mode: 'bridge', mtu: 1401 }),
    { code: 'EINVAL', diagnosis: 'the MTU is above that of low (1400)' }
  ],
  [
    'a macvlan on the loopback device',
    [],
    net => net.links.create({ kind: 'macvlan', name: 'm', link: 'lo', mode: 'bridge' }),
    { code: 'EINVAL', diagnosis: 'the loopback device carries no macvlan links' }
  ]
]

describe('a diagnosis where the kernel is silent', () => {
  test.for(DIAGNOSES)('%s', async ([, setup, action, { code, diagnosis }], { ns }) => {
    for (const command of setup) ns.tools.ip(command)
    const before = ns.tools.linkNames()
    const { result } = await traffic(() => action(ns.net))
    expect(result).toBeInstanceOf(LinkwrightError)
    expect(result).toMatchObject({ code, syscall: 'RTM_NEWLINK', diagnosis })
    expect((result as LinkwrightError).errno).toBeLessThan(0)
    expect((result as LinkwrightError).extack).toBeUndefined()
    expect((result as Error).message).toContain(diagnosis)
    expect(ns.tools.linkNames()).toEqual(before)
  })

  test('VLAN filtering that the kernel was built without', async ({ ns, skip }) => {
    if (has('vlanFiltering')) skip('this kernel filters VLANs')
    const create = ns.net.links.create({ kind: 'bridge', name: 'br0', vlanFiltering: true })
    await expect(create).rejects.toMatchObject({
      code: 'EOPNOTSUPP',
      diagnosis: expect.stringMatching(/VLAN_FILTERING/)
    })
  })
})

describe("the kernel's own words", () => {
  test('a bridge in a bridge', async ({ ns }) => {
    for (const name of ['br0', 'br1']) ns.tools.ip(`link add name ${name} type bridge`)
    await expect(ns.net.links.enslave('br1', 'br0')).rejects.toMatchObject({
      code: 'ELOOP',
      extack: 'Can not enslave a bridge to a bridge',
      message: expect.stringContaining('Can not enslave a bridge to a bridge')
    })
  })

  test('with the path of the attribute', async ({ ns }) => {
    const create = ns.net.links.create({ kind: 'vxlan', name: 'vx', id: 0x1000000, dstPort: 4789 })
    await expect(create).rejects.toMatchObject({
      code: 'ERANGE',
      errno: -34,
      syscall: 'RTM_NEWLINK',
      link: 'vx',
      extack: expect.stringMatching(/VXLAN ID/),
      path: 'id',
      attribute: 'linkinfo.data.id',
      message: expect.stringContaining('option id (attribute linkinfo.data.id)')
    })
  })

  test('with the path of the attribute in a message of another kind', async ({ ns }) => {
    ns.tools.ip('link add name a type veth')
    const index = ns.tools.link('a').ifindex
    const value = { family: 'inet', index, dst: '192.0.2.1', flagsExt: { unknown: 0x80000000 } }
    const request = encodeRequest('RTM_NEWNEIGH', 28, neighbourMessage, value, { flags: NLM_F_CREATE })
    await expect(ns.net.socket.request(request)).rejects.toMatchObject({ code: 'EINVAL', path: 'flagsExt' })
  })

  test('with the range that is allowed', async ({ ns, skip }) => {
    ns.tools.ip('link add name br0 type bridge')
    if (ns.tools.can('link set dev br0 gso_max_size 1')) skip('this kernel takes any size')
    const { result } = await traffic(() => ns.net.links.set('br0', { gsoMaxSize: 1 }))
    expect(result).toMatchObject({
      code: 'ERANGE',
      errno: -34,
      link: 'br0',
      extack: 'integer out of range',
      path: 'gsoMaxSize',
      allowed: expect.stringMatching(/^a value of type u32 from \d+ to 4294967295$/)
    })
    expect((result as Error).message).toMatch(/attribute gsoMaxSize, allowed: a value of type u32 from/)
  })
})

/** Wrong input: what is wrong with it. */
const WRONG: [title: string, action: (net: Netlink) => Promise<unknown>, path: string][] = [
  ['an option that does not exist', net => net.links.create({ kind: 'bridge', colour: 1 } as never), 'colour'],
  ['an option of another kind', net => net.links.create({ kind: 'bridge', mode: 'bridge' } as never), 'mode'],
  ['a kind that does not exist', net => net.links.create({ kind: 'bridg' } as never), 'kind'],
  ['a name that is too long', net => net.links.create({ kind: 'bridge', name: 'sixteen-bytes-xx' }), 'name'],
  ['a name with white space', net => net.links.rename('low', 'a b'), 'name'],
  ['a number out of range', net => net.links.create({ kind: 'bridge', priority: 65536 }), 'priority'],
  ['a fraction', net => net.links.create({ kind: 'bridge', mtu: 1400.5 }), 'mtu'],
  ['a string for a number', net => net.links.set('low', { mtu: '1400' } as never), 'mtu'],
  ['a string for a switch', net => net.links.set('low', { up: 'yes' } as never), 'up'],
  ['no MAC address', net => net.links.set('low', { address: '02:00:00:00:00' }), 'address'],
  [
    'a mode that does not exist, with the lower device by name',
    net => net.links.create({ kind: 'macvtap', link: 'low', mode: 'bridged' } as never),
    'mode'
  ],
  ['no lower device', net => net.links.create({ kind: 'macvtap', mode: 'bridge' } as never), 'link'],
  ['no mode', net => net.links.create({ kind: 'macvtap', link: 'low' } as never), 'mode'],
  ['a read-only attribute', net => net.links.create({ kind: 'bridge', rootPort: 1 } as never), 'rootPort'],
  [
    'a wrong address in a list',
    net =>
      net.links.create({
        kind: 'macvlan',
        link: 'low',
        mode: 'source',
        macaddrMode: 'set',
        macaddrs: ['02:00:00:00:00:01', 'x']
      }),
    'macaddrs[1]'
  ],
  [
    'a setting of a port',
    net => net.links.create({ kind: 'veth', name: 'x', master: 'br0', port: { cost: -1 } }),
    'port.cost'
  ],
  ['a setting of a peer', net => net.links.create({ kind: 'veth', name: 'x', peer: { mtu: -1 } }), 'peer.mtu'],
  [
    'a setting of a peer as a port',
    net => net.links.create({ kind: 'veth', name: 'x', peer: { master: 'br0', port: { cost: -1 } } }),
    'peer.port.cost'
  ],
  [
    'an alternative name',
    net => net.links.create({ kind: 'bridge', name: 'x', altnames: ['fine', 'a/b'] }),
    'altnames[1]'
  ],
  ['an option of creation', net => net.links.set('low', { altnames: ['x'] } as never), 'altnames'],
  ['an address', net => net.addresses.add({ address: '192.0.2.256/24', link: 'low' }), 'address'],
  ['a prefix length', net => net.addresses.add({ address: '192.0.2.1/33', link: 'low' }), 'address'],
  ['a label', net => net.addresses.add({ address: '192.0.2.1/24', link: 'low', label: 'x'.repeat(16) }), 'label'],
  ['a gateway', net => net.routes.add({ destination: 'default', gateway: 'gw', link: 'low' }), 'gateway'],
  ['a metric', net => net.routes.add({ destination: 'default', link: 'low', metrics: { mtu: -1 } }), 'metrics.mtu'],
  [
    'a next hop',
    net => net.routes.add({ destination: 'default', nexthops: [{ link: 'low' }, { link: 'low', weight: 0 }] }),
    'nexthops[1].weight'
  ],
  ['a neighbour', net => net.neighbours.add({ address: '192.0.2.1', link: 'low', lladdr: 'x' }), 'lladdr'],
  ['a forwarding entry', net => net.fdb.add({ lladdr: '02:00:00:00:00:01', link: 'low', vlan: -1 }), 'vlan']
]

test('passthru beside a link that was moved to another namespace', async ({ ns, other }) => {
  for (const command of [...LOWER, 'link add link low name m type macvlan mode bridge']) ns.tools.ip(command)
  ns.tools.ip(`link set dev m netns ${other.name}`)
  await expect(
    ns.net.links.create({ kind: 'macvtap', name: 'n', link: 'low', mode: 'passthru' })
  ).rejects.toMatchObject({
    code: 'EINVAL',
    diagnosis: 'passthru wants low for itself: a link that was moved to another namespace may be on it'
  })
})

describe('wrong input is refused before anything is sent', () => {
  test.for(WRONG)('%s', async ([, action, path], { ns }) => {
    for (const command of [...LOWER, 'link add name br0 type bridge']) ns.tools.ip(command)
    // The kernel works out the operational state up to a second later.
    await expect.poll(() => ns.tools.link('low').operstate, { timeout: 20_000 }).toBe('LOWERLAYERDOWN')
    const before = ns.tools.ipJson('link show')
    const { result, sent } = await traffic(() => action(ns.net))
    expect(result).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path, name: 'LinkwrightError' })
    expect((result as LinkwrightError).allowed).toBeTypeOf('string')
    expect((result as LinkwrightError).errno).toBeUndefined()
    expect(sent.map(message => message.type)).toEqual([])
    expect(ns.tools.ipJson('link show')).toEqual(before)
  })
})

test('a socket that was closed', async ({ ns }) => {
  ns.net.close()
  await expect(ns.net.links.list()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
})
