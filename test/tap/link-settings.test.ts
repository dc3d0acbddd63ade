import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { openNetlink, openTap, openTun } from './support/devices.js'
import { sentDuring } from './support/messages.js'
import { needsTun } from './support/needs.js'
import { ip, ipLink, sysfs } from './support/system.js'

needsTun()

beforeEach(() => {
  ip(undefined, 'link', 'add', 'set-br', 'type', 'bridge')
  onTestFinished(() => {
    ip(undefined, 'link', 'delete', 'set-br')
  })
})

const own = { address: '02:00:00:00:12:34', mtu: 1400, txqlen: 77, alias: 'guest 7', group: 42 }

function expectOwn(): void {
  expect(ipLink('set0')).toMatchObject({
    address: own.address,
    mtu: own.mtu,
    txqlen: own.txqlen,
    ifalias: own.alias,
    group: String(own.group)
  })
}

test('all go along in one message, master and up as well', async () => {
  const bridge = Number(sysfs('set-br', 'ifindex'))
  const sent = await sentDuring(() => openTap({ name: 'set0', ...own, master: bridge, up: true }))
  expect(sent).toEqual(['RTM_NEWLINK'])
  expectOwn()
  expect(ipLink('set0')?.master).toBe('set-br')
  expect(ipLink('set0')?.flags).toContain('UP')
})

test('a master by name costs looking it up', async () => {
  expect(await sentDuring(() => openTap({ name: 'set0', master: 'set-br', up: true }))).toEqual([
    'RTM_GETLINK',
    'RTM_NEWLINK'
  ])
  expect(ipLink('set0')?.master).toBe('set-br')
})

test('settings of the port take one message more', async () => {
  const master = Number(sysfs('set-br', 'ifindex'))
  const port = { isolated: true, learning: false, cost: 55, priority: 12, flood: false }
  const net = await openNetlink()
  const sent = await sentDuring(() => openTap({ name: 'set0', ...own, net, master, port, up: true }))
  expect(sent).toEqual(['RTM_NEWLINK', 'RTM_NEWLINK'])
  expectOwn()
  expect(ipLink('set0')).toMatchObject({
    master: 'set-br',
    linkinfo: { info_slave_data: { isolated: true, learning: false, cost: 55, priority: 12, flood: false } }
  })
  expect(ipLink('set0')?.flags).toContain('UP')
})

test('nothing is sent where nothing is to be set', async () => {
  expect(await sentDuring(() => openTap({ name: 'set0', queues: 2, vnetHeader: true, persist: false }))).toEqual([])
})

test('alternative names', async () => {
  const altnames = ['guest-7-net-0', 'a name of more than fifteen bytes'.replaceAll(' ', '-')]
  const sent = await sentDuring(() => openTap({ name: 'set0', altnames }))
  expect(sent).toEqual(['RTM_NEWLINKPROP'])
  expect(ipLink('set0')?.altnames).toEqual(expect.arrayContaining(altnames))
})

test('flags', async () => {
  await openTap({ name: 'set0', up: true, promisc: true, allmulti: true, multicast: false })
  const flags = ipLink('set0')?.flags
  expect(flags).toEqual(expect.arrayContaining(['UP', 'PROMISC', 'ALLMULTI']))
  expect(flags).not.toContain('MULTICAST')
})

test('sizes of segments', async () => {
  await openTap({ name: 'set0', gsoMaxSize: 32_000, gsoMaxSegs: 30 })
  const link = ipLink('set0') as unknown as Record<string, number>
  expect([link['gso_max_size'], link['gso_max_segs']]).toEqual([32_000, 30])
})

test('of a TUN', async () => {
  await openTun({ name: 'set0', mtu: 1280, txqlen: 99, alias: 'tunnel', up: true })
  expect(ipLink('set0')).toMatchObject({ mtu: 1280, txqlen: 99, ifalias: 'tunnel' })
})

describe('of a device that exists', () => {
  test('are changed when attaching', async () => {
    await (await openTap({ name: 'set0', persist: true, mtu: 1300 })).close()
    const again = await openTap({ name: 'set0', exclusive: false, persist: false, ...own })
    expectOwn()
    expect(ipLink('set0')?.ifindex).toBe(again.index)
  })
})
