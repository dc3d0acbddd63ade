/** Finding, listing, changing and removing links. */
import { describe, expect } from 'vitest'
import { atLeast } from '../support/features.js'
import { test } from '../support/namespace.js'
import { isDump, traffic } from '../support/trace.js'

const LONG = 'a-name-that-has-more-than-fifteen-bytes'

describe('get', () => {
  test.for(['br0', 'short', LONG])('by the name %s, without a dump', async (name, { ns }) => {
    ns.tools.ip('link add name br0 index 55 type bridge')
    ns.tools.ip('link property add dev br0 altname short')
    ns.tools.ip(`link property add dev br0 altname ${LONG}`)
    const { result, sent, received } = await traffic(() => ns.net.links.get(name))
    expect(result).toMatchObject({ index: 55, name: 'br0', kind: 'bridge', altnames: ['short', LONG] })
    expect(sent.map(message => [message.type, isDump(message)])).toEqual([['RTM_GETLINK', false]])
    expect(received.map(message => message.type)).toEqual(['RTM_NEWLINK'])
  })

  test('by ifindex and by a link, without a dump', async ({ ns }) => {
    ns.tools.ip('link add name br0 index 55 type bridge')
    const { result, sent } = await traffic(async () => ns.net.links.get(await ns.net.links.get(55)))
    expect(result).toMatchObject({ index: 55, name: 'br0' })
    expect(sent.map(isDump)).toEqual([false, false])
  })

  test('of a link that does not exist is ENODEV', async ({ ns }) => {
    for (const ref of ['nothing', LONG, 4711]) {
      await expect(ns.net.links.get(ref)).rejects.toMatchObject({
        code: 'ENODEV',
        errno: -19,
        syscall: 'RTM_GETLINK',
        link: ref
      })
    }
  })

  test('statistics come when asked for', async ({ ns }) => {
    ns.tools.ip('link set dev lo up')
    ns.tools.exec('bash', '-c', 'echo x >/dev/udp/127.0.0.1/9')
    const { stats64, afSpec } = await ns.net.links.get('lo', { statistics: true })
    expect(afSpec?.inet6?.stats).toBeDefined()
    expect((await ns.net.links.get('lo')).afSpec?.inet6?.stats).toBeUndefined()
    expect(Number(stats64?.txBytes)).toBe(Number(ns.tools.sysfs('lo/statistics/tx_bytes')))
    expect(Number(stats64?.rxPackets)).toBe(Number(ns.tools.sysfs('lo/statistics/rx_packets')))
    expect(Number(stats64?.rxPackets)).toBeGreaterThan(0)
  })
})

test('find gives undefined for a link that does not exist', async ({ ns }) => {
  expect(await ns.net.links.find('nothing')).toBeUndefined()
  expect((await ns.net.links.find('lo'))?.index).toBe(1)
})

describe('list', () => {
  test('has every link', async ({ ns }) => {
    for (const name of ['br0', 'br1']) ns.tools.ip(`link add name ${name} type bridge`)
    expect((await ns.net.links.list()).map(link => link.name)).toEqual(ns.tools.linkNames())
  })

  test('filters by kind in the kernel', async ({ ns }) => {
    for (const name of ['br0', 'br1']) ns.tools.ip(`link add name ${name} type bridge`)
    for (const name of ['ifb7', 'ifb8']) ns.tools.ip(`link add name ${name} type ifb`)
    const { result, sent, received } = await traffic(() => ns.net.links.list({ kind: 'bridge' }))
    expect((result as { name: string }[]).map(link => link.name)).toEqual(['br0', 'br1'])
    expect(sent.map(isDump)).toEqual([true])
    expect(received.filter(message => message.type === 'RTM_NEWLINK')).toHaveLength(2)
  })

  test('filters by master in the kernel', async ({ ns }) => {
    for (const name of ['br0', 'br1']) ns.tools.ip(`link add name ${name} type bridge`)
    for (const [at, master] of ['br0', 'br1', 'br0'].entries()) {
      ns.tools.ip(`link add name ve${at} type veth peer name pe${at}`)
      ns.tools.ip(`link set dev ve${at} master ${master}`)
    }
    const { result, received } = await traffic(() => ns.net.links.list({ master: 'br0' }))
    const names = (result as { name: string }[]).map(link => link.name)
    expect(names.toSorted()).toEqual(['ve0', 've2'])
    // The look-up of the master, and its two ports.
    expect(received.filter(message => message.type === 'RTM_NEWLINK')).toHaveLength(3)
    expect((await ns.net.links.list({ master: 'br0', kind: 'bridge' })).map(link => link.name)).toEqual([])
  })

  test('of a kind that is not there is empty', async ({ ns }) => {
    expect(await ns.net.links.list({ kind: 'bridge' })).toEqual([])
  })
})

describe('set', () => {
  test('changes what every link has', async ({ ns }) => {
    ns.tools.ip('link add name br0 type bridge')
    await ns.net.links.set('br0', {
      mtu: 1400,
      address: '02:00:00:00:00:07',
      txqlen: 77,
      alias: 'of the tenant "blue"',
      group: 42,
      up: true,
      allmulti: true,
      multicast: false
    })
    const shown = ns.tools.link('br0')
    expect(shown).toMatchObject({
      mtu: 1400,
      address: '02:00:00:00:00:07',
      txqlen: 77,
      ifalias: 'of the tenant "blue"',
      group: '42'
    })
    expect(shown.flags).toEqual(expect.arrayContaining(['UP', 'ALLMULTI']))
    expect(shown.flags).not.toContain('MULTICAST')
    expect(ns.tools.sysfs('br0/ifalias')).toBe('of the tenant "blue"')
    expect(ns.tools.sysfs('br0/netdev_group')).toBe('42')
  })

  test('leaves alone what is not given', async ({ ns }) => {
    ns.tools.ip('link add name br0 mtu 1400 txqueuelen 77 address 02:00:00:00:00:07 type bridge')
    ns.tools.ip('link set dev br0 up promisc on')
    const before = ns.tools.link('br0')
    await ns.net.links.set('br0', { alias: 'x' })
    const { ifalias, ...after } = ns.tools.link('br0')
    expect(ifalias).toBe('x')
    expect({ ...after, linkinfo: undefined }).toEqual({ ...before, linkinfo: undefined })
  })

  test('an empty alias takes the alias away', async ({ ns }) => {
    ns.tools.ip('link add name br0 type bridge')
    ns.tools.ip('link set dev br0 alias something')
    await ns.net.links.set('br0', { alias: '' })
    expect(ns.tools.link('br0').ifalias).toBeUndefined()
  })

  test('sizes of segments', async ({ ns }) => {
    ns.tools.ip('link add name br0 type bridge')
    await ns.net.links.set('br0', { gsoMaxSize: 40000, gsoMaxSegs: 100, groMaxSize: 50000 })
    expect(ns.tools.link('br0')).toMatchObject({ gso_max_size: 40000, gso_max_segs: 100, gro_max_size: 50000 })
  })

  test('up and down', async ({ ns }) => {
    ns.tools.ip('link add name br0 type bridge')
    await ns.net.links.up('br0')
    expect(ns.tools.link('br0').flags).toContain('UP')
    await ns.net.links.down('br0')
    expect(ns.tools.link('br0').flags).not.toContain('UP')
  })

  test('renames, also by ifindex and together with other changes', async ({ ns }) => {
    ns.tools.ip('link add name br0 index 55 type bridge')
    await ns.net.links.rename('br0', 'br1')
    expect(ns.tools.link('br1').ifindex).toBe(55)
    await ns.net.links.set(55, { name: 'br2', mtu: 1400 })
    expect(ns.tools.link('br2')).toMatchObject({ ifindex: 55, mtu: 1400 })
    expect(ns.tools.linkNames()).not.toContain('br1')
  })

  test('renames a link that is up, since Linux 6.2', async ({ ns }) => {
    ns.tools.ip('link add name br0 type bridge')
    ns.tools.ip('link set dev br0 up')
    const rename = ns.net.links.rename('br0', 'br1')
    if (atLeast('6.2')) await rename
    else await expect(rename).rejects.toMatchObject({ code: 'EBUSY', errno: -16 })
    expect(ns.tools.linkNames()).toContain(atLeast('6.2') ? 'br1' : 'br0')
  })
})

describe('alternative names', () => {
  test('are added and removed', async ({ ns }) => {
    ns.tools.ip('link add name br0 type bridge')
    await ns.net.links.addAltnames('br0', ['short', LONG])
    expect(ns.tools.link('br0').altnames).toEqual(['short', LONG])
    await ns.net.links.removeAltnames(LONG, ['short'])
    expect(ns.tools.link('br0').altnames).toEqual([LONG])
  })

  test('are references as good as names', async ({ ns }) => {
    await ns.net.links.create({ kind: 'bridge', name: 'br0', altnames: ['short', LONG] })
    await ns.net.links.set(LONG, { mtu: 1400 })
    await ns.net.links.create({ kind: 'ifb', name: 'port', master: LONG })
    expect(ns.tools.link('br0').mtu).toBe(1400)
    expect(ns.tools.link('port').master).toBe('br0')
    await ns.net.links.delete(LONG)
    expect(ns.tools.linkNames()).not.toContain('br0')
  })

  test('that are taken are EEXIST', async ({ ns }) => {
    await ns.net.links.create({ kind: 'bridge', name: 'br0', altnames: [LONG] })
    const create = ns.net.links.create({ kind: 'bridge', name: 'br1', altnames: [LONG] })
    await expect(create).rejects.toMatchObject({ code: 'EEXIST', syscall: 'RTM_NEWLINKPROP' })
    expect(ns.tools.linkNames()).not.toContain('br1')
  })
})

describe('ports', () => {
  test('are enslaved and released', async ({ ns }) => {
    ns.tools.ip('link add name br0 type bridge')
    ns.tools.ip('link add name a type veth peer name b')
    await ns.net.links.enslave('a', 'br0', { isolated: true })
    expect(ns.tools.link('a')).toMatchObject({ master: 'br0', linkinfo: { info_slave_data: { isolated: true } } })
    await ns.net.links.release('a')
    expect(ns.tools.link('a').master).toBeUndefined()
  })

  test('are released again when their settings are refused', async ({ ns }) => {
    ns.tools.ip('link add name br0 type bridge')
    ns.tools.ip('link add name a type veth peer name b')
    // A state is taken only while the link is up.
    await expect(ns.net.links.enslave('a', 'br0', { state: 'listening' })).rejects.toMatchObject({ code: 'ENETDOWN' })
    expect(ns.tools.link('a').master).toBeUndefined()
  })

  test('move to another bridge', async ({ ns }) => {
    for (const name of ['br0', 'br1']) ns.tools.ip(`link add name ${name} type bridge`)
    ns.tools.ip('link add name a type veth peer name b')
    await ns.net.links.enslave('a', 'br0')
    await ns.net.links.enslave('a', { index: ns.tools.link('br1').ifindex })
    expect(ns.tools.link('a').master).toBe('br1')
  })
})

describe('delete', () => {
  test('removes a link, and a veth with its peer', async ({ ns }) => {
    ns.tools.ip('link add name br0 index 55 type bridge')
    ns.tools.ip('link add name a type veth peer name b')
    await ns.net.links.delete(55)
    await ns.net.links.delete('b')
    expect(ns.tools.linkNames()).toEqual(['lo'])
  })

  test('of a link that does not exist is ENODEV, or nothing if so wished', async ({ ns }) => {
    await expect(ns.net.links.delete('nothing')).rejects.toMatchObject({ code: 'ENODEV', syscall: 'RTM_DELLINK' })
    await expect(ns.net.links.delete('nothing', { ifExists: true })).resolves.toBeUndefined()
  })

  test('ifExists hides no other failure', async ({ ns }) => {
    await expect(ns.net.links.delete('lo', { ifExists: true })).rejects.toMatchObject({ code: 'EOPNOTSUPP' })
  })
})
