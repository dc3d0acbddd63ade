/** Layouts of C structs, compared with what the compiler makes of the kernel's headers. */
import { beforeAll, describe, expect, it } from 'vitest'
import '../../lib/rtnetlink/kinds/index.js'
import type { AnyCodec } from '../../lib/codec/codec.js'
import type { StructCodec } from '../../lib/codec/struct.js'
import { NLMSG_HEADER } from '../../lib/netlink/constants.js'
import { nfgenmsg } from '../../lib/nftables/nfgenmsg.js'
import { gact } from '../../lib/rtnetlink/actions/gact.js'
import { mirred } from '../../lib/rtnetlink/actions/mirred.js'
import { police } from '../../lib/rtnetlink/actions/police.js'
import { addressMessage } from '../../lib/rtnetlink/address.js'
import { bridgeId } from '../../lib/rtnetlink/bridge-port.js'
import { u32Filter, u32Structs } from '../../lib/rtnetlink/filters/u32.js'
import { bridge } from '../../lib/rtnetlink/kinds/bridge.js'
import { vlan } from '../../lib/rtnetlink/kinds/vlan.js'
import { vxlan } from '../../lib/rtnetlink/kinds/vxlan.js'
import { linkMessage } from '../../lib/rtnetlink/link.js'
import { neighbourMessage } from '../../lib/rtnetlink/neighbour.js'
import { bfifo } from '../../lib/rtnetlink/qdiscs/bfifo.js'
import { fqCodel } from '../../lib/rtnetlink/qdiscs/fq-codel.js'
import { htb, htbClass } from '../../lib/rtnetlink/qdiscs/htb.js'
import { sfq } from '../../lib/rtnetlink/qdiscs/sfq.js'
import { tbf } from '../../lib/rtnetlink/qdiscs/tbf.js'
import { routeMessage } from '../../lib/rtnetlink/route.js'
import { ruleMessage } from '../../lib/rtnetlink/rule.js'
import { statisticsMessage } from '../../lib/rtnetlink/statistics.js'
import { ratespec } from '../../lib/rtnetlink/tc-rate.js'
import { statistics } from '../../lib/rtnetlink/tc-statistics.js'
import { qdiscMessage } from '../../lib/rtnetlink/traffic-control.js'
import { encode } from '../support/fake-kernel.js'
import { compilerMissing, runC } from '../support/headers.js'

const missing = compilerMissing()

// biome-ignore lint/suspicious/noExplicitAny: a struct of whatever fields
type AnyStruct = StructCodec<any>
const struct = (codec: unknown) => codec as AnyStruct

/** Statistics of a bridge. */
const xstats = (name: 'vlan' | 'mcast' | 'stp') =>
  struct(statisticsMessage.attributes.linkXstats[1].table.bridge[1].table[name][1])

const sizeSpec = (qdiscMessage.attributes.stab[1] as unknown as { table: { base: [number, unknown] } }).table.base[1]

/** Fields whose names are those of C, written otherwise: `igmpV1Queries` is `igmp_v1queries`. */
const snakes = ({ fields }: AnyStruct) =>
  Object.fromEntries(
    Object.keys(fields)
      .filter(name => !name.startsWith('_'))
      .map(name => [name, name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`).replace(/(_v\d)_/, '$1')])
  )

/** Each struct's schema, and its C fields by the names of ours. */
const subjects: Record<string, { schema: AnyStruct; fields: Record<string, string> }> = {
  ifinfomsg: {
    schema: struct(linkMessage.header),
    fields: { family: 'ifi_family', type: 'ifi_type', index: 'ifi_index', flags: 'ifi_flags', change: 'ifi_change' }
  },
  nfgenmsg: {
    schema: struct(nfgenmsg),
    fields: { family: 'nfgen_family', version: 'version', resId: 'res_id' }
  },
  ifaddrmsg: {
    schema: struct(addressMessage.header),
    fields: {
      family: 'ifa_family',
      prefixLength: 'ifa_prefixlen',
      shortFlags: 'ifa_flags',
      scope: 'ifa_scope',
      index: 'ifa_index'
    }
  },
  rtmsg: {
    schema: struct(routeMessage.header),
    fields: {
      family: 'rtm_family',
      dstLength: 'rtm_dst_len',
      srcLength: 'rtm_src_len',
      tos: 'rtm_tos',
      shortTable: 'rtm_table',
      protocol: 'rtm_protocol',
      scope: 'rtm_scope',
      type: 'rtm_type',
      flags: 'rtm_flags'
    }
  },
  ndmsg: {
    schema: struct(neighbourMessage.header),
    fields: { family: 'ndm_family', index: 'ndm_ifindex', state: 'ndm_state', flags: 'ndm_flags', type: 'ndm_type' }
  },
  if_stats_msg: {
    schema: struct(statisticsMessage.header),
    fields: { family: 'family', index: 'ifindex', filterMask: 'filter_mask' }
  },
  bridge_vlan_xstats: { schema: xstats('vlan'), fields: snakes(xstats('vlan')) },
  br_mcast_stats: { schema: xstats('mcast'), fields: snakes(xstats('mcast')) },
  bridge_stp_xstats: { schema: xstats('stp'), fields: snakes(xstats('stp')) },
  rtnl_link_stats64: {
    schema: struct(linkMessage.attributes.stats64[1]),
    fields: snakes(struct(linkMessage.attributes.stats64[1]))
  },
  rtnl_link_ifmap: {
    schema: struct(linkMessage.attributes.map[1]),
    fields: { memStart: 'mem_start', memEnd: 'mem_end', baseAddr: 'base_addr', irq: 'irq', dma: 'dma', port: 'port' }
  },
  ifa_cacheinfo: {
    schema: struct(addressMessage.attributes.cacheinfo[1]),
    fields: { preferred: 'ifa_prefered', valid: 'ifa_valid', created: 'cstamp', updated: 'tstamp' }
  },
  nda_cacheinfo: {
    schema: struct(neighbourMessage.attributes.cacheinfo[1]),
    fields: { confirmed: 'ndm_confirmed', used: 'ndm_used', updated: 'ndm_updated', refcnt: 'ndm_refcnt' }
  },
  rta_cacheinfo: {
    schema: struct(routeMessage.attributes.cacheinfo[1]),
    fields: {
      clntref: 'rta_clntref',
      lastuse: 'rta_lastuse',
      expires: 'rta_expires',
      error: 'rta_error',
      used: 'rta_used',
      id: 'rta_id',
      ts: 'rta_ts',
      tsage: 'rta_tsage'
    }
  },
  ifla_bridge_id: { schema: struct(bridgeId), fields: { priority: 'prio', address: 'addr' } },
  tcmsg: {
    schema: struct(qdiscMessage.header),
    fields: {
      family: 'tcm_family',
      index: 'tcm_ifindex',
      handle: 'tcm_handle',
      parent: 'tcm_parent',
      refcount: 'tcm_info'
    }
  },
  tc_ratespec: {
    schema: struct(ratespec),
    fields: {
      cellLog: 'cell_log',
      linklayer: 'linklayer',
      overhead: 'overhead',
      cellAlign: 'cell_align',
      mpu: 'mpu',
      rate: 'rate'
    }
  },
  tc_sizespec: {
    schema: struct(sizeSpec),
    fields: {
      cellLog: 'cell_log',
      sizeLog: 'size_log',
      cellAlign: 'cell_align',
      overhead: 'overhead',
      linklayer: 'linklayer',
      mpu: 'mpu',
      mtu: 'mtu',
      tsize: 'tsize'
    }
  },
  tc_estimator: {
    schema: struct(qdiscMessage.attributes.rate[1]),
    fields: { interval: 'interval', ewmaLog: 'ewma_log' }
  },
  gnet_stats_basic: { schema: struct(statistics.table.basic[1]), fields: snakes(struct(statistics.table.basic[1])) },
  gnet_stats_rate_est: {
    schema: struct(statistics.table.rateEst[1]),
    fields: snakes(struct(statistics.table.rateEst[1]))
  },
  gnet_stats_rate_est64: {
    schema: struct(statistics.table.rateEst64[1]),
    fields: snakes(struct(statistics.table.rateEst64[1]))
  },
  gnet_stats_queue: { schema: struct(statistics.table.queue[1]), fields: snakes(struct(statistics.table.queue[1])) },
  tc_htb_opt: { schema: struct(htb.options?.table.parms[1]), fields: snakes(struct(htb.options?.table.parms[1])) },
  tc_htb_glob: {
    schema: struct(htb.options?.table.init[1]),
    fields: {
      version: 'version',
      rate2quantum: 'rate2quantum',
      defcls: 'defcls',
      debug: 'debug',
      directPkts: 'direct_pkts'
    }
  },
  tc_htb_xstats: { schema: struct(htbClass.statistics), fields: snakes(struct(htbClass.statistics)) },
  tc_tbf_qopt: { schema: struct(tbf.options?.table.parms[1]), fields: snakes(struct(tbf.options?.table.parms[1])) },
  tc_fifo_qopt: { schema: struct(bfifo.options), fields: snakes(struct(bfifo.options)) },
  tc_sfq_qopt_v1: {
    schema: struct(sfq.options),
    fields: {
      quantum: 'v0.quantum',
      perturbPeriod: 'v0.perturb_period',
      limit: 'v0.limit',
      divisor: 'v0.divisor',
      flows: 'v0.flows',
      depth: 'depth',
      headdrop: 'headdrop',
      redLimit: 'limit',
      qthMin: 'qth_min',
      qthMax: 'qth_max',
      wlog: 'Wlog',
      plog: 'Plog',
      scellLog: 'Scell_log',
      flags: 'flags',
      maxP: 'max_P',
      probDrop: 'stats.prob_drop',
      forcedDrop: 'stats.forced_drop',
      probMark: 'stats.prob_mark',
      forcedMark: 'stats.forced_mark',
      probMarkHead: 'stats.prob_mark_head',
      forcedMarkHead: 'stats.forced_mark_head'
    }
  },
  tc_sfq_xstats: { schema: struct(sfq.statistics), fields: snakes(struct(sfq.statistics)) },
  tc_fq_codel_xstats: {
    schema: struct(fqCodel.statistics),
    fields: {
      type: 'type',
      maxpacket: 'qdisc_stats.maxpacket',
      dropOverlimit: 'qdisc_stats.drop_overlimit',
      ecnMark: 'qdisc_stats.ecn_mark',
      newFlowCount: 'qdisc_stats.new_flow_count',
      newFlowsLen: 'qdisc_stats.new_flows_len',
      oldFlowsLen: 'qdisc_stats.old_flows_len',
      ceMark: 'qdisc_stats.ce_mark',
      memoryUsage: 'qdisc_stats.memory_usage',
      dropOvermemory: 'qdisc_stats.drop_overmemory'
    }
  },
  tc_mirred: { schema: struct(mirred.options?.table.parms[1]), fields: snakes(struct(mirred.options?.table.parms[1])) },
  tc_gact: { schema: struct(gact.options?.table.parms[1]), fields: snakes(struct(gact.options?.table.parms[1])) },
  tc_gact_p: { schema: struct(gact.options?.table.prob[1]), fields: snakes(struct(gact.options?.table.prob[1])) },
  tc_police: { schema: struct(police.options?.table.parms[1]), fields: snakes(struct(police.options?.table.parms[1])) },
  tcf_t: { schema: struct(mirred.options?.table.tm[1]), fields: snakes(struct(mirred.options?.table.tm[1])) },
  tc_u32_sel: { schema: struct(u32Structs.selector), fields: snakes(struct(u32Structs.selector)) },
  tc_u32_key: {
    schema: struct(u32Structs.key),
    fields: { mask: 'mask', value: 'val', off: 'off', offmask: 'offmask' }
  },
  tc_u32_mark: {
    schema: struct(u32Filter.options?.table.mark[1]),
    fields: { value: 'val', mask: 'mask', success: 'success' }
  },
  fib_rule_hdr: {
    schema: struct(ruleMessage.header),
    fields: {
      family: 'family',
      dstLength: 'dst_len',
      srcLength: 'src_len',
      tos: 'tos',
      shortTable: 'table',
      action: 'action',
      flags: 'flags'
    }
  },
  fib_rule_uid_range: {
    schema: struct(ruleMessage.attributes.uidRange[1]),
    fields: snakes(struct(ruleMessage.attributes.uidRange[1]))
  },
  fib_rule_port_range: {
    schema: struct(ruleMessage.attributes.sportRange[1]),
    fields: snakes(struct(ruleMessage.attributes.sportRange[1]))
  },
  ifla_vxlan_port_range: { schema: struct(vxlan.data.table.portRange[1]), fields: { low: 'low', high: 'high' } }
}

describe.skipIf(missing)(`structs are laid out as in C${missing ? ` (skipped: ${missing})` : ''}`, () => {
  const sizes = new Map<string, number>()
  const places = new Map<string, { offset: number; size: number }>()

  beforeAll(() => {
    for (const line of runC('structs.c').trim().split('\n')) {
      const [name = '', ...numbers] = line.split(' ')
      const [first = 0, second = 0] = numbers.map(Number)
      if (name.includes('.')) places.set(name, { offset: first, size: second })
      else sizes.set(name, first)
    }
  })

  it.each(Object.entries(subjects))('struct %s', (name, { schema, fields }) => {
    expect(schema.size, 'size').toBe(sizes.get(name))
    const ours = Object.keys(schema.fields).filter(field => !field.startsWith('_'))
    expect(ours.sort()).toEqual(Object.keys(fields).sort())
    for (const [field, member] of Object.entries(fields)) {
      expect({ offset: schema.offsets[field], size: schema.fields[field].size }, `${field}: ${member}`).toEqual(
        places.get(`${name}.${member}`)
      )
    }
    // Nothing of the C struct was left out here.
    const members = [...places.keys()].filter(place => place.startsWith(`${name}.`))
    expect(members.length).toBe(ours.length)
  })

  it('the headers of messages and attributes', () => {
    expect(NLMSG_HEADER).toBe(sizes.get('nlmsghdr'))
    expect(encode(linkMessage.attributes.protoDownReason[1], { mask: 1 }).length - 4).toBe(sizes.get('nlattr'))
  })

  /** Bytes of a value at the place of a C field. */
  const at = (bytes: Buffer, name: string, member: string) => {
    const place = places.get(`${name}.${member}`)
    if (!place) throw new Error(`${name}.${member}`)
    return bytes.subarray(place.offset, place.offset + place.size).toString('hex')
  }
  const little = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1
  const host = (value: string) => (little ? Buffer.from(value, 'hex').reverse().toString('hex') : value)

  it('struct rtnexthop', () => {
    const bytes = encode(routeMessage.attributes.multipath[1], [
      { index: 0x01020304, weight: 8, flags: { onlink: true } }
    ])
    expect(bytes.length).toBe(sizes.get('rtnexthop'))
    expect(at(bytes, 'rtnexthop', 'rtnh_len')).toBe(host('0008'))
    expect(at(bytes, 'rtnexthop', 'rtnh_flags')).toBe('04')
    expect(at(bytes, 'rtnexthop', 'rtnh_hops')).toBe('07')
    expect(at(bytes, 'rtnexthop', 'rtnh_ifindex')).toBe(host('01020304'))
  })

  it('struct rtvia', () => {
    const bytes = encode(routeMessage.attributes.via[1], '2001:db8::1')
    const address = places.get('rtvia.rtvia_addr')?.offset ?? 0
    expect(at(bytes, 'rtvia', 'rtvia_family')).toBe(host('000a'))
    expect(bytes.subarray(address).toString('hex')).toBe('20010db8000000000000000000000001')
  })

  const pairs: [string, AnyCodec, string, unknown, string, string][] = [
    ['ifla_vlan_flags', vlan.data.table.flags[1], 'flags', { gvrp: true, mvrp: false }, '00000002', '0000000a'],
    [
      'br_boolopt_multi',
      bridge.data.table.boolopt[1],
      'optval',
      { noLinkLocalLearn: false, mstEnable: true },
      '00000004',
      '00000005'
    ]
  ]
  it.each(pairs)('struct %s', (name, codec, value, object, bits, mask) => {
    const bytes = encode(codec, object)
    expect(bytes.length).toBe(sizes.get(name))
    expect(at(bytes, name, value)).toBe(host(bits))
    expect(at(bytes, name, name === 'ifla_vlan_flags' ? 'mask' : 'optmask')).toBe(host(mask))
  })

  it('struct ifla_vlan_qos_mapping', () => {
    const [bytes] = [encode(vlan.data.table.egressQos[1], [{ from: 0x01020304, to: 5 }]).subarray(4)]
    expect(bytes?.length).toBe(sizes.get('ifla_vlan_qos_mapping'))
    expect(at(bytes as Buffer, 'ifla_vlan_qos_mapping', 'from')).toBe(host('01020304'))
    expect(at(bytes as Buffer, 'ifla_vlan_qos_mapping', 'to')).toBe(host('00000005'))
  })
})
