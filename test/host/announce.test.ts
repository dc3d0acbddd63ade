/** Announcing a guest: what the kernel on the other side makes of it. */
import { expect, onTestFinished } from 'vitest'
import { addon } from '../../lib/addon.js'
import { announce, Tap } from '../../lib/index.js'
import { test } from '../support/namespace.js'

const OLD = '52:54:00:00:00:01'
const NEW = '52:54:00:00:00:02'

test('bridges and neighbours learn where the guest is', async ({ ns, other }) => {
  ns.tools.ip('link add name br0 type bridge mcast_snooping 0')
  ns.tools.ip(`link add name p type veth peer name q netns ${other.name}`)
  for (const link of ['br0', 'p']) ns.tools.ip(`link set dev ${link} up`)
  ns.tools.ip('link set dev p master br0')
  other.tools.ip('link set dev q up')
  // Neighbours with whom one has talked before: what is announced replaces what is known, and makes nothing new.
  for (const [own, guest] of [
    ['192.0.2.1/24', '192.0.2.2'],
    ['2001:db8::1/64', '2001:db8::2']
  ] as const) {
    other.tools.ip(`addr add ${own} dev q ${own.includes(':') ? 'nodad' : ''}`)
    other.tools.ip(`neigh add ${guest} lladdr ${OLD} nud stale dev q`)
  }
  const tap = await Tap.open({ net: ns.net, name: 'vnet0', master: 'br0', up: true, vnetHeader: true })
  onTestFinished(() => tap.close())
  await announce(tap, { address: NEW, ips: ['192.0.2.2', '2001:db8::2'] })

  const learnt = ns.tools.bridgeJson('fdb show br br0').filter((entry: { mac: string }) => entry.mac === NEW)
  expect(learnt).toMatchObject([{ ifname: 'vnet0' }])
  const known = other.tools.ipJson('neigh show dev q') as { dst: string; lladdr?: string }[]
  const addressOf = (dst: string) => known.find(entry => entry.dst === dst)?.lladdr
  expect(addressOf('192.0.2.2')).toBe(NEW)
  expect(addressOf('2001:db8::2')).toBe(NEW)
})

test('whoever was given the descriptor may have made its header longer, as QEMU does', async ({ ns }) => {
  ns.tools.ip('link add name br0 type bridge mcast_snooping 0')
  ns.tools.ip('link set dev br0 up')
  const tap = await Tap.open({ net: ns.net, name: 'vnet0', master: 'br0', up: true, vnetHeader: true })
  onTestFinished(() => tap.close())
  await addon().tunIoctl(tap.fd, 'TUNSETVNETHDRSZ', 12)
  await announce(tap, { address: NEW, rounds: 1 })
  const learnt = ns.tools.bridgeJson('fdb show br br0').filter((entry: { mac: string }) => entry.mac === NEW)
  expect(learnt).toMatchObject([{ ifname: 'vnet0' }])
})

test('says each thing as often as asked for', async ({ ns }) => {
  ns.tools.ip('link add name br0 type bridge mcast_snooping 0')
  ns.tools.ip('link set dev br0 up')
  const [tap, sniffer] = await Promise.all(
    ['vnet0', 'vnet1'].map(name => Tap.open({ net: ns.net, name, master: 'br0', up: true }))
  )
  onTestFinished(() => Promise.all([tap?.close(), sniffer?.close()]).then(() => {}))
  const queue = (sniffer as Tap).frames()
  const batch = queue.createBatch()
  queue.readBatch(batch)
  await announce(tap as Tap, { address: NEW, rounds: 2 })
  queue.readBatch(batch)
  const rarp = [...batch].filter(frame => frame[12] === 0x80 && frame[13] === 0x35)
  expect(rarp).toHaveLength(2)
  expect(rarp[0]).toHaveLength(60)
})

test('thousands of addresses are all announced', async ({ ns }) => {
  const tap = await Tap.open({ net: ns.net, name: 'vnet0', up: true, vnetHeader: true, ipv6: false })
  onTestFinished(() => tap.close())
  const ips = Array.from({ length: 3000 }, (_, i) => `2001:db8::${i.toString(16)}`)
  await announce(tap, { address: NEW, ips, rounds: 1 })
  const [link] = ns.tools.ipJson('-s link show dev vnet0') as { stats64: { rx: { packets: number } } }[]
  expect(link?.stats64.rx.packets).toBe(3001)
})

test('wrong input is refused, and so is a device that is down', async ({ ns }) => {
  const tap = await Tap.open({ net: ns.net, name: 'vnet0' })
  onTestFinished(() => tap.close())
  const wrong = { code: 'ERR_INVALID_ARG_VALUE' }
  await expect(announce(tap, { address: 'x' })).rejects.toMatchObject({ ...wrong, path: 'address' })
  await expect(announce(tap, { address: NEW, ips: ['192.0.2.300'] })).rejects.toMatchObject({
    ...wrong,
    path: 'ips[0]'
  })
  await expect(announce(tap, { address: NEW, ips: ['fe80::x'] })).rejects.toMatchObject({ ...wrong, path: 'ips[0]' })
  await expect(announce(tap, { address: NEW, ips: '192.0.2.1' as never })).rejects.toMatchObject({ path: 'ips' })
  await expect(announce(tap, { address: NEW, rounds: 0 })).rejects.toMatchObject({ ...wrong, path: 'rounds' })
  await expect(announce(tap, { address: NEW })).rejects.toMatchObject({ code: 'EIO' })
})

test('can be given up between two rounds', async ({ ns }) => {
  const tap = await Tap.open({ net: ns.net, name: 'vnet0', up: true })
  onTestFinished(() => tap.close())
  const controller = new AbortController()
  const announcing = announce(tap, { address: NEW, rounds: 100, signal: controller.signal })
  const reason = new Error('enough')
  setTimeout(() => controller.abort(reason), 20)
  await expect(announcing).rejects.toBe(reason)
})
