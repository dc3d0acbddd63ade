/** Two guests with a card in each of the modes bridge, private and vepa, each mode on a lower device of its own. */
import { describe, expect, test } from 'vitest'
import { ipLink } from '../tap/support/system.js'
import { expectReach, expectSilence, framesReceived, pings, runAt } from './support/pings.js'
import { type Scene, scene } from './support/scene.js'

const MODES = ['bridge', 'private', 'vepa'] as const
type Mode = (typeof MODES)[number]
const HOST = 254

/** Two links of a mode on one wire, whose lower device has an address of the host. */
async function prepareMode(scene: Scene, mode: Mode) {
  const wire = await scene.wire()
  await scene.net.addresses.add({ link: wire.name, address: wire.host(HOST, 24) })
  const links = [
    await scene.macvtap({ name: `${mode}0`, link: wire.name, mode }),
    await scene.macvtap({ name: `${mode}1`, link: wire.name, mode })
  ] as const
  return { wire, links }
}

const given = scene(['macvtap'], async scene => {
  const bridge = await prepareMode(scene, 'bridge')
  const reclusive = await prepareMode(scene, 'private')
  const vepa = await prepareMode(scene, 'vepa')
  const all = [bridge, reclusive, vepa]
  const boot = async (number: 0 | 1) => {
    const guest = await scene.guest({ netdevs: all.map(({ links }) => links[number].card) })
    for (const [card, { wire }] of all.entries()) await guest.up(`eth${card}`, wire.host(2 + number, 24))
    return guest
  }
  const [first, second] = await Promise.all([boot(0), boot(1)])
  return { scene, first, second, modes: { bridge, private: reclusive, vepa } }
})

/** Whether the namespace sends frames back that came over the wire. */
async function reflect(mode: Mode, hairpin: boolean): Promise<void> {
  const { outside } = given().modes[mode].wire
  await outside.net.links.set('eth0', { port: { hairpin } })
  expect(outside.tools.link('eth0').linkinfo.info_slave_data.hairpin).toBe(hairpin)
}

/** Frames that went over the wire while one guest pinged the other 20 times. */
async function framesOnWire(mode: Mode): Promise<number> {
  const { first, modes } = given()
  const { wire } = modes[mode]
  const before = framesReceived(wire.outside, 'eth0')
  expect(await pings(first, wire.host(3), { count: 20 })).toBe(20)
  return framesReceived(wire.outside, 'eth0') - before
}

describe.each(MODES)('%s', mode => {
  test('guests and the namespace beyond the lower device reach each other', { timeout: 120_000 }, async () => {
    const { first, second, modes } = given()
    const { wire, links } = modes[mode]
    for (const { link } of links) expect(ipLink(link.name as string)?.linkinfo?.info_data).toMatchObject({ mode })
    await Promise.all([
      expectReach(first, wire.address),
      expectReach(second, wire.address),
      expectReach(wire.outside, wire.host(2), wire.host(3))
    ])
  })

  test('guests and the host do not', { timeout: 120_000 }, async () => {
    const { first, second, modes } = given()
    const { wire } = modes[mode]
    await expectReach(wire.outside, wire.host(HOST))
    await Promise.all([
      expectSilence(first, wire.host(HOST)),
      expectSilence(second, wire.host(HOST)),
      expectSilence('host', wire.host(2), wire.host(3))
    ])
  })
})

describe('bridge', () => {
  test('guests reach each other, and not over the wire', { timeout: 120_000 }, async () => {
    const { first, second, modes } = given()
    const { wire } = modes.bridge
    await Promise.all([expectReach(first, wire.host(3)), expectReach(second, wire.host(2))])
    expect(await framesOnWire('bridge')).toBeLessThan(10)
  })
})

describe('private', () => {
  test('guests do not reach each other', { timeout: 120_000 }, async () => {
    const { first, second, modes } = given()
    const { wire } = modes.private
    await Promise.all([expectSilence(first, wire.host(3)), expectSilence(second, wire.host(2))])
  })

  test('not even when the other side reflects', { timeout: 120_000 }, async () => {
    const { first, second, modes } = given()
    const { wire } = modes.private
    await reflect('private', true)
    try {
      await Promise.all([expectSilence(first, wire.host(3)), expectSilence(second, wire.host(2))])
      await expectReach(first, wire.address)
    } finally {
      await reflect('private', false)
    }
  })

  test('their own frames are stopped, those that a switch sends back are not', { timeout: 120_000 }, async () => {
    const { first, second, modes } = given()
    const { wire, links } = modes.private
    // Without a question to all, which the kernel drops on its way back.
    await first.check(`arp -s ${wire.host(3)} ${links[1].card.mac}`)
    await second.check(`arp -s ${wire.host(2)} ${links[0].card.mac}`)
    await Promise.all([expectSilence(first, wire.host(3)), expectSilence(second, wire.host(2))])
    await reflect('private', true)
    await expectReach(first, wire.host(3))
  })
})

describe('vepa', () => {
  test('guests do not reach each other directly', { timeout: 120_000 }, async () => {
    const { first, second, modes } = given()
    const { wire } = modes.vepa
    await Promise.all([expectSilence(first, wire.host(3)), expectSilence(second, wire.host(2))])
  })

  test('they do over a switch that reflects', { timeout: 120_000 }, async () => {
    const { first, second, modes } = given()
    const { wire } = modes.vepa
    await reflect('vepa', true)
    await Promise.all([expectReach(first, wire.host(3)), expectReach(second, wire.host(2))])
    // Questions and answers.
    expect(await framesOnWire('vepa')).toBeGreaterThanOrEqual(40)
    await reflect('vepa', false)
    // The addresses are known by now: frames are sent, and nobody brings them back.
    expect(await runAt(first, 'cat /proc/net/arp')).toContain(modes.vepa.links[1].card.mac)
    await expectSilence(first, wire.host(3))
  })
})
