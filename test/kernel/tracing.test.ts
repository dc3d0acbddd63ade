/** `diagnostics_channel` and NODE_DEBUG: every message, decoded. */
import { describe, expect } from 'vitest'
import { runScript } from '../support/child.js'
import { atLeast } from '../support/features.js'
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
    const { sequence } = sent[0] ?? {}
    expect(sequence).toBeGreaterThan(0)
    expect(received[0]).toMatchObject({ type: 'RTM_NEWLINK', portId: ns.net.socket.portId, sequence })
    const header = Buffer.from(sent[0]?.bytes ?? [])
    expect([header.readUInt32LE(8), header.readUInt32LE(12)]).toEqual([sequence, ns.net.socket.portId])
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
})

describe('NODE_DEBUG=linkwright', () => {
  const script = `
    const net = await lib.Netlink.open({ netns: { new: true } })
    await net.links.create({ kind: 'bridge', name: 'br0', ageingTime: 4320 })
    await net.links.list()
    await net.links.get('nothing').catch(() => {})
    net.close()`

  test('prints every message, decoded', () => {
    const { stderr, stdout, status } = runScript(script, { env: { NODE_DEBUG: 'linkwright' } })
    expect([status, stdout]).toEqual([0, ''])
    const printed = stderr.split(/^LINKWRIGHT \d+: /m).slice(1)
    const heads = printed.map(text => /^(send|receive) (\w+) flags=0x[0-9a-f]+ seq=\d+ /.exec(text)?.slice(1).join(' '))
    expect(heads).toEqual([
      'send RTM_NEWLINK',
      // Since Linux 6.3 the kernel answers creations, before it is asked.
      ...(atLeast('6.3') ? [] : ['send RTM_GETLINK']),
      'receive RTM_NEWLINK',
      'send RTM_GETLINK',
      'receive RTM_NEWLINK',
      'receive RTM_NEWLINK',
      'send RTM_GETLINK',
      'receive NLMSG_ERROR'
    ])
    expect(printed[0]).toMatch(/name: 'br0'[\s\S]*kind: 'bridge'[\s\S]*ageingTime: 4320/)
    const listed = printed.filter(text => text.startsWith('receive RTM_NEWLINK')).slice(1)
    expect(listed[0]).toMatch(/name: 'lo'/)
    expect(listed[1]).toMatch(/name: 'br0'[\s\S]*ageingTime: 4320/)
    expect(printed.at(-1)).toMatch(/errno: -19, code: 'ENODEV'/)
  })

  test('otherwise nothing is printed', () => {
    expect(runScript(script)).toEqual({ status: 0, stdout: '', stderr: '' })
  })
})
