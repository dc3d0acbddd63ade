/** Waiting for links. */
import { closeSync, openSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { Netlink } from '../../lib/index.js'
import { test } from '../support/namespace.js'

describe('waitFor', () => {
  test('a link that is as wanted already', async ({ ns }) => {
    expect((await ns.net.links.waitFor('lo', link => link !== undefined))?.index).toBe(1)
  })

  test('a link to appear, to come up, and to disappear', async ({ ns }) => {
    const appeared = ns.net.links.waitFor('br0', link => link !== undefined)
    await setTimeout(50)
    ns.tools.ip('link add name br0 index 55 type bridge')
    expect((await appeared)?.index).toBe(55)
    const up = ns.net.links.waitFor('br0', link => link?.up === true)
    await setTimeout(50)
    ns.tools.ip('link set dev br0 up')
    expect((await up)?.flags.up).toBe(true)
    const gone = ns.net.links.waitFor('br0', link => link === undefined)
    await setTimeout(50)
    ns.tools.ip('link del dev br0')
    expect(await gone).toBeUndefined()
  })

  test('gives up after a time', async ({ ns }) => {
    const began = performance.now()
    const wait = ns.net.links.waitFor('br0', link => link !== undefined, { timeout: 100 })
    await expect(wait).rejects.toMatchObject({ code: 'ERR_TIMEOUT' })
    expect(performance.now() - began).toBeGreaterThan(90)
    expect((await ns.net.links.get('lo')).index).toBe(1)
  })

  test('gives up when aborted, with the reason', async ({ ns }) => {
    const controller = new AbortController()
    const wait = ns.net.links.waitFor('br0', link => link !== undefined, { signal: controller.signal })
    const reason = new Error('enough')
    await setTimeout(20)
    controller.abort(reason)
    await expect(wait).rejects.toBe(reason)
    const late = ns.net.links.waitFor('br0', link => link !== undefined, { signal: controller.signal })
    await expect(late).rejects.toBe(reason)
  })

  test('in a namespace whose descriptor was closed meanwhile', async ({ ns }) => {
    const fd = openSync(ns.path, 'r')
    await using net = await Netlink.open({ netns: { fd } })
    closeSync(fd)
    const appeared = net.links.waitFor('br0', link => link !== undefined, { timeout: 10_000 })
    await setTimeout(50)
    ns.tools.ip('link add name br0 index 55 type bridge')
    expect((await appeared)?.index).toBe(55)
  })

  test('in a namespace without a name', async ({ ns }) => {
    await using net = await Netlink.open({ netns: { new: true } })
    const opened = await net.openNetns()
    const appeared = net.links.waitFor('br0', link => link?.up === true, { timeout: 10_000 })
    await setTimeout(50)
    await ns.net.links.create({ kind: 'bridge', name: 'br0', up: true, netns: { fd: opened.fds[0] as number } })
    expect((await appeared)?.kind).toBe('bridge')
    await opened.close()
  })
})
