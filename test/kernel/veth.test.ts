/** Pairs of virtual Ethernet links, and the attributes of the other end. */
import { describe, expect } from 'vitest'
import { veth } from '../../lib/rtnetlink/kinds/veth.js'
import { test } from '../support/namespace.js'

test('a pair has one attribute of its own: the peer', () => {
  expect(Object.keys(veth.data.table)).toEqual(['peer'])
})

describe('the peer', () => {
  test('gets what it is given', async ({ ns }) => {
    const link = await ns.net.links.create({
      kind: 'veth',
      name: 'a',
      peer: {
        name: 'b',
        index: 88,
        mtu: 1400,
        address: '02:00:00:00:00:0b',
        txqlen: 55,
        group: 9,
        numTxQueues: 3,
        altnames: ['the-other-end-of-the-pair'],
        up: true
      },
      up: true
    })
    const shown = ns.tools.link('b')
    expect(shown).toMatchObject({
      ifindex: 88,
      link: 'a',
      mtu: 1400,
      address: '02:00:00:00:00:0b',
      txqlen: 55,
      group: '9',
      num_tx_queues: 3,
      altnames: ['the-other-end-of-the-pair']
    })
    expect(shown.flags).toContain('UP')
    expect(ns.tools.link('a')).toMatchObject({ ifindex: link.index, mtu: 1500 })
    expect(link.link).toBe(88)
    expect(link.data).toBeUndefined()
  })

  test('is created in another namespace, with its master there', async ({ ns, other }) => {
    other.tools.ip('link add name br0 type bridge')
    const peer = { name: 'eth0', netns: other.name, master: 'br0', port: { isolated: true }, up: true } as const
    await ns.net.links.create({ kind: 'veth', name: 'a', up: true, peer })
    const shown = other.tools.link('eth0')
    expect(shown).toMatchObject({ master: 'br0', linkinfo: { info_slave_data: { isolated: true } } })
    expect(shown.flags).toEqual(expect.arrayContaining(['UP', 'LOWER_UP']))
    expect(ns.tools.linkNames()).toEqual(['lo', 'a'])
  })

  test('stays here when the link is created elsewhere', async ({ ns, other }) => {
    await ns.net.links.create({ kind: 'veth', name: 'a', netns: other.name, up: true, peer: { name: 'b', up: true } })
    expect(other.tools.link('a').flags).toContain('UP')
    expect(ns.tools.link('b').flags).toContain('UP')
  })

  test('gets a name by the kernel', async ({ ns }) => {
    const link = await ns.net.links.create({ kind: 'veth' })
    const pair = ns.tools.ipJson('link show type veth').map(shown => shown.ifname)
    expect(pair.toSorted()).toEqual(['veth0', 'veth1'])
    expect(pair).toContain(link.name)
  })

  test('that is taken is EEXIST, and there is no pair', async ({ ns }) => {
    ns.tools.ip('link add name b type bridge')
    const create = ns.net.links.create({ kind: 'veth', name: 'a', peer: { name: 'b' } })
    await expect(create).rejects.toMatchObject({ code: 'EEXIST' })
    expect(ns.tools.linkNames().toSorted()).toEqual(['b', 'lo'])
  })

  test('is no option of a change', async ({ ns }) => {
    await ns.net.links.create({ kind: 'veth', name: 'a' })
    const set = ns.net.links.set('a', { kind: 'veth', peer: { name: 'x' } } as never)
    await expect(set).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path: 'peer' })
  })
})
