/** Every IFLA_VXLAN_* that can be set. */
import { expect } from 'vitest'
import { type CreateLink, encodeRequest, type Link } from '../../lib/index.js'
import { NLM_F_CREATE } from '../../lib/netlink/constants.js'
import { vxlan } from '../../lib/rtnetlink/kinds/vxlan.js'
import { linkMessage } from '../../lib/rtnetlink/link.js'
import { type AttributeCase, describeAttributes, type Seen } from '../support/attribute-cases.js'
import { atLeast } from '../support/features.js'
import { test } from '../support/namespace.js'
import { LINK_DATA } from '../support/raw-netlink.js'

const data = (key: string) => (seen: Seen) => seen.data[key]
const LOWER = 77
const external = { id: undefined, collectMetadata: true }
const rawByte = (id: number, value: boolean): AttributeCase => ({
  value,
  shows: async seen => (await seen.raw(...LINK_DATA, id))?.readUInt8(),
  shown: value ? 1 : 0
})

describeAttributes(
  {
    title: 'VXLAN links',
    table: vxlan.data.table,
    needs: 'vxlan',
    prepare: ({ net }) => net.links.create({ kind: 'veth', name: 'low', index: LOWER }),
    // Two links with the same port and identifier do not go together.
    create: ({ net }, name, settings) =>
      net.links.create({
        kind: 'vxlan',
        name,
        id: name === 'a' ? 101 : 100,
        dstPort: name === 'a' ? 4790 : 4789,
        ...settings
      } as CreateLink<'vxlan'>),
    change: ({ net }, name, settings) => net.links.set(name, { kind: 'vxlan', ...settings }),
    specs: (name, settings) => [{ kind: 'vxlan', name, id: 101, dstPort: 4790, ...settings }],
    ipType: 'type vxlan',
    ipCreate: (name, settings) =>
      `link add name ${name} type vxlan ${/\bid |external/.test(settings) ? '' : 'id 101'} ${
        /dstport/.test(settings) ? '' : 'dstport 4790'
      } ${settings}`,
    view: (link: Link) => link.data
  },
  {
    cases: {
      id: { value: 102, shows: data('id'), ip: 'id 103', reads: 103 },
      remote: {
        value: '192.0.2.9',
        shows: data('remote'),
        ip: 'remote 192.0.2.10',
        reads: '192.0.2.10',
        absentByDefault: true
      },
      dev: { value: 'low', shows: data('link'), ip: 'dev low', reads: LOWER, absentByDefault: true },
      local: {
        value: '192.0.2.1',
        shows: data('local'),
        ip: 'local 192.0.2.2',
        reads: '192.0.2.2',
        absentByDefault: true
      },
      ttl: { value: 33, shows: data('ttl'), ip: 'ttl 34', reads: 34 },
      tos: { value: 0x10, shows: data('tos'), shown: '0x10', ip: 'tos 0x20', reads: 0x20 },
      learning: { value: false, shows: data('learning'), ip: 'nolearning' },
      ageing: { value: 777, shows: data('ageing'), ip: 'ageing 888', reads: 888 },
      limit: { value: 55, shows: data('limit'), ip: 'maxaddress 66', reads: 66 },
      portRange: {
        value: { low: 30000, high: 40000 },
        shows: data('port_range'),
        ip: 'srcport 31000 41000',
        reads: { low: 31000, high: 41000 }
      },
      proxy: { value: true, shows: data('proxy'), ip: 'proxy' },
      rsc: { value: true, shows: data('rsc'), ip: 'rsc' },
      l2miss: { value: true, shows: data('l2miss'), ip: 'l2miss' },
      l3miss: { value: true, shows: data('l3miss'), ip: 'l3miss' },
      dstPort: { value: 4800, shows: data('port'), ip: 'dstport 4801', reads: 4801 },
      remote6: {
        value: '2001:db8::9',
        shows: data('remote6'),
        ip: 'remote 2001:db8::10',
        reads: '2001:db8::10',
        beside: { local6: '2001:db8::1' },
        ipBeside: 'local 2001:db8::1',
        absentByDefault: true
      },
      local6: {
        value: '2001:db8::1',
        shows: data('local6'),
        ip: 'local 2001:db8::2',
        reads: '2001:db8::2',
        beside: { remote6: '2001:db8::9' },
        ipBeside: 'remote 2001:db8::9',
        absentByDefault: true
      },
      udpCsum: { value: false, shows: data('udp_csum'), ip: 'noudpcsum' },
      udpZeroCsum6Tx: { value: true, shows: data('udp_zero_csum6_tx'), ip: 'udp6zerocsumtx' },
      udpZeroCsum6Rx: { value: true, shows: data('udp_zero_csum6_rx'), ip: 'udp6zerocsumrx' },
      remcsumTx: { value: true, shows: data('remcsum_tx'), ip: 'remcsumtx' },
      remcsumRx: { value: true, shows: data('remcsum_rx'), ip: 'remcsumrx' },
      gbp: { value: true, shows: data('gbp'), ip: 'gbp', absentByDefault: true },
      // iproute2 shows it and cannot set it.
      remcsumNopartial: {
        value: true,
        shows: async seen => (await seen.raw(...LINK_DATA, 24))?.length,
        shown: 0
      },
      collectMetadata: { value: true, beside: { id: undefined }, shows: data('external'), ip: 'external' },
      label: {
        value: 0x12345,
        shows: data('label'),
        shown: '0x12345',
        ip: 'flowlabel 0x54321',
        reads: 0x54321,
        beside: { remote6: '2001:db8::9' },
        ipBeside: 'remote 2001:db8::9'
      },
      gpe: {
        value: true,
        beside: { ...external, learning: false },
        shows: data('gpe'),
        ip: 'gpe',
        ipBeside: 'external',
        absentByDefault: true
      },
      ttlInherit: { ...rawByte(28, true), ip: 'ttl inherit' },
      df: { value: 'set', shows: data('df'), ip: 'df inherit', reads: 'inherit' },
      vnifilter: {
        value: true,
        beside: external,
        shows: data('vnifilter'),
        ip: 'vnifilter',
        ipBeside: 'external',
        absentByDefault: true
      },
      // iproute2 6.1 does not know these: the kernel's own bytes are looked at.
      localbypass: rawByte(31, false),
      labelPolicy: {
        value: 'inherit',
        beside: { remote6: '2001:db8::9' },
        shows: async seen => (await seen.raw(...LINK_DATA, 32))?.readUInt32LE(),
        shown: 1
      },
      reservedBits: {
        value: Uint8Array.from([0xf0, 0, 0, 0, 0, 0, 0, 0xff]),
        shows: async seen => (await seen.raw(...LINK_DATA, 33))?.toString('hex'),
        shown: 'f0000000000000ff'
      }
    },
    readOnly: [],
    exceptions: {
      mcRoute: 'the kernel (6.18) takes it and does not report it: see below'
    }
  }
)

test('mcRoute has the number that the kernel knows it by', async ({ ns, skip }) => {
  if (!atLeast('6.17')) skip('this kernel does not know it')
  await ns.net.links.create({ kind: 'vxlan', name: 'a', id: 7, dstPort: 4789, mcRoute: true })
  expect(ns.tools.linkNames()).toContain('a')
  // Two bytes are against the kernel's policy for it; attributes that it does not know may have any.
  const data = { id: 8, dstPort: 4789, unknown: [{ type: vxlan.data.table.mcRoute[0], data: 'ffff' }] }
  const value = { name: 'b', linkinfo: { kind: 'vxlan', data } }
  const request = encodeRequest('RTM_NEWLINK', 16, linkMessage, value, {
    flags: NLM_F_CREATE,
    creating: true
  })
  await expect(ns.net.socket.request(request)).rejects.toMatchObject({ path: 'linkinfo.data.mcRoute' })
})
