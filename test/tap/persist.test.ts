import { afterEach, describe, expect, test } from 'vitest'
import { Tap, Tun } from '../../lib/index.js'
import { openTap } from './support/devices.js'
import { needsTun } from './support/needs.js'
import { ip, ipLink, tunFlags } from './support/system.js'

const IFF_PERSIST = 0x800

needsTun()

afterEach(() => {
  if (ipLink('stays0')) ip(undefined, 'link', 'delete', 'stays0')
})

test('a device outlives its descriptors when asked to', async () => {
  const tap = await openTap({ name: 'stays0', persist: true })
  expect(tunFlags('stays0') & IFF_PERSIST).toBe(IFF_PERSIST)
  await tap.close()
  expect(ipLink('stays0')?.linkinfo?.info_data).toMatchObject({ persist: true })
})

test('it is gone with its descriptors when told so later', async () => {
  const tap = await openTap({ name: 'stays0', persist: true })
  await tap.setPersist(false)
  expect(tunFlags('stays0') & IFF_PERSIST).toBe(0)
  await tap.close()
  expect(ipLink('stays0')).toBeUndefined()
})

describe('attaching again', () => {
  test('to one with a single queue', async () => {
    await (await Tap.open({ name: 'stays0', persist: true })).close()
    const index = ipLink('stays0')?.ifindex
    const again = await openTap({ name: 'stays0', exclusive: false })
    expect(again.index).toBe(index)
    await again.close()
    expect(ipLink('stays0')?.ifindex).toBe(index)
  })

  test('to one with several', async () => {
    await (await Tap.open({ name: 'stays0', persist: true, queues: 4 })).close()
    await openTap({ name: 'stays0', exclusive: false, queues: 2 })
    expect(ipLink('stays0')?.linkinfo?.info_data).toMatchObject({ numqueues: 2 })
  })

  test('makes it persistent no more with persist: false', async () => {
    await (await Tap.open({ name: 'stays0', persist: true })).close()
    await (await Tap.open({ name: 'stays0', exclusive: false, persist: false })).close()
    expect(ipLink('stays0')).toBeUndefined()
  })

  test('makes one where there is none', async () => {
    const tap = await openTap({ name: 'stays0', exclusive: false })
    expect(ipLink('stays0')).toBeDefined()
    await tap.close()
    expect(ipLink('stays0')).toBeUndefined()
  })

  test('is not the default, and the error says what to do', async () => {
    await (await Tap.open({ name: 'stays0', persist: true })).close()
    await expect(Tap.open({ name: 'stays0' })).rejects.toMatchObject({
      code: 'EBUSY',
      errno: -16,
      syscall: 'ioctl(TUNSETIFF)',
      link: 'stays0',
      diagnosis: 'stays0 exists; exclusive: false attaches to a persistent device'
    })
  })

  test('a failure leaves the device as it was', async () => {
    await (await Tap.open({ name: 'stays0', persist: true, mtu: 1400, alias: 'mine', up: true })).close()
    const before = ipLink('stays0')
    const opening = Tap.open({
      name: 'stays0',
      exclusive: false,
      mtu: 1300,
      alias: 'yours',
      up: false,
      altnames: ['lo']
    })
    await expect(opening).rejects.toMatchObject({ code: 'EEXIST' })
    expect(ipLink('stays0')).toMatchObject({ mtu: 1400, ifalias: 'mine', ifindex: before?.ifindex })
    expect(ipLink('stays0')?.flags).toContain('UP')
  })
})

describe('what does not fit is explained', () => {
  test('a device with several queues, asked for one', async () => {
    await (await Tap.open({ name: 'stays0', persist: true, queues: 2 })).close()
    await expect(Tap.open({ name: 'stays0', exclusive: false })).rejects.toMatchObject({
      code: 'EINVAL',
      diagnosis: 'stays0 is multi-queue: multiQueue: true is needed to attach'
    })
  })

  test('a device with one queue, asked for two', async () => {
    await (await Tap.open({ name: 'stays0', persist: true })).close()
    await expect(Tap.open({ name: 'stays0', exclusive: false, queues: 2 })).rejects.toMatchObject({
      code: 'EINVAL',
      diagnosis: 'stays0 has a single queue: multiQueue must be false'
    })
  })

  test('a TUN, asked for a TAP, and the other way round', async () => {
    await (await Tun.open({ name: 'stays0', persist: true })).close()
    await expect(Tap.open({ name: 'stays0', exclusive: false })).rejects.toMatchObject({
      code: 'EINVAL',
      diagnosis: 'stays0 is a TUN, not a TAP'
    })
    ip(undefined, 'link', 'delete', 'stays0')
    await (await Tap.open({ name: 'stays0', persist: true })).close()
    await expect(Tun.open({ name: 'stays0', exclusive: false })).rejects.toMatchObject({
      diagnosis: 'stays0 is a TAP, not a TUN'
    })
  })

  test('a link of another kind', async () => {
    ip(undefined, 'link', 'add', 'stays0', 'type', 'bridge')
    await expect(Tap.open({ name: 'stays0', exclusive: false })).rejects.toMatchObject({
      code: 'EINVAL',
      diagnosis: 'stays0 is a bridge, not a TUN or TAP'
    })
    await expect(Tap.open({ name: 'stays0' })).rejects.toMatchObject({
      code: 'EBUSY',
      diagnosis: 'stays0 is a bridge, not a TUN or TAP'
    })
  })
})
