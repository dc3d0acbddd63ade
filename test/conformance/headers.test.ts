/** The attribute tables, compared in both directions with the enums of the kernel's headers. */
import { beforeAll, describe, expect, it } from 'vitest'
import '../../lib/rtnetlink/kinds/index.js'
import type { AttributeEntry, AttributeTable } from '../../lib/codec/attributes.js'
import { compareReleases } from '../../lib/kernel-release.js'
import { gact } from '../../lib/rtnetlink/actions/gact.js'
import { mirred } from '../../lib/rtnetlink/actions/mirred.js'
import { police } from '../../lib/rtnetlink/actions/police.js'
import { addressMessage } from '../../lib/rtnetlink/address.js'
import { bridgePort } from '../../lib/rtnetlink/bridge-port.js'
import { basic } from '../../lib/rtnetlink/filters/basic.js'
import { flower } from '../../lib/rtnetlink/filters/flower.js'
import { matchall } from '../../lib/rtnetlink/filters/matchall.js'
import { u32Filter } from '../../lib/rtnetlink/filters/u32.js'
import { bridge } from '../../lib/rtnetlink/kinds/bridge.js'
import { tun } from '../../lib/rtnetlink/kinds/tun.js'
import { veth } from '../../lib/rtnetlink/kinds/veth.js'
import { vlan } from '../../lib/rtnetlink/kinds/vlan.js'
import { vxlan } from '../../lib/rtnetlink/kinds/vxlan.js'
import { linkinfo, linkMessage } from '../../lib/rtnetlink/link.js'
import { macvlanData } from '../../lib/rtnetlink/macvlan-data.js'
import { neighbourMessage } from '../../lib/rtnetlink/neighbour.js'
import { nsidMessage } from '../../lib/rtnetlink/nsid.js'
import { fqCodel } from '../../lib/rtnetlink/qdiscs/fq-codel.js'
import { htb } from '../../lib/rtnetlink/qdiscs/htb.js'
import { tbf } from '../../lib/rtnetlink/qdiscs/tbf.js'
import { routeMessage } from '../../lib/rtnetlink/route.js'
import { ruleMessage } from '../../lib/rtnetlink/rule.js'
import { statisticsMessage } from '../../lib/rtnetlink/statistics.js'
import { actionTable } from '../../lib/rtnetlink/tc-action.js'
import { statistics } from '../../lib/rtnetlink/tc-statistics.js'
import { qdiscMessage } from '../../lib/rtnetlink/traffic-control.js'
import { compilerMissing, constants, enumOf, headersRelease } from '../support/headers.js'

const missing = compilerMissing()

const tableIn = (entry: AttributeEntry) => (entry[1] as unknown as { table: AttributeTable }).table

interface Subject {
  table: AttributeTable
  prefix: string
  /** Attributes whose name is not that of the constant. */
  names?: Record<string, string>
  /** Constants of the enum that have no attribute in the table, and why. */
  without?: Record<string, string>
}

const never = 'the kernel neither sends nor takes it'

/** Constants that nothing was made of. */
function unused(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.map(name => [name, never]))
}

/** Most of flower's are keys: `ethDst` is KEY_ETH_DST. */
function flowerNames(): Record<string, string> {
  const others = new Set(['classid', 'indev', 'act', 'flags', 'inHwCount', 'l2Miss'])
  const keys = Object.keys(flower.options?.table ?? {}).filter(name => !others.has(name))
  return Object.fromEntries(
    keys.map(name => [name, `KEY_${snake(name.replace(/^key(?=Flags)/, 'flags').replace('flagsFlags', 'flags'))}`])
  )
}

const subjects: Record<string, Subject> = {
  link: {
    table: linkMessage.attributes,
    prefix: 'IFLA_',
    names: {
      name: 'IFNAME',
      alias: 'IFALIAS',
      netnsPid: 'NET_NS_PID',
      netnsFd: 'NET_NS_FD'
    },
    without: { IFLA_IF_NETNSID: 'another name of IFLA_TARGET_NETNSID' }
  },
  linkinfo: {
    table: linkinfo.table,
    prefix: 'IFLA_INFO_',
    names: { portKind: 'SLAVE_KIND', portData: 'SLAVE_DATA' }
  },
  xdp: {
    table: tableIn(linkMessage.attributes.xdp),
    prefix: 'IFLA_XDP_',
    names: { driverProgId: 'DRV_PROG_ID', hardwareProgId: 'HW_PROG_ID' }
  },
  inet6: {
    table: tableIn((tableIn(linkMessage.attributes.afSpec) as { inet6: AttributeEntry }).inet6),
    prefix: 'IFLA_INET6_',
    without: { IFLA_INET6_MCAST: never }
  },
  statistics: { table: statisticsMessage.attributes, prefix: 'IFLA_STATS_', names: { link64: 'LINK_64' } },
  xstats: { table: tableIn(statisticsMessage.attributes.linkXstats), prefix: 'LINK_XSTATS_TYPE_' },
  bridgeXstats: {
    table: statisticsMessage.attributes.linkXstats[1].table.bridge[1].table,
    prefix: 'BRIDGE_XSTATS_'
  },
  protoDownReason: {
    table: tableIn(linkMessage.attributes.protoDownReason),
    prefix: 'IFLA_PROTO_DOWN_REASON_'
  },
  bridge: {
    table: bridge.data.table,
    prefix: 'IFLA_BR_',
    names: {
      stp: 'STP_STATE',
      groupAddress: 'GROUP_ADDR',
      boolopt: 'MULTI_BOOLOPT',
      mcastLastMemberInterval: 'MCAST_LAST_MEMBER_INTVL',
      mcastMembershipInterval: 'MCAST_MEMBERSHIP_INTVL',
      mcastQuerierInterval: 'MCAST_QUERIER_INTVL',
      mcastQueryInterval: 'MCAST_QUERY_INTVL',
      mcastQueryResponseInterval: 'MCAST_QUERY_RESPONSE_INTVL',
      mcastStartupQueryInterval: 'MCAST_STARTUP_QUERY_INTVL',
      mcastLastMemberCount: 'MCAST_LAST_MEMBER_CNT',
      mcastStartupQueryCount: 'MCAST_STARTUP_QUERY_CNT'
    }
  },
  querierState: {
    table: tableIn(bridge.data.table.mcastQuerierState),
    prefix: 'BRIDGE_QUERIER_'
  },
  bridgePort: {
    table: bridgePort.table,
    prefix: 'IFLA_BRPORT_',
    names: {
      hairpin: 'MODE',
      rootBlock: 'PROTECT',
      flood: 'UNICAST_FLOOD',
      proxyArp: 'PROXYARP',
      proxyArpWifi: 'PROXYARP_WIFI',
      mcastRouter: 'MULTICAST_ROUTER',
      mcastToUnicast: 'MCAST_TO_UCAST',
      fdbFlush: 'FLUSH'
    }
  },
  macvlan: {
    table: macvlanData,
    prefix: 'IFLA_MACVLAN_',
    names: { macaddrs: 'MACADDR_DATA' }
  },
  vlan: { table: vlan.data.table, prefix: 'IFLA_VLAN_' },
  vxlan: {
    table: vxlan.data.table,
    prefix: 'IFLA_VXLAN_',
    names: {
      remote: 'GROUP',
      remote6: 'GROUP6',
      dev: 'LINK',
      dstPort: 'PORT'
    }
  },
  veth: { table: veth.data.table, prefix: 'VETH_INFO_' },
  tun: { table: tun.data.table, prefix: 'IFLA_TUN_', names: { vnetHeader: 'VNET_HDR' } },
  address: {
    table: addressMessage.attributes,
    prefix: 'IFA_',
    names: { metric: 'RT_PRIORITY', protocol: 'PROTO' }
  },
  neighbour: {
    table: neighbourMessage.attributes,
    prefix: 'NDA_',
    names: { stateMask: 'NDM_STATE_MASK', flagsMask: 'NDM_FLAGS_MASK', fdbExt: 'FDB_EXT_ATTRS' }
  },
  nsid: {
    table: nsidMessage.attributes,
    prefix: 'NETNSA_',
    without: { NETNSA_NONE: 'none' }
  },
  fdbExt: {
    table: tableIn(neighbourMessage.attributes.fdbExt),
    prefix: 'NFEA_'
  },
  route: {
    table: routeMessage.attributes,
    prefix: 'RTA_',
    without: {
      RTA_PROTOINFO: 'no longer used',
      RTA_SESSION: 'no longer used',
      RTA_MP_ALGO: 'no longer used'
    }
  },
  rule: {
    table: ruleMessage.attributes,
    prefix: 'FRA_',
    without: unused('FRA_UNUSED2', 'FRA_UNUSED3', 'FRA_UNUSED4', 'FRA_UNUSED5')
  },
  'traffic control': { table: qdiscMessage.attributes, prefix: 'TCA_' },
  'statistics of traffic control': { table: statistics.table, prefix: 'TCA_STATS_' },
  stab: { table: tableIn(qdiscMessage.attributes.stab), prefix: 'TCA_STAB_' },
  htb: { table: htb.options?.table ?? {}, prefix: 'TCA_HTB_' },
  tbf: { table: tbf.options?.table ?? {}, prefix: 'TCA_TBF_' },
  fq_codel: { table: fqCodel.options?.table ?? {}, prefix: 'TCA_FQ_CODEL_' },
  u32: { table: u32Filter.options?.table ?? {}, prefix: 'TCA_U32_' },
  matchall: { table: matchall.options?.table ?? {}, prefix: 'TCA_MATCHALL_' },
  basic: { table: basic.options?.table ?? {}, prefix: 'TCA_BASIC_' },
  flower: { table: flower.options?.table ?? {}, prefix: 'TCA_FLOWER_', names: flowerNames() },
  action: { table: actionTable, prefix: 'TCA_ACT_' },
  mirred: { table: mirred.options?.table ?? {}, prefix: 'TCA_MIRRED_' },
  gact: { table: gact.options?.table ?? {}, prefix: 'TCA_GACT_' },
  police: {
    table: police.options?.table ?? {},
    prefix: 'TCA_POLICE_',
    names: { parms: 'TBF' }
  },
  metrics: {
    table: tableIn(routeMessage.attributes.metrics),
    prefix: 'RTAX_',
    names: { congctl: 'CC_ALGO' }
  }
}

/** `mcastIgmpVersion` is MCAST_IGMP_VERSION. */
function snake(name: string): string {
  return name.replace(/[A-Z]/g, letter => `_${letter}`).toUpperCase()
}

function constantOf({ prefix, names }: Subject, attribute: string): string {
  return prefix + (names?.[attribute] ?? snake(attribute))
}

describe.skipIf(missing)(
  `attributes are those of the kernel's headers${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    let known: Map<string, number>
    let release: string

    beforeAll(() => {
      release = headersRelease()
      const all = Object.values(subjects).flatMap(subject =>
        Object.keys(subject.table).map(attribute => constantOf(subject, attribute))
      )
      const whole = Object.values(subjects).flatMap(subject => enumOf(firstOf(subject)))
      known = constants([...all, ...whole])
    })

    function firstOf(subject: Subject): string {
      return constantOf(subject, Object.keys(subject.table)[0] as string)
    }

    it.for(Object.entries(subjects))(
      '%s: every attribute has the number of its constant',
      async ([, subject], context) => {
        const wrong: string[] = []
        const newer: string[] = []
        for (const [attribute, [id, , options]] of Object.entries(subject.table)) {
          const name = constantOf(subject, attribute)
          const value = known.get(name)
          if (value === undefined && options?.since && compareReleases(options.since, release) > 0)
            newer.push(attribute)
          else if (value !== id) wrong.push(`${attribute}: ${id}, ${name} is ${value}`)
        }
        if (newer.length > 0) {
          await context.annotate(
            `newer than the headers (${release}), not checked: ${newer.length}: ${newer.join(', ')}`
          )
        }
        expect(wrong).toEqual([])
      }
    )

    it.each(Object.entries(subjects))('%s: every constant of the enum has an attribute', (_, subject) => {
      const covered = new Set(Object.keys(subject.table).map(attribute => constantOf(subject, attribute)))
      const left = enumOf(firstOf(subject)).filter(
        name => !covered.has(name) && !subject.without?.[name] && !/(_|^)(UNSPEC|PAD|PAD2|MAX|__\w+)$/.test(name)
      )
      expect(left.filter(name => !/^__/.test(name))).toEqual([])
    })
  }
)
