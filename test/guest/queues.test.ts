/** A guest with two processors and two queues on each card: one on a TAP, one on a macvtap link. */
import { expect, test } from 'vitest'
import { ipLink } from '../tap/support/system.js'
import type { Guest } from './guest.mjs'
import { expectReach, runAt } from './support/pings.js'
import { scene } from './support/scene.js'

/** Each is a flow of its own. */
const FLOWS = Array.from({ length: 24 }, (_, i) => 100 + i)

const given = scene(['tap', 'macvtap'], async scene => {
  await scene.bridge('br0')
  const wires = [await scene.wire({ master: 'br0' }), await scene.wire()] as const
  const tap = await scene.tap({ name: 'multi0', master: 'br0', queues: 2 })
  const macvtap = await scene.macvtap({ name: 'multi1', link: wires[1].name, mode: 'bridge' }, { queues: 2 })
  const guest = await scene.guest({ netdevs: [{ fds: tap.fds }, macvtap.card] })
  for (const [card, { host }] of wires.entries()) {
    await guest.up(`eth${card}`, host(2, 24), ...FLOWS.map(last => host(last, 24)))
  }
  return { guest, wires, tap, macvtap }
})

/** Interrupts of a card's rings so far: `input.0`, `output.0`, `input.1`, `output.1`. */
async function interrupts(guest: Guest, card: number): Promise<Record<string, number>> {
  const device = await guest.check(`basename $(readlink /sys/class/net/eth${card}/device)`)
  const table = await guest.check('cat /proc/interrupts')
  const rings: Record<string, number> = {}
  for (const line of table.split('\n')) {
    const [, counts = '', ring] =
      new RegExp(`^\\s*\\d+:((?:\\s+\\d+)+)\\s.*\\s${device}-(\\w+\\.\\d)$`).exec(line) ?? []
    if (ring)
      rings[ring] = counts
        .trim()
        .split(/\s+/)
        .map(Number)
        .reduce((sum, count) => sum + count, 0)
  }
  return rings
}

test.for([
  [0, 'TAP'],
  [1, 'macvtap']
] as const)('card %i, on a %s: both queues carry frames', { timeout: 120_000 }, async ([card]) => {
  const { guest, wires } = given()
  const { outside, address, host } = wires[card]
  expect(await guest.check(`ls /sys/class/net/eth${card}/queues | sort | tr '\\n' ' '`)).toBe('rx-0 rx-1 tx-0 tx-1')
  await Promise.all([expectReach(guest, address), expectReach(outside, host(2))])
  const before = await interrupts(guest, card)
  expect(Object.keys(before).sort()).toEqual(['input.0', 'input.1', 'output.0', 'output.1'])
  const lost = await runAt(
    outside,
    FLOWS.map(last => `busybox ping -c 10 -i 0.05 -W 10 ${host(last)} >/dev/null || echo ${last} &`).join('\n') +
      '\nwait'
  )
  expect(lost).toBe('')
  const after = await interrupts(guest, card)
  for (const ring of Object.keys(before)) expect(after[ring], ring).toBeGreaterThan((before[ring] as number) + 5)
})

test('the kernel shows two queues of the TAP', async () => {
  const { tap, macvtap } = given()
  expect(tap.fds).toHaveLength(2)
  expect(ipLink('multi0')?.linkinfo?.info_data).toMatchObject({ multi_queue: true, numqueues: 2, numdisabled: 0 })
  expect(macvtap.device.fds).toHaveLength(2)
})
