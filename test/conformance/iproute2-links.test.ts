/** Requests about links, compared with what iproute2 sends for the same thing. */
import { spawnSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import '../../lib/rtnetlink/kinds/index.js'
import {
  altnamesRequest,
  changeRequest,
  createRequest,
  deleteRequest,
  type ResolvedOptions
} from '../../lib/link/link-requests.js'
import type { Request } from '../../lib/netlink/request.js'
import { captureOne, type Nest, netlinkMessages, outline, straceMissing } from '../support/strace.js'

const missing = straceMissing()
const NLM_F_ACK = 4
const NEWLINK = 16
const DELLINK = 17
const NEWLINKPROP = 108
const DELLINKPROP = 109

/** Where there are attributes inside attributes, by the kernel's headers. */
const link: Nest = { header: 16, inside: {} }
link.inside = {
  18: {
    inside: {
      2: {
        by: {
          sibling: 1,
          nests: {
            veth: { inside: { 1: link } },
            vlan: { inside: { 3: { inside: {} }, 4: { inside: {} } } },
            macvlan: { inside: { 5: { inside: {} } } },
            macvtap: { inside: { 5: { inside: {} } } }
          }
        }
      },
      5: { inside: {} }
    }
  },
  26: { inside: { 2: { inside: {} }, 10: { inside: {} } } },
  52: { inside: {} }
}

const ifindex: Record<string, number> = {}
let netns: number

function run(...args: string[]): void {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`)
}

beforeAll(() => {
  if (missing) return
  run('netns', 'add', 'lwother')
  netns = openSync('/run/netns/lwother', 'r')
  run('link', 'add', 'lwbr', 'type', 'bridge')
  run('link', 'add', 'lwa', 'type', 'veth', 'peer', 'name', 'lwb')
  run('link', 'set', 'lwb', 'master', 'lwbr')
  run('link', 'add', 'lwc', 'type', 'ifb')
  run('link', 'add', 'lwe', 'type', 'ifb')
  run('link', 'add', 'lwsrc', 'link', 'lwa', 'type', 'macvlan', 'mode', 'source')
  const { stdout } = spawnSync('ip', ['-j', 'link'], { encoding: 'utf8' })
  for (const { ifname, ifindex: index } of JSON.parse(stdout) as { ifname: string; ifindex: number }[]) {
    ifindex[ifname] = index
  }
})

afterAll(() => {
  if (missing) return
  closeSync(netns)
  for (const name of ['lwbr', 'lwa', 'lwc']) spawnSync('ip', ['link', 'del', name])
  run('netns', 'del', 'lwother')
})

const index = (name: string) => ifindex[name] as number

/** Takes out of the lines what differs for a reason. */
type Excuse = (lines: string[]) => string[]

function compare(ours: Request, type: number, args: string[], excuses: { ours?: Excuse; theirs?: Excuse } = {}): void {
  const theirs = captureOne(type, 'ip', ...args)
  const [mine] = netlinkMessages(Buffer.from(ours.bytes))
  if (!mine) throw new Error('no message of ours')
  expect(mine.type).toBe(type)
  // The engine asks for the acknowledgement itself.
  expect(mine.flags | NLM_F_ACK, 'NLM_F_*').toBe(theirs.flags | NLM_F_ACK)
  const lines = outline(mine.payload, link)
  const expected = outline(theirs.payload, link)
  expect(excuses.ours?.(lines) ?? lines).toEqual(excuses.theirs?.(expected) ?? expected)
}

interface Case {
  ip: string
  ours: () => ResolvedOptions
  excuses?: { ours?: Excuse; theirs?: Excuse }
}

function dropping(...lines: string[]): Excuse {
  return all => all.filter(line => !lines.includes(line))
}

/** Told explicitly by iproute2; what the kernel does when it is not told (vxlan_nl2conf). */
const learning = { theirs: dropping('18 / 2 / 7: 01') }

const lower = () => ({ link: index('lwa') })

const creations: Case[] = [
  { ip: 'name t0 type dummy', ours: () => ({ kind: 'dummy', name: 't0' }) },
  { ip: 'name t0 type ifb', ours: () => ({ kind: 'ifb', name: 't0' }) },
  {
    ip: 'name t0 index 4711 mtu 1400 address 02:00:00:00:00:01 broadcast ff:ff:ff:ff:ff:fe txqueuelen 77 group 9 type ifb',
    ours: () => ({
      kind: 'ifb',
      name: 't0',
      index: 4711,
      mtu: 1400,
      address: '02:00:00:00:00:01',
      broadcast: 'ff:ff:ff:ff:ff:fe',
      txqlen: 77,
      group: 9
    })
  },
  {
    ip: 'name t0 numtxqueues 2 numrxqueues 3 gso_max_size 60000 gso_max_segs 100 gro_max_size 60001 type ifb',
    ours: () => ({
      kind: 'ifb',
      name: 't0',
      numTxQueues: 2,
      numRxQueues: 3,
      gsoMaxSize: 60000,
      gsoMaxSegs: 100,
      groMaxSize: 60001
    })
  },
  { ip: 'name t0 type bridge', ours: () => ({ kind: 'bridge', name: 't0' }) },
  {
    ip: 'name t0 type bridge forward_delay 200 hello_time 100 max_age 700 ageing_time 5000 stp_state 1 priority 4096',
    ours: () => ({
      kind: 'bridge',
      name: 't0',
      forwardDelay: 200,
      helloTime: 100,
      maxAge: 700,
      ageingTime: 5000,
      stp: true,
      priority: 4096
    })
  },
  {
    ip: 'name t0 type bridge group_fwd_mask 8 group_address 01:80:c2:00:00:0e vlan_filtering 1 vlan_protocol 802.1ad vlan_default_pvid 7 vlan_stats_enabled 1 vlan_stats_per_port 1',
    ours: () => ({
      kind: 'bridge',
      name: 't0',
      groupFwdMask: 8,
      groupAddress: '01:80:c2:00:00:0e',
      vlanFiltering: true,
      vlanProtocol: '802.1ad',
      vlanDefaultPvid: 7,
      vlanStatsEnabled: true,
      vlanStatsPerPort: true
    })
  },
  {
    ip: 'name t0 type bridge mcast_snooping 0 mcast_router 2 mcast_query_use_ifaddr 1 mcast_querier 1 mcast_hash_elasticity 5 mcast_hash_max 1024 mcast_last_member_count 3 mcast_startup_query_count 4',
    ours: () => ({
      kind: 'bridge',
      name: 't0',
      mcastSnooping: false,
      mcastRouter: 'permanent',
      mcastQueryUseIfaddr: true,
      mcastQuerier: true,
      mcastHashElasticity: 5,
      mcastHashMax: 1024,
      mcastLastMemberCount: 3,
      mcastStartupQueryCount: 4
    })
  },
  {
    ip: 'name t0 type bridge mcast_last_member_interval 101 mcast_membership_interval 102 mcast_querier_interval 103 mcast_query_interval 104 mcast_query_response_interval 105 mcast_startup_query_interval 106 mcast_stats_enabled 1 mcast_igmp_version 3 mcast_mld_version 2',
    ours: () => ({
      kind: 'bridge',
      name: 't0',
      mcastLastMemberInterval: 101,
      mcastMembershipInterval: 102n,
      mcastQuerierInterval: 103,
      mcastQueryInterval: 104,
      mcastQueryResponseInterval: 105,
      mcastStartupQueryInterval: 106,
      mcastStatsEnabled: true,
      mcastIgmpVersion: 3,
      mcastMldVersion: 2
    })
  },
  {
    ip: 'name t0 type bridge nf_call_iptables 1 nf_call_ip6tables 0 nf_call_arptables 1 no_linklocal_learn 1 mcast_vlan_snooping 0',
    ours: () => ({
      kind: 'bridge',
      name: 't0',
      nfCallIptables: true,
      nfCallIp6tables: false,
      nfCallArptables: true,
      boolopt: { noLinkLocalLearn: true, mcastVlanSnooping: false }
    })
  },
  { ip: 'link lwa name t0 type vlan id 5', ours: () => ({ kind: 'vlan', name: 't0', ...lower(), id: 5 }) },
  {
    ip: 'link lwa name t0 type vlan protocol 802.1ad id 4094 reorder_hdr off gvrp on mvrp on loose_binding on bridge_binding on egress-qos-map 1:2 3:4 ingress-qos-map 5:6',
    ours: () => ({
      kind: 'vlan',
      name: 't0',
      ...lower(),
      id: 4094,
      protocol: '802.1ad',
      flags: { reorderHdr: false, gvrp: true, mvrp: true, looseBinding: true, bridgeBinding: true },
      egressQos: [
        { from: 1, to: 2 },
        { from: 3, to: 4 }
      ],
      ingressQos: [{ from: 5, to: 6 }]
    })
  },
  {
    ip: 'name t0 type vxlan id 42 remote 192.0.2.9 local 192.0.2.1 dstport 4789 dev lwa',
    ours: () => ({
      kind: 'vxlan',
      name: 't0',
      id: 42,
      remote: '192.0.2.9',
      local: '192.0.2.1',
      dstPort: 4789,
      dev: index('lwa')
    }),
    excuses: learning
  },
  {
    ip: 'name t0 type vxlan id 16777215 remote 2001:db8::9 local 2001:db8::1 dstport 8472 ttl 64 tos 4 flowlabel 0x12345 df set',
    ours: () => ({
      kind: 'vxlan',
      name: 't0',
      id: 16777215,
      remote6: '2001:db8::9',
      local6: '2001:db8::1',
      dstPort: 8472,
      ttl: 64,
      tos: 4,
      label: 0x12345,
      df: 'set'
    }),
    excuses: learning
  },
  {
    ip: 'name t0 type vxlan id 1 dstport 4789 group 239.1.1.1 dev lwa srcport 5000 6000 nolearning proxy rsc l2miss l3miss ageing 300 maxaddress 100',
    ours: () => ({
      kind: 'vxlan',
      name: 't0',
      id: 1,
      dstPort: 4789,
      remote: '239.1.1.1',
      dev: index('lwa'),
      portRange: { low: 5000, high: 6000 },
      learning: false,
      proxy: true,
      rsc: true,
      l2miss: true,
      l3miss: true,
      ageing: 300,
      limit: 100
    })
  },
  {
    ip: 'name t0 type vxlan id 1 dstport 4789 ttl inherit udpcsum udp6zerocsumtx udp6zerocsumrx remcsumtx noremcsumrx gbp',
    ours: () => ({
      kind: 'vxlan',
      name: 't0',
      id: 1,
      dstPort: 4789,
      ttlInherit: true,
      udpCsum: true,
      udpZeroCsum6Tx: true,
      udpZeroCsum6Rx: true,
      remcsumTx: true,
      remcsumRx: false,
      gbp: true
    }),
    excuses: learning
  },
  {
    ip: 'name t0 type vxlan dstport 4789 external vnifilter gpe',
    ours: () => ({
      kind: 'vxlan',
      name: 't0',
      dstPort: 4789,
      learning: false,
      collectMetadata: true,
      vnifilter: true,
      gpe: true
    })
  },
  ...(['private', 'vepa', 'bridge', 'passthru', 'source'] as const).flatMap(mode =>
    (['macvlan', 'macvtap'] as const).map(kind => ({
      ip: `link lwa name t0 type ${kind} mode ${mode}`,
      ours: () => ({ kind, name: 't0', ...lower(), mode })
    }))
  ),
  {
    ip: 'link lwa name t0 type macvtap mode passthru nopromisc',
    ours: () => ({ kind: 'macvtap', name: 't0', ...lower(), mode: 'passthru', flags: { nopromisc: true } })
  },
  {
    ip: 'link lwa name t0 type macvlan mode source nodst',
    ours: () => ({ kind: 'macvlan', name: 't0', ...lower(), mode: 'source', flags: { nodst: true } })
  },
  {
    ip: 'link lwa name t0 type macvlan mode bridge bcqueuelen 3000',
    ours: () => ({ kind: 'macvlan', name: 't0', ...lower(), mode: 'bridge', bcQueueLen: 3000 })
  },
  {
    ip: 'link lwa name t0 type macvlan mode source macaddr set 02:00:00:00:00:01 02:00:00:00:00:02',
    ours: () => ({
      kind: 'macvlan',
      name: 't0',
      ...lower(),
      mode: 'source',
      macaddrMode: 'set',
      macaddrs: ['02:00:00:00:00:01', '02:00:00:00:00:02']
    })
  },
  { ip: 'name t0 type veth', ours: () => ({ kind: 'veth', name: 't0' }) },
  {
    ip: 'name t0 mtu 1300 type veth peer name t1 mtu 1200 address 02:00:00:00:00:02 txqueuelen 5 numtxqueues 2 netns lwother',
    ours: () => ({
      kind: 'veth',
      name: 't0',
      mtu: 1300,
      peer: { name: 't1', mtu: 1200, address: '02:00:00:00:00:02', txqlen: 5, numTxQueues: 2, netnsFd: netns }
    }),
    excuses: { ours: anyFd('18 / 2 / 1 / 28'), theirs: anyFd('18 / 2 / 1 / 28') }
  },
  {
    ip: 'name t0 netns lwother type ifb',
    ours: () => ({ kind: 'ifb', name: 't0', netnsFd: netns }),
    excuses: { ours: anyFd('28'), theirs: anyFd('28') }
  }
]

/**
 * iproute2 names the port's kind as if it were a kind of link ("bridge_slave", which no kernel registers and none looks
 * at); we say it in the attribute that is there for it and that the kernel answers with (IFLA_INFO_SLAVE_KIND).
 */
const portKind = {
  theirs: dropping(`18 / 1: ${Buffer.from('bridge_slave').toString('hex')}`),
  ours: dropping(`18 / 4: ${Buffer.from('bridge').toString('hex')}`)
}

/** A descriptor's number is its process's own. */
function anyFd(path: string): Excuse {
  return lines => lines.map(line => (line.startsWith(`${path}: `) ? `${path}: fd` : line))
}

describe.skipIf(missing)(`a creation is what iproute2 sends${missing ? ` (skipped: ${missing})` : ''}`, () => {
  it.each(creations)('ip link add $ip', ({ ip, ours, excuses }) => {
    const options = ours()
    spawnSync('ip', ['link', 'del', 't0'])
    spawnSync('ip', ['-n', 'lwother', 'link', 'del', 't0'])
    try {
      compare(createRequest(options, false), NEWLINK, ['link', 'add', ...ip.split(' ')], excuses)
    } finally {
      spawnSync('ip', ['link', 'del', 't0'])
    }
  })

  it('asks for an echo with NLM_F_ECHO and changes nothing else', () => {
    const [plain] = netlinkMessages(Buffer.from(createRequest({ kind: 'ifb', name: 't0' }, false).bytes))
    const [echo] = netlinkMessages(Buffer.from(createRequest({ kind: 'ifb', name: 't0' }, true).bytes))
    expect(echo).toEqual({ ...plain, flags: (plain?.flags ?? 0) | 8 })
  })
})

interface Change {
  ip: string
  ref: string
  ours: () => ResolvedOptions
  excuses?: { ours?: Excuse; theirs?: Excuse }
  verb?: number
}

const changes: Change[] = [
  { ip: 'lwc mtu 1234', ref: 'lwc', ours: () => ({ mtu: 1234 }) },
  { ip: 'lwc address 02:00:00:00:00:09', ref: 'lwc', ours: () => ({ address: '02:00:00:00:00:09' }) },
  { ip: 'lwc alias some/text', ref: 'lwc', ours: () => ({ alias: 'some/text' }) },
  { ip: 'lwc group 77', ref: 'lwc', ours: () => ({ group: 77 }) },
  { ip: 'lwc txqueuelen 50', ref: 'lwc', ours: () => ({ txqlen: 50 }) },
  { ip: 'lwc up', ref: 'lwc', ours: () => ({ up: true }) },
  { ip: 'lwc down', ref: 'lwc', ours: () => ({ up: false }) },
  {
    ip: 'lwc up promisc on allmulticast on multicast off arp off dynamic on',
    ref: 'lwc',
    ours: () => ({ up: true, promisc: true, allmulti: true, multicast: false, noarp: true, dynamic: true })
  },
  { ip: 'lwc protodown on', ref: 'lwc', ours: () => ({ protoDown: true }) },
  { ip: 'lwc carrier off', ref: 'lwc', ours: () => ({ carrier: false }) },
  { ip: 'lwc mode dormant', ref: 'lwc', ours: () => ({ linkmode: 'dormant' }) },
  { ip: 'lwc addrgenmode none', ref: 'lwc', ours: () => ({ afSpec: { inet6: { addrGenMode: 'none' } } }) },
  { ip: 'lwc master lwbr', ref: 'lwc', ours: () => ({ master: index('lwbr') }) },
  { ip: 'lwc nomaster', ref: 'lwc', ours: () => ({ master: 0 }) },
  { ip: 'lwc netns 1', ref: 'lwc', ours: () => ({ unknown: [{ type: 19, data: '01000000' }] }) },
  {
    ip: 'lwe netns lwother',
    ref: 'lwe',
    ours: () => ({ netnsFd: netns }),
    excuses: { ours: anyFd('28'), theirs: anyFd('28') }
  },
  { ip: 'lwc name lwd', ref: 'lwc', ours: () => ({ name: 'lwd' }) },
  {
    ip: 'lwb type bridge_slave fastleave on hairpin on guard off root_block on learning off flood off cost 77 priority 9',
    ref: 'lwb',
    ours: () => ({
      port: {
        fastLeave: true,
        hairpin: true,
        guard: false,
        rootBlock: true,
        learning: false,
        flood: false,
        cost: 77,
        priority: 9
      }
    }),
    excuses: portKind
  },
  {
    ip: 'lwb type bridge_slave state 3 proxy_arp on proxy_arp_wifi on mcast_router 1 mcast_fast_leave on mcast_flood off bcast_flood off mcast_to_unicast on',
    ref: 'lwb',
    ours: () => ({
      port: {
        state: 'forwarding',
        proxyArp: true,
        proxyArpWifi: true,
        mcastRouter: 'tempQuery',
        fastLeave: true,
        mcastFlood: false,
        bcastFlood: false,
        mcastToUnicast: true
      }
    }),
    excuses: portKind
  },
  {
    ip: 'lwb type bridge_slave group_fwd_mask 8 neigh_suppress on vlan_tunnel on isolated on locked on backup_port lwbr fdb_flush',
    ref: 'lwb',
    ours: () => ({
      port: {
        groupFwdMask: 8,
        neighSuppress: true,
        vlanTunnel: true,
        isolated: true,
        locked: true,
        backupPort: index('lwbr'),
        fdbFlush: true
      }
    }),
    excuses: portKind
  },
  { ip: 'lwbr type bridge ageing_time 100', ref: 'lwbr', ours: () => ({ kind: 'bridge', ageingTime: 100 }) },
  { ip: 'lwbr type bridge fdb_flush', ref: 'lwbr', ours: () => ({ kind: 'bridge', fdbFlush: true }) },
  {
    ip: 'lwsrc type macvlan macaddr add 02:00:00:00:00:01',
    ref: 'lwsrc',
    ours: () => ({ kind: 'macvlan', macaddrMode: 'add', macaddr: '02:00:00:00:00:01' })
  },
  {
    ip: 'lwsrc type macvlan macaddr del 02:00:00:00:00:01',
    ref: 'lwsrc',
    ours: () => ({ kind: 'macvlan', macaddrMode: 'delete', macaddr: '02:00:00:00:00:01' })
  },
  {
    ip: 'lwsrc type macvlan macaddr flush',
    ref: 'lwsrc',
    ours: () => ({ kind: 'macvlan', macaddrMode: 'flush' })
  },
  {
    ip: 'lwsrc type macvtap macaddr set 02:00:00:00:00:01 02:00:00:00:00:02',
    ref: 'lwsrc',
    ours: () => ({ kind: 'macvtap', macaddrMode: 'set', macaddrs: ['02:00:00:00:00:01', '02:00:00:00:00:02'] })
  }
]

describe.skipIf(missing)('a change is what iproute2 sends', () => {
  it.each(changes)('ip link set $ip', ({ ip, ref, ours, excuses }) => {
    // iproute2 looks the name up first and sends the ifindex.
    compare(changeRequest(index(ref), ours()), NEWLINK, ['link', 'set', ...ip.split(' ')], excuses)
  })
})

describe.skipIf(missing)('other verbs about links are what iproute2 sends', () => {
  it('ip link del', () => {
    spawnSync('ip', ['link', 'add', 't0', 'index', '9876', 'type', 'ifb'])
    compare(deleteRequest(9876), DELLINK, ['link', 'del', 't0'])
  })

  it('ip link property add altname', () => {
    const ours = altnamesRequest('RTM_NEWLINKPROP', index('lwa'), ['a-long-alternative-name', 'b'])
    compare(ours, NEWLINKPROP, 'link property add dev lwa altname a-long-alternative-name altname b'.split(' '))
  })

  it('ip link property del altname', () => {
    const ours = altnamesRequest('RTM_DELLINKPROP', index('lwa'), ['a-long-alternative-name', 'b'])
    compare(ours, DELLINKPROP, 'link property del dev lwa altname a-long-alternative-name altname b'.split(' '))
  })
})
