/** `diagnostics_channel` and NODE_DEBUG: every message, decoded. */
import { describe, expect } from 'vitest'
import { runScript } from '../support/child.js'
import { test } from '../support/namespace.js'
import { traffic } from '../support/trace.js'

describe('diagnostics channels', () => {
  test('carry a request and its answer', async ({ ns }) => {
    const { sent, received } = await traffic(() => ns.net.links.get('lo'))
    expect(sent).toHaveLength(1)
    expect(sent[0]).toMatchObject({ protocol: 'NETLINK_ROUTE', portId: ns.net.socket.portId, type: 'RTM_GETLINK' })
    expect(sent[0]?.decode()).toMatchObject({ name: 'lo' })
    expect(Buffer.from(sent[0]?.bytes ?? []).includes('lo\0')).toBe(true)
    expect(received).toHaveLength(1)
    expect(received[0]).toMatchObject({ type: 'RTM_NEWLINK', portId: ns.net.socket.portId })
    const { ifindex, mtu, link_type } = ns.tools.link('lo')
    expect(link_type).toBe('loopback')
    expect(received[0]?.decode()).toMatchObject({ index: ifindex, mtu, name: 'lo', flags: { loopback: true } })
  })

  test('carry every request of a batch', async ({ ns }) => {
    const names = Array.from({ length: 20 }, (_, at) => `i${at}`)
    const { sent } = await traffic(() => ns.net.links.createMany(names.map(name => ({ kind: 'ifb' as const, name }))))
    const created = sent.filter(message => message.type === 'RTM_NEWLINK')
    expect(created.map(message => message.decode()?.['name'])).toEqual(names)
    expect(created.map(message => message.decode()?.['linkinfo'])).toEqual(names.map(() => ({ kind: 'ifb' })))
  })

  test('carry dumps and errors', async ({ ns }) => {
    const dump = await traffic(() => ns.net.addresses.list())
    expect(dump.sent.map(message => message.type)).toEqual(['RTM_GETADDR'])
    const failure = await traffic(() => ns.net.links.get('nothing'))
    expect(failure.received.map(message => message.type)).toEqual(['NLMSG_ERROR'])
    const bytes = Buffer.from(failure.received[0]?.bytes ?? [])
    expect(bytes.readInt32LE(16)).toBe(-19)
  })

  test('carry announcements', async ({ ns }) => {
    const { received } = await traffic(async () => {
      const appeared = ns.net.links.waitFor('br0', link => link !== undefined, { timeout: 10_000 })
      setTimeout(() => ns.tools.ip('link add name br0 type bridge'), 50)
      await appeared
    })
    const announced = received.filter(message => message.portId === 0)
    expect(announced.map(message => message.decode()?.['name'])).toContain('br0')
  })

  test('cost nothing when nobody looks', async ({ ns }) => {
    const first = await traffic(() => ns.net.links.get('lo'))
    await ns.net.links.get('lo')
    expect(first.sent).toHaveLength(1)
  })
})

describe('NODE_DEBUG=linkwright', () => {
  const script = `
    await using net = await lib.Netlink.open({ netns: { new: true } })
    await net.links.create({ kind: 'bridge', name: 'br0', ageingTime: 4321 })
    await net.links.list()
    await net.links.get('nothing').catch(() => {})`

  test('prints every message, decoded', () => {
    const { stderr, stdout, status } = runScript(script, { env: { NODE_DEBUG: 'linkwright' } })
    expect([status, stdout]).toEqual([0, ''])
    const heads = [...stderr.matchAll(/^LINKWRIGHT \d+: (send|receive) (\w+) flags=0x[0-9a-f]+ seq=\d+ /gm)]
    const messages = heads.map(([, direction, type]) => `${direction} ${type}`)
    expect(messages.filter(message => message.startsWith('send'))).toEqual(
      expect.arrayContaining(['send RTM_NEWLINK', 'send RTM_GETLINK', 'send RTM_GETLINK'])
    )
    expect(messages).toContain('receive RTM_NEWLINK')
    expect(messages).toContain('receive NLMSG_ERROR')
    expect(stderr).toMatch(/send RTM_NEWLINK .*\n?.*name: 'br0'/)
    expect(stderr).toMatch(/ageingTime: 4321/)
    expect(stderr).toMatch(/name: 'lo'/)
    // The errno of what failed.
    expect(stderr).toMatch(/receive NLMSG_ERROR .*ENODEV|receive NLMSG_ERROR .*-19/)
  })

  test('otherwise nothing is printed', () => {
    expect(runScript(script)).toEqual({ status: 0, stdout: '', stderr: '' })
  })
})
