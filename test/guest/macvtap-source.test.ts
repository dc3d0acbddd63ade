/** A guest that gets frames from listed senders only. */
import { expect, test } from 'vitest'
import { ipLink } from '../tap/support/system.js'
import { expectReach, expectSilence, type Station } from './support/pings.js'
import { scene } from './support/scene.js'

const LISTED = '02:00:00:00:00:0a'
const UNLISTED = '02:00:00:00:00:0b'

const given = scene(['macvtap'], async scene => {
  const wire = await scene.wire()
  await wire.outside.net.links.set('br0', { address: LISTED })
  // Another station on the same network.
  const stranger = await scene.namespace()
  await wire.outside.net.links.create({
    kind: 'veth',
    name: 'port',
    master: 'br0',
    up: true,
    peer: { name: 'eth0', netns: stranger.name, address: UNLISTED }
  })
  await stranger.net.addresses.add({ link: 'eth0', address: wire.host(3, 24) })
  await stranger.net.links.up('eth0')
  await expectReach(stranger, wire.address)

  const { card } = await scene.macvtap({
    name: 'picky',
    link: wire.name,
    mode: 'source',
    macaddrMode: 'set',
    macaddrs: [LISTED]
  })
  const guest = await scene.guest({ netdevs: [card] })
  await guest.up('eth0', wire.host(2, 24))
  return { scene, wire, stranger, guest }
})

const senders = () => ipLink('picky')?.linkinfo?.info_data?.['macaddr_data']

/** The guest and another station, both ways. */
async function expectBoth(expectation: typeof expectReach, station: Station, address: string): Promise<void> {
  const { guest, wire } = given()
  await Promise.all([expectation(guest, address), expectation(station, wire.host(2))])
}

test('only the listed sender gets through', { timeout: 120_000 }, async () => {
  const { wire, stranger } = given()
  expect(senders()).toEqual([LISTED])
  await expectBoth(expectReach, wire.outside, wire.address)
  await expectBoth(expectSilence, stranger, wire.host(3))
})

test('a sender that is added, too', { timeout: 120_000 }, async () => {
  const { scene, wire, stranger } = given()
  await scene.net.links.set('picky', { kind: 'macvtap', macaddrMode: 'add', macaddr: UNLISTED })
  expect([...(senders() as string[])].sort()).toEqual([LISTED, UNLISTED])
  await expectBoth(expectReach, stranger, wire.host(3))
})

test('a sender that is deleted, no more', { timeout: 120_000 }, async () => {
  const { scene, wire, stranger } = given()
  await scene.net.links.set('picky', { kind: 'macvtap', macaddrMode: 'delete', macaddr: LISTED })
  expect(senders()).toEqual([UNLISTED])
  await expectBoth(expectSilence, wire.outside, wire.address)
  await expectBoth(expectReach, stranger, wire.host(3))
})

test('nobody after a flush', { timeout: 120_000 }, async () => {
  const { scene, stranger, wire } = given()
  await scene.net.links.set('picky', { kind: 'macvtap', macaddrMode: 'flush' })
  await expectBoth(expectSilence, stranger, wire.host(3))
})
