import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readlinkSync, writeSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Tap } from '../../lib/index.js'
import { arpRequest, parseArp } from '../support/frames.js'
import { openNetlink, openTap } from './support/devices.js'
import { nextFrame } from './support/io.js'
import { needsTun } from './support/needs.js'
import { createNetns } from './support/netns.js'
import { fdInfoName, inside, ip, ipLink, newFiles, openFiles, run } from './support/system.js'

needsTun()

test('by name', async () => {
  const netns = createNetns()
  const tap = await openTap({ name: 'away0', netns, mtu: 1400, up: true })
  expect(ipLink('away0')).toBeUndefined()
  expect(ipLink('away0', netns)).toMatchObject({ ifindex: tap.index, mtu: 1400 })
  expect(ipLink('away0', netns)?.flags).toContain('UP')
  await tap.close()
  expect(ipLink('away0', netns)).toBeUndefined()
})

test('by path', async () => {
  const netns = createNetns()
  const tap = await openTap({ name: 'away0', netns: `/run/netns/${netns}` })
  expect(ipLink('away0', netns)?.ifindex).toBe(tap.index)
})

test('by process id', async () => {
  const netns = createNetns()
  const [command, ...args] = inside(netns, 'sh', '-c', 'echo ready; exec sleep 60')
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(async () => {
    child.kill()
    await once(child, 'exit')
  })
  await once(child.stdout, 'data')
  const tap = await openTap({ name: 'away0', netns: child.pid as number })
  expect(ipLink('away0', netns)?.ifindex).toBe(tap.index)
  expect(ipLink('away0')).toBeUndefined()
})

test('by descriptor, which stays the caller’s', async () => {
  const netns = createNetns()
  const fd = openSync(`/run/netns/${netns}`, 'r')
  const tap = await openTap({ name: 'away0', netns: { fd }, mtu: 1300 })
  expect(ipLink('away0', netns)).toMatchObject({ ifindex: tap.index, mtu: 1300 })
  expect(readlinkSync(`/proc/self/fd/${fd}`)).toMatch(/netns|net:/)
  closeSync(fd)
})

test('by a Netlink that is there', async () => {
  const netns = createNetns()
  const net = await openNetlink({ netns })
  const tap = await openTap({ name: 'away0', net, alias: 'by netlink' })
  expect(ipLink('away0', netns)).toMatchObject({ ifindex: tap.index, ifalias: 'by netlink' })
  expect(ipLink('away0')).toBeUndefined()
})

test('a Netlink in a namespace without a name makes the device there, too', async () => {
  const net = await openNetlink({ netns: { new: true } })
  const tap = await openTap({ name: 'away0', net, mtu: 1400 })
  expect(await net.links.get('away0')).toMatchObject({ index: tap.index, mtu: 1400 })
})

test('a new namespace lives as long as the device', async () => {
  const tap = await openTap({ name: 'away0', netns: { new: true } })
  expect((await tap.describe()).name).toBe('away0')
  expect(ipLink('away0')).toBeUndefined()
})

test('settings of the link go along in a new namespace, too', async () => {
  const tap = await openTap({ name: 'away0', netns: { new: true }, mtu: 1400, up: true })
  expect((await tap.describe()).name).toBe('away0')
  expect(ipLink('away0')).toBeUndefined()
})

test('further queues are opened where the first is', async () => {
  const netns = createNetns()
  const tap = await openTap({ name: 'away0', netns, queues: 2 })
  await tap.addQueues(1)
  expect(ipLink('away0', netns)?.linkinfo?.info_data).toMatchObject({ numqueues: 3 })
  expect(ipLink('away0')).toBeUndefined()
})

test('further queues of a device in a nameless namespace are opened there', async () => {
  const net = await openNetlink({ netns: { new: true } })
  const tap = await openTap({ name: 'away0', net, queues: 2 })
  await tap.addQueues(1)
  const link = await net.links.get(tap.index)
  expect(link.is('tun') && link.data.numQueues).toBe(3)
  expect(ipLink('away0')).toBeUndefined()
})

test('its frames are those of that namespace’s stack', async () => {
  const netns = createNetns()
  const tap = await openTap({ name: 'away0', netns, up: true })
  ip(netns, 'address', 'add', '192.0.2.1/24', 'dev', 'away0')
  const answer = nextFrame(tap.fd, frame => parseArp(frame)?.operation === 2)
  writeSync(tap.fd, arpRequest({ mac: '02:00:00:00:00:02', ip: '192.0.2.2' }, '192.0.2.1'))
  expect(parseArp((await answer) as Buffer)).toMatchObject({
    senderIp: '192.0.2.1',
    senderMac: ipLink('away0', netns)?.address
  })
})

test('the process stays where it is', async () => {
  const before = readlinkSync('/proc/thread-self/ns/net')
  await openTap({ netns: createNetns() })
  expect(readlinkSync('/proc/thread-self/ns/net')).toBe(before)
})

test('one that does not exist', async () => {
  await expect(Tap.open({ netns: 'nowhere' })).rejects.toMatchObject({
    code: 'ENOENT',
    diagnosis: 'no such network namespace: nowhere'
  })
})

test('a busy name is explained from that namespace', async () => {
  const netns = createNetns()
  ip(netns, 'link', 'add', 'away0', 'type', 'bridge')
  await expect(Tap.open({ name: 'away0', netns })).rejects.toMatchObject({
    code: 'EBUSY',
    diagnosis: 'away0 is a bridge, not a TUN or TAP'
  })
})

test('netns and net exclude each other', async () => {
  const net = await openNetlink()
  await expect(Tap.open({ net, netns: createNetns() })).rejects.toMatchObject({ path: 'netns' })
})

describe('a descriptor that means another namespace by now', () => {
  /** A descriptor of a namespace, and what makes it one of another, as a program does that closes and opens files. */
  function reusable(): { here: string; other: string; fd: number; reuse(): void } {
    const [here, other] = [createNetns(), createNetns()]
    const fd = openSync(`/run/netns/${here}`, 'r')
    onTestFinished(() => closeSync(fd))
    const reuse = () => {
      closeSync(fd)
      expect(openSync(`/run/netns/${other}`, 'r')).toBe(fd)
    }
    return { here, other, fd, reuse }
  }

  test('of a Netlink: the device is made where its socket is', async () => {
    const { here, other, fd, reuse } = reusable()
    const net = await openNetlink({ netns: { fd } })
    reuse()
    const tap = await openTap({ name: 'away0', net, mtu: 1400 })
    expect(ipLink('away0', here)).toMatchObject({ ifindex: tap.index, mtu: 1400 })
    expect(ipLink('away0', other)).toBeUndefined()
  })

  test('of a device: further queues are opened where it is', async () => {
    const { here, other, fd, reuse } = reusable()
    const tap = await openTap({ name: 'away0', netns: { fd }, queues: 2 })
    reuse()
    await tap.addQueues(1)
    expect(ipLink('away0', here)?.linkinfo?.info_data).toMatchObject({ numqueues: 3 })
    expect(ipLink('away0', other)).toBeUndefined()
  })

  test('while it is opened', async () => {
    const { here, other, fd, reuse } = reusable()
    const opening = openTap({ name: 'away0', netns: { fd }, mtu: 1400, altnames: ['further'] })
    reuse()
    await opening
    expect(ipLink('away0', here)).toMatchObject({ mtu: 1400, altnames: ['further'] })
    expect(ipLink('away0', other)).toBeUndefined()
  })

  test('while it is undone: the device that is put back is the right one', async () => {
    const { here, other, fd, reuse } = reusable()
    for (const netns of [here, other]) {
      await (await Tap.open({ name: 'away0', netns, persist: true, mtu: 1400 })).close()
    }
    const opening = Tap.open({ name: 'away0', exclusive: false, netns: { fd }, mtu: 1300, altnames: ['lo'] })
    reuse()
    await expect(opening).rejects.toMatchObject({ code: 'EEXIST' })
    expect([here, other].map(netns => ipLink('away0', netns)?.mtu)).toEqual([1400, 1400])
  })
})

test('a name that means another namespace by now: further queues are opened where the device is', async () => {
  const name = createNetns()
  const tap = await openTap({ name: 'away0', netns: name, queues: 2 })
  run('ip', 'netns', 'delete', name)
  run('ip', 'netns', 'add', name)
  await tap.addQueues(1)
  expect(tap.fds.map(fdInfoName)).toEqual(['away0', 'away0', 'away0'])
  expect(ipLink('away0', name)).toBeUndefined()
})

test('the namespace is let go of with the device', async () => {
  const netns = createNetns()
  const before = openFiles()
  const tap = await Tap.open({ name: 'away0', netns, up: true })
  await tap.close()
  expect(newFiles(before)).toEqual([])
  const released = await Tap.open({ name: 'away0', netns })
  for (const fd of released.release()) closeSync(fd)
  await expect.poll(() => newFiles(before)).toEqual([])
})
