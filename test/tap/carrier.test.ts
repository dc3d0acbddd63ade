import { expect, test, vi } from 'vitest'
import { openTap } from './support/devices.js'
import { needsTun } from './support/needs.js'
import { ipLink, sysfs } from './support/system.js'

needsTun()

/** The flag follows at the leisure of the kernel's link watch. */
async function expectCarrier(name: string, on: boolean): Promise<void> {
  expect(sysfs(name, 'carrier')).toBe(on ? '1' : '0')
  await vi.waitFor(() => {
    const link = ipLink(name)
    expect(link?.flags.includes('NO-CARRIER')).toBe(!on)
    expect(link?.flags.includes('LOWER_UP')).toBe(on)
  }, 3000)
}

test('is there from the start by default', async () => {
  await openTap({ name: 'carrier0', up: true })
  await expectCarrier('carrier0', true)
})

test('is switched off and on', async () => {
  const tap = await openTap({ name: 'carrier0', up: true })
  await tap.setCarrier(false)
  await expectCarrier('carrier0', false)
  expect(ipLink('carrier0')?.operstate).toBe('DOWN')
  await tap.setCarrier(true)
  await expectCarrier('carrier0', true)
})

test('is off at the opening when told so, until it is switched on', async () => {
  const tap = await openTap({ name: 'carrier0', carrier: false, up: true })
  await expectCarrier('carrier0', false)
  await tap.setCarrier(true)
  await expectCarrier('carrier0', true)
})
