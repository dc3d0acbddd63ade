/** Links in other namespaces: created there, moved there, and namespaces named in every way. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { describe, expect } from 'vitest'
import { Netlink, type NetnsRef } from '../../lib/index.js'
import { type Namespace, test } from '../support/namespace.js'

/** Runs `use` with a reference to a namespace of each sort. */
const REFERENCES: Record<string, (ns: Namespace, use: (ref: NetnsRef) => Promise<void>) => Promise<void>> = {
  name: (ns, use) => use(ns.name),
  path: (ns, use) => use(ns.path),
  async pid(ns, use) {
    const child = await startIn(ns)
    try {
      await use(child.pid as number)
    } finally {
      child.kill('SIGKILL')
    }
  },
  async descriptor(ns, use) {
    const fd = openSync(ns.path, 'r')
    try {
      await use({ fd })
    } finally {
      closeSync(fd)
    }
  }
}

/** A process that lives in the namespace, once it has got there. */
async function startIn(ns: Namespace): Promise<ChildProcess> {
  const child = spawn('nsenter', [`--net=${ns.path}`, 'sh', '-c', 'echo ready; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  await new Promise(resolve => child.stdout?.once('data', resolve))
  return child
}

describe.each(Object.keys(REFERENCES))('a namespace by %s', how => {
  const withRef = REFERENCES[how] as (typeof REFERENCES)[string]

  test('is spoken to', async ({ ns }) => {
    ns.tools.ip('link add name br0 type bridge')
    await withRef(ns, async netns => {
      using net = await Netlink.open({ netns })
      expect((await net.links.list()).map(link => link.name)).toEqual(ns.tools.linkNames())
    })
  })

  test('gets a link created in it', async ({ ns, other }) => {
    await withRef(other, async netns => {
      const link = await ns.net.links.create({ kind: 'bridge', name: 'br0', mtu: 1400, up: true, netns })
      expect(other.tools.link('br0')).toMatchObject({ ifindex: link.index, mtu: 1400 })
      expect(other.tools.link('br0').flags).toContain('UP')
    })
    expect(ns.tools.linkNames()).toEqual(['lo'])
  })

  test('gets a link moved to it', async ({ ns, other }) => {
    ns.tools.ip('link add name a type veth peer name b')
    await withRef(other, netns => ns.net.links.move('a', netns))
    expect(ns.tools.linkNames()).toEqual(['lo', 'b'])
    expect(other.tools.linkNames()).toEqual(['lo', 'a'])
  })
})

describe('creating in another namespace', () => {
  test('a name by the kernel', async ({ ns, other }) => {
    const link = await ns.net.links.create({ kind: 'bridge', netns: other.name })
    expect(other.tools.link(link.name ?? '')).toMatchObject({ ifname: 'bridge0', ifindex: link.index })
  })

  test('the lower device is from here, the master from there', async ({ ns, other }) => {
    ns.tools.ip('link add name low index 70 type veth')
    ns.tools.ip('link add name br0 index 71 type bridge')
    other.tools.ip('link add name br0 index 80 type bridge')
    await ns.net.links.create({ kind: 'veth', name: 'a', netns: other.name, master: 'br0', up: true })
    await ns.net.links.create({ kind: 'macvlan', name: 'm', netns: other.name, link: 'low', mode: 'bridge' })
    expect(other.tools.link('a').master).toBe('br0')
    expect(other.tools.link('m')).toMatchObject({ link_index: 70 })
  })

  test('alternative names and settings of the port come along', async ({ ns, other }) => {
    other.tools.ip('link add name br0 type bridge')
    const link = await ns.net.links.create({
      kind: 'veth',
      name: 'a',
      netns: other.name,
      master: 'br0',
      port: { isolated: true },
      altnames: ['another-name-of-the-same-link'],
      alias: 'text'
    })
    expect(other.tools.link('a')).toMatchObject({
      ifindex: link.index,
      ifalias: 'text',
      altnames: ['another-name-of-the-same-link'],
      linkinfo: { info_slave_data: { isolated: true } }
    })
  })

  test('what does not exist is ENOENT, and nothing is made', async ({ ns }) => {
    for (const netns of ['no-such-namespace', '/proc/self/ns/nothing', 999_999_999]) {
      const create = ns.net.links.create({ kind: 'bridge', name: 'br0', netns })
      await expect(create).rejects.toMatchObject({ code: 'ENOENT' })
    }
    expect(ns.tools.linkNames()).toEqual(['lo'])
  })
})

describe('moving', () => {
  test('with a new name', async ({ ns, other }) => {
    ns.tools.ip('link add name a type veth peer name b')
    await ns.net.links.move('a', other.name, { name: 'eth0' })
    expect(other.tools.linkNames()).toEqual(['lo', 'eth0'])
  })

  test('to where the name is taken is EEXIST, and the link stays', async ({ ns, other }) => {
    ns.tools.ip('link add name a type veth peer name b')
    other.tools.ip('link add name a type bridge')
    await expect(ns.net.links.move('a', other.name)).rejects.toMatchObject({ code: 'EEXIST', syscall: 'RTM_NEWLINK' })
    expect(ns.tools.linkNames()).toContain('a')
  })
})

describe('a namespace of its own', () => {
  test('is new, and lives as long as its socket', async ({ ns }) => {
    const net = await Netlink.open({ netns: { new: true } })
    expect((await net.links.list()).map(link => link.name)).toEqual(['lo'])
    const opened = await net.openNetns()
    const fd = opened.fds[0] as number
    await ns.net.links.create({ kind: 'bridge', name: 'br0', netns: { fd } })
    expect((await net.links.list()).map(link => link.name)).toEqual(['lo', 'br0'])
    await opened.close()
    expect((await net.links.get('br0')).kind).toBe('bridge')
    net.close()
  })

  test('the process stays where it is', async () => {
    const { readlinkSync } = await import('node:fs')
    const before = readlinkSync('/proc/self/ns/net')
    using net = await Netlink.open({ netns: { new: true } })
    await net.links.list()
    expect(readlinkSync('/proc/self/ns/net')).toBe(before)
    expect(readlinkSync('/proc/thread-self/ns/net')).toBe(before)
  })
})
