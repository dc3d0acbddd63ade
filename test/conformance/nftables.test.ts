/** Attributes, named values and messages of nf_tables, compared with the kernel's headers. */
import { beforeAll, describe, expect, it } from 'vitest'
import type { AttributeEntry, AttributeTable } from '../../lib/codec/attributes.js'
import { REJECT_CODES } from '../../lib/firewall/encode-simple.js'
import { CT_STATUS } from '../../lib/firewall/symbols.js'
import { compareReleases } from '../../lib/kernel-release.js'
import { batchMessage } from '../../lib/nftables/batch.js'
import { chainFlags, chainMessage, hook } from '../../lib/nftables/chain.js'
import { data, verdict } from '../../lib/nftables/data.js'
import { expression, expressionLayouts } from '../../lib/nftables/expression.js'
import { ctKey, metaKey } from '../../lib/nftables/expressions/loads.js'
import { natFlags } from '../../lib/nftables/expressions/nat.js'
import { generationMessage } from '../../lib/nftables/generation.js'
import { NFNL_MSG, NFNL_SUBSYS_NFTABLES, NFT_MSG } from '../../lib/nftables/messages.js'
import { nfFamily } from '../../lib/nftables/nfgenmsg.js'
import { ruleMessage } from '../../lib/nftables/rule.js'
import { DATA_VERDICT, setFlags, setMessage } from '../../lib/nftables/set.js'
import { setElement, setElementsMessage } from '../../lib/nftables/set-element.js'
import { tableFlags, tableMessage } from '../../lib/nftables/table.js'
import { compilerMissing, constants, enumOf, headersRelease } from '../support/headers.js'

const missing = compilerMissing()
const inside = (entry: AttributeEntry) => (entry[1] as unknown as { table: AttributeTable }).table
const snake = (name: string) => name.replace(/[A-Z]/g, letter => `_${letter}`).toUpperCase()

const tables: Record<
  string,
  { table: AttributeTable; prefix: string; names?: Record<string, string>; newer?: string[] }
> = {
  batch: { table: batchMessage.attributes, prefix: 'NFNL_BATCH_' },
  generation: { table: generationMessage.attributes, prefix: 'NFTA_GEN_' },
  table: { table: tableMessage.attributes, prefix: 'NFTA_TABLE_' },
  chain: { table: chainMessage.attributes, prefix: 'NFTA_CHAIN_' },
  hook: { table: hook.table, prefix: 'NFTA_HOOK_' },
  rule: { table: ruleMessage.attributes, prefix: 'NFTA_RULE_' },
  compat: { table: inside(ruleMessage.attributes.compat), prefix: 'NFTA_RULE_COMPAT_' },
  set: { table: setMessage.attributes, prefix: 'NFTA_SET_' },
  desc: { table: inside(setMessage.attributes.desc), prefix: 'NFTA_SET_DESC_' },
  elements: { table: setElementsMessage.attributes, prefix: 'NFTA_SET_ELEM_LIST_' },
  element: { table: setElement.table, prefix: 'NFTA_SET_ELEM_' },
  data: { table: data.table, prefix: 'NFTA_DATA_' },
  verdict: { table: verdict.table, prefix: 'NFTA_VERDICT_' },
  expression: { table: expression.table, prefix: 'NFTA_EXPR_' },
  ...Object.fromEntries(
    Object.entries(expressionLayouts).map(([name, layout]) => [
      `expression ${name}`,
      { table: layout.table as AttributeTable, prefix: `NFTA_${name.toUpperCase()}_` }
    ])
  )
}

const values = (codec: unknown) => {
  const { values: named, bits } = codec as { values?: Record<string, number>; bits?: Record<string, number> }
  return (named ?? bits) as Record<string, number>
}
const layouts = expressionLayouts

/** Named values, with the constants that they have in the headers. */
const named: Record<
  string,
  { values: Record<string, number>; prefix: string; names?: Record<string, string>; newer?: string[] }
> = {
  family: {
    values: nfFamily.values,
    prefix: 'NFPROTO_',
    names: { ip: 'IPV4', ip6: 'IPV6' }
  },
  'table flags': { values: tableFlags.bits, prefix: 'NFT_TABLE_F_', newer: ['persist'] },
  'chain flags': { values: chainFlags.bits, prefix: 'NFT_CHAIN_' },
  'set flags': { values: setFlags.bits, prefix: 'NFT_SET_' },
  'element flags': {
    values: values(setElement.table.flags[1]),
    prefix: 'NFT_SET_ELEM_'
  },
  'set policy': { values: values(setMessage.attributes.policy[1]), prefix: 'NFT_SET_POL_' },
  'verdict data': { values: { verdict: DATA_VERDICT }, prefix: 'NFT_DATA_' },
  'meta key': { values: metaKey.values, prefix: 'NFT_META_' },
  'ct key': { values: ctKey.values, prefix: 'NFT_CT_' },
  'payload base': {
    values: values(layouts.payload.table.base[1]),
    prefix: 'NFT_PAYLOAD_',
    names: {
      ll: 'LL_HEADER',
      network: 'NETWORK_HEADER',
      transport: 'TRANSPORT_HEADER',
      inner: 'INNER_HEADER',
      tunnel: 'TUN_HEADER'
    },
    newer: ['tunnel']
  },
  'payload checksum': { values: values(layouts.payload.table.csumType[1]), prefix: 'NFT_PAYLOAD_CSUM_' },
  'payload checksum flags': {
    values: values(layouts.payload.table.csumFlags[1]),
    prefix: 'NFT_PAYLOAD_',
    names: { l4Pseudohdr: 'L4CSUM_PSEUDOHDR' }
  },
  'rt key': { values: values(layouts.rt.table.key[1]), prefix: 'NFT_RT_' },
  'exthdr op': { values: values(layouts.exthdr.table.op[1]), prefix: 'NFT_EXTHDR_OP_' },
  'exthdr flags': { values: values(layouts.exthdr.table.flags[1]), prefix: 'NFT_EXTHDR_F_' },
  'fib result': { values: values(layouts.fib.table.result[1]), prefix: 'NFT_FIB_RESULT_' },
  'fib flags': { values: values(layouts.fib.table.flags[1]), prefix: 'NFTA_FIB_F_' },
  cmp: { values: values(layouts.cmp.table.op[1]), prefix: 'NFT_CMP_' },
  range: { values: values(layouts.range.table.op[1]), prefix: 'NFT_RANGE_' },
  bitwise: { values: values(layouts.bitwise.table.op[1]), prefix: 'NFT_BITWISE_' },
  byteorder: { values: values(layouts.byteorder.table.op[1]), prefix: 'NFT_BYTEORDER_' },
  lookup: { values: values(layouts.lookup.table.flags[1]), prefix: 'NFT_LOOKUP_F_' },
  limit: { values: values(layouts.limit.table.type[1]), prefix: 'NFT_LIMIT_', names: { pktBytes: 'PKT_BYTES' } },
  'limit flags': { values: values(layouts.limit.table.flags[1]), prefix: 'NFT_LIMIT_F_' },
  quota: { values: values(layouts.quota.table.flags[1]), prefix: 'NFT_QUOTA_F_' },
  log: { values: values(layouts.log.table.level[1]), prefix: 'NFT_LOGLEVEL_' },
  reject: {
    values: values(layouts.reject.table.type[1]),
    prefix: 'NFT_REJECT_',
    names: { tcpRst: 'TCP_RST' }
  },
  'reject icmpx': {
    values: REJECT_CODES.icmpx,
    prefix: 'NFT_REJECT_ICMPX_',
    names: {
      'no-route': 'NO_ROUTE',
      'port-unreachable': 'PORT_UNREACH',
      'host-unreachable': 'HOST_UNREACH',
      'admin-prohibited': 'ADMIN_PROHIBITED'
    }
  },
  'reject icmp': {
    values: REJECT_CODES.icmp,
    prefix: 'ICMP_',
    names: {
      'net-unreachable': 'NET_UNREACH',
      'host-unreachable': 'HOST_UNREACH',
      'prot-unreachable': 'PROT_UNREACH',
      'port-unreachable': 'PORT_UNREACH',
      'net-prohibited': 'NET_ANO',
      'host-prohibited': 'HOST_ANO',
      'admin-prohibited': 'PKT_FILTERED'
    }
  },
  'reject icmpv6': {
    values: REJECT_CODES.icmpv6,
    prefix: 'ICMPV6_',
    names: {
      'no-route': 'NOROUTE',
      'admin-prohibited': 'ADM_PROHIBITED',
      'addr-unreachable': 'ADDR_UNREACH',
      'port-unreachable': 'PORT_UNREACH',
      'policy-fail': 'POLICY_FAIL',
      'reject-route': 'REJECT_ROUTE'
    }
  },
  nat: { values: values(layouts.nat.table.type[1]), prefix: 'NFT_NAT_' },
  'nat flags': { values: natFlags.bits, prefix: 'NF_NAT_RANGE_' },
  queue: {
    values: values(layouts.queue.table.flags[1]),
    prefix: 'NFT_QUEUE_FLAG_',
    names: { cpuFanout: 'CPU_FANOUT' }
  },
  'ct status': {
    values: CT_STATUS,
    prefix: 'IPS_',
    names: { 'seen-reply': 'SEEN_REPLY', snat: 'SRC_NAT', dnat: 'DST_NAT' }
  },
  'netfilter verdicts': {
    values: Object.fromEntries(Object.entries(values(verdict.table.code[1])).filter(([, code]) => code >= 0)),
    prefix: 'NF_'
  },
  'nf_tables verdicts': {
    values: Object.fromEntries(Object.entries(values(verdict.table.code[1])).filter(([, code]) => code < 0)),
    prefix: 'NFT_'
  },
  messages: {
    values: NFT_MSG,
    prefix: '',
    newer: Object.keys(NFT_MSG).filter(name => name.includes('DESTROY'))
  },
  brackets: { values: NFNL_MSG, prefix: '' },
  subsystem: { values: { NFNL_SUBSYS_NFTABLES }, prefix: '' }
}

describe.skipIf(missing)(`nf_tables as in the kernel's headers${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let known: Map<string, number>
  let release: string
  const constantOf = (prefix: string, name: string, names: Record<string, string> = {}) =>
    prefix === '' ? name : prefix + (names[name] ?? snake(name))

  beforeAll(() => {
    release = headersRelease()
    known = constants([
      ...Object.values(tables).flatMap(({ table, prefix }) => Object.keys(table).map(name => constantOf(prefix, name))),
      ...Object.values(named).flatMap(({ values: all, prefix, names }) =>
        Object.keys(all).map(name => constantOf(prefix, name, names))
      )
    ])
  })

  it.each(Object.entries(tables))('attributes: %s', (_, { table, prefix }) => {
    for (const [name, [id, , options]] of Object.entries(table)) {
      const value = known.get(constantOf(prefix, name))
      if (value === undefined && options?.since && compareReleases(options.since, release) > 0) continue
      expect(value, constantOf(prefix, name)).toBe(id)
    }
    const covered = new Set(Object.keys(table).map(name => constantOf(prefix, name)))
    // Deprecated names of the same enum, and what is none.
    const left = enumOf(constantOf(prefix, Object.keys(table)[0] as string)).filter(
      name => !covered.has(name) && !/(_|^)(UNSPEC|PAD|MAX)$|^__/.test(name)
    )
    expect(left).toEqual([])
  })

  it.each(Object.entries(named))('values: %s', (_, { values: all, prefix, names, newer = [] }) => {
    for (const [name, number] of Object.entries(all)) {
      const constant = constantOf(prefix, name, names)
      const value = known.get(constant)
      if (value === undefined && newer.includes(name)) continue
      // As 32 bits, whichever sign C gives them.
      expect(value === undefined ? undefined : value >>> 0, constant).toBe(number >>> 0)
    }
  })
})
