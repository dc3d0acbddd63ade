/** Every IFLA_BR_* that can be set. */
import { describe, expect } from 'vitest'
import type { CreateLink, Link } from '../../lib/index.js'
import { bridge } from '../../lib/rtnetlink/kinds/bridge.js'
import { type AttributeCase, describeAttributes, type Seen, see } from '../support/attribute-cases.js'
import { atLeast, has } from '../support/features.js'
import { test } from '../support/namespace.js'
import { LINK_DATA } from '../support/raw-netlink.js'

const data = (key: string) => (seen: Seen) => seen.data[key]
const sysfs = (file: string) => (seen: Seen) => Number(seen.sysfs(`bridge/${file}`))

/** A number, which `ip` names `key` in its output and `option` on its command line. */
const number = (value: number, key: string, option = key, other = value + 100): AttributeCase => ({
  value,
  shows: data(key),
  ip: `${option} ${other}`,
  reads: other
})
/** A switch that is off by default. */
const off = (key: string, extra: Partial<AttributeCase> = {}): AttributeCase => ({
  value: true,
  shows: data(key),
  shown: 1,
  ip: `${key} 1`,
  ...extra
})

describeAttributes(
  {
    title: 'bridges',
    table: bridge.data.table,
    needs: 'bridge',
    create: (ns, name, settings) => ns.net.links.create({ kind: 'bridge', name, ...settings } as CreateLink<'bridge'>),
    change: (ns, name, settings) => ns.net.links.set(name, { kind: 'bridge', ...settings }),
    specs: (name, settings) => [{ kind: 'bridge', name, ...settings }],
    ipType: 'type bridge',
    view: (link: Link) => link.data
  },
  {
    cases: {
      forwardDelay: number(700, 'forward_delay'),
      helloTime: number(300, 'hello_time'),
      maxAge: number(1200, 'max_age'),
      ageingTime: number(12340, 'ageing_time'),
      stp: { value: true, shows: data('stp_state'), shown: 1, ip: 'stp_state 1' },
      priority: number(4096, 'priority', 'priority', 8192),
      vlanFiltering: off('vlan_filtering', { needs: 'vlanFiltering' }),
      vlanProtocol: {
        value: '802.1ad',
        shows: data('vlan_protocol'),
        ip: 'vlan_protocol 802.1ad',
        needs: 'vlanFiltering'
      },
      groupFwdMask: {
        value: 0x4008,
        shows: data('group_fwd_mask'),
        shown: '0x4008',
        ip: 'group_fwd_mask 0x10',
        reads: 0x10
      },
      groupAddress: {
        value: '01:80:c2:00:00:05',
        shows: data('group_addr'),
        ip: 'group_address 01:80:c2:00:00:06',
        reads: '01:80:c2:00:00:06'
      },
      mcastRouter: {
        value: 'permanent',
        shows: data('mcast_router'),
        shown: 2,
        ip: 'mcast_router 0',
        reads: 'disabled'
      },
      mcastSnooping: { value: false, shows: data('mcast_snooping'), shown: 0, ip: 'mcast_snooping 0' },
      mcastQueryUseIfaddr: off('mcast_query_use_ifaddr'),
      mcastQuerier: off('mcast_querier'),
      mcastHashMax: number(1024, 'mcast_hash_max', 'mcast_hash_max', 2048),
      mcastLastMemberCount: number(5, 'mcast_last_member_cnt', 'mcast_last_member_count', 6),
      mcastStartupQueryCount: number(5, 'mcast_startup_query_cnt', 'mcast_startup_query_count', 6),
      mcastLastMemberInterval: {
        ...number(500, 'mcast_last_member_intvl', 'mcast_last_member_interval'),
        reads: 600n
      },
      mcastMembershipInterval: {
        ...number(30000, 'mcast_membership_intvl', 'mcast_membership_interval'),
        reads: 30100n
      },
      mcastQuerierInterval: { ...number(40000, 'mcast_querier_intvl', 'mcast_querier_interval'), reads: 40100n },
      mcastQueryInterval: { ...number(20000, 'mcast_query_intvl', 'mcast_query_interval'), reads: 20100n },
      mcastQueryResponseInterval: {
        ...number(2000, 'mcast_query_response_intvl', 'mcast_query_response_interval'),
        reads: 2100n
      },
      mcastStartupQueryInterval: {
        ...number(4000, 'mcast_startup_query_intvl', 'mcast_startup_query_interval'),
        reads: 4100n
      },
      nfCallIptables: off('nf_call_iptables'),
      nfCallIp6tables: off('nf_call_ip6tables'),
      nfCallArptables: off('nf_call_arptables'),
      vlanDefaultPvid: { ...number(7, 'vlan_default_pvid'), needs: 'vlanFiltering' },
      vlanStatsEnabled: off('vlan_stats_enabled', { needs: 'vlanFiltering' }),
      mcastStatsEnabled: off('mcast_stats_enabled'),
      mcastIgmpVersion: number(3, 'mcast_igmp_version', 'mcast_igmp_version', 3),
      mcastMldVersion: number(2, 'mcast_mld_version', 'mcast_mld_version', 2),
      vlanStatsPerPort: off('vlan_stats_per_port', { needs: 'vlanFiltering' }),
      boolopt: {
        value: { noLinkLocalLearn: true },
        shows: data('no_linklocal_learn'),
        shown: 1,
        ip: 'no_linklocal_learn 1',
        reads: expect.objectContaining({ noLinkLocalLearn: true, mstEnable: false })
      },
      // iproute2 6.1 and sysfs know neither of these two: the kernel's own bytes are looked at.
      fdbMaxLearned: {
        value: 77,
        shows: async seen => (await seen.raw(...LINK_DATA, 49))?.readUInt32LE()
      },
      stpMode: {
        value: 'user',
        shows: async seen => (await seen.raw(...LINK_DATA, 50))?.readUInt32LE(),
        shown: 1
      }
    },
    readOnly: [
      'rootId',
      'bridgeId',
      'rootPort',
      'rootPathCost',
      'topologyChange',
      'topologyChangeDetected',
      'helloTimer',
      'tcnTimer',
      'topologyChangeTimer',
      'gcTimer',
      'mcastQuerierState',
      'fdbNLearned'
    ],
    exceptions: {
      fdbFlush: 'an action, not a state: see bridge-state.test.ts',
      mcastHashElasticity: 'the kernel ignores it since 4.20: see below'
    }
  }
)

describe('attributes of bridges with rules of their own', () => {
  test('sysfs agrees with what was set', async ({ ns }) => {
    await ns.net.links.create({
      kind: 'bridge',
      name: 'br0',
      ageingTime: 4320,
      mcastHashMax: 512,
      groupFwdMask: 0x4000
    })
    const seen = await see(ns, 'br0')
    expect(sysfs('ageing_time')(seen)).toBe(4320)
    expect(sysfs('hash_max')(seen)).toBe(512)
    expect(sysfs('group_fwd_mask')(seen)).toBe(0x4000)
  })

  test('mcastHashElasticity is always 16', async ({ ns }) => {
    await ns.net.links.create({ kind: 'bridge', name: 'br0', mcastHashElasticity: 8 })
    expect(ns.tools.link('br0').linkinfo.info_data.mcast_hash_elasticity).toBe(16)
    await expect(
      ns.net.links.set('br0', { kind: 'bridge', mcastHashElasticity: 8 }, { verify: true })
    ).rejects.toMatchObject({ code: 'ERR_NOT_APPLIED', path: 'mcastHashElasticity' })
  })

  test('boolean options that are not named stay as they are', async ({ ns }) => {
    ns.tools.ip('link add name br0 type bridge no_linklocal_learn 1')
    await ns.net.links.set('br0', { kind: 'bridge', boolopt: { mdbOffloadFailNotification: false } })
    expect(ns.tools.link('br0').linkinfo.info_data.no_linklocal_learn).toBe(1)
    await ns.net.links.set('br0', { kind: 'bridge', boolopt: { noLinkLocalLearn: false } })
    expect(ns.tools.link('br0').linkinfo.info_data.no_linklocal_learn).toBe(0)
  })

  test('mstEnable and mcastVlanSnooping need VLAN filtering', async ({ ns, skip }) => {
    if (!has('vlanFiltering')) skip('this kernel filters no VLANs')
    await ns.net.links.create({
      kind: 'bridge',
      name: 'br0',
      vlanFiltering: true,
      vlanDefaultPvid: 0,
      boolopt: { mcastVlanSnooping: true, mstEnable: true }
    })
    const seen = await see(ns, 'br0')
    expect(seen.data.mcast_vlan_snooping).toBe(1)
    const bits = (await seen.raw(...LINK_DATA, 46))?.readUInt32LE()
    expect(bits).toBe(2 | 4)
  })

  test('boolean options that the kernel does not know are not passed over', async ({ ns, skip }) => {
    if (atLeast('6.18')) skip('this kernel knows them all')
    await expect(
      ns.net.links.create({ kind: 'bridge', name: 'br0', boolopt: { fdbLocalVlan0: true } }, { verify: true })
    ).rejects.toMatchObject({ code: 'ERR_NOT_APPLIED', path: 'boolopt' })
    expect(ns.tools.linkNames()).not.toContain('br0')
  })
})
