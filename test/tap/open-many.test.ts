/** Many TAPs at once: as if opened one by one, but faster, with a result for each. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { addon } from '../../lib/addon.js'
import { type LinkwrightError, type OpenManyOptions, Tap, type TapOptions } from '../../lib/index.js'
import { traffic } from '../support/trace.js'
import { openNetlink } from './support/devices.js'
import { needsTun } from './support/needs.js'
import { createNetns } from './support/netns.js'
import { ip, ipLink, ipLinks, newFiles, openFiles, run } from './support/system.js'

needsTun()

const taps = (count: number, more: (i: number) => TapOptions = () => ({})): TapOptions[] =>
  Array.from({ length: count }, (_, i) => ({ name: `many${i}`, ...more(i) }))

async function openMany(specs: Parameters<typeof Tap.openMany>[0], options?: OpenManyOptions) {
  const results = await Tap.openMany(specs, options)
  onTestFinished(() => Tap.closeMany(results.flatMap(result => (result.status === 'fulfilled' ? result.value : []))))
  return results
}

const opened = (results: PromiseSettledResult<Tap>[]): Tap[] =>
  results.map(result => {
    if (result.status === 'rejected') throw result.reason
    return result.value
  })

const codes = (results: PromiseSettledResult<Tap>[]) =>
  results.map(result => (result.status === 'rejected' ? (result.reason as LinkwrightError).code : 'open'))

const names = (netns?: string) => ipLinks(netns).map(link => link.ifname)

describe('opening', () => {
  test.each([true, false])('ports of a bridge, with somebody who sees the messages: %s', async seen => {
    const netns = createNetns()
    ip(netns, 'link', 'add', 'br0', 'type', 'bridge')
    const specs = taps(150, i => ({ netns, master: 'br0', mtu: 1400, address: `02:00:00:00:01:${hex(i)}`, up: true }))
    const { result, sent } = seen ? await traffic(() => openMany(specs)) : { result: await openMany(specs), sent: [] }
    const devices = opened(result as PromiseSettledResult<Tap>[])
    expect(devices.map(({ name }) => name)).toEqual(specs.map(({ name }) => name))
    const links = new Map(ipLinks(netns).map(link => [link.ifname, link]))
    const ipv6 = run('ip', 'netns', 'exec', netns, 'sh', '-c', 'cat /proc/sys/net/ipv6/conf/many*/disable_ipv6')
    expect(ipv6).toBe('1\n'.repeat(150))
    for (const [i, { name, index }] of devices.entries()) {
      const link = links.get(name)
      expect(link).toMatchObject({ ifindex: index, master: 'br0', mtu: 1400, address: `02:00:00:00:01:${hex(i)}` })
      expect(link?.flags).toContain('UP')
      expect(link?.linkinfo?.info_kind).toBe('tun')
    }
    if (!seen) return
    expect(sent.filter(({ type }) => type === 'RTM_GETLINK')).toHaveLength(1)
    expect(sent.filter(({ type }) => type === 'RTM_NEWLINK')).toHaveLength(150)
  })

  test('by a pattern, in the order given, in several namespaces', async () => {
    const places = [undefined, createNetns(), createNetns()]
    const net = await openNetlink({ netns: places[2] as string })
    const results = await openMany(
      Array.from({ length: 210 }, (_, i) => ({
        name: 'pat%d',
        ...(i % 3 === 2 ? { net } : { netns: places[i % 3] })
      }))
    )
    expect(opened(results).map(({ name }) => name)).toEqual(
      Array.from({ length: 210 }, (_, i) => `pat${Math.floor(i / 3)}`)
    )
    for (const netns of places) expect(names(netns).filter(name => name.startsWith('pat'))).toHaveLength(70)
    expect(net.closed).toBe(false)
  })

  test('with what takes steps of its own', async () => {
    const netns = createNetns()
    ip(netns, 'link', 'add', 'br0', 'type', 'bridge')
    ip(netns, 'tuntap', 'add', 'there0', 'mode', 'tap')
    const [plain, , persistent, attached, header, named] = opened(
      await openMany([
        { netns },
        { name: 'port0', netns, master: 'br0', port: { isolated: true, cost: 7 }, up: true },
        { name: 'stays0', netns, persist: true },
        { name: 'there0', netns, exclusive: false, mtu: 1300 },
        { name: 'header0', netns, vnetHeader: 12, queues: 2, offloads: { csum: true } },
        { name: 'named0', netns, altnames: ['a-name-that-is-longer-than-others'] }
      ])
    ) as [Tap, Tap, Tap, Tap, Tap, Tap]
    expect(plain.name).toBe('tap0')
    expect(ipLink('port0', netns)?.linkinfo?.info_slave_data).toMatchObject({ isolated: true, cost: 7 })
    expect(ipLink('port0', netns)?.flags).toContain('UP')
    expect((await persistent.describe()).persist).toBe(true)
    expect(attached).toMatchObject({ name: 'there0', index: ipLink('there0', netns)?.ifindex })
    expect(ipLink('there0', netns)?.mtu).toBe(1300)
    expect(header.vnetHeaderSize).toBe(12)
    expect(header.fds).toHaveLength(2)
    expect(ipLink('named0', netns)?.altnames).toEqual(['a-name-that-is-longer-than-others'])
    expect(named.place.netns).toBeDefined()
    await persistent.setPersist(false)
  })

  test('an async iterable, with progress', async () => {
    const seen: [number, number | undefined][] = []
    async function* specs() {
      for (const spec of taps(100)) yield spec
    }
    opened(await openMany(specs(), { onProgress: (done, total) => seen.push([done, total]) }))
    expect(seen.map(([, total]) => total)).toEqual(seen.map(() => undefined))
    expect(seen.length).toBeGreaterThan(1)
    expect(seen.map(([done]) => done)).toEqual(seen.map(([done]) => done).toSorted((a, b) => a - b))
    expect(seen.at(-1)?.[0]).toBe(100)
    expect(names().filter(name => name.startsWith('many'))).toHaveLength(100)
  })

  test('each has a result: what is wrong with one leaves the others alone', async () => {
    ip(undefined, 'link', 'add', 'many3', 'type', 'ifb')
    onTestFinished(() => void ip(undefined, 'link', 'delete', 'many3'))
    const before = openFiles()
    const results = await openMany(
      taps(
        8,
        i =>
          [
            {},
            { mtu: -1 },
            { master: 'nobody' },
            {},
            { mtu: 20 },
            { altnames: ['lo'] },
            { netns: '/nowhere' },
            { address: '02:00:00:00:00:07' }
          ][i] as TapOptions
      )
    )
    expect(codes(results)).toEqual([
      'open',
      'ERR_INVALID_ARG_VALUE',
      'ENODEV',
      'EBUSY',
      'EINVAL',
      'EEXIST',
      'ENOENT',
      'open'
    ])
    for (const [item, result] of results.entries()) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ item })
    }
    expect((results[3] as PromiseRejectedResult).reason.diagnosis).toContain('many3 is a ifb')
    expect(names().filter(name => name.startsWith('many'))).toEqual(['many3', 'many0', 'many7'])
    await expect.poll(() => newFiles(before)).toHaveLength(2)
  })

  test('many that exist already are not all looked into', async () => {
    const netns = createNetns()
    opened(await openMany(taps(10, () => ({ netns }))))
    const again = await openMany(taps(10, () => ({ netns })))
    expect(new Set(codes(again))).toEqual(new Set(['EBUSY']))
    const diagnoses = again.map(result => (result as PromiseRejectedResult).reason.diagnosis)
    expect(diagnoses.filter(Boolean)).toHaveLength(4)
    expect(diagnoses[0]).toContain('many0 exists, held by process')
  })

  test('all or none', async () => {
    const netns = createNetns()
    const before = openFiles()
    const results = await openMany(
      taps(200, i => ({ netns, up: true, ...(i === 100 ? { master: 'nobody' } : {}) })),
      { onError: 'undo' }
    )
    expect(new Set(codes(results))).toEqual(new Set(['ERR_UNDONE', 'ENODEV']))
    expect((results[0] as PromiseRejectedResult).reason).toMatchObject({
      item: 0,
      cause: { code: 'ENODEV' },
      message: expect.stringContaining('closed again, because item 100 failed')
    })
    expect((results[199] as PromiseRejectedResult).reason.message).toContain('not opened, because item 100 failed')
    expect(names(netns)).toEqual(['lo'])
    await expect.poll(() => newFiles(before)).toEqual([])
  })

  test('all or none of those that persist, but for one that was there', async () => {
    const netns = createNetns()
    ip(netns, 'tuntap', 'add', 'many0', 'mode', 'tap')
    const results = await openMany(
      taps(40, i => ({ netns, persist: true, exclusive: i !== 0, ...(i === 39 ? { master: 'nobody' } : {}) })),
      { onError: 'undo' }
    )
    expect(new Set(codes(results))).toEqual(new Set(['ERR_UNDONE', 'ENODEV']))
    expect(names(netns)).toEqual(['lo', 'many0'])
  })

  test.each(['source', 'callback'])('a %s that throws ends it, and nothing stays open', async what => {
    const netns = createNetns()
    const before = openFiles()
    async function* specs() {
      for (const [at, spec] of taps(200, () => ({ netns, persist: true })).entries()) {
        if (at === 100 && what === 'source') throw new Error('a mistake')
        yield spec
      }
    }
    const onProgress = () => {
      if (what === 'callback') throw new Error('a mistake')
    }
    await expect(openMany(specs(), { onProgress })).rejects.toThrow('a mistake')
    expect(names(netns)).toEqual(['lo'])
    await expect.poll(() => newFiles(before)).toEqual([])
  })

  test('given up in the middle', async () => {
    const netns = createNetns()
    const controller = new AbortController()
    const reason = new Error('enough')
    async function* specs() {
      for (const [i, spec] of taps(300, () => ({ netns })).entries()) {
        if (i === 130) controller.abort(reason)
        yield spec
      }
    }
    const results = await openMany(specs(), { signal: controller.signal })
    const open = results.filter(({ status }) => status === 'fulfilled')
    expect(open).toHaveLength(128)
    expect(results).toHaveLength(300)
    for (const result of results.slice(128)) expect((result as PromiseRejectedResult).reason).toBe(reason)
    expect(names(netns)).toHaveLength(129)
  })

  test('wrong options are refused before anything is opened', async () => {
    for (const options of [{ onError: 'stop' }, { onProgress: 1 }, { signal: {} }, { other: 1 }]) {
      await expect(Tap.openMany(taps(2), options as OpenManyOptions)).rejects.toMatchObject({
        code: 'ERR_INVALID_ARG_VALUE'
      })
    }
    expect(names().filter(name => name.startsWith('many'))).toEqual([])
  })
})

describe('closing', () => {
  test('their links go together', async () => {
    const netns = createNetns()
    const before = openFiles()
    const devices = opened(await openMany(taps(120, () => ({ netns, queues: 2, up: true }))))
    ip(netns, 'link', 'set', 'many7', 'name', 'renamed7')
    ip(netns, 'link', 'add', 'stranger', 'type', 'ifb')
    const { sent } = await traffic(() => Tap.closeMany(devices))
    expect(names(netns)).toEqual(['lo', 'stranger'])
    expect(sent.filter(({ type }) => type === 'RTM_DELLINK')).toHaveLength(1)
    expect(devices.every(({ closed }) => closed)).toBe(true)
    await expect.poll(() => newFiles(before)).toEqual([])
    await Tap.closeMany(devices)
  })

  test('what others live by stays', async () => {
    const netns = createNetns()
    const elsewhere = createNetns()
    const devices = opened(await openMany(taps(40, i => ({ netns, persist: i === 1 }))))
    const [handedOut, persistent, moved] = devices as [Tap, Tap, Tap]
    const duplicate = addon().adoptDescriptors([addon().duplicateDescriptor(handedOut.fd)])
    ip(netns, 'link', 'set', 'many2', 'netns', elsewhere)
    // Another link with the ifindex of the one that left.
    ip(netns, 'link', 'add', 'many2', 'index', String(moved.index), 'type', 'ifb')
    await Tap.closeMany(devices)
    expect(names(netns).sort()).toEqual(['lo', 'many0', 'many1', 'many2'])
    expect(ipLink('many2', netns)?.linkinfo?.info_kind).toBe('ifb')
    expect(names(elsewhere)).toEqual(['lo'])
    await duplicate.close()
    expect(names(netns)).not.toContain('many0')
    await using again = await Tap.open({ name: persistent.name, netns, exclusive: false })
    await again.setPersist(false)
  })

  test('a device that another process has attached to stays', async () => {
    const netns = createNetns()
    const devices = opened(await openMany(taps(20, () => ({ netns, multiQueue: true }))))
    // As another process does it, by the name.
    await using guest = await Tap.open({ name: 'many7', netns, multiQueue: true, exclusive: false })
    await Tap.closeMany(devices)
    expect(names(netns)).toEqual(['lo', 'many7'])
    expect((await guest.describe()).name).toBe('many7')
  })

  test('frames in use end', async () => {
    const devices = opened(await openMany(taps(20, () => ({ up: true, ipv6: false }))))
    const reading = (async () => {
      for await (const _ of (devices[0] as Tap).frames()) expect.unreachable()
    })()
    await Tap.closeMany(devices)
    await reading
    expect(names().filter(name => name.startsWith('many'))).toEqual([])
  })

  test('only devices can be closed', async () => {
    await expect(Tap.closeMany([{}] as Tap[])).rejects.toMatchObject({ path: 'devices[0]' })
  })
})

const hex = (byte: number) => byte.toString(16).padStart(2, '0')
