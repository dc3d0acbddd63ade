/** Whose descriptors keep a device alive, before and after a guest has them. */
import { closeSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Tap } from '../../lib/index.js'
import { ipLink, openFiles } from '../tap/support/system.js'
import { expectReach } from './support/pings.js'
import { scene } from './support/scene.js'

const given = scene(['tap', 'macvtap'], async scene => {
  await scene.bridge('br0')
  await scene.bridge('br1')
  const wires = [await scene.wire({ master: 'br0' }), await scene.wire({ master: 'br1' }), await scene.wire()] as const
  const tap = await scene.tap({ name: 'mortal', master: 'br0' })
  const persistent = await scene.tap({ name: 'lasting', master: 'br1', persist: true })
  const macvtap = await scene.macvtap({ name: 'lower', link: wires[2].name, mode: 'bridge' })
  const released = tap.release()
  const guest = await scene.guest({ netdevs: [{ fds: released }, { fds: persistent.fds }, macvtap.card] })
  for (const [card, { host }] of wires.entries()) await guest.up(`eth${card}`, host(2, 24))
  return { scene, wires, tap, released, persistent, macvtap, guest }
})

test('released descriptors are ours to close, and the guest keeps its own', { timeout: 120_000 }, async () => {
  const { wires, tap, released, persistent, macvtap, guest } = given()
  expect(tap.closed).toBe(true)
  expect(tap.fds).toEqual([])
  await tap.close()
  expect(openFiles().filter(file => file === '/dev/net/tun')).toHaveLength(2)
  for (const fd of released) closeSync(fd)
  await Promise.all([persistent.close(), macvtap.device.close()])
  expect(openFiles().filter(file => /^\/dev\/(net\/tun|tap)/.test(file))).toEqual([])
  for (const { address, outside, host } of wires) {
    await Promise.all([expectReach(guest, address), expectReach(outside, host(2))])
  }
})

test('who wants the device is told who has it', async () => {
  const { scene, guest } = given()
  for (const exclusive of [true, false]) {
    await expect(Tap.open({ name: 'mortal', exclusive, net: scene.net })).rejects.toMatchObject({
      code: 'EBUSY',
      diagnosis: expect.stringContaining(`held by process ${guest.pid} (qemu-system`)
    })
  }
})

test('with the guest its TAP is gone, unless it is persistent', async () => {
  const { scene, guest } = given()
  await guest.stop()
  await expect.poll(() => ipLink('mortal')).toBeUndefined()
  expect(ipLink('lower')).toBeDefined()
  expect(ipLink('lasting')).toMatchObject({ master: 'br1', linkinfo: { info_data: { persist: true } } })

  const again = await Tap.open({ name: 'lasting', exclusive: false, vnetHeader: true, net: scene.net })
  await again.setPersist(false)
  await again.close()
  expect(ipLink('lasting')).toBeUndefined()
})
