/** A guest that takes lower devices over: one with the address that it has, one with an address of the guest's. */
import { expect, test } from 'vitest'
import { ipLink } from '../tap/support/system.js'
import { expectReach, expectSilence } from './support/pings.js'
import { scene } from './support/scene.js'

const ADDRESS = '02:00:00:00:0a:0b'
const OTHER = '02:00:00:00:0c:0d'
const HOST = 254

const given = scene(['macvtap'], async scene => {
  const wires = [await scene.wire(), await scene.wire()] as const
  const original = wires.map(wire => ipLink(wire.name)?.address)
  await scene.net.addresses.add({ link: wires[0].name, address: wires[0].host(HOST, 24) })
  await expectReach(wires[0].outside, wires[0].host(HOST))
  const plain = await scene.macvtap({ name: 'plain', link: wires[0].name, mode: 'passthru' })
  const own = await scene.macvtap({ name: 'own', link: wires[1].name, mode: 'passthru', address: ADDRESS })
  const guest = await scene.guest({ netdevs: [plain.card, own.card] })
  for (const [card, wire] of wires.entries()) await guest.up(`eth${card}`, wire.host(2, 24))
  return { scene, guest, wires, original, plain, own }
})

test('the guest has the address of the lower device', async () => {
  const { guest, wires, original, plain } = given()
  expect(ipLink('plain')?.linkinfo?.info_data).toMatchObject({ mode: 'passthru' })
  expect(plain.card.mac).toBe(original[0])
  expect(ipLink(wires[0].name)?.address).toBe(original[0])
  expect(await guest.check('cat /sys/class/net/eth0/address')).toBe(original[0])
})

test('an address that was given is that of both', async () => {
  const { guest, wires, original } = given()
  expect(original[1]).not.toBe(ADDRESS)
  expect(ipLink(wires[1].name)?.address).toBe(ADDRESS)
  expect(await guest.check('cat /sys/class/net/eth1/address')).toBe(ADDRESS)
})

test('the guest and the namespace reach each other', { timeout: 120_000 }, async () => {
  const { guest, wires } = given()
  for (const { address, outside, host } of wires) {
    await Promise.all([expectReach(guest, address), expectReach(outside, host(2))])
  }
})

test('nothing is left for the host', { timeout: 120_000 }, async () => {
  const { guest, wires } = given()
  await Promise.all([
    expectSilence(wires[0].outside, wires[0].host(HOST)),
    expectSilence(guest, wires[0].host(HOST)),
    expectSilence('host', wires[0].address, wires[0].host(2))
  ])
})

test('the guest may take any other address', { timeout: 120_000 }, async () => {
  const { guest, wires, original } = given()
  const [{ address, outside, host }] = wires
  await guest.check(`ip link set eth0 address ${OTHER}`)
  await Promise.all([expectReach(guest, address), expectReach(outside, host(2))])
  expect(outside.tools.ip(`neigh show ${host(2)}`)).toContain(OTHER)
  expect(ipLink(wires[0].name)?.address).toBe(original[0])
})

test('a second link on the lower device is refused', async () => {
  const { scene, wires } = given()
  for (const mode of ['passthru', 'bridge'] as const) {
    const create = scene.net.links.create({ kind: 'macvtap', name: 'more', link: wires[0].name, mode })
    await expect(create).rejects.toMatchObject({ link: 'more', diagnosis: expect.any(String) })
  }
})

test('the lower device gets its own address back', async () => {
  const { scene, guest, wires, original, own } = given()
  await scene.net.links.delete('own')
  expect(ipLink(wires[1].name)?.address).toBe(original[1])
  await expect(own.device.describe()).rejects.toMatchObject({ code: 'ENOLINK' })
  // QEMU does not mind that one of its cards has no link any more.
  await expectReach(guest, wires[0].address)
})
