/** What probe() finds is true. */
import { existsSync } from 'node:fs'
import { release } from 'node:os'
import { describe, expect } from 'vitest'
import { probe } from '../../lib/index.js'
import { AS_NOBODY, canRun, IN_USER_NAMESPACE, runScript } from '../support/child.js'
import { type Feature, has } from '../support/features.js'
import { test } from '../support/namespace.js'
import { traffic } from '../support/trace.js'

const PRINT = 'console.log(JSON.stringify(await lib.probe()))'

describe('probe', () => {
  test('finds the kinds that iproute2 can make', async () => {
    const { kinds, kernel } = await probe()
    expect(kernel).toBe(release())
    expect(Object.keys(kinds)).toEqual(['bridge', 'dummy', 'ifb', 'macvlan', 'macvtap', 'veth', 'vlan', 'vxlan'])
    for (const [kind, { available, reason, remedy }] of Object.entries(kinds)) {
      expect(available, kind).toBe(has(kind as Feature))
      if (!available) expect([reason, remedy]).toEqual([expect.any(String), expect.stringMatching(/^modprobe /)])
    }
  })

  test('finds what root may do', async ({ ns }) => {
    const found = await probe()
    expect(found.netAdmin).toEqual({ available: true })
    expect(found.netns).toEqual({ available: true })
    expect(found.tun.available).toBe(ns.tools.can('tuntap add dev t0 mode tap'))
    expect(found.vhostNet.available).toBe(existsSync('/dev/vhost-net'))
  })

  test('finds whether creations are answered', async ({ ns }) => {
    const { sent } = await traffic(() => ns.net.links.create({ kind: 'bridge', name: 'br0' }))
    const asked = sent.some(message => message.type === 'RTM_GETLINK')
    expect((await probe()).echo.available).toBe(!asked)
  })

  test('leaves no trace', async () => {
    const { execFileSync } = await import('node:child_process')
    const state = () => execFileSync('ip', ['-d', '-j', 'link'], { encoding: 'utf8' })
    const before = state()
    await probe()
    expect(state()).toBe(before)
  })

  test('finds what an unprivileged user may not do, and says what to do', ({ skip }) => {
    if (!canRun(AS_NOBODY)) skip('setpriv does not work here')
    const found = JSON.parse(runScript(PRINT, { before: AS_NOBODY }).stdout)
    for (const key of ['netAdmin', 'netns', 'mknod']) {
      expect(found[key], key).toEqual({
        available: false,
        reason: expect.any(String),
        remedy: expect.any(String)
      })
    }
    expect(found.netAdmin.remedy).toMatch(/unshare -Urn/)
    expect(found.kinds.bridge).toMatchObject({ available: false, reason: 'CAP_NET_ADMIN is missing' })
  })

  test('finds what a user namespace gives', ({ skip }) => {
    if (!canRun(IN_USER_NAMESPACE)) skip('unprivileged users may not make user namespaces here')
    const found = JSON.parse(runScript(PRINT, { before: IN_USER_NAMESPACE }).stdout)
    expect(found.netAdmin).toEqual({ available: true })
    expect(found.netns).toEqual({ available: true })
    expect(found.mknod.available).toBe(false)
    expect(found.kinds.bridge.available).toBe(has('bridge'))
  })
})
