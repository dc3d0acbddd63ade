import { expect, test } from 'vitest'
import { Tap } from '../../lib/index.js'
import { holdElsewhere } from '../support/holding.js'
import { createNamespace } from '../support/namespace.js'
import { openTap } from './support/devices.js'
import { needsTun } from './support/needs.js'
import { sysfs } from './support/system.js'

needsTun()

test('a device that exists is not taken, and the holder is named', async () => {
  const { pid } = await holdElsewhere(undefined, ['taken0'])
  await expect(Tap.open({ name: 'taken0' })).rejects.toMatchObject({
    code: 'EBUSY',
    link: 'taken0',
    diagnosis: `taken0 exists, held by process ${pid} (python3); exclusive: false attaches to a persistent device`
  })
  expect(Number(sysfs('taken0', 'tun_flags'))).toBe(0x1002)
})

test('neither is its only queue', async () => {
  const { pid } = await holdElsewhere(undefined, ['taken0'])
  await expect(Tap.open({ name: 'taken0', exclusive: false })).rejects.toMatchObject({
    code: 'EBUSY',
    diagnosis: `the only queue of taken0 is taken, held by process ${pid} (python3)`
  })
})

test('this process is named like any other', async () => {
  await openTap({ name: 'taken0' })
  const error = await openTap({ name: 'taken0' }).catch(error => error)
  expect(error.message).toContain(`held by process ${process.pid} (`)
})

test('nobody is named for a device of that name in another namespace', async () => {
  await using elsewhere = await createNamespace()
  await holdElsewhere(elsewhere.name, ['taken0'])
  await (await Tap.open({ name: 'taken0', persist: true })).close()
  const again = Tap.open({ name: 'taken0' })
  await expect(again).rejects.toMatchObject({
    code: 'EBUSY',
    diagnosis: 'taken0 exists; exclusive: false attaches to a persistent device'
  })
  await (await openTap({ name: 'taken0', exclusive: false })).setPersist(false)
})

test('a pattern never collides', async () => {
  await holdElsewhere(undefined, ['taken0'])
  const tap = await openTap({ name: 'taken%d' })
  expect(tap.name).toBe('taken1')
})
