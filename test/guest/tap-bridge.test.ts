/** Guests on TAPs in a bridge, with a namespace on the other side of it. */
import { expect, test } from 'vitest'
import { ipLink } from '../tap/support/system.js'
import { expectReach, expectSilence, runAt, type Station } from './support/pings.js'
import { scene } from './support/scene.js'

const given = scene(['tap'], async scene => {
  await scene.bridge('br0')
  const wire = await scene.wire({ master: 'br0' })
  await wire.outside.net.addresses.add({ link: 'br0', address: 'fd09::1/64', nodad: true })
  const taps = [
    await scene.tap({ name: 'guest0', master: 'br0' }),
    await scene.tap({ name: 'guest1', master: 'br0' })
  ] as const
  const [first, second] = await Promise.all([
    scene.guest({ netdevs: [{ fds: taps[0].fds }] }),
    scene.guest({ netdevs: [{ fds: taps[1].fds }] })
  ])
  await Promise.all([
    first.up('eth0', wire.host(2, 24), 'fd09::2/64'),
    second.up('eth0', wire.host(3, 24), 'fd09::3/64')
  ])
  return { scene, wire, taps, first, second }
})

test('guests and the namespace reach each other', { timeout: 120_000 }, async () => {
  const { wire, first, second } = given()
  await Promise.all([
    expectReach(first, wire.address, wire.host(3), 'fd09::1', 'fd09::3'),
    expectReach(second, wire.address, wire.host(2), 'fd09::1', 'fd09::2'),
    expectReach(wire.outside, wire.host(2), wire.host(3), 'fd09::2', 'fd09::3')
  ])
})

test('the header is in use, and QEMU has made it longer', async () => {
  const { taps } = given()
  for (const tap of taps) {
    expect(ipLink(tap.name)?.linkinfo?.info_data).toMatchObject({ type: 'tap', vnet_hdr: true, multi_queue: false })
    // virtio 1.0 has the number of buffers in it.
    expect(await tap.describe()).toMatchObject({ vnetHeader: true, vnetHeaderSize: 12 })
  }
})

/** Sends 4 MB over TCP and gives the checksums on both sides. Segments of up to 64 KiB go through the descriptors. */
async function transfer(from: Station, to: Station, address: string): Promise<[string, string]> {
  await runAt(
    to,
    `busybox nc -l -p 7000 -e md5sum </dev/null >/dev/null 2>&1 &
     until busybox netstat -ltn | busybox grep -q :7000; do busybox usleep 20000; done`
  )
  const sent = `/tmp/linkwright-sent-${process.pid}`
  const output = await runAt(
    from,
    `busybox dd if=/dev/urandom of=${sent} bs=64k count=64 2>/dev/null
     busybox md5sum <${sent}
     busybox nc ${address} 7000 <${sent}
     busybox rm ${sent}`
  )
  const [here = '', there = ''] = output.trim().split('\n')
  return [here, there]
}

test('TCP with large segments arrives whole, both ways', { timeout: 120_000 }, async () => {
  const { wire, first, second } = given()
  for (const [from, to, address] of [
    [first, wire.outside, wire.address],
    [wire.outside, first, wire.host(2)],
    [first, second, wire.host(3)]
  ] as const) {
    const [sent, received] = await transfer(from, to, address)
    expect(sent).toMatch(/^[0-9a-f]{32}/)
    expect(received).toBe(sent)
  }
})

test('isolated ports do not reach each other', { timeout: 120_000 }, async () => {
  const { scene, wire, taps, first, second } = given()
  const isolate = (isolated: boolean) =>
    Promise.all(taps.map(tap => scene.net.links.set(tap.name, { port: { isolated } })))
  await isolate(true)
  expect(taps.map(tap => ipLink(tap.name)?.linkinfo?.info_slave_data)).toMatchObject([
    { isolated: true },
    { isolated: true }
  ])
  await Promise.all([expectSilence(first, wire.host(3)), expectSilence(second, wire.host(2))])
  await Promise.all([expectReach(first, wire.address), expectReach(second, wire.address)])
  await isolate(false)
  await expectReach(first, wire.host(3))
})
