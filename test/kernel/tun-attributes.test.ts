/** IFLA_TUN_*: read only, of devices that iproute2 has made. */
import { describe, expect } from 'vitest'
import { tun } from '../../lib/rtnetlink/kinds/tun.js'
import { test } from '../support/namespace.js'

const OWNER = 12345
const GROUP = 54321

/** What iproute2 makes, and what we must read of it. */
const CASES: [command: string, expected: Record<string, unknown>][] = [
  [
    `mode tap user ${OWNER} group ${GROUP} multi_queue vnet_hdr`,
    { type: 'tap', owner: OWNER, group: GROUP, multiQueue: true, vnetHeader: true, pi: false, persist: true }
  ],
  ['mode tap', { type: 'tap', multiQueue: false, vnetHeader: false, pi: false, persist: true }],
  ['mode tun pi', { type: 'tun', multiQueue: false, vnetHeader: false, pi: true, persist: true }]
]

describe('attributes of TUN and TAP devices', () => {
  test('all are tried', () => {
    const tried = new Set([...CASES.flatMap(([, expected]) => Object.keys(expected)), 'numQueues', 'numDisabledQueues'])
    expect([...tried].toSorted()).toEqual(Object.keys(tun.data.table).toSorted())
  })

  test.for(CASES)('of ip tuntap %s', async ([command, expected], { ns }) => {
    ns.tools.ip(`tuntap add dev t0 ${command}`)
    const link = await ns.net.links.get('t0')
    if (!link.is('tun')) throw new Error('no TUN device')
    const { numQueues, numDisabledQueues, ...data } = link.data.toJSON()
    expect(data).toEqual(expected)
    const shown = ns.tools.link('t0').linkinfo.info_data
    expect(numQueues ?? 0).toBe(shown.numqueues ?? 0)
    expect(numDisabledQueues ?? 0).toBe(shown.numdisabled ?? 0)
    expect(shown).toMatchObject({
      type: expected['type'],
      multi_queue: expected['multiQueue'],
      vnet_hdr: expected['vnetHeader'],
      pi: expected['pi'],
      persist: true
    })
  })

  test('queues are counted', async ({ ns }) => {
    const { Tap } = await import('../../lib/index.js')
    await using _tap = await Tap.open({ name: 't0', queues: 3, netns: ns.name })
    const link = await ns.net.links.get('t0')
    const shown = ns.tools.link('t0').linkinfo.info_data
    expect(link.is('tun') && [link.data.numQueues, link.data.numDisabledQueues]).toEqual([3, 0])
    expect([shown.numqueues, shown.numdisabled]).toEqual([3, 0])
  })
})
