import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Link, Tap, type TapOptions } from '../../lib/index.js'
import { askDescriptor } from './support/descriptor.js'
import { openNetlink, openTap } from './support/devices.js'
import { needsTun } from './support/needs.js'
import { ip, ipLink, sysfs } from './support/system.js'

needsTun()

const LINKS = ['back0', 'back-br', 'other-br']

beforeEach(() => {
  for (const name of LINKS.slice(1)) ip(undefined, 'link', 'add', name, 'type', 'bridge')
})

afterEach(() => {
  for (const name of LINKS) if (ipLink(name)) ip(undefined, 'link', 'delete', name)
})

/** A persistent device with settings of its own, attached to in vain. */
async function expectPutBack(before: TapOptions, changed: TapOptions, error: object = { code: 'EEXIST' }) {
  await (await Tap.open({ name: 'back0', persist: true, ...before })).close()
  const net = await openNetlink()
  const old = await net.links.get('back0')
  const opening = Tap.open({ name: 'back0', exclusive: false, altnames: ['fresh', 'lo'], ...changed })
  await expect(opening).rejects.toMatchObject(error)
  await expect.poll(async () => said(await net.links.get('back0'))).toEqual(said(old))
}

/** What a link is set to, without what changes by itself. */
function said(link: Link): object {
  const { flags, mtu, txqlen, alias, group, address, master, port, altnames } = link
  const { up, promisc, allmulti, multicast } = flags
  const { fdbFlush, messageAgeTimer, forwardDelayTimer, holdTimer, id, no, designatedPort, ...own } = (port?.toJSON() ??
    {}) as Record<string, unknown>
  const settings = { mtu, txqlen, alias, group, address, master, altnames, ...own }
  return { ...settings, up, promisc, allmulti, multicast }
}

test('flags, and what else was set', () =>
  expectPutBack(
    { promisc: true, mtu: 1400, up: true, altnames: ['kept'] },
    {
      promisc: false,
      allmulti: true,
      multicast: false,
      up: false,
      mtu: 1300,
      txqlen: 77,
      alias: 'yours',
      group: 5,
      address: '02:00:00:00:00:77'
    }
  ))

test('flags that were off', () =>
  expectPutBack({ allmulti: true }, { promisc: true, allmulti: false, up: true, mtu: 1300 }))

test('settings as a port', () =>
  expectPutBack(
    { master: 'back-br', up: true, port: { isolated: true, cost: 7, learning: false } },
    { master: 'back-br', port: { isolated: false, cost: 9, flood: false } }
  ))

test('the bridge that it was a port of, with its settings', () =>
  expectPutBack(
    { master: 'back-br', up: true, port: { isolated: true, cost: 7, learning: false } },
    { master: 'other-br', port: { cost: 9 } }
  ))

test('a device that was no port is none again', () =>
  expectPutBack({}, { master: 'other-br', port: { cost: 9 }, up: true }))

test('one alternative name of two that were added', () => expectPutBack({}, { altnames: ['first', 'lo', 'second'] }))

const ipv6Disabled = () => readFileSync('/proc/sys/net/ipv6/conf/back0/disable_ipv6', 'utf8').trim()

test.each([true, false])('IPv6 that was on: %s', async ipv6 => {
  await (await Tap.open({ name: 'back0', persist: true, ipv6 })).close()
  const before = ipv6Disabled()
  expect(before).toBe(ipv6 ? '0' : '1')
  const opening = Tap.open({ name: 'back0', exclusive: false, ipv6: false, altnames: ['lo'] })
  await expect(opening).rejects.toMatchObject({ code: 'EEXIST' })
  expect(ipv6Disabled()).toBe(before)
  await openTap({ name: 'back0', exclusive: false, ipv6: false, persist: false })
  expect(ipv6Disabled()).toBe('1')
})

/** A signal that is aborted when everything is done: its reason is asked for at the beginning and at the end. */
function abortedAtTheEnd(): AbortSignal {
  let looks = 0
  const throwIfAborted = () => {
    if (++looks === 2) throw new Error('aborted at the end')
  }
  return Object.assign(new AbortController().signal, { throwIfAborted })
}

test('size and byte order of the header', async () => {
  await (await Tap.open({ name: 'back0', persist: true, vnetHeader: 12 })).close()
  const options = { name: 'back0', exclusive: false, vnetEndian: 'little', signal: abortedAtTheEnd() } as const
  await expect(Tap.open({ ...options, vnetHeader: 24 })).rejects.toThrow('aborted at the end')
  const again = await openTap({ name: 'back0', exclusive: false, vnetHeader: true, persist: false })
  expect(askDescriptor(again.fd)).toMatchObject({ vnetHeaderSize: 12, littleEndian: 0 })
})

test('the carrier, while others have queues', async () => {
  const first = await openTap({ name: 'back0', multiQueue: true, up: true })
  const options = { name: 'back0', exclusive: false, multiQueue: true, signal: abortedAtTheEnd() }
  await expect(Tap.open({ ...options, carrier: false })).rejects.toThrow('aborted at the end')
  expect(sysfs('back0', 'carrier')).toBe('1')
  await first.close()
})

test('the owner is set last', async () => {
  await (await Tap.open({ name: 'back0', persist: true })).close()
  const options = { name: 'back0', exclusive: false, uid: 1234, gid: 2345 }
  await expect(Tap.open({ ...options, altnames: ['lo'] })).rejects.toMatchObject({ code: 'EEXIST' })
  await expect(Tap.open({ ...options, signal: abortedAtTheEnd() })).rejects.toThrow('aborted at the end')
  expect([sysfs('back0', 'owner'), sysfs('back0', 'group')]).toEqual(['-1', '-1'])
  await openTap(options)
  expect([sysfs('back0', 'owner'), sysfs('back0', 'group')]).toEqual(['1234', '2345'])
})

test('an ioctl that the kernel refuses leaves nothing changed, either', () =>
  expectPutBack(
    { mtu: 1400, up: true },
    { mtu: 1300, up: false, altnames: ['fresh'], vnetHeader: true, offloads: { csum: true, uso4: true } },
    { code: 'EINVAL', syscall: 'ioctl(TUNSETOFFLOAD)', link: 'back0' }
  ))
