import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { Tap, type TapOptions, Tun } from '../../lib/index.js'
import { askDescriptor } from './support/descriptor.js'
import { openNetlink, openTap, openTun } from './support/devices.js'
import { needsTun } from './support/needs.js'
import { fdInfoName, freshIndex, ipLink, newFiles, openFiles, sysfs, tunFlags } from './support/system.js'

const IFF_TUN = 1
const IFF_TAP = 2
const IFF_NO_PI = 0x1000

needsTun()

describe('names', () => {
  test('one that is given', async () => {
    const tap = await openTap({ name: 'given0' })
    expect(tap.name).toBe('given0')
    expect(fdInfoName(tap.fd)).toBe('given0')
    expect(Number(sysfs('given0', 'ifindex'))).toBe(tap.index)
    await tap.close()
    expect(ipLink('given0')).toBeUndefined()
  })

  test('a pattern takes the first free number', async () => {
    const first = await openTap({ name: 'vnet%d' })
    const second = await openTap({ name: 'vnet%d' })
    expect([first.name, second.name]).toEqual(['vnet0', 'vnet1'])
    expect([fdInfoName(first.fd), fdInfoName(second.fd)]).toEqual(['vnet0', 'vnet1'])
  })

  test('all queues of a pattern belong to one device', async () => {
    const tap = await openTap({ name: 'vnet%d', queues: 3 })
    expect(tap.fds.map(fdInfoName)).toEqual(['vnet0', 'vnet0', 'vnet0'])
  })

  test('the kernel chooses', async () => {
    const tap = await openTap()
    const tun = await openTun()
    expect([tap.name, tun.name]).toEqual(['tap0', 'tun0'])
    expect([fdInfoName(tap.fd), fdInfoName(tun.fd)]).toEqual(['tap0', 'tun0'])
  })

  test('the ifindex is chosen by the caller', async () => {
    const index = freshIndex()
    const tap = await openTap({ name: 'indexed', index })
    expect(tap.index).toBe(index)
    expect(ipLink('indexed')?.ifindex).toBe(index)
  })

  test.each(['', 'a name', 'a/b', 'sixteen-bytes-xx', 'vnet%d%d', 'vnet%s', 'a:b'])('%j is refused', async name => {
    const before = openFiles()
    await expect(Tap.open({ name })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path: 'name' })
    expect(newFiles(before)).toEqual([])
  })

  test('a name that only the kernel refuses comes back with its errno', async () => {
    await expect(Tap.open({ name: '..' })).rejects.toMatchObject({ code: 'EINVAL', syscall: 'ioctl(TUNSETIFF)' })
  })
})

describe('what is made', () => {
  test('a TAP carries Ethernet frames without packet information', async () => {
    await openTap({ name: 'plain0' })
    expect(tunFlags('plain0')).toBe(IFF_TAP | IFF_NO_PI)
    expect(ipLink('plain0')?.linkinfo?.info_data).toMatchObject({
      type: 'tap',
      pi: false,
      vnet_hdr: false,
      multi_queue: false,
      persist: false
    })
    expect(sysfs('plain0', 'type')).toBe('1')
  })

  test('a TUN carries packets', async () => {
    await openTun({ name: 'plain0' })
    expect(tunFlags('plain0')).toBe(IFF_TUN | IFF_NO_PI)
    expect(sysfs('plain0', 'type')).toBe('65534')
  })

  test('describe() says what another program reads from the descriptor', async () => {
    const tap = await openTap({ name: 'said0', queues: 2, vnetHeader: 12, persist: true })
    const told = askDescriptor(tap.fd)
    const described = await tap.describe()
    expect(described).toEqual({
      name: 'said0',
      flags: told.flags,
      multiQueue: true,
      vnetHeader: true,
      vnetHeaderSize: 12,
      persist: true,
      detached: false
    })
    expect(told).toMatchObject({ name: 'said0', vnetHeaderSize: 12 })
    await tap.setPersist(false)
  })

  test('the name now is told after a rename, the name at the opening stays', async () => {
    const net = await openNetlink()
    const tap = await openTap({ name: 'before0' })
    await net.links.rename(tap.index, 'after0')
    expect((await tap.describe()).name).toBe('after0')
    expect(tap.name).toBe('before0')
    expect(askDescriptor(tap.fd).name).toBe('after0')
  })

  test('descriptors are non-blocking and close-on-exec', async () => {
    const tap = await openTap({ queues: 2 })
    const { readFileSync } = await import('node:fs')
    for (const fd of tap.fds) {
      const flags = Number.parseInt(
        /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '',
        8
      )
      expect(flags & 0o4000).toBe(0o4000)
      expect(flags & 0o2000000).toBe(0o2000000)
    }
  })
})

test('an unknown option is refused and named', async () => {
  // @ts-expect-error a slip of the pen
  await expect(Tap.open({ queue: 2 })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path: 'queue' })
})

test('a TUN takes no master', async () => {
  const options: TapOptions = { master: 1 }
  await expect(Tun.open(options as object)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path: 'master' })
})

test.each([
  ['Tap', openTap],
  ['Tun', openTun]
] as const)('a %s is shown by its name, ifindex and descriptors', async (what, open) => {
  const device = await open({ name: 'shown0', queues: 2 })
  const { name, index, fds } = device
  expect(JSON.parse(JSON.stringify(device))).toEqual({ name, index, fds })
  expect(inspect(device)).toBe(`${what} { name: 'shown0', index: ${index}, fds: [ ${fds.join(', ')} ] }`)
})
