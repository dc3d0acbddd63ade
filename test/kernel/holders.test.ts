/** Which processes have TAPs and macvtaps open. */
import { closeSync } from 'node:fs'
import { describe, expect } from 'vitest'
import { FdSocket, Macvtap, Netlink, Tap } from '../../lib/index.js'
import { holdersByName } from '../../lib/link/holders.js'
import { AS_NOBODY, canRun, runScript } from '../support/child.js'
import { holdElsewhere } from '../support/holding.js'
import { type Namespace, test } from '../support/namespace.js'
import { needsMacvtap, needsTun } from '../tap/support/needs.js'

needsTun()

const open = async (ns: Namespace, ...names: (string | number)[]) =>
  (await ns.net.links.holders(names)).map(({ link, holders, held }) => [
    link.name,
    held,
    holders.map(({ pid, command }) => `${pid} ${command}`)
  ])

const persistent = async (ns: Namespace, ...names: string[]) => {
  for (const name of names) ns.tools.ip(`tuntap add dev ${name} mode tap`)
}

describe('a TAP', () => {
  test('of another process, until that lets go of it', async ({ ns }) => {
    await persistent(ns, 'held', 'free')
    const { pid, release } = await holdElsewhere(ns.name, ['held'])
    ns.tools.ip('link add name br0 type bridge')
    expect(await open(ns, 'held', 'free', 'br0')).toEqual([
      ['held', true, [`${pid} python3`]],
      ['free', false, []],
      ['br0', false, []]
    ])
    await release()
    expect(await open(ns, 'held')).toEqual([['held', false, []]])
  })

  test.for(['thread', 'leaderless'] as const)('of a %s', async (how, { ns }) => {
    await persistent(ns, 'held')
    const { pid } = await holdElsewhere(ns.name, ['held'], how)
    expect(await open(ns, 'held')).toEqual([['held', true, [`${pid} python3`]]])
  })

  test('of the same name in another namespace is another', async ({ ns, other }) => {
    await persistent(ns, 't0')
    await persistent(other, 't0')
    const { pid } = await holdElsewhere(other.name, ['t0'])
    expect(await open(ns, 't0')).toEqual([['t0', false, []]])
    expect(await open(other, 't0')).toEqual([['t0', true, [`${pid} python3`]]])
  })

  test('of this process, but for descriptors that do not count', async ({ ns }) => {
    await using tap = await Tap.open({ name: 't0', netns: ns.path, queues: 2 })
    await using elsewhere = await Tap.open({ name: 't1', netns: ns.path })
    const own = [{ pid: process.pid, command: expect.any(String) }]
    expect((await holdersByName(ns.path, ['t0', 't1'])).holders).toEqual(
      new Map([
        ['t0', own],
        ['t1', own]
      ])
    )
    const without = (fds: number[]) => holdersByName(ns.path, ['t0', 't1'], fds)
    expect((await without([...tap.fds, ...elsewhere.fds])).holders).toEqual(new Map())
    expect((await without(tap.fds.slice(1))).holders.get('t0')).toEqual(own)
    expect((await without(tap.fds)).holders).toEqual(new Map([['t1', own]]))
  })

  test('with a carrier or queues is held, even if by nobody that is found', async ({ ns }) => {
    const [left, right] = FdSocket.pair()
    const tap = await Tap.open({ name: 't0', netns: ns.path, persist: true })
    const queues = await Tap.open({ name: 't1', netns: ns.path, persist: true, queues: 2, carrier: false })
    await left.send('x', [...tap.fds, queues.fds[0] as number])
    await tap.close()
    await queues.close()
    expect(await open(ns, 't0', 't1')).toEqual([
      ['t0', true, []],
      ['t1', true, []]
    ])
    expect((await holdersByName(ns.path, ['t0'])).inFlight).toBe(2)
    left.close()
    right.close()
    await expect
      .poll(() => open(ns, 't0', 't1'))
      .toEqual([
        ['t0', false, []],
        ['t1', false, []]
      ])
  })
})

describe('a macvtap', () => {
  needsMacvtap()

  const macvtaps = async (ns: Namespace, ...names: string[]) => {
    await ns.net.links.create({ kind: 'veth', name: 'lower' })
    for (const name of names) await ns.net.links.create({ kind: 'macvtap', name, link: 'lower', mode: 'bridge' })
  }

  test('of this process, through a node of its own', async ({ ns, other }) => {
    await macvtaps(ns, 'm0', 'm1')
    // The same ifindexes, and other devices.
    await macvtaps(other, 'm0', 'm1')
    const macvtap = await Macvtap.open('m1', { net: ns.net })
    expect(await open(ns, 'm0', 'm1')).toEqual([
      ['m0', false, []],
      ['m1', true, [expect.stringContaining(`${process.pid} `)]]
    ])
    expect(await open(other, 'm0', 'm1')).toEqual([
      ['m0', false, []],
      ['m1', false, []]
    ])
    await macvtap.close()
    expect(await open(ns, 'm1')).toEqual([['m1', false, []]])
  })

  test('on its way to somebody is not known to be free', async ({ ns }) => {
    await macvtaps(ns, 'm0')
    const [left, right] = FdSocket.pair()
    const macvtap = await Macvtap.open('m0', { net: ns.net })
    await left.send('x', macvtap.fds)
    await macvtap.close()
    expect(await open(ns, 'm0')).toEqual([['m0', undefined, []]])
    const received = await right.receive()
    expect(await open(ns, 'm0')).toEqual([['m0', true, [expect.stringContaining(`${process.pid} `)]]])
    for (const fd of received?.fds ?? []) closeSync(fd)
    left.close()
    right.close()
    expect(await open(ns, 'm0')).toEqual([['m0', false, []]])
  })

  test('is not known to be free where processes may not be looked at', async ({ skip }) => {
    skip(!canRun(AS_NOBODY), 'no setpriv')
    await using net = await Netlink.open()
    await net.links.create({ kind: 'veth', name: 'nlower' })
    await net.links.create({ kind: 'macvtap', name: 'nm0', link: 'nlower', mode: 'bridge' })
    try {
      const script = `
        const net = await lib.Netlink.open()
        const [{ held, holders }] = await net.links.holders(['nm0'])
        console.log(String(held), holders.length)
        net.close()`
      expect(runScript(script, { before: AS_NOBODY })).toMatchObject({ stderr: '', stdout: 'undefined 0\n' })
      expect(runScript(script)).toMatchObject({ stderr: '', stdout: 'false 0\n' })
    } finally {
      await net.links.delete('nlower')
    }
  })
})
