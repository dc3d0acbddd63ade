/** The text of a plan, run by a shell: `ensure` finds nothing left to do then. */
import { execFileSync } from 'node:child_process'
import { expect } from 'vitest'
import type { EnsureLink } from '../../lib/index.js'
import { type Namespace, test } from '../support/namespace.js'

const OPTIONS = { owner: 'vmm' }

/** Runs the text as a shell does that somebody pasted it into. */
async function paste(ns: Namespace, specs: readonly EnsureLink[]): Promise<string> {
  const text = String(await ns.net.links.ensure(specs, { ...OPTIONS, dryRun: true }))
  execFileSync('ip', ['netns', 'exec', ns.name, 'sh', '-e'], { input: text, stdio: ['pipe', 'pipe', 'pipe'] })
  const left = await ns.net.links.ensure(specs, { ...OPTIONS, dryRun: true })
  expect({ text, left: left.steps.map(({ action, link, changes }) => ({ action, link, changes })) }).toEqual({
    text,
    left: []
  })
  return text
}

const LOW: EnsureLink = { kind: 'veth', name: 'low0', peer: { name: 'low1' } }
const BR0: EnsureLink = { kind: 'bridge', name: 'br0', up: true }

test.for<[string, EnsureLink[]]>([
  [
    'bridge',
    [
      {
        kind: 'bridge',
        name: 'br0',
        stp: true,
        forwardDelay: 700,
        helloTime: 300,
        maxAge: 1200,
        ageingTime: 12340,
        priority: 4096,
        groupFwdMask: 0x4008,
        groupAddress: '01:80:c2:00:00:05',
        mcastRouter: 'permanent',
        mcastSnooping: false,
        mcastQueryUseIfaddr: true,
        mcastQuerier: true,
        mcastHashMax: 1024,
        mcastLastMemberCount: 5,
        mcastStartupQueryCount: 6,
        mcastLastMemberInterval: 500,
        mcastMembershipInterval: 30000,
        mcastQuerierInterval: 40000,
        mcastQueryInterval: 20000,
        mcastQueryResponseInterval: 2000,
        mcastStartupQueryInterval: 4000,
        nfCallIptables: true,
        nfCallIp6tables: true,
        nfCallArptables: true,
        mcastStatsEnabled: true,
        mcastIgmpVersion: 3,
        mcastMldVersion: 2,
        boolopt: { noLinkLocalLearn: true },
        mtu: 1450,
        up: true
      }
    ]
  ],
  [
    'port',
    [
      BR0,
      {
        kind: 'veth',
        name: 'v0',
        master: 'br0',
        up: true,
        peer: { name: 'v1', up: true },
        port: {
          priority: 10,
          cost: 50,
          hairpin: true,
          guard: true,
          rootBlock: true,
          fastLeave: true,
          learning: false,
          flood: false,
          proxyArp: true,
          proxyArpWifi: true,
          mcastRouter: 'permanent',
          mcastFlood: false,
          mcastToUnicast: true,
          vlanTunnel: true,
          bcastFlood: false,
          groupFwdMask: 0x4010,
          neighSuppress: true,
          isolated: true,
          locked: true,
          backupPort: 'i0'
        }
      },
      { kind: 'ifb', name: 'i0', master: 'br0' }
    ]
  ],
  [
    'vxlan',
    [
      LOW,
      {
        kind: 'vxlan',
        name: 'vx0',
        id: 7,
        dev: 'low0',
        remote: '192.0.2.9',
        local: '192.0.2.1',
        ttl: 33,
        tos: 0x10,
        learning: false,
        ageing: 777,
        limit: 55,
        portRange: { low: 30000, high: 40000 },
        proxy: true,
        rsc: true,
        l2miss: true,
        l3miss: true,
        dstPort: 4800,
        udpCsum: false,
        df: 'set',
        mtu: 1300
      },
      {
        kind: 'vxlan',
        name: 'vx1',
        id: 8,
        dstPort: 4789,
        remote6: '2001:db8::9',
        local6: '2001:db8::1',
        label: 0x12345,
        udpZeroCsum6Tx: true,
        udpZeroCsum6Rx: true
      },
      { kind: 'vxlan', name: 'vx2', dstPort: 4790, collectMetadata: true, gbp: true },
      { kind: 'vxlan', name: 'vx3', id: 9, dstPort: 4791, ttlInherit: true }
    ] as EnsureLink[]
  ],
  [
    'macvlan and macvtap',
    [
      LOW,
      {
        kind: 'macvlan',
        name: 'm0',
        link: 'low0',
        mode: 'source',
        macaddrs: ['02:00:00:00:00:01', '02:00:00:00:00:02'],
        bcQueueLen: 77
      },
      { kind: 'macvtap', name: 'm1', link: 'low0', mode: 'private', up: true },
      {
        kind: 'macvtap',
        name: 'm2',
        link: 'low1',
        mode: 'passthru',
        flags: { nopromisc: true },
        address: '02:00:00:00:00:09'
      }
    ]
  ],
  [
    'any link',
    [
      {
        kind: 'veth',
        name: 'v0',
        address: '02:00:00:00:00:01',
        broadcast: 'ff:ff:ff:00:00:01',
        mtu: 1400,
        txqlen: 77,
        alias: "a guest's; $(words)",
        linkmode: 'dormant',
        gsoMaxSize: 30_000,
        gsoMaxSegs: 77,
        groMaxSize: 30_000,
        numTxQueues: 3,
        numRxQueues: 2,
        index: 4711,
        noarp: true,
        promisc: true,
        allmulti: true,
        multicast: false,
        dynamic: true,
        altnames: ['x', 'a-name-that-has-more-than-fifteen-bytes'],
        afSpec: { inet6: { addrGenMode: 'none' } },
        up: true,
        peer: { name: 'v1', mtu: 1400, numTxQueues: 2, address: '02:00:00:00:00:02', altnames: ['y'] }
      }
    ]
  ],
  [
    'names like words of ip',
    ['up', 'a', 'type', 'dev', 'm$(x)', "o'neill"].map(name => ({ kind: 'ifb', name, mtu: 1400 }))
  ],
  ['protodown', [{ kind: 'vxlan', name: 'vx0', id: 7, dstPort: 4789, protoDown: true }]]
])('%s', async ([, specs], { ns }) => {
  const text = await paste(ns, specs)
  expect(text).not.toContain('#')
  // And to change what is there.
  await ns.net.links.ensure([], OPTIONS)
  const bare = (specs as unknown as Record<string, unknown>[]).map(
    ({ name, kind, link, id, dstPort, mode, collectMetadata, peer, index, numTxQueues, numRxQueues, ...rest }) => {
      const { gbp, ttlInherit, limit, portRange, proxy, rsc, l2miss, l3miss, udpCsum, udpZeroCsum6Tx, udpZeroCsum6Rx } =
        rest
      const { remote6, local6, flags } = rest
      const fixed = {
        gbp,
        ttlInherit,
        limit,
        portRange,
        proxy,
        rsc,
        l2miss,
        l3miss,
        udpCsum,
        udpZeroCsum6Tx,
        udpZeroCsum6Rx
      }
      return {
        name,
        kind,
        link,
        id,
        dstPort,
        mode,
        collectMetadata,
        peer,
        index,
        numTxQueues,
        numRxQueues,
        ...fixed,
        remote6,
        local6,
        flags
      }
    }
  )
  await ns.net.links.ensure(bare as unknown as EnsureLink[], OPTIONS)
  await paste(ns, specs)
})

test('what is replaced, moved and removed', async ({ ns }) => {
  await paste(ns, [
    BR0,
    { kind: 'veth', name: 'v0', master: 'br0', peer: { name: 'v1' } },
    { kind: 'macvtap', name: 'm0', link: 'v1', mode: 'private' },
    { kind: 'vxlan', name: 'vx0', id: 7, dstPort: 4789, dev: 'v1', master: 'br0' },
    { kind: 'ifb', name: 'i0', altnames: ['x', 'y'] },
    { kind: 'veth', name: 'w0', peer: { name: 'w1' } },
    { kind: 'macvtap', name: 'm9', link: 'w0', mode: 'bridge' }
  ])
  const text = await paste(ns, [
    { kind: 'bridge', name: 'br0', numTxQueues: 3, mtu: 1500 },
    { kind: 'bridge', name: 'br1' },
    { kind: 'veth', name: 'v0', master: 'br1', peer: { name: 'v1' }, port: { cost: 5 } },
    { kind: 'macvtap', name: 'm0', link: 'v1', mode: 'passthru' },
    { kind: 'vxlan', name: 'vx0', id: 7, dstPort: 4789, dev: 'v1', master: 'br0', ttl: 5, mtu: 1400 },
    { kind: 'ifb', name: 'i0', altnames: ['y', 'z'], master: 'br0' },
    { kind: 'veth', name: 'w0', numTxQueues: 3, peer: { name: 'w1', numTxQueues: 3 } }
  ])
  for (const line of ['ip link del br0', 'ip link del m0', 'ip link del w0', 'ip link set v0 master br1'])
    expect(text).toContain(line)
})

test('what iproute2 has no word for is a comment', async ({ ns }) => {
  const specs = [{ kind: 'vxlan', name: 'vx0', id: 7, dstPort: 4789, remcsumNopartial: true }] as EnsureLink[]
  const text = String(await ns.net.links.ensure(specs, { dryRun: true }))
  expect(text.split('\n')).toEqual([
    'ip link add vx0 type vxlan id 7 dstport 4789',
    '# "vx0": remcsumNopartial true (ip has no word for it)'
  ])
})

test('IPv6, and the address that a bridge keeps', async ({ ns }) => {
  const port = { kind: 'ifb', name: 'i0', master: 'br0', up: true } as const
  const text = await paste(ns, [BR0, port, { kind: 'ifb', name: 'i1', ipv6: false }])
  expect(text).toMatch(/^ip link add br0 address ([0-9a-f]{2}:?){6} type bridge$/m)
  expect(text).toMatch(/^sysctl -qw net\/ipv6\/conf\/i0\/disable_ipv6=1$/m)
  expect(await paste(ns, [BR0, { ...port, ipv6: true }, { kind: 'ifb', name: 'i1' }])).toBe(
    'sysctl -qw net/ipv6/conf/i0/disable_ipv6=0'
  )
})
