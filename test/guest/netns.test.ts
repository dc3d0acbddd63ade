/** A guest of this namespace whose cards are in another one, where this process never goes. */
import { readdirSync, readlinkSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ipLink } from '../tap/support/system.js'
import { expectReach } from './support/pings.js'
import { scene } from './support/scene.js'

/** The namespaces that the threads of a process are in. */
function whereabouts(pid: number | 'self'): string[] {
  const threads = readdirSync(`/proc/${pid}/task`)
  return [...new Set(threads.map(thread => readlinkSync(`/proc/${pid}/task/${thread}/ns/net`)))]
}

const given = scene(['tap', 'macvtap'], async scene => {
  const home = whereabouts('self')
  const wire = await scene.wire()
  const lower = await scene.wire()
  const elsewhere = await scene.namespace()
  const { net } = elsewhere
  await net.links.create({ kind: 'bridge', name: 'br0', up: true })
  await scene.net.links.move(wire.name, elsewhere.name)
  await scene.net.links.move(lower.name, elsewhere.name)
  await net.links.set(wire.name, { master: 'br0', up: true })
  await net.links.up(lower.name)
  const tap = await scene.tap({ name: 'away0', netns: elsewhere.name, master: 'br0' })
  const macvtap = await scene.macvtap({ name: 'away1', link: lower.name, mode: 'bridge' }, { net })
  const guest = await scene.guest({ netdevs: [{ fds: tap.fds }, macvtap.card] })
  await guest.up('eth0', wire.host(2, 24))
  await guest.up('eth1', lower.host(2, 24))
  return { home, elsewhere, wires: [wire, lower], guest }
})

test('the cards are there, this process and QEMU are here', () => {
  const { home, elsewhere, guest } = given()
  for (const name of ['away0', 'away1']) {
    expect(ipLink(name, elsewhere.name)).toMatchObject({ ifname: name })
    expect(ipLink(name)).toBeUndefined()
  }
  expect(home).toHaveLength(1)
  expect(whereabouts('self')).toEqual(home)
  expect(whereabouts(guest.pid)).toEqual(home)
})

test('the guest and the namespaces beyond reach each other', { timeout: 120_000 }, async () => {
  const { wires, guest } = given()
  for (const { address, outside, host } of wires) {
    await Promise.all([expectReach(guest, address), expectReach(outside, host(2))])
  }
})
