import { chmodSync, existsSync, readdirSync, statSync, unlinkSync } from 'node:fs'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { Macvtap } from '../../lib/index.js'
import { askDescriptor, askDescriptors } from './support/descriptor.js'
import { openMacvtap, openNetlink, openTap } from './support/devices.js'
import { addMacvtap, createLower } from './support/lower.js'
import { needsMacvtap } from './support/needs.js'
import { createNetns } from './support/netns.js'
import { freshIndex, ip, ipLink, newFiles, openFiles, sysfs } from './support/system.js'

const IFF_MULTI_QUEUE = 0x100
const IFF_VNET_HDR = 0x4000

needsMacvtap()

/** A macvtap link of bridge mode in our namespace. */
function makeLink(): { name: string; index: number; node: string } {
  const index = freshIndex()
  addMacvtap('mvt0', createLower().name, index)
  return { name: 'mvt0', index, node: `/dev/tap${index}` }
}

const deviceNumber = (path: string) => {
  const { rdev } = statSync(path)
  return {
    major: Number((BigInt(rdev) >> 8n) & 0xfffn),
    minor: Number((BigInt(rdev) & 0xffn) | ((BigInt(rdev) >> 12n) & 0xfff00n))
  }
}

describe('what is opened', () => {
  test('is the link, by name, ifindex or object', async () => {
    const { name, index, node } = makeLink()
    const net = await openNetlink()
    for (const ref of [name, index, await net.links.get(name), { index }]) {
      const direct = await openMacvtap(ref)
      expect([direct.name, direct.index, direct.node]).toEqual([name, index, node])
      expect(askDescriptor(direct.fd)).toMatchObject({ name, mac: ipLink(name)?.address })
      expect(sysfs(name, `macvtap/tap${index}/dev`)).toBe(`${direct.major}:${direct.minor}`)
      expect(deviceNumber(node)).toEqual({ major: direct.major, minor: direct.minor })
    }
  })

  test('has a name and an address that are compared', async () => {
    const { name } = makeLink()
    const direct = await openMacvtap(name)
    expect((await direct.describe()).name).toBe(name)
    ip(undefined, 'link', 'set', name, 'address', '02:00:00:00:77:77')
    const again = await openMacvtap(name)
    expect(askDescriptor(again.fd).mac).toBe('02:00:00:00:77:77')
  })

  test('closing leaves the link', async () => {
    const { name } = makeLink()
    const direct = await Macvtap.open(name, { queues: 3 })
    await direct.close()
    await direct.close()
    expect(direct.closed).toBe(true)
    expect(ipLink(name)).toBeDefined()
    expect(openFiles().filter(file => file.startsWith('/dev/tap'))).toEqual([])
    await expect(direct.describe()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })

  test.each(['private', 'vepa', 'bridge', 'passthru', 'source'] as const)('mode %s, made by us', async mode => {
    const net = await openNetlink()
    const index = freshIndex()
    const link = await net.links.create({
      kind: 'macvtap',
      name: 'mvt0',
      link: createLower().name,
      mode,
      index,
      up: true
    })
    const direct = await openMacvtap(link, { net })
    expect(ipLink('mvt0')?.linkinfo).toMatchObject({ info_kind: 'macvtap', info_data: { mode } })
    expect(askDescriptor(direct.fd)).toMatchObject({ name: 'mvt0' })
  })

  test('another kind of link is refused', async () => {
    const tap = await openTap({ name: 'notmvt0' })
    await expect(Macvtap.open(tap.name)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path: 'link' })
    const { name } = createLower()
    await expect(Macvtap.open(name)).rejects.toThrow(`${name} (veth)`)
  })

  test('a link that does not exist is refused', async () => {
    await expect(Macvtap.open('nothing0')).rejects.toMatchObject({ code: 'ENODEV', link: 'nothing0' })
  })

  test('an unknown option is refused', async () => {
    const options = { queue: 1 } as object
    await expect(Macvtap.open('mvt0', options)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path: 'queue' })
  })

  test('netns and net exclude each other', async () => {
    const net = await openNetlink()
    await expect(Macvtap.open('mvt0', { net, netns: createNetns() })).rejects.toMatchObject({ path: 'netns' })
  })
})

describe('queues', () => {
  test.each([1, 2, 8])('%i', async queues => {
    const { name } = makeLink()
    const direct = await openMacvtap(name, { queues })
    expect(direct.fds).toHaveLength(queues)
    for (const told of askDescriptors(direct.fds)) {
      expect(told.name).toBe(name)
      expect(Boolean((told.flags ?? 0) & IFF_MULTI_QUEUE)).toBe(queues > 1)
    }
  })

  test('256, and then EBUSY', async () => {
    const { name } = makeLink()
    const direct = await openMacvtap(name, { queues: 256 })
    expect(direct.fds).toHaveLength(256)
    const before = openFiles()
    await expect(Macvtap.open(name)).rejects.toMatchObject({
      code: 'EBUSY',
      link: name,
      diagnosis: 'all 256 queues of the link are open'
    })
    expect(newFiles(before)).toEqual([])
    await expect(Macvtap.open(name, { queues: 257 })).rejects.toMatchObject({ path: 'queues' })
  })
})

describe('virtio-net header', () => {
  test('off by default, although the kernel would have it on', async () => {
    const { name } = makeLink()
    const direct = await openMacvtap(name)
    expect((askDescriptor(direct.fd).flags ?? 0) & IFF_VNET_HDR).toBe(0)
    expect((await direct.describe()).vnetHeader).toBe(false)
  })

  test.each([
    [true, 10],
    [10, 10],
    [12, 12],
    [20, 20],
    [24, 24]
  ])('%s, on each queue: %i bytes', async (vnetHeader, size) => {
    const { name } = makeLink()
    const direct = await openMacvtap(name, { queues: 3, vnetHeader })
    for (const told of askDescriptors(direct.fds)) {
      expect((told.flags ?? 0) & IFF_VNET_HDR).toBe(IFF_VNET_HDR)
      expect(told.vnetHeaderSize).toBe(size)
    }
    await direct.setVnetHeaderSize(64)
    expect(askDescriptors(direct.fds).map(({ vnetHeaderSize }) => vnetHeaderSize)).toEqual([64, 64, 64])
  })

  test('byte order', async () => {
    const { name } = makeLink()
    const direct = await openMacvtap(name, { queues: 2, vnetHeader: true, vnetEndian: 'little' })
    expect(askDescriptors(direct.fds).map(({ littleEndian }) => littleEndian)).toEqual([1, 1])
  })
})

test('offloads are taken, set and refused', async () => {
  const { name } = makeLink()
  const direct = await openMacvtap(name, { vnetHeader: true, offloads: { csum: true, tso4: true, tso6: true } })
  await direct.setOffloads({ csum: true })
  await direct.setOffloads({})
  await expect(direct.setOffloads({ csum: true, tso4: true, udpTunnelGso: true })).rejects.toMatchObject({
    code: 'EINVAL',
    syscall: 'ioctl(TUNSETOFFLOAD)',
    link: name
  })
})

test('a send buffer is taken', async () => {
  const { name } = makeLink()
  const direct = await openMacvtap(name, { sndbuf: 100_000 })
  // The kernel does not tell it for macvtap.
  expect(askDescriptor(direct.fd).sndbuf).toMatch(/errno/)
})

describe('the node', () => {
  test('gets owner, group and mode', async () => {
    const { name, node } = makeLink()
    await openMacvtap(name, { node: { uid: 1234, gid: 2345, mode: 0o640 } })
    const { uid, gid, mode } = statSync(node)
    expect([uid, gid, mode & 0o777]).toEqual([1234, 2345, 0o640])
  })

  test('keeps what is not given', async () => {
    const { name, node } = makeLink()
    chmodSync(node, 0o604)
    await openMacvtap(name, { node: { gid: 2345 } })
    const { uid, gid, mode } = statSync(node)
    expect([uid, gid, mode & 0o777]).toEqual([0, 2345, 0o604])
  })

  test('is not needed: a private one is made and removed', async () => {
    const { name, node } = makeLink()
    unlinkSync(node)
    const before = readdirSync('/dev').filter(file => file.startsWith('.linkwright'))
    const direct = await openMacvtap(name, { queues: 2 })
    expect(direct.node).toBe('')
    expect(askDescriptor(direct.fd)).toMatchObject({ name, mac: ipLink(name)?.address })
    expect(existsSync(node)).toBe(false)
    expect(readdirSync('/dev').filter(file => file.startsWith('.linkwright'))).toEqual(before)
  })

  test('is gone with the link', async () => {
    const { name, node } = makeLink()
    const direct = await openMacvtap(name)
    expect(existsSync(node)).toBe(true)
    ip(undefined, 'link', 'delete', name)
    expect(existsSync(node)).toBe(false)
    await expect(direct.describe()).rejects.toMatchObject({ code: 'ENOLINK', errno: -67, link: name })
  })
})

test('an aborted signal opens nothing', async () => {
  const { name } = makeLink()
  const before = openFiles()
  const signal = AbortSignal.abort(new Error('not wanted any more'))
  await expect(Macvtap.open(name, { signal })).rejects.toThrow('not wanted any more')
  expect(newFiles(before)).toEqual([])
})

test('a failure in the middle closes what was opened', async () => {
  const { name } = makeLink()
  const before = openFiles()
  const offloads = { csum: true, tso4: true, udpTunnelGso: true }
  await expect(Macvtap.open(name, { queues: 4, vnetHeader: true, offloads })).rejects.toMatchObject({ code: 'EINVAL' })
  expect(newFiles(before)).toEqual([])
})

test('a signal that is aborted while it is opened closes it', async () => {
  const { name } = makeLink()
  const before = openFiles()
  let looks = 0
  const throwIfAborted = () => {
    if (++looks === 2) throw new Error('aborted at the end')
  }
  const signal = Object.assign(new AbortController().signal, { throwIfAborted })
  await expect(Macvtap.open(name, { queues: 2, signal })).rejects.toThrow('aborted at the end')
  expect(newFiles(before)).toEqual([])
})

test('node settings without a node are refused, and nothing stays open', async () => {
  const { name, node } = makeLink()
  unlinkSync(node)
  const before = openFiles()
  await expect(Macvtap.open(name, { node: { mode: 0o666 } })).rejects.toMatchObject({
    code: 'ERR_UNSUPPORTED',
    path: 'node',
    link: name
  })
  expect(newFiles(before)).toEqual([])
  expect((await openMacvtap(name, { node: {} })).node).toBe('')
})

test('a link that was renamed since is not opened by its old self', async () => {
  const { name } = makeLink()
  const net = await openNetlink()
  const link = await net.links.get(name)
  ip(undefined, 'link', 'set', name, 'down')
  await net.links.rename(name, 'renamed0')
  await expect(Macvtap.open(link, { net })).rejects.toMatchObject({
    code: 'ENODEV',
    message: expect.stringContaining(`is renamed0 (${link.address}) here, not ${name} (${link.address})`)
  })
  await openMacvtap(await net.links.get('renamed0'), { net })
})

test('is shown by its name, ifindex and descriptors', async () => {
  const { name, index } = makeLink()
  const direct = await openMacvtap(name)
  expect(JSON.parse(JSON.stringify(direct))).toEqual({ name, index, fds: direct.fds })
  expect(inspect(direct)).toBe(`Macvtap { name: '${name}', index: ${index}, fds: [ ${direct.fd} ] }`)
})
