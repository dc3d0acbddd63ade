/** Cards that a running guest gets: descriptors over QMP, as a hypervisor manager hands them over. */
import { expect, test } from 'vitest'
import { ipLink, openFiles } from '../tap/support/system.js'
import type { Guest } from './guest.mjs'
import { expectReach } from './support/pings.js'
import { openQmp, plug, unplug } from './support/plugging.js'
import { scene } from './support/scene.js'

const MAC = '52:54:00:00:0a:0b'

const given = scene(['tap', 'macvtap'], async scene => {
  const wire = await scene.wire({ master: (await scene.bridge('br0')).name as string })
  const lower = await scene.wire()
  const guest = await scene.guest({ cpus: 2 })
  const qmp = await openQmp(guest)
  scene.later(() => qmp.close())
  return { scene, wire, lower, guest, qmp }
})

const cards = (guest: Guest) => guest.check('ls /sys/class/net')

test('a TAP is plugged in and out', { timeout: 180_000 }, async () => {
  const { scene, wire, guest, qmp } = given()
  expect(await cards(guest)).toBe('lo')
  const tap = await scene.tap({ name: 'hot0', master: 'br0' })
  await plug(qmp, 'hot', tap.fds, MAC)
  await tap.close()
  expect(openFiles()).not.toContain('/dev/net/tun')
  expect(ipLink('hot0')).toMatchObject({ master: 'br0' })

  await guest.up(await guest.nic(MAC), wire.host(2, 24))
  await Promise.all([expectReach(guest, wire.address), expectReach(wire.outside, wire.host(2))])

  await unplug(qmp, 'hot')
  expect(await scene.net.links.waitFor('hot0', link => link === undefined, { timeout: 10_000 })).toBeUndefined()
  expect(ipLink('hot0')).toBeUndefined()
  expect(await cards(guest)).toBe('lo')
})

test('so is a macvtap link with two queues', { timeout: 180_000 }, async () => {
  const { scene, lower, guest, qmp } = given()
  const { link, device } = await scene.macvtap({ name: 'hot1', link: lower.name, mode: 'bridge' }, { queues: 2 })
  await plug(qmp, 'warm', device.fds, link.address as string)
  await device.close()

  const name = await guest.nic(link.address as string)
  expect(await guest.check(`ls -d /sys/class/net/${name}/queues/rx-* | wc -l`)).toBe('2')
  await guest.up(name, lower.host(2, 24))
  await Promise.all([expectReach(guest, lower.address), expectReach(lower.outside, lower.host(2))])

  await unplug(qmp, 'warm')
  expect(await cards(guest)).toBe('lo')
  expect(ipLink('hot1')).toBeDefined()
})

test('QEMU refuses a descriptor that did not come along', async () => {
  const { qmp } = given()
  await expect(qmp.execute('getfd', { fdname: 'none' })).rejects.toThrow(/No file descriptor supplied/)
  await expect(qmp.execute('netdev_add', { type: 'tap', id: 'none', fds: 'none' })).rejects.toThrow()
})
