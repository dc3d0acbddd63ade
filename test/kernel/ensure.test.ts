/** Links made what they shall be: created, changed, replaced, removed; and left alone. */
import { describe, expect } from 'vitest'
import { type EnsureLink, type EnsureOptions, LinkwrightError, Tap } from '../../lib/index.js'
import { ownerGroup } from '../../lib/link/owner.js'
import { type Namespace, test } from '../support/namespace.js'
import { isDump, traffic } from '../support/trace.js'

const VMM = { owner: 'vmm' }
const LATER = { owner: 'vmm', dryRun: true }
const MAC = '02:00:00:00:00:01'

/** A guest's bridge with a tunnel, and macvtaps beside it. */
const HOST: EnsureLink[] = [
  { kind: 'macvtap', name: 'm0', link: 'v1', mode: 'private', up: true },
  { kind: 'veth', name: 'v0', master: 'br0', up: true, port: { isolated: true }, peer: { name: 'v1', up: true } },
  { kind: 'vxlan', name: 'vx0', id: 7, dstPort: 4789, dev: 'v1', master: 'br0', mtu: 1400 },
  { kind: 'bridge', name: 'br0', stp: false, mtu: 1450, up: true }
]

const steps = (plan: { steps: readonly { action: string; link: string }[] }) =>
  plan.steps.map(({ action, link }) => `${action} ${link}`)

/** Ensures, and sees that nothing is left to do: one dump and no more. */
async function settled(ns: Namespace, specs: readonly EnsureLink[], options: EnsureOptions = VMM): Promise<string[]> {
  const plan = await ns.net.links.ensure(specs, options)
  const { result, sent } = await traffic(() => ns.net.links.ensure(specs, options))
  expect(result).toMatchObject({ steps: [] })
  expect(sent.map(message => [message.type, isDump(message)])).toEqual([['RTM_GETLINK', true]])
  return steps(plan)
}

/** What iproute2 shows, but for timers, which run. */
const state = (ns: Namespace) =>
  JSON.stringify(ns.tools.ipJson('link show'), (key, value) => (key.endsWith('timer') ? undefined : value))

test('what is missing is created, parents first, and the second call only looks', async ({ ns }) => {
  expect((await settled(ns, HOST)).slice(0, 4)).toEqual(['create br0', 'create v0', 'create m0', 'create vx0'])
  expect(ns.tools.link('br0')).toMatchObject({ mtu: 1450, linkinfo: { info_data: { stp_state: 0 } } })
  expect(ns.tools.link('v0')).toMatchObject({ master: 'br0', linkinfo: { info_slave_data: { isolated: true } } })
  expect(ns.tools.link('m0')).toMatchObject({ link: 'v1', linkinfo: { info_data: { mode: 'private' } } })
  expect(ns.tools.link('vx0')).toMatchObject({ master: 'br0', linkinfo: { info_data: { link: 'v1' } } })
  for (const name of ['br0', 'v0', 'v1', 'm0', 'vx0']) {
    expect(ns.tools.link(name)).toMatchObject({ ifalias: 'linkwright:vmm', group: `${ownerGroup('vmm')}` })
  }
})

test('only what differs is sent, in one message', async ({ ns }) => {
  await ns.net.links.ensure(HOST, VMM)
  ns.tools.ip('link set dev br0 mtu 1300 down')
  ns.tools.ip('link set dev br0 type bridge ageing_time 900')
  const specs = HOST.map(spec => (spec.name === 'br0' ? { ...spec, ageingTime: 500 } : spec)) as EnsureLink[]
  const { result, sent } = await traffic(() => ns.net.links.ensure(specs, VMM))
  expect(result).toMatchObject({
    steps: [
      {
        action: 'change',
        link: 'br0',
        kind: 'bridge',
        changes: [
          { path: 'mtu', from: 1300, to: 1450 },
          { path: 'ageingTime', from: 900, to: 500 },
          { path: 'up', from: false, to: true }
        ],
        outcome: 'done'
      }
    ]
  })
  const [change, ...others] = sent.filter(({ type }) => type === 'RTM_NEWLINK').map(message => message.decode())
  expect(others).toEqual([])
  const { family: _, type: _type, index: _index, flags, ...attributes } = change as Record<string, unknown>
  expect(flags).toMatchObject({ up: true })
  expect(attributes).toEqual({ change: 1, mtu: 1450, linkinfo: { kind: 'bridge', data: { ageingTime: 500 } } })
})

test('the MTU of a vxlan goes alone, for the kernel wants that', async ({ ns }) => {
  await ns.net.links.ensure(HOST, VMM)
  const specs = HOST.map(spec => (spec.name === 'vx0' ? { ...spec, ttl: 5, mtu: 1300 } : spec)) as EnsureLink[]
  expect(await settled(ns, specs)).toEqual(['change vx0'])
  expect(ns.tools.link('vx0')).toMatchObject({ mtu: 1300, linkinfo: { info_data: { ttl: 5 } } })
})

test('a port that was moved comes back with its settings', async ({ ns }) => {
  await ns.net.links.ensure(HOST, VMM)
  ns.tools.ip('link add name other type bridge')
  ns.tools.ip('link set dev v0 master other')
  // Which is lost on the way.
  ns.tools.ip('link set dev v0 type bridge_slave isolated on')
  expect(await settled(ns, HOST)).toEqual(['change v0'])
  expect(ns.tools.link('v0')).toMatchObject({ master: 'br0', linkinfo: { info_slave_data: { isolated: true } } })
})

test('null takes a port from its master', async ({ ns }) => {
  await ns.net.links.ensure(HOST, VMM)
  const specs = HOST.map(spec => (spec.name === 'v0' ? { ...spec, master: null, port: undefined } : spec))
  expect(await settled(ns, specs as EnsureLink[])).toEqual(['change v0'])
  expect(ns.tools.link('v0').master).toBeUndefined()
})

test('alternative names are a set', async ({ ns }) => {
  const spec = (altnames: string[]) => [{ kind: 'ifb', name: 'i0', altnames }] as EnsureLink[]
  await settled(ns, spec(['one', 'two']))
  expect(await settled(ns, spec(['two', 'one']))).toEqual([])
  expect(await settled(ns, spec(['two', 'three']))).toEqual(['change i0'])
  expect(ns.tools.link('i0').altnames.toSorted()).toEqual(['three', 'two'])
  // Links of the list are known by them.
  const specs = [
    { kind: 'bridge', name: 'br0', altnames: ['lan'] },
    { kind: 'ifb', name: 'i0', master: 'lan' }
  ]
  await settled(ns, specs as EnsureLink[])
  expect(ns.tools.link('i0').master).toBe('br0')
})

test('alternative names go from one link of the owner to another', async ({ ns }) => {
  await settled(ns, [
    { kind: 'ifb', name: 'i0', altnames: ['x', 'i3'] },
    { kind: 'ifb', name: 'i1', altnames: ['y'] },
    { kind: 'ifb', name: 'i2', altnames: ['z'] }
  ])
  await settled(ns, [
    { kind: 'ifb', name: 'i0' },
    { kind: 'ifb', name: 'i1', altnames: ['x', 'z'] },
    { kind: 'ifb', name: 'i3', altnames: ['y'] }
  ])
  expect(ns.tools.link('i1').altnames.toSorted()).toEqual(['x', 'z'])
  expect(ns.tools.link('i3').altnames).toEqual(['y'])
})

test('words of an alias follow the owner', async ({ ns }) => {
  await settled(ns, [{ kind: 'ifb', name: 'i0', alias: 'guest 7' }])
  expect(ns.tools.link('i0').ifalias).toBe('linkwright:vmm guest 7')
  expect(await settled(ns, [{ kind: 'ifb', name: 'i0' }])).toEqual(['change i0'])
})

test('the peer of a veth may be in the list as well', async ({ ns }) => {
  const specs: EnsureLink[] = [
    { kind: 'veth', name: 'b', mtu: 1400, master: 'br0', port: { cost: 7 } },
    { kind: 'bridge', name: 'br0' },
    { kind: 'veth', name: 'a', peer: { name: 'b', up: true } }
  ]
  await settled(ns, specs)
  expect(ns.tools.link('b')).toMatchObject({ mtu: 1400, master: 'br0', link: 'a' })
  expect(ns.tools.link('b').flags).toContain('UP')
})

test('backup ports are set when they are ports', async ({ ns }) => {
  const specs: EnsureLink[] = [
    { kind: 'ifb', name: 'i0', master: 'br0', port: { backupPort: 'i1' } },
    { kind: 'bridge', name: 'br0' },
    { kind: 'ifb', name: 'i1', master: 'br0' }
  ]
  await settled(ns, specs)
  expect(ns.tools.sysfs('i0/brport/backup_port')).toBe('i1')
  await settled(ns, [{ ...specs[0], port: { backupPort: null } } as EnsureLink, ...specs.slice(1)])
  expect(ns.tools.sysfs('i0/brport/backup_port')).toBe('')
})

test('a TAP and a device without a kind are changed, and never made or removed', async ({ ns }) => {
  await using tap = await Tap.open({ name: 'tap0', netns: ns.path, owner: 'vmm' })
  const specs: EnsureLink[] = [
    { kind: 'bridge', name: 'br0' },
    { kind: 'tun', name: 'tap0', master: 'br0', mtu: 1400 },
    { name: 'lo', up: true }
  ]
  await settled(ns, specs, { owner: 'vmm', adopt: ['lo'] })
  expect(ns.tools.link('tap0')).toMatchObject({ mtu: 1400, master: 'br0' })
  expect(ns.tools.link('lo').ifalias).toBe('linkwright:vmm')
  expect(await settled(ns, [])).toEqual(['remove br0'])
  expect(ns.tools.linkNames()).toEqual(['lo', 'tap0'])
  await tap.close()
  await expect(ns.net.links.ensure(specs, { owner: 'vmm' })).rejects.toMatchObject({
    code: 'ENODEV',
    link: 'tap0',
    path: 'specs[1]'
  })
  expect(ns.tools.linkNames()).toEqual(['lo'])
})

test('what the kernel leaves out while it is off is as it shall be', async ({ ns }) => {
  const specs: EnsureLink[] = [
    { kind: 'veth', name: 'low', alias: '', peer: { name: 'low2' } },
    { kind: 'vxlan', name: 'x0', id: 7, dstPort: 4789, remote: '0.0.0.0', local: '0.0.0.0' },
    { kind: 'macvlan', name: 'm0', link: 'low', mode: 'source', macaddrs: [] }
  ]
  await settled(ns, specs, {})
})

describe('what the kernel moves by itself does not make it flap', () => {
  test('times that are rounded', async ({ ns }) => {
    const specs: EnsureLink[] = [
      { kind: 'bridge', name: 'br0', helloTime: 333, ageingTime: 4321, mcastQueryInterval: 20001, forwardDelay: 777 }
    ]
    await settled(ns, specs)
    expect(await settled(ns, [{ ...specs[0], helloTime: 334 } as EnsureLink])).toEqual(['change br0'])
  })

  test.for([1500, 1450])('the MTU %i of a bridge with smaller ports', async (mtu, { ns }) => {
    await settled(ns, [{ kind: 'bridge', name: 'br0', mtu }])
    ns.tools.ip('link add name i0 mtu 1300 type ifb')
    ns.tools.ip('link set dev i0 master br0')
    expect(ns.tools.link('br0').mtu).toBe(mtu)
  })

  test('the address of a bridge, and of a macvtap in mode passthru', async ({ ns }) => {
    const specs: EnsureLink[] = [
      { kind: 'bridge', name: 'br0', address: '0A:00:00:00:00:0B' },
      { kind: 'bridge', name: 'br1' },
      { kind: 'veth', name: 'v0', master: 'br0', address: '02:00:00:00:00:00', peer: { name: 'v1' } },
      { kind: 'ifb', name: 'i0', master: 'br1' },
      { kind: 'macvtap', name: 'm0', link: 'v1', mode: 'passthru' }
    ]
    await settled(ns, specs)
    expect(ns.tools.link('br0').address).toBe('0a:00:00:00:00:0b')
    expect(await settled(ns, [...specs.slice(0, 4), { ...specs[4], address: MAC } as EnsureLink])).toEqual([
      'change m0'
    ])
    expect(ns.tools.link('v1').address).toBe(MAC)
  })

  test('carriers and states', async ({ ns }) => {
    const specs: EnsureLink[] = [
      { kind: 'bridge', name: 'br0', up: true, stp: true },
      { kind: 'veth', name: 'v0', master: 'br0', up: true, peer: { name: 'v1', up: true } }
    ]
    await settled(ns, specs)
    await ns.net.links.waitFor('v0', link => link?.port?.state === 'listening', { timeout: 20_000 })
    expect(await settled(ns, specs)).toEqual([])
    ns.tools.ip('link set dev v1 down')
    expect(await settled(ns, specs)).toEqual(['change v1'])
  })

  test('flags that others count up', async ({ ns }) => {
    const specs: EnsureLink[] = [
      { kind: 'veth', name: 'v0', promisc: false, allmulti: false, up: true, peer: { name: 'v1' } },
      { kind: 'macvlan', name: 'm0', link: 'v0', mode: 'passthru', up: true }
    ]
    await settled(ns, specs)
    expect(ns.tools.link('v0').promiscuity).toBe(1)
  })
})

describe('settings of any link', () => {
  const veth = { kind: 'veth', name: 'a', peer: { name: 'b' } } as const
  test.for([
    { address: 'AA:00:00:00:00:01' },
    { broadcast: 'ff:ff:ff:00:00:01' },
    { mtu: 1400 },
    { txqlen: 77 },
    { alias: 'words' },
    { linkmode: 'dormant' },
    { gsoMaxSize: 30_000 },
    { gsoMaxSegs: 77 },
    { groMaxSize: 30_000 },
    { gsoIpv4MaxSize: 20_000 },
    { groIpv4MaxSize: 20_000 },
    { numTxQueues: 3, numRxQueues: 2 },
    { afSpec: { inet6: { addrGenMode: 'none' } }, up: true },
    { up: true },
    { noarp: true },
    { promisc: true },
    { allmulti: true },
    { multicast: false },
    { dynamic: true },
    { index: 4711 },
    { altnames: ['x'] },
    { peer: { name: 'b', txqlen: 5, altnames: ['y'], afSpec: { inet6: { addrGenMode: 'none' } }, up: true } }
  ])('%j', async (given, { ns }) => {
    const specs = [{ ...veth, ...given }] as EnsureLink[]
    await settled(ns, [veth])
    expect((await settled(ns, specs)).length).toBeGreaterThan(0)
    ns.tools.ip('link del dev a')
    await settled(ns, specs)
    ns.tools.ip('link del dev a')
    // Without an owner as well, where alias and group are one's own.
    await settled(ns, [{ ...specs[0], group: 7, alias: 'mine' } as EnsureLink], {})
    expect(ns.tools.link('a')).toMatchObject({ group: '7', ifalias: 'mine' })
  })

  test('protoDown and carrier, where the kind has them', async ({ ns }) => {
    await using _tap = await Tap.open({ name: 'tap0', netns: ns.path })
    await settled(ns, [{ kind: 'tun', name: 'tap0', carrier: false }], {})
    expect(ns.tools.sysfs('tap0/flags')).toBeDefined()
    await settled(ns, [{ kind: 'vxlan', name: 'vx0', id: 7, dstPort: 4789, protoDown: true }])
  })
})

describe('what only creation can set', () => {
  test.for<[string, EnsureLink, EnsureLink]>([
    ['a kind', { kind: 'ifb', name: 'x0' }, { kind: 'bridge', name: 'x0' }],
    [
      'an identifier',
      { kind: 'vxlan', name: 'x0', id: 7, dstPort: 4789 },
      { kind: 'vxlan', name: 'x0', id: 8, dstPort: 4789 }
    ],
    [
      'the family of addresses',
      { kind: 'vxlan', name: 'x0', id: 7, dstPort: 4789, remote: '192.0.2.1' },
      { kind: 'vxlan', name: 'x0', id: 7, dstPort: 4789, remote6: '2001:db8::1' }
    ],
    [
      'passthru',
      { kind: 'macvlan', name: 'x0', link: 'low', mode: 'bridge' },
      { kind: 'macvlan', name: 'x0', link: 'low', mode: 'passthru' }
    ],
    [
      'a lower device',
      { kind: 'macvlan', name: 'x0', link: 'low', mode: 'bridge' },
      { kind: 'macvlan', name: 'x0', link: 'low2', mode: 'bridge' }
    ],
    ['a peer', { kind: 'veth', name: 'x0', peer: { name: 'y' } }, { kind: 'veth', name: 'x0', peer: { name: 'z' } }],
    ['queues', { kind: 'ifb', name: 'x0', numTxQueues: 3 }, { kind: 'ifb', name: 'x0', numTxQueues: 4 }]
  ])('%s is reached by replacing', async ([, before, after], { ns }) => {
    ns.tools.ip('link add name low type veth peer name low2')
    await settled(ns, [before])
    const foreign = ns.tools.ipJson('link show').filter(link => /^lo/.test(link.ifname))
    // Not without an owner, and not what is another's.
    for (const options of [{}, { owner: 'other', adopt: true }]) {
      const now = state(ns)
      await expect(ns.net.links.ensure([after], options)).rejects.toMatchObject({ code: 'ERR_NOT_OWNED', link: 'x0' })
      expect(state(ns)).toBe(now)
    }
    expect(await settled(ns, [after])).toEqual(['replace x0'])
    expect(ns.tools.ipJson('link show').filter(link => /^lo/.test(link.ifname))).toEqual(foreign)
  })

  test('ports and links on top are put back', async ({ ns }) => {
    await settled(ns, HOST)
    const specs = HOST.map(spec => {
      if (spec.name === 'br0') return { ...spec, numTxQueues: 3 }
      return spec.name === 'v0' ? { ...spec, numTxQueues: 3 } : spec
    }) as EnsureLink[]
    const plan = await ns.net.links.ensure(specs, LATER)
    expect(plan.steps.map(({ action, link, because }) => [action, link, because])).toEqual([
      ['replace', 'br0', 'numTxQueues is set at creation only'],
      ['replace', 'v0', 'numTxQueues is set at creation only'],
      ['replace', 'm0', 'it goes with v1'],
      ['replace', 'vx0', 'it goes with v1']
    ])
    await settled(ns, specs)
    expect(ns.tools.link('v0')).toMatchObject({ master: 'br0', linkinfo: { info_slave_data: { isolated: true } } })
    expect(ns.tools.link('m0').link).toBe('v1')
  })

  test('a port that is not replaced becomes one again', async ({ ns }) => {
    await settled(ns, HOST)
    const { ifindex } = ns.tools.link('v0')
    const specs = HOST.map(spec => (spec.name === 'br0' ? { ...spec, numTxQueues: 3 } : spec)) as EnsureLink[]
    const plan = await ns.net.links.ensure(specs, LATER)
    expect(steps(plan)).toEqual(['replace br0', 'change v0', 'change vx0'])
    await settled(ns, specs)
    expect(ns.tools.link('v0')).toMatchObject({
      ifindex,
      master: 'br0',
      linkinfo: { info_slave_data: { isolated: true } }
    })
  })

  test('so does one of which the list does not say whose port it is, as it was', async ({ ns }) => {
    const specs: EnsureLink[] = [
      { kind: 'bridge', name: 'br0' },
      { kind: 'ifb', name: 'i0', port: { cost: 7 } }
    ]
    await settled(ns, [specs[0] as EnsureLink, { kind: 'ifb', name: 'i0', master: 'br0', port: { cost: 7 } }])
    const { ifindex } = ns.tools.link('i0')
    ns.tools.ip('link set dev i0 type bridge_slave isolated on learning off priority 9')
    await settled(ns, [{ kind: 'bridge', name: 'br0', numTxQueues: 3 }, specs[1] as EnsureLink])
    expect(ns.tools.link('i0')).toMatchObject({
      ifindex,
      master: 'br0',
      linkinfo: { info_slave_data: { isolated: true, learning: false, priority: 9, cost: 7 } }
    })
  })

  test('a link moves to another before the one that it was on is removed', async ({ ns }) => {
    const vxlan: EnsureLink = { kind: 'vxlan', name: 'vx0', id: 7, dstPort: 4789, dev: 'i0' }
    await settled(ns, [{ kind: 'ifb', name: 'i0' }, vxlan])
    const { ifindex } = ns.tools.link('vx0')
    await settled(ns, [{ kind: 'ifb', name: 'i1' }, { ...vxlan, dev: 'i1' } as EnsureLink])
    expect(ns.tools.link('vx0')).toMatchObject({ ifindex, linkinfo: { info_data: { link: 'i1' } } })
    expect(ns.tools.linkNames()).not.toContain('i0')
  })

  test.for([
    ['a port', 'link set dev strange master br0', { kind: 'bridge', name: 'br0', numTxQueues: 3 }],
    ['on top', 'link add link br0 name strange2 type macvlan mode bridge', { kind: 'ifb', name: 'br0' }]
  ] as const)('not with something of another: %s', async ([, command, spec], { ns }) => {
    await settled(ns, [{ kind: 'bridge', name: 'br0' }])
    ns.tools.ip('link add name strange type ifb')
    ns.tools.ip(command)
    const now = state(ns)
    for (const specs of [[spec], []]) {
      await expect(ns.net.links.ensure(specs as EnsureLink[], VMM)).rejects.toMatchObject({
        code: 'ERR_NOT_OWNED',
        link: expect.stringMatching(/^strange/)
      })
    }
    expect(state(ns)).toBe(now)
  })
})

describe('what is no longer wanted', () => {
  test('is removed, last, unless it is not', async ({ ns }) => {
    await settled(ns, HOST)
    const rest = HOST.filter(({ name }) => name === 'v0' || name === 'br0')
    expect(await settled(ns, rest, { owner: 'vmm', prune: false })).toEqual([])
    expect(await settled(ns, rest, {})).toEqual([])
    expect((await settled(ns, [...rest, { kind: 'ifb', name: 'i0' }])).toSorted()).toEqual([
      'create i0',
      'remove m0',
      'remove vx0'
    ])
    expect(ns.tools.linkNames().toSorted()).toEqual(['br0', 'i0', 'lo', 'v0', 'v1'])
  })

  test('goes first where it is in the way', async ({ ns }) => {
    ns.tools.ip('link add name low type veth peer name low2')
    await settled(ns, [
      { kind: 'macvlan', name: 'm0', link: 'low', mode: 'passthru' },
      { kind: 'vxlan', name: 'vx0', id: 7, dstPort: 4789 }
    ])
    const specs: EnsureLink[] = [
      { kind: 'macvlan', name: 'm1', link: 'low', mode: 'bridge' },
      { kind: 'vxlan', name: 'vx1', id: 7, dstPort: 4789 }
    ]
    expect(await settled(ns, specs)).toEqual(['remove m0', 'remove vx0', 'create m1', 'create vx1'])
  })

  test('a link that is referred to stays', async ({ ns }) => {
    await settled(ns, [
      { kind: 'bridge', name: 'br0' },
      { kind: 'ifb', name: 'i0' }
    ])
    expect(await settled(ns, [{ kind: 'ifb', name: 'i0', master: 'br0' }])).toEqual(['change i0'])
    expect(ns.tools.linkNames()).toContain('br0')
  })
})

describe('links of others', () => {
  test('are refused by name, and nothing is changed', async ({ ns }) => {
    ns.tools.ip('link add name br0 type bridge')
    await ns.net.links.create({ kind: 'ifb', name: 'i0', owner: 'vmm2' })
    const now = state(ns)
    for (const name of ['br0', 'i0']) {
      const specs = [
        { kind: 'ifb', name: 'i9' },
        { kind: name === 'br0' ? 'bridge' : 'ifb', name, mtu: 1400 }
      ]
      await expect(ns.net.links.ensure(specs as EnsureLink[], VMM)).rejects.toMatchObject({
        code: 'ERR_NOT_OWNED',
        link: name,
        path: 'specs[1]'
      })
    }
    expect(state(ns)).toBe(now)
    const specs: EnsureLink[] = [{ kind: 'bridge', name: 'br0', mtu: 1400 }]
    expect(await settled(ns, specs, { ...VMM, adopt: true })).toEqual(['change br0'])
    expect(ns.tools.link('br0')).toMatchObject({ ifalias: 'linkwright:vmm', mtu: 1400 })
    expect(await settled(ns, specs)).toEqual([])
  })

  test('may have a name of the list as another one of theirs', async ({ ns }) => {
    ns.tools.ip('link add name i9 type ifb')
    ns.tools.ip('link property add dev i9 altname i0')
    for (const spec of [
      { kind: 'ifb', name: 'i0' },
      { kind: 'ifb', name: 'i1', altnames: ['i0'] }
    ]) {
      await expect(ns.net.links.ensure([spec as EnsureLink], VMM)).rejects.toMatchObject({ code: 'ERR_NOT_OWNED' })
    }
    expect(ns.tools.linkNames()).toEqual(['lo', 'i9'])
  })

  test('on the same bridge, and what is only referred to, are not touched', async ({ ns }) => {
    ns.tools.ip('link add name up0 type veth peer name up1')
    ns.tools.ip('link add name strange type ifb')
    const specs: EnsureLink[] = [
      // Its own address, or the ports would show that of the lowest.
      { kind: 'bridge', name: 'br0', address: MAC, ageingTime: 4000 },
      { kind: 'macvtap', name: 'm0', link: 'up0', mode: 'bridge' }
    ]
    await settled(ns, specs)
    ns.tools.ip('link set dev strange master br0')
    const those = () => ns.tools.ipJson('link show').filter(({ ifname }) => /^(up|strange)/.test(ifname))
    const before = those()
    await settled(ns, [{ ...specs[0], ageingTime: 5000 } as EnsureLink, { kind: 'ifb', name: 'i0', master: 'br0' }])
    expect(those()).toEqual(before)
  })
})

describe('wrong input is refused before anything is done', () => {
  test.for<[string, string, object[]]>([
    [
      'specs[1].mtu',
      'a value',
      [
        { kind: 'ifb', name: 'i0' },
        { kind: 'ifb', name: 'i1', mtu: -1 }
      ]
    ],
    ['specs[0].port.cost', 'a value of a port', [{ kind: 'ifb', name: 'i0', port: { cost: 'low' } }]],
    ['specs[0].peer.mtu', 'a value of a peer', [{ kind: 'veth', name: 'a', peer: { name: 'b', mtu: 'x' } }]],
    ['specs[0].peer.name', 'a peer without a name', [{ kind: 'veth', name: 'a', peer: { mtu: 1400 } }]],
    ['specs[0].name', 'no name', [{ kind: 'ifb' }]],
    ['specs[0].name', 'a pattern', [{ kind: 'ifb', name: 'i%d' }]],
    [
      'specs[1].name',
      'a name twice',
      [
        { kind: 'ifb', name: 'i0' },
        { kind: 'bridge', name: 'i0' }
      ]
    ],
    [
      'specs[1].peer.name',
      'a peer twice',
      [
        { kind: 'veth', name: 'a', peer: { name: 'c' } },
        { kind: 'veth', name: 'b', peer: { name: 'c' } }
      ]
    ],
    [
      'specs[0].altnames[0]',
      'a name of another',
      [
        { kind: 'ifb', name: 'i0', altnames: ['i1'] },
        { kind: 'ifb', name: 'i1' }
      ]
    ],
    ['specs[0].mode', 'what is required', [{ kind: 'macvtap', name: 'm', link: 'lo' }]],
    ['specs[0].link', 'a lower device of what has none', [{ kind: 'bridge', name: 'br0', link: 'lo' }]],
    ['specs[0].stp', 'an attribute of another kind', [{ kind: 'ifb', name: 'i0', stp: true }]],
    ['specs[0].netns', 'another namespace', [{ kind: 'ifb', name: 'i0', netns: 'x' }]],
    ['specs[0].peer.netns', 'another namespace', [{ kind: 'veth', name: 'a', peer: { name: 'b', netns: 'x' } }]],
    ['specs[0].owner', 'an owner', [{ kind: 'ifb', name: 'i0', owner: 'x' }]],
    ['specs[0].group', 'a group beside the owner', [{ kind: 'ifb', name: 'i0', group: 5 }]],
    ['specs[0].operstate', 'a state', [{ kind: 'ifb', name: 'i0', operstate: 'up' }]],
    ['specs[0].port.state', 'a state of a port', [{ kind: 'ifb', name: 'i0', port: { state: 'blocking' } }]],
    ['specs[0].fdbFlush', 'an action', [{ kind: 'bridge', name: 'br0', fdbFlush: true }]],
    [
      'specs[0].macaddrMode',
      'an action',
      [{ kind: 'macvlan', name: 'm', link: 'lo', mode: 'source', macaddrMode: 'flush' }]
    ],
    ['specs[0].mcRoute', 'what is not reported', [{ kind: 'vxlan', name: 'v', id: 7, mcRoute: true }]],
    ['specs[0].index', 'creation of what cannot be created', [{ name: 'lo', index: 5 }]]
  ])('%s: %s', async ([path, , specs], { ns }) => {
    const { result, sent } = await traffic(() => ns.net.links.ensure(specs as EnsureLink[], VMM))
    expect(result).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path })
    expect((result as Error).message).toContain(`${path}: `)
    expect(sent).toEqual([])
  })

  test('links that need themselves', async ({ ns }) => {
    const specs = [
      { kind: 'macvlan', name: 'a', link: 'b', mode: 'bridge' },
      { kind: 'macvlan', name: 'b', link: 'a', mode: 'bridge' }
    ] as EnsureLink[]
    await expect(ns.net.links.ensure(specs)).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
      message: expect.stringContaining('a → b → a')
    })
  })

  test('a master that is not there', async ({ ns }) => {
    const specs: EnsureLink[] = [
      { kind: 'bridge', name: 'br1' },
      { kind: 'ifb', name: 'i0', master: 'br0' }
    ]
    await expect(ns.net.links.ensure(specs)).rejects.toMatchObject({
      code: 'ENODEV',
      link: 'br0',
      path: 'specs[1].master'
    })
    expect(ns.tools.linkNames()).toEqual(['lo'])
  })

  test.for([
    [{ owner: 'a b' }, 'owner'],
    [{ prune: 1 }, 'prune'],
    [{ adopt: 'x' }, 'adopt'],
    [{ dryRun: 'yes' }, 'dryRun'],
    [{ onProgress: 1 }, 'onProgress'],
    [{ dryrun: true }, 'dryrun']
  ] as const)('option %j', async ([options, path], { ns }) => {
    await expect(ns.net.links.ensure([], options as EnsureOptions)).rejects.toMatchObject({ path })
  })
})

describe('a dry run', () => {
  test('tells and changes nothing', async ({ ns }) => {
    await ns.net.links.ensure(HOST, VMM)
    const now = state(ns)
    const specs: EnsureLink[] = [
      { kind: 'bridge', name: 'br0', stp: true, ageingTime: 100, mtu: 1450, up: true },
      { kind: 'veth', name: 'v0', master: 'br0', mtu: 9000, peer: { name: 'v1' } },
      { kind: 'macvtap', name: 'm0', link: 'v1', mode: 'passthru' }
    ]
    const { result, sent } = await traffic(() => ns.net.links.ensure(specs, LATER))
    expect(sent.map(isDump)).toEqual([true])
    expect(state(ns)).toBe(now)
    expect(String(result).split('\n')).toEqual([
      'ip link del m0',
      'ip link set br0 type bridge stp_state 1 ageing_time 100',
      'ip link set v0 mtu 9000',
      'ip link add link v1 m0 type macvtap mode passthru',
      'sysctl -qw net/ipv6/conf/m0/disable_ipv6=1',
      expect.stringMatching(/^ip link set m0 group \d+ alias linkwright:vmm$/),
      'ip link del vx0'
    ])
    expect(result).toMatchObject({
      steps: [
        { action: 'change', link: 'br0', changes: [{ path: 'stp', from: false, to: true }, { path: 'ageingTime' }] },
        { action: 'change', link: 'v0' },
        { action: 'replace', link: 'm0', because: 'mode cannot be changed from or to passthru' },
        { action: 'remove', link: 'vx0', changes: [] }
      ]
    })
  })
})

describe('when a step fails', () => {
  test('what was done is taken back, and the error names the step', async ({ ns }) => {
    ns.tools.ip('link add name strange type ifb')
    await ns.net.links.ensure(
      [
        { kind: 'bridge', name: 'br0', ageingTime: 4000 },
        { kind: 'ifb', name: 'i0', master: 'br0', altnames: ['x'], port: { cost: 7 } },
        { kind: 'ifb', name: 'i1' }
      ],
      VMM
    )
    const now = state(ns)
    const specs: EnsureLink[] = [
      { kind: 'bridge', name: 'br0', ageingTime: 5000, mcastSnooping: false },
      { kind: 'bridge', name: 'br1' },
      {
        kind: 'ifb',
        name: 'i0',
        master: 'br1',
        mtu: 1400,
        altnames: ['y'],
        alias: 'words',
        port: { cost: 9 },
        up: true
      },
      // Neither takes ports.
      { kind: 'ifb', name: 'i2', master: 'strange' }
    ]
    const error = await ns.net.links.ensure(specs, VMM).catch((reason: LinkwrightError) => reason)
    expect(error).toMatchObject({ code: 'EOPNOTSUPP', link: 'i2', path: expect.stringMatching(/^specs\[3\]/) })
    expect(error).toBeInstanceOf(LinkwrightError)
    expect((error as Error).message).toMatch(/^to create i2: .*what was done before is taken back$/)
    expect(state(ns)).toBe(now)
  })

  test('what was replaced is made again, with its ifindex', async ({ ns }) => {
    ns.tools.ip('link add name strange type ifb')
    await ns.net.links.ensure(HOST, VMM)
    const now = ns.tools.ipJson('link show')
    const specs = [
      ...HOST.map(spec => (spec.name === 'br0' || spec.name === 'v0' ? { ...spec, numTxQueues: 3 } : spec)),
      { kind: 'macvlan', name: 'm2', link: 'm0', master: 'strange', mode: 'bridge' }
    ] as EnsureLink[]
    await expect(ns.net.links.ensure(specs, VMM)).rejects.toThrow(/what was done before is taken back/)
    // The kernel counts and times what happens to a link.
    const still = (all: object[]) =>
      JSON.parse(JSON.stringify(all, (key, value) => (/timer|operstate|promiscuity/.test(key) ? 0 : value)))
    const byName = (all: { ifname: string }[]) => all.toSorted((a, b) => (a.ifname < b.ifname ? -1 : 1))
    expect(still(byName(ns.tools.ipJson('link show')))).toEqual(still(byName(now)))
  })

  test('nothing is removed unless all else was done', async ({ ns }) => {
    ns.tools.ip('link add name strange type ifb')
    await ns.net.links.ensure([{ kind: 'ifb', name: 'i0' }], VMM)
    const { ifindex } = ns.tools.link('i0')
    const { result, sent } = await traffic(() =>
      ns.net.links.ensure([{ kind: 'ifb', name: 'i1', master: 'strange' }], VMM)
    )
    expect(result).toBeInstanceOf(LinkwrightError)
    expect(sent.map(({ type }) => type)).not.toContain('RTM_DELLINK')
    expect(ns.tools.link('i0').ifindex).toBe(ifindex)
  })

  test('what the kernel ignores is an error', async ({ ns }) => {
    const specs = [{ kind: 'bridge', name: 'br0', mcastHashElasticity: 8 }] as EnsureLink[]
    await expect(ns.net.links.ensure(specs, VMM)).rejects.toMatchObject({
      code: 'ERR_NOT_APPLIED',
      link: 'br0',
      path: 'specs[0].mcastHashElasticity'
    })
    expect(ns.tools.linkNames()).toEqual(['lo'])
  })

  test('given up', async ({ ns }) => {
    const reason = new Error('enough')
    const specs = Array.from({ length: 300 }, (_, at) => ({ kind: 'ifb', name: `i${at}` })) as EnsureLink[]
    const giveUp = new AbortController()
    const given = ns.net.links.ensure(
      [{ kind: 'bridge', name: 'br0' }, ...specs.map(spec => ({ ...spec, master: 'br0' }) as EnsureLink)],
      {
        owner: 'vmm',
        signal: giveUp.signal,
        onProgress: done => done > 0 && giveUp.abort(reason)
      }
    )
    await expect(given).rejects.toBe(reason)
    expect(ns.tools.linkNames()).toEqual(['lo'])
    await expect(ns.net.links.ensure([], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })
})

describe('when others change links at the same time', () => {
  const TWO: EnsureLink[] = [
    { kind: 'bridge', name: 'br0' },
    { kind: 'ifb', name: 'i0', master: 'br0', mtu: 1400 }
  ]

  test('what they made meanwhile is made use of', async ({ ns }) => {
    let made = false
    const onProgress = () => {
      if (!made) ns.tools.ip(`link add name i0 group ${ownerGroup('vmm')} type ifb`)
      made = true
    }
    const plan = await ns.net.links.ensure(TWO, { ...VMM, onProgress })
    expect(plan.steps).toMatchObject([
      { action: 'create', link: 'br0', outcome: 'done' },
      { action: 'create', link: 'i0', outcome: 'overtaken', error: { code: 'EEXIST' } },
      { action: 'change', link: 'i0', outcome: 'done' }
    ])
    expect(await settled(ns, TWO)).toEqual([])
  })

  test('what they removed meanwhile is made again', async ({ ns }) => {
    let removed = false
    const onProgress = () => {
      if (!removed) ns.tools.ip('link del dev br0')
      removed = true
    }
    const plan = await ns.net.links.ensure(TWO, { ...VMM, onProgress })
    expect(plan.steps.at(-1)?.outcome).toBe('done')
    expect(await settled(ns, TWO)).toEqual([])
  })

  test('a name that they take is theirs', async ({ ns }) => {
    let taken = false
    const onProgress = () => {
      if (!taken) ns.tools.ip('link add name i0 type ifb')
      taken = true
    }
    await expect(ns.net.links.ensure(TWO, { ...VMM, onProgress })).rejects.toMatchObject({ code: 'ERR_NOT_OWNED' })
    expect(ns.tools.linkNames()).toEqual(['lo', 'i0'])
  })

  test.for([
    ['ERR_NOT_APPLIED', 'to the same', () => 1300],
    ['ERR_NOT_SETTLED', 'to something else each time', (round: number) => 1300 + round]
  ] as const)('%s: they put it back, %s', async ([code, , mtu], { ns }) => {
    let round = 0
    const onProgress = () => ns.tools.ip(`link set dev i0 mtu ${mtu(round++)}`)
    await ns.net.links.ensure(TWO, VMM)
    ns.tools.ip('link set dev i0 mtu 1280')
    await expect(ns.net.links.ensure(TWO, { ...VMM, onProgress })).rejects.toMatchObject({ code, link: 'i0' })
    expect(round).toBeLessThan(20)
    expect(ns.tools.link('i0').mtu).toBe(1280)
  })

  test('what was made and they use by now is not taken back', async ({ ns }) => {
    ns.tools.ip('link add name strange type ifb')
    ns.tools.ip('link add name strange2 type ifb')
    const onProgress = () => ns.tools.ip('link set dev strange master br0')
    const specs: EnsureLink[] = [
      ...TWO,
      { kind: 'macvlan', name: 'm0', link: 'i0', mode: 'bridge', master: 'strange2' }
    ]
    await expect(ns.net.links.ensure(specs, { ...VMM, onProgress })).rejects.toThrow(
      /br0 is still there: strange uses it/
    )
    expect(ns.tools.link('strange').master).toBe('br0')
    expect(ns.tools.linkNames()).not.toContain('i0')
  })
})

test('progress is told', async ({ ns }) => {
  const told: [number, number][] = []
  await ns.net.links.ensure(
    [
      { kind: 'ifb', name: 'i0' },
      { kind: 'ifb', name: 'i1' }
    ],
    { onProgress: (...each) => told.push(each) }
  )
  expect(told).toEqual([
    [1, 2],
    [2, 2]
  ])
})

test('a thousand links take few messages: one dump, none for what is as it shall be', async ({ ns }) => {
  const specs = Array.from({ length: 1000 }, (_, at) => ({
    kind: 'ifb',
    name: `i${at}`,
    master: `br${at % 10}`,
    address: `02:00:00:00:${(at >> 8).toString(16).padStart(2, '0')}:${(at & 255).toString(16).padStart(2, '0')}`
  }))
  const bridges = Array.from({ length: 10 }, (_, at) => ({ kind: 'bridge', name: `br${at}` }))
  const all = [...specs, ...bridges] as EnsureLink[]
  await ns.net.links.ensure(all, VMM)
  for (const at of [3, 500]) ns.tools.ip(`link set dev i${at} mtu 1400`)
  const other = all.map(spec => (spec.kind === 'ifb' ? { ...spec, mtu: 1500 } : spec)) as EnsureLink[]
  const { result, sent } = await traffic(() => ns.net.links.ensure(other, VMM))
  expect(steps(result as never)).toEqual(['change i3', 'change i500'])
  expect(sent.map(message => [message.type, isDump(message)])).toEqual([
    ['RTM_GETLINK', true],
    ['RTM_NEWLINK', false],
    ['RTM_NEWLINK', false],
    ['RTM_GETLINK', true]
  ])
  await ns.net.links.ensure([], VMM)
  expect(ns.tools.linkNames()).toEqual(['lo'])
})
