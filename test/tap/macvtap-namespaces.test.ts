import { closeSync, existsSync, openSync, readlinkSync, statSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Macvtap } from '../../lib/index.js'
import { answerFrame } from '../support/frames.js'
import { askDescriptor, askDescriptors } from './support/descriptor.js'
import { openMacvtap, openNetlink } from './support/devices.js'
import { respond } from './support/io.js'
import { ping } from './support/kernel-stack.js'
import { addMacvtap, createLower } from './support/lower.js'
import { needsMacvtap } from './support/needs.js'
import { createNetns } from './support/netns.js'
import { freshIndex, ip, ipLink, newFiles, openFiles } from './support/system.js'

needsMacvtap()

/** A namespace with a macvtap link of a given ifindex. */
function makeLink(name: string, index: number, address: string) {
  const netns = createNetns()
  const lower = createLower(netns)
  addMacvtap(name, lower.name, index, { netns, address })
  return { netns, name, address, outside: lower.outside }
}

/** That what is open is the link, by name, address and the frames that come from beyond its own lower device. */
async function expectTheDeviceOf(link: ReturnType<typeof makeLink>, fd: number): Promise<void> {
  expect(askDescriptor(fd)).toMatchObject({ name: link.name, mac: link.address })
  const guest = { mac: link.address, ip: '198.51.100.250' }
  const responder = respond(fd, frame => answerFrame(frame, guest))
  try {
    expect(await ping(guest.ip, { netns: link.outside, count: 2 })).toBe(2)
  } finally {
    responder.stop()
  }
  expect(ip(link.outside, 'neighbour')).toContain(`${guest.ip} dev eth0 lladdr ${link.address}`)
}

test('two links of the same ifindex, name differing', async () => {
  const index = freshIndex()
  const first = makeLink('first0', index, '02:00:00:00:01:01')
  const second = makeLink('second0', index, '02:00:00:00:02:02')
  expect(ipLink('first0', first.netns)?.ifindex).toBe(ipLink('second0', second.netns)?.ifindex)
  const one = await openMacvtap('first0', { netns: first.netns })
  const two = await openMacvtap('second0', { netns: second.netns })
  expect(one.node).toBe(`/dev/tap${index}`)
  expect(two.node).toBe('')
  expect([one.major, one.minor]).not.toEqual([two.major, two.minor])
  await expectTheDeviceOf(first, one.fd)
  await expectTheDeviceOf(second, two.fd)
})

test('two links of the same ifindex and name', async () => {
  const index = freshIndex()
  const first = makeLink('same0', index, '02:00:00:00:01:01')
  const second = makeLink('same0', index, '02:00:00:00:02:02')
  const two = await openMacvtap(index, { netns: second.netns, queues: 1 })
  const one = await openMacvtap(index, { netns: first.netns })
  await expectTheDeviceOf(second, two.fd)
  await expectTheDeviceOf(first, one.fd)
})

test('two links of the same ifindex, name and address', async () => {
  const index = freshIndex()
  const first = makeLink('same0', index, '02:00:00:00:01:01')
  const second = makeLink('same0', index, '02:00:00:00:01:01')
  const one = await openMacvtap('same0', { netns: first.netns })
  const two = await openMacvtap('same0', { netns: second.netns })
  expect([one.major, one.minor]).not.toEqual([two.major, two.minor])
  await expectTheDeviceOf(first, one.fd)
  await expectTheDeviceOf(second, two.fd)
})

test('when the first is deleted the node goes, and the second is opened all the same', async () => {
  const index = freshIndex()
  const first = makeLink('first0', index, '02:00:00:00:01:01')
  const second = makeLink('second0', index, '02:00:00:00:02:02')
  ip(first.netns, 'link', 'delete', 'first0')
  expect(existsSync(`/dev/tap${index}`)).toBe(false)
  const two = await openMacvtap('second0', { netns: second.netns })
  expect(two.node).toBe('')
  await expectTheDeviceOf(second, two.fd)
  expect(existsSync(`/dev/tap${index}`)).toBe(false)
})

test('the owner of a node that is another link’s is not changed', async () => {
  const index = freshIndex()
  makeLink('first0', index, '02:00:00:00:01:01')
  const second = makeLink('second0', index, '02:00:00:00:02:02')
  const before = openFiles()
  const node = { uid: 1234, mode: 0o666 }
  await expect(Macvtap.open('second0', { netns: second.netns, node })).rejects.toMatchObject({
    code: 'ERR_UNSUPPORTED',
    path: 'node',
    link: 'second0'
  })
  expect(newFiles(before)).toEqual([])
  const { uid, mode } = statSync(`/dev/tap${index}`)
  expect([uid, mode & 0o777]).toEqual([0, 0o600])
})

test('in another namespace, while the process stays in its own', async () => {
  const before = readlinkSync('/proc/thread-self/ns/net')
  const link = makeLink('away0', freshIndex(), '02:00:00:00:03:03')
  const direct = await openMacvtap('away0', { netns: link.netns, queues: 2, vnetHeader: 12 })
  expect(askDescriptors(direct.fds).map(({ name }) => name)).toEqual(['away0', 'away0'])
  expect(ipLink('away0')).toBeUndefined()
  expect(readlinkSync('/proc/thread-self/ns/net')).toBe(before)
})

test('in a namespace without a name, by its Netlink', async () => {
  const net = await openNetlink({ netns: { new: true } })
  await net.links.create({ kind: 'veth', name: 'lower', peer: { name: 'peer' } })
  const index = freshIndex()
  const link = await net.links.create({ kind: 'macvtap', name: 'away0', link: 'lower', mode: 'bridge', index })
  const direct = await openMacvtap(link, { net })
  expect(askDescriptor(direct.fd)).toMatchObject({ name: 'away0', mac: link.address })
})

test('a link that was moved to another namespace is found there', async () => {
  const netns = createNetns()
  const { name: lower, outside } = createLower()
  const index = freshIndex()
  addMacvtap('moved0', lower, index, { address: '02:00:00:00:04:04' })
  ip(undefined, 'link', 'set', 'moved0', 'netns', netns)
  ip(netns, 'link', 'set', 'moved0', 'up')
  const direct = await openMacvtap('moved0', { netns })
  await expectTheDeviceOf({ netns, name: 'moved0', address: '02:00:00:00:04:04', outside }, direct.fd)
})

describe('a link of another namespace with the same ifindex', () => {
  test.each([
    ['name', 'first0', 'second0', '02:00:00:00:01:01'],
    ['address', 'same0', 'same0', '02:00:00:00:02:02']
  ])('is told by its %s', async (_what, name, otherName, otherAddress) => {
    const index = freshIndex()
    const first = makeLink(name, index, '02:00:00:00:01:01')
    const second = makeLink(otherName, index, otherAddress)
    const link = await (await openNetlink({ netns: first.netns })).links.get(index)
    await expect(Macvtap.open(link, { netns: second.netns })).rejects.toMatchObject({
      code: 'ENODEV',
      link: index,
      message: expect.stringContaining('a link of another namespace')
    })
    const direct = await openMacvtap(link, { netns: first.netns })
    expect(askDescriptor(direct.fd)).toMatchObject({ name, mac: first.address })
  })
})

test('a Netlink whose descriptor means another namespace by now: the link is that of its socket', async () => {
  const index = freshIndex()
  const first = makeLink('same0', index, '02:00:00:00:01:01')
  const second = makeLink('same0', index, '02:00:00:00:01:01')
  const fd = openSync(`/run/netns/${first.netns}`, 'r')
  const net = await openNetlink({ netns: { fd } })
  closeSync(fd)
  expect(openSync(`/run/netns/${second.netns}`, 'r')).toBe(fd)
  onTestFinished(() => closeSync(fd))
  const direct = await openMacvtap('same0', { net })
  await expectTheDeviceOf(first, direct.fd)
})
