/** Errors say who called. */
import { describe, expect } from 'vitest'
import { LinkwrightError, Netlink } from '../../lib/index.js'
import { test } from '../support/namespace.js'

const nothing = { link: 'nothing' }
const mac = '02:00:00:00:00:01'

/** What is refused, at once, by the kernel, in a step that follows, or after a look-up. */
const CALLS: [title: string, call: (net: Netlink) => Promise<unknown>][] = [
  ['Netlink.open', () => Netlink.open({ netns: 'nothing' })],
  ['links.get', net => net.links.get('nothing')],
  ['links.get: no name', net => net.links.get('a b')],
  ['links.list', net => net.links.list({ master: 'nothing' })],
  ['links.create', net => net.links.create({ kind: 'ifb', name: 'lo' })],
  ['links.create: a wrong attribute', net => net.links.create({ kind: 'bridge', ageingTime: -1 })],
  ['links.create: diagnosed', net => net.links.create({ kind: 'macvlan', link: 'lo', mode: 'bridge' })],
  ['links.create: no lower device', net => net.links.create({ kind: 'macvlan', link: 'nothing', mode: 'bridge' })],
  ['links.create: no namespace', net => net.links.create({ kind: 'ifb', netns: 'nothing' })],
  ['links.create: a step', net => net.links.create({ kind: 'ifb', port: { cost: 5 } })],
  ['links.create: too late', net => net.links.create({ kind: 'ifb' }, { timeout: 0 })],
  ['links.set', net => net.links.set('nothing', { up: true })],
  ['links.set: a wrong attribute', net => net.links.set('br0', { kind: 'bridge', ageingTime: -1 })],
  ['links.enslave', net => net.links.enslave('br0', 'br0', { cost: 5 })],
  ['links.rename', net => net.links.rename('br0', 'lo')],
  ['links.addAltnames', net => net.links.addAltnames('br0', ['lo'])],
  ['links.delete', net => net.links.delete('nothing')],
  ['links.waitFor', net => net.links.waitFor('nothing', link => link !== undefined, { timeout: 10 })],
  ['addresses.add', net => net.addresses.add({ ...nothing, address: '192.0.2.1/24' })],
  ['addresses.delete', net => net.addresses.delete({ link: 'lo', address: '192.0.2.1/24' })],
  ['addresses.list', net => net.addresses.list(nothing)],
  ['routes.add', net => net.routes.add({ destination: '192.0.2.0/24', gateway: '198.51.100.1' })],
  ['routes.add: next hops', net => net.routes.add({ destination: '192.0.2.0/24', nexthops: [nothing] })],
  ['routes.list', net => net.routes.list(nothing)],
  ['neighbours.add', net => net.neighbours.add({ ...nothing, address: '192.0.2.1', lladdr: mac })],
  ['fdb.add', net => net.fdb.add({ link: 'br0', via: 'nothing', lladdr: mac })],
  ['fdb.list', net => net.fdb.list(nothing)]
]

async function whoAwaits(call: () => Promise<unknown>): Promise<Error> {
  try {
    await call()
  } catch (error) {
    return error as Error
  }
  throw new Error('it succeeded')
}

describe('the stack of an error has who awaited', () => {
  test.for(CALLS)('%s', async ([, call], { ns }) => {
    await ns.net.links.create({ kind: 'bridge', name: 'br0' })
    const error = await whoAwaits(() => call(ns.net))
    expect(error).toBeInstanceOf(LinkwrightError)
    expect(error.stack).toContain(error.message)
    expect(error.stack).toContain(whoAwaits.name)
  })

  test('links.createMany', async ({ ns }) => {
    const error = await whoAwaits(async () => {
      const results = await ns.net.links.createMany([
        { kind: 'ifb', name: 'i0' },
        { kind: 'ifb', name: 'lo' }
      ])
      throw results.flatMap(result => (result.status === 'rejected' ? [result.reason] : []))[0]
    })
    expect(error).toMatchObject({ code: 'EEXIST', item: 1 })
    expect(error.stack).toContain(whoAwaits.name)
  })
})
