/** Every IFLA_BRPORT_* that can be set. */
import { expect } from 'vitest'
import type { CreateLink, Link } from '../../lib/index.js'
import { bridgePort } from '../../lib/rtnetlink/bridge-port.js'
import { type AttributeCase, describeAttributes, type Seen } from '../support/attribute-cases.js'
import { test } from '../support/namespace.js'
import { PORT_DATA } from '../support/raw-netlink.js'

const port = (key: string) => (seen: Seen) => seen.port[key]
const off = (key: string, option = key): AttributeCase => ({ value: true, shows: port(key), ip: `${option} on` })
const on = (key: string): AttributeCase => ({ value: false, shows: port(key), ip: `${key} off` })
/** iproute2 6.1 and sysfs do not know it: the kernel's own bytes are looked at. */
const rawByte = (id: number, extra: Partial<AttributeCase> = {}): AttributeCase => ({
  value: true,
  shows: async seen => (await seen.raw(...PORT_DATA, id))?.readUInt8(),
  shown: 1,
  ...extra
})
const rawNumber = (id: number, value: number): AttributeCase => ({
  value,
  shows: async seen => (await seen.raw(...PORT_DATA, id))?.readUInt32LE()
})
const BACKUP = 77

describeAttributes(
  {
    title: 'ports of bridges',
    table: bridgePort.table,
    needs: 'bridge',
    async prepare({ net }) {
      await net.links.create({ kind: 'bridge', name: 'br0', up: true })
      await net.links.create({ kind: 'veth', name: 'backup', index: BACKUP, master: 'br0' })
    },
    async create({ net }, name, settings) {
      const peer = { name: `${name}-peer`, up: true }
      await net.links.create({
        kind: 'veth',
        name,
        master: 'br0',
        up: true,
        port: settings,
        peer
      } as CreateLink<'veth'>)
      await net.links.waitFor(name, link => link?.operstate === 'up', { timeout: 20_000 })
    },
    change: ({ net }, name, settings) => net.links.set(name, { port: settings }),
    specs: (name, settings) => [
      { kind: 'veth', name, master: 'br0', up: true, port: settings, peer: { name: `${name}-peer`, up: true } }
    ],
    ipType: 'type bridge_slave',
    view: (link: Link) => link.port
  },
  {
    cases: {
      state: {
        // The kernel makes "blocking" of a port without a spanning tree "forwarding" at once.
        value: 'listening',
        shows: port('state'),
        ip: 'state 2',
        reads: 'learning',
        notAtCreation: 'a port has a state when it is up, and comes up after it was configured'
      },
      priority: { value: 10, shows: port('priority'), ip: 'priority 11', reads: 11 },
      cost: { value: 50, shows: port('cost'), ip: 'cost 60', reads: 60 },
      hairpin: off('hairpin'),
      guard: off('guard'),
      rootBlock: off('root_block'),
      fastLeave: off('fastleave'),
      learning: on('learning'),
      flood: on('flood'),
      proxyArp: off('proxy_arp'),
      proxyArpWifi: off('proxy_arp_wifi'),
      mcastRouter: {
        value: 'permanent',
        shows: port('multicast_router'),
        shown: 2,
        ip: 'mcast_router 0',
        reads: 'disabled'
      },
      mcastFlood: on('mcast_flood'),
      mcastToUnicast: off('mcast_to_unicast'),
      vlanTunnel: off('vlan_tunnel'),
      bcastFlood: on('bcast_flood'),
      groupFwdMask: {
        value: 0x4010,
        shows: port('group_fwd_mask'),
        shown: '0x4010',
        ip: 'group_fwd_mask 0x20',
        reads: 0x20
      },
      neighSuppress: off('neigh_suppress'),
      isolated: off('isolated'),
      backupPort: {
        value: 'backup',
        shows: seen => seen.sysfs('brport/backup_port'),
        ip: 'backup_port backup',
        reads: BACKUP,
        absentByDefault: true
      },
      mcastEhtHostsLimit: rawNumber(37, 99),
      locked: off('locked'),
      mab: rawByte(40, { beside: { locked: true, learning: true } }),
      mcastMaxGroups: rawNumber(42, 55),
      neighVlanSuppress: rawByte(43),
      backupNhid: rawNumber(44, 9),
      neighForwardGrat: rawByte(45)
    },
    readOnly: [
      'rootId',
      'bridgeId',
      'designatedPort',
      'designatedCost',
      'id',
      'no',
      'topologyChangeAck',
      'configPending',
      'messageAgeTimer',
      'forwardDelayTimer',
      'holdTimer',
      'mrpRingOpen',
      'mrpInOpen',
      'mcastEhtHostsCnt',
      'mcastNGroups'
    ],
    exceptions: {
      learningSync: 'for drivers of switch chips: the bridge neither stores nor reports it',
      fdbFlush: 'an action, not a state: see bridge-state.test.ts'
    }
  }
)

test('null takes the backup port away', async ({ ns }) => {
  await ns.net.links.create({ kind: 'bridge', name: 'br0' })
  await ns.net.links.create({ kind: 'veth', name: 'b', master: 'br0' })
  await ns.net.links.create({ kind: 'veth', name: 'a', master: 'br0', port: { backupPort: 'b' } })
  expect(ns.tools.sysfs('a/brport/backup_port')).toBe('b')
  await ns.net.links.set('a', { port: { backupPort: null } })
  expect(ns.tools.sysfs('a/brport/backup_port')).toBe('')
})

test('bridge(8) agrees with what was set on a port', async ({ ns }) => {
  await ns.net.links.create({ kind: 'bridge', name: 'br0' })
  await ns.net.links.create({ kind: 'veth', name: 'a', master: 'br0', port: { isolated: true, cost: 9, flood: false } })
  expect(ns.tools.bridgeJson('link show dev a')[0]).toMatchObject({
    master: 'br0',
    isolated: true,
    cost: 9,
    flood: false,
    learning: true
  })
})
