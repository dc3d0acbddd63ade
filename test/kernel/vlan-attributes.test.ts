/** Every IFLA_VLAN_* that can be set. */
import { expect } from 'vitest'
import type { CreateLink, Link } from '../../lib/index.js'
import { vlan } from '../../lib/rtnetlink/kinds/vlan.js'
import { describeAttributes } from '../support/attribute-cases.js'
import { has } from '../support/features.js'
import { test } from '../support/namespace.js'

describeAttributes(
  {
    title: 'VLAN links',
    table: vlan.data.table,
    needs: 'vlan',
    prepare: ({ net }) => net.links.create({ kind: 'veth', name: 'low' }),
    create: ({ net }, name, settings) =>
      net.links.create({
        kind: 'vlan',
        name,
        link: 'low',
        id: name === 'a' ? 6 : 5,
        ...settings
      } as CreateLink<'vlan'>),
    change: ({ net }, name, settings) => net.links.set(name, { kind: 'vlan', ...settings }),
    specs: (name, settings) => [{ kind: 'vlan', name, link: 'low', id: 6, ...settings }],
    ipType: 'type vlan',
    ipCreate: (name, settings) =>
      `link add link low name ${name} type vlan ${/\bid /.test(settings) ? '' : 'id 6'} ${settings}`,
    view: (link: Link) => link.data
  },
  {
    cases: {
      id: { value: 7, shows: seen => seen.data.id, ip: 'id 8', reads: 8 },
      protocol: { value: '802.1ad', shows: seen => seen.data.protocol, ip: 'protocol 802.1ad' },
      flags: {
        value: { gvrp: true, looseBinding: true },
        shows: seen => seen.data.flags.toSorted(),
        shown: ['GVRP', 'LOOSE_BINDING', 'REORDER_HDR'],
        ip: 'mvrp on reorder_hdr off',
        reads: { reorderHdr: false, gvrp: false, looseBinding: false, mvrp: true, bridgeBinding: false }
      },
      egressQos: {
        value: [
          { from: 1, to: 5 },
          { from: 2, to: 6 }
        ],
        shows: seen => seen.data.egress_qos,
        ip: 'egress-qos-map 3:7',
        reads: [{ from: 3, to: 7 }],
        absentByDefault: true
      },
      ingressQos: {
        value: [
          { from: 1, to: 5 },
          { from: 2, to: 6 }
        ],
        shows: seen => seen.data.ingress_qos,
        ip: 'ingress-qos-map 3:7',
        reads: [{ from: 3, to: 7 }],
        absentByDefault: true
      }
    },
    readOnly: [],
    exceptions: {}
  }
)

test('a kernel without VLAN links says so', async ({ ns, skip }) => {
  if (has('vlan')) skip('this kernel has VLAN links')
  await ns.net.links.create({ kind: 'veth', name: 'low' })
  const create = ns.net.links.create({ kind: 'vlan', name: 'a', link: 'low', id: 7 })
  await expect(create).rejects.toMatchObject({ code: 'EOPNOTSUPP', errno: -95, extack: 'Unknown device type' })
})
