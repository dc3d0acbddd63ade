/** Qdiscs, classes and filters: set by us and seen by tc, set by tc and seen by us. */
import { describe, expect } from 'vitest'
import type { AddClass, AddFilter, AddQdisc, LinkwrightError } from '../../lib/index.js'
import { type Feature, has } from '../support/features.js'
import type { Parsed } from '../support/ip.js'
import { test as base, type Namespace } from '../support/namespace.js'

/** A namespace with the links a, b (its peer) and i. */
const test = base.extend<{ host: Namespace }>({
  host: async ({ ns }, use) => {
    ns.tools.ip('link add name a up type veth peer name b')
    ns.tools.ip('link set dev b up')
    ns.tools.ip('link add name i up type ifb')
    await use(ns)
  }
})

/** What tc prints with details is no valid JSON for tbf and htb. */
const shown = (ns: Namespace, command: string): Parsed[] => JSON.parse(ns.tools.tc(`-s -j ${command}`) || '[]')
const qdiscs = (ns: Namespace): Parsed[] => shown(ns, 'qdisc show dev a').filter(one => one.handle !== '0:')

interface Case {
  options: Record<string, unknown> & { kind: string }
  /** The same for tc. */
  tc: string
  /** What tc shows. */
  shows: object
  /** What is read, where it is more than what was given. */
  settings?: object
}

const QDISCS: Record<string, Case> = {
  htb: {
    options: { kind: 'htb', default: 0x1f, r2q: 20, directQlen: 77 },
    tc: 'htb default 1f r2q 20 direct_qlen 77',
    shows: { r2q: 20, default: '0x1f', direct_qlen: 77 }
  },
  tbf: {
    options: { kind: 'tbf', rate: '8mbit', burst: '10k', latency: '50ms' },
    tc: 'tbf rate 8mbit burst 10k latency 50ms',
    shows: { rate: 1_000_000, burst: 10_240, lat: 50_000 },
    settings: { rate: 8_000_000, burst: 10_240, limit: 60_240 }
  },
  'tbf with a peak rate': {
    options: { kind: 'tbf', rate: '8mbit', burst: '10k', limit: 20_000, peakrate: '16mbit', mtu: 2000, mpu: 64 },
    tc: 'tbf rate 8mbit burst 10k limit 20000 peakrate 16mbit mtu 2000 mpu 64',
    shows: { rate: 1_000_000, burst: 10_240 },
    settings: { rate: 8_000_000, burst: 10_240, limit: 20_000, peakrate: 16_000_000, mtu: 2000, mpu: 64 }
  },
  'tbf beyond 34 Gbit/s': {
    options: { kind: 'tbf', rate: 100_000_000_000n, burst: '1m', limit: '4m' },
    tc: 'tbf rate 100gbit burst 1m limit 4m',
    shows: { rate: 12_500_000_000 },
    settings: { rate: 100_000_000_000, limit: 4_194_304 }
  },
  pfifo: { options: { kind: 'pfifo', limit: 33 }, tc: 'pfifo limit 33', shows: { limit: 33 } },
  bfifo: { options: { kind: 'bfifo', limit: 33_000 }, tc: 'bfifo limit 33000', shows: { limit: 33_000 } },
  fq_codel: {
    options: { kind: 'fq_codel', target: 10_000, interval: 200_000, limit: 500, flows: 64, quantum: 600, ecn: false },
    tc: 'fq_codel target 10ms interval 200ms limit 500 flows 64 quantum 600 noecn',
    shows: { limit: 500, flows: 64, quantum: 600, target: 9999, interval: 199_999 },
    settings: { target: 9999, interval: 199_999, limit: 500, flows: 64, quantum: 600, ecn: false }
  },
  sfq: {
    options: { kind: 'sfq', perturbPeriod: 10, limit: 90, quantum: 2000 },
    tc: 'sfq perturb 10 limit 90 quantum 2000',
    shows: { limit: 90, quantum: 2000, perturb: 10 }
  }
}

/** Options without what counts. */
function comparable(view: { toJSON(): Record<string, unknown> } | undefined): unknown {
  return JSON.parse(JSON.stringify(view?.toJSON()['options'], (key, value) => (key === 'directPkts' ? 0 : value)))
}

describe('qdiscs', () => {
  for (const [title, { options, tc, shows, settings = options }] of Object.entries(QDISCS)) {
    const feature = options.kind as Feature
    const present = !['htb', 'tbf', 'fq_codel', 'sfq'].includes(feature) || has(feature)

    test(`${title}: added`, async ({ host }) => {
      const add = () => host.net.qdiscs.add({ link: 'a', handle: '7:', ...options } as AddQdisc)
      if (!present) {
        await expect(add()).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED', syscall: 'RTM_NEWQDISC' })
        expect(qdiscs(host)).toEqual([])
        return
      }
      const made = await add()
      expect(made).toMatchObject({ kind: options.kind, handle: '7:', parent: 'root', isDefault: false })
      const [seen, ...others] = qdiscs(host)
      expect(others).toEqual([])
      expect(seen).toMatchObject({ kind: options.kind, handle: '7:', root: true })
      expect(seen.options).toMatchObject(shows)
      expect(made.settings).toMatchObject(settings)
    })

    test(`${title}: the bytes are tc's`, async ({ host, skip }) => {
      if (!present) skip(`this kernel has no ${feature}`)
      await host.net.qdiscs.add({ link: 'a', handle: '7:', ...options } as AddQdisc)
      host.tools.tc(`qdisc add dev b root handle 7: ${tc}`)
      const [ours, theirs] = await Promise.all(['a', 'b'].map(link => host.net.qdiscs.find({ link })))
      expect(theirs?.options).toBeDefined()
      expect(ours?.settings).toEqual(theirs?.settings)
      expect(comparable(ours)).toEqual(comparable(theirs))
    })
  }

  test('ingress and clsact have places of their own', async ({ host }) => {
    for (const kind of ['ingress', 'clsact'] as const) {
      const made = await host.net.qdiscs.add({ link: 'a', kind })
      expect(made).toMatchObject({ kind, handle: 'ffff:', parent: 'ingress' })
      expect(qdiscs(host)).toMatchObject([{ kind, handle: 'ffff:' }])
      await host.net.qdiscs.delete({ link: 'a', kind })
      expect(qdiscs(host)).toEqual([])
    }
  })

  test('the kernel chooses a handle', async ({ host }) => {
    const made = await host.net.qdiscs.add({ link: 'a', kind: 'bfifo' })
    expect(made.handle).toMatch(/^8[0-9a-f]{3}:$/)
    expect(qdiscs(host)[0].handle).toBe(made.handle)
  })

  test('change, replace and delete', async ({ host }) => {
    const { qdiscs: verbs } = host.net
    await expect(verbs.change({ link: 'a', handle: '7:', kind: 'pfifo', limit: 5 })).rejects.toMatchObject({
      code: 'ENOENT'
    })
    await verbs.add({ link: 'a', handle: '7:', kind: 'pfifo', limit: 5 })
    await expect(verbs.add({ link: 'a', handle: '7:', kind: 'pfifo' })).rejects.toMatchObject({ code: 'EEXIST' })
    await verbs.change({ link: 'a', handle: '7:', kind: 'pfifo', limit: 6 })
    expect(qdiscs(host)).toMatchObject([{ kind: 'pfifo', handle: '7:', options: { limit: 6 } }])
    await verbs.replace({ link: 'a', handle: '8:', kind: 'bfifo', limit: 7000 })
    expect(qdiscs(host)).toMatchObject([{ kind: 'bfifo', handle: '8:', options: { limit: 7000 } }])
    await verbs.delete({ link: 'a' })
    expect(qdiscs(host)).toEqual([])
    await expect(verbs.delete({ link: 'a' })).rejects.toMatchObject({ code: 'ENOENT', syscall: 'RTM_DELQDISC' })
  })

  test('list and find see what tc shows', async ({ host }) => {
    host.tools.tc('qdisc add dev a root handle 1: htb')
    host.tools.tc('class add dev a parent 1: classid 1:1 htb rate 1mbit')
    host.tools.tc('qdisc add dev a parent 1:1 handle 2: pfifo limit 9')
    host.tools.tc('qdisc add dev a ingress')
    const theirs = host.tools.tcJson('qdisc show').map(({ kind, handle, dev }) => `${dev} ${kind} ${handle}`)
    const names = new Map((await host.net.links.list()).map(({ index, name }) => [index, name]))
    const ours = await host.net.qdiscs.list()
    expect(ours.map(({ kind, handle, index }) => `${names.get(index)} ${kind} ${handle}`)).toEqual(theirs)
    expect((await host.net.qdiscs.list({ link: 'a' })).map(({ parent }) => parent)).toEqual(['root', '1:1', 'ingress'])
    expect((await host.net.qdiscs.find({ link: 'a', parent: '1:1' }))?.settings).toEqual({ kind: 'pfifo', limit: 9 })
    expect(await host.net.qdiscs.find({ link: 'a', handle: '2:' })).toMatchObject({ kind: 'pfifo', handle: '2:' })
    expect(await host.net.qdiscs.find({ link: 'a', parent: '1:2' })).toBeUndefined()
    expect(await host.net.qdiscs.find({ link: 'b', parent: 'ingress' })).toBeUndefined()
    expect((await host.net.qdiscs.find({ link: 'b' }))?.isDefault).toBe(true)
  })

  test('a kind that is not known here stays raw', async ({ host }) => {
    host.tools.ip('link set dev lo up')
    const [unknown] = await host.net.qdiscs.list({ link: 'lo' })
    expect(unknown).toMatchObject({ kind: 'noqueue', handle: '0:', isDefault: true })
    expect(unknown?.settings).toBeUndefined()
    expect(unknown?.options === undefined || unknown.options instanceof Uint8Array).toBe(true)
  })

  test('counters', async ({ host }) => {
    await host.net.qdiscs.add({ link: 'a', handle: '7:', kind: 'bfifo', limit: 100_000 })
    host.tools.ip('address add 192.0.2.1/24 dev a')
    host.tools.ip('neighbour add 192.0.2.2 lladdr 02:00:00:00:00:02 dev a')
    host.tools.exec('bash', '-c', 'for i in 1 2 3; do echo x >/dev/udp/192.0.2.2/9; done')
    const [theirs] = qdiscs(host)
    const { basic, queue } = (await host.net.qdiscs.find({ link: 'a' }))?.stats2 ?? {}
    expect(Number(basic?.bytes)).toBeGreaterThanOrEqual(theirs.bytes)
    expect(basic?.packets).toBeGreaterThanOrEqual(3)
    expect(queue).toMatchObject({ qlen: 0, backlog: 0, drops: theirs.drops, overlimits: theirs.overlimits })
  })
})

describe('classes', () => {
  const CLASSES: Record<string, { options: Record<string, unknown>; tc: string; shows: string; settings: object }> = {
    'a rate': {
      options: { rate: '10mbit' },
      tc: 'rate 10mbit',
      shows: 'rate 10Mbit ceil 10Mbit linklayer ethernet burst 1600b/1 mpu 0b cburst 1600b',
      settings: { rate: 10_000_000, ceil: 10_000_000, burst: 1600, cburst: 1600 }
    },
    'all of it': {
      options: { rate: 1e6, ceil: '2mbit', burst: '16k', cburst: 8000, prio: 3, quantum: 3000, overhead: 4, mpu: 64 },
      tc: 'rate 1mbit ceil 2mbit burst 16k cburst 8000 prio 3 quantum 3000 overhead 4 mpu 64',
      shows:
        'prio 3 quantum 3000 rate 1Mbit overhead 4 ceil 2Mbit linklayer ethernet burst 16Kb/1 mpu 64b cburst 8000b',
      settings: { rate: 1e6, ceil: 2e6, burst: 16_384, cburst: 8000, prio: 3, quantum: 3000, overhead: 4, mpu: 64 }
    },
    'beyond 34 Gbit/s': {
      options: { rate: '40gbit', ceil: 100_000_000_000n, burst: '1m', cburst: '1m', quantum: 60_000 },
      tc: 'rate 40gbit ceil 100gbit burst 1m cburst 1m quantum 60000',
      shows: 'rate 40Gbit ceil 100Gbit',
      settings: { rate: 40_000_000_000, ceil: 100_000_000_000 }
    }
  }
  /** In words: tc has no JSON of them. */
  const classes = (ns: Namespace, link = 'a') => ns.tools.tc(`-d class show dev ${link}`).trim()

  for (const [title, { options, tc, shows, settings }] of Object.entries(CLASSES)) {
    test(`${title}`, async ({ host }) => {
      for (const link of ['a', 'b']) host.tools.tc(`qdisc add dev ${link} root handle 1: htb default 1`)
      const made = await host.net.classes.add({ link: 'a', classid: '1:1a', kind: 'htb', ...options } as AddClass)
      expect(made).toMatchObject({ kind: 'htb', classid: '1:1a', parent: 'root' })
      expect(made.settings).toMatchObject(settings)
      host.tools.tc(`class add dev b parent 1: classid 1:1a htb ${tc}`)
      expect(classes(host)).toMatch(/^class htb 1:1a root/)
      expect(classes(host)).toContain(shows)
      // tc reckons bursts in whole microseconds, which are long at such rates.
      if (title === 'beyond 34 Gbit/s') return
      expect(classes(host)).toBe(classes(host, 'b'))
      const [mine, others] = await Promise.all(['a', 'b'].map(link => host.net.classes.list({ link })))
      expect(mine?.[0]?.toJSON()['options']).toEqual(others?.[0]?.toJSON()['options'])
    })
  }

  test('replace and change keep what is below; delete', async ({ host }) => {
    host.tools.tc('qdisc add dev a root handle 1: htb')
    const { classes: verbs } = host.net
    const one = { link: 'a', classid: '1:1', kind: 'htb' } as const
    await expect(verbs.change({ ...one, rate: '1mbit' })).rejects.toMatchObject({ code: 'ENOENT' })
    await verbs.add({ ...one, rate: '1mbit' })
    await verbs.add({ ...one, classid: '1:2', parent: '1:1', rate: '500kbit' })
    host.tools.tc('qdisc add dev a parent 1:2 handle 5: bfifo limit 5000')
    await expect(verbs.add({ ...one, rate: '2mbit' })).rejects.toMatchObject({ code: 'EEXIST' })
    await verbs.replace({ ...one, rate: '2mbit' })
    await verbs.change({ ...one, classid: '1:2', parent: '1:1', rate: '600kbit' })
    expect(classes(host)).toMatch(/^class htb 1:1 root rate 2Mbit/m)
    expect(classes(host)).toMatch(/^class htb 1:2 parent 1:1 leaf 5: .* rate 600Kbit/m)
    expect((await verbs.list({ link: 'a' })).find(({ classid }) => classid === '1:2')).toMatchObject({
      parent: '1:1',
      leaf: '5:'
    })
    await expect(verbs.delete({ link: 'a', classid: '1:1' })).rejects.toMatchObject({ code: 'EBUSY' })
    await verbs.delete({ link: 'a', classid: '1:2' })
    await verbs.delete({ link: 'a', classid: '1:1' })
    expect(classes(host)).toBe('')
  })

  test('what only HTB counts', async ({ host }) => {
    host.tools.tc('qdisc add dev a root handle 1: htb')
    const made = await host.net.classes.add({ link: 'a', classid: '1:1', kind: 'htb', rate: '1mbit' })
    const [, tokens, ctokens] = /tokens: (\d+) ctokens: (\d+)/.exec(host.tools.tc('-s class show dev a')) ?? []
    expect(made.xstats).toEqual({ lends: 0, borrows: 0, giants: 0, tokens: Number(tokens), ctokens: Number(ctokens) })
    expect(Number(tokens)).toBeGreaterThan(0)
  })
})

describe('filters', () => {
  interface FilterCase extends Case {
    needs: Feature[]
  }
  const drop = { actions: [{ kind: 'gact', control: 'drop' }] }
  const redirect = { actions: [{ kind: 'mirred', to: 'redirect', dev: 'i' }] }
  const FILTERS: Record<string, FilterCase> = {
    'u32 with a class': {
      needs: [],
      options: { kind: 'u32', match: [{ value: 0x0a000000, mask: 0xff000000, at: 12 }], classid: '1:2' },
      tc: 'u32 match u32 0x0a000000 0xff000000 at 12 classid 1:2',
      shows: { flowid: '1:2', match: { value: 'a000000', mask: 'ff000000', offmask: '', off: 12 } }
    },
    'u32 and mirred': {
      needs: ['mirred'],
      options: { kind: 'u32', match: [{ value: 0, mask: 0, at: -4 }], ...redirect },
      tc: 'u32 match u32 0 0 at -4 action mirred egress redirect dev i',
      shows: {
        actions: [{ kind: 'mirred', mirred_action: 'redirect', direction: 'egress', to_dev: 'i' }],
        match: { value: '0', mask: '0', offmask: '', off: -4 }
      }
    },
    'a mirror': {
      needs: ['mirred'],
      options: {
        kind: 'u32',
        match: [{ value: 0, mask: 0, at: 0 }],
        actions: [{ kind: 'mirred', to: 'mirror', dev: 'i' }]
      },
      tc: 'u32 match u32 0 0 action mirred egress mirror dev i',
      shows: { actions: [{ mirred_action: 'mirror', control_action: { type: 'pipe' } }] }
    },
    'u32 and gact': {
      needs: ['gact'],
      options: { kind: 'u32', match: [{ value: 0, mask: 0, at: 0 }], ...drop },
      tc: 'u32 match u32 0 0 action drop',
      shows: { actions: [{ kind: 'gact', control_action: { type: 'drop' } }] }
    },
    'u32 and police': {
      needs: ['police'],
      options: {
        kind: 'u32',
        match: [{ value: 0, mask: 0, at: 0 }],
        actions: [{ kind: 'police', rate: '8mbit', burst: '100k', conform: 'pipe' }]
      },
      tc: 'u32 match u32 0 0 action police rate 8mbit burst 100k mtu 64k conform-exceed drop/pipe',
      // The rest tc 6.1 does not print in JSON.
      shows: { actions: [{ kind: 'police' }] }
    },
    matchall: {
      needs: ['matchall', 'mirred'],
      options: { kind: 'matchall', ...redirect },
      tc: 'matchall action mirred egress redirect dev i',
      shows: { actions: [{ kind: 'mirred', to_dev: 'i' }] }
    },
    basic: {
      needs: ['basic', 'gact'],
      options: { kind: 'basic', ...drop },
      tc: 'basic action drop',
      shows: { actions: [{ kind: 'gact' }] }
    },
    flower: {
      needs: ['flower', 'gact'],
      options: {
        kind: 'flower',
        ethType: 0x0800,
        ethSrc: '52:54:00:12:34:56',
        ethSrcMask: 'ff:ff:ff:ff:ff:ff',
        ipv4Src: '192.0.2.0',
        ipv4SrcMask: '255.255.255.0',
        ipProto: 6,
        tcpDst: 80,
        ...drop
      },
      tc: 'flower src_mac 52:54:00:12:34:56 src_ip 192.0.2.0/24 ip_proto tcp dst_port 80 action drop',
      shows: {
        keys: { src_mac: '52:54:00:12:34:56', src_ip: '192.0.2.0/24', ip_proto: 'tcp', dst_port: 80, eth_type: 'ipv4' }
      }
    }
  }
  const filters = (ns: Namespace, link = 'a'): Parsed[] =>
    ns.tools.tcJson(`filter show dev ${link} ingress`).filter(one => one.options?.fh === undefined || one.options.match)

  /** What a filter says but for counters, times and the index of its actions. */
  const plain = (view: { toJSON(): Record<string, unknown> } | undefined) =>
    JSON.parse(
      JSON.stringify(view?.toJSON()['options'], (key, value) =>
        ['tm', 'stats', 'index', 'pcnt', 'refcnt', 'bindcnt', 'usedHwStats', 'inHwCount'].includes(key)
          ? undefined
          : value
      )
    )

  for (const [title, { needs, options, tc, shows }] of Object.entries(FILTERS)) {
    const protocol = options.kind === 'flower' ? 'ip' : 'all'
    test(title, async ({ host }) => {
      for (const link of ['a', 'b']) host.tools.tc(`qdisc add dev ${link} ingress`)
      const add = () =>
        host.net.filters.add({ link: 'a', parent: 'ingress', priority: 5, protocol, ...options } as AddFilter)
      if (!needs.every(has)) {
        await expect(add()).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED', syscall: 'RTM_NEWTFILTER' })
        expect(filters(host)).toEqual([])
        return
      }
      const made = await add()
      expect(made).toMatchObject({ kind: options.kind, priority: 5, protocol, parent: 'ingress' })
      const [seen] = filters(host).filter(one => one.options)
      expect(seen).toMatchObject({ kind: options.kind, pref: 5, options: shows })
      host.tools.tc(`filter add dev b ingress protocol ${protocol} prio 5 ${tc}`)
      const [ours, theirs] = await Promise.all(
        ['a', 'b'].map(async link => (await host.net.filters.list({ link, parent: 'ingress' })).at(-1))
      )
      expect(plain(ours)).toEqual(plain(theirs))
      const { dev, ...action } = (options['actions'] as [Record<string, unknown>] | undefined)?.[0] ?? {}
      const [read] = (ours?.settings as { actions?: unknown[] } | undefined)?.actions ?? []
      const index = dev === undefined ? {} : { dev: host.tools.link(dev as string).ifindex }
      if (options['actions']) {
        const { rate: _rate, burst: _burst, ...comparable } = action
        expect(read).toMatchObject({ ...comparable, ...index })
      }
    })
  }

  test('handles, as tc writes them', async ({ host }) => {
    host.tools.tc('qdisc add dev a clsact')
    const place = { link: 'a', parent: 'egress', priority: 9, kind: 'u32' } as const
    const made = await host.net.filters.add({ ...place, handle: '800::7', classid: '1:7' })
    expect(made).toMatchObject({ handleText: '800::7', handle: 0x80000007, parent: 'egress' })
    expect(host.tools.tc('filter show dev a egress')).toContain('fh 800::7')
    await host.net.filters.change({ ...place, handle: '800::7', classid: '1:8' })
    expect(host.tools.tc('filter show dev a egress')).toMatch(/fh 800::7 .*flowid 1:8/)
    await host.net.filters.add({ ...place, handle: '800::8', classid: '1:9' })
    await host.net.filters.delete({ link: 'a', parent: 'egress', priority: 9, handle: '800::7', kind: 'u32' })
    expect(host.tools.tc('filter show dev a egress')).not.toContain('800::7')
    await host.net.filters.delete({ link: 'a', parent: 'egress', priority: 9 })
    expect(host.tools.tc('filter show dev a egress')).toBe('')
    await expect(host.net.filters.delete({ link: 'a', parent: 'egress', priority: 9 })).rejects.toMatchObject({
      code: 'ENOENT'
    })
  })

  test('protocols', async ({ host }) => {
    host.tools.tc('qdisc add dev a ingress')
    for (const [priority, protocol] of [
      [1, 'ip'],
      [2, 'ipv6'],
      [3, 'arp'],
      [4, 0x88cc],
      [5, '802.1Q']
    ] as const) {
      await host.net.filters.add({ link: 'a', parent: 'ingress', priority, protocol, kind: 'u32', classid: '1:1' })
    }
    const seen = new Map(host.tools.tcJson('filter show dev a ingress').map(one => [one.pref, one.protocol]))
    expect([...seen]).toEqual([
      [1, 'ip'],
      [2, 'ipv6'],
      [3, 'arp'],
      [4, 'LLDP'],
      [5, '802.1Q']
    ])
  })
})

describe('what is wrong is refused before anything is sent', () => {
  const refusals: [string, string, (ns: Namespace) => Promise<unknown>][] = [
    ['a misspelt setting', 'defalt', ns => ns.net.qdiscs.add({ link: 'a', kind: 'htb', defalt: 1 } as never)],
    ['an unknown kind', 'kind', ns => ns.net.qdiscs.add({ link: 'a', kind: 'htbb' } as never)],
    ['a handle', 'handle', ns => ns.net.qdiscs.add({ link: 'a', handle: 'x:', kind: 'bfifo' })],
    ['a parent', 'parent', ns => ns.net.qdiscs.add({ link: 'a', parent: 'top', kind: 'bfifo' })],
    ['a rate', 'rate', ns => ns.net.classes.add({ link: 'a', classid: '1:1', kind: 'htb', rate: '10mbits' })],
    ['no rate', 'rate', ns => ns.net.classes.add({ link: 'a', classid: '1:1', kind: 'htb' } as never)],
    ['a rate of nothing', 'rate', ns => ns.net.classes.add({ link: 'a', classid: '1:1', kind: 'htb', rate: 7 })],
    [
      'a burst that takes minutes',
      'burst',
      ns => ns.net.classes.add({ link: 'a', classid: '1:1', kind: 'htb', rate: 8, burst: 10_000 })
    ],
    ['a class', 'classid', ns => ns.net.classes.add({ link: 'a', classid: '1', kind: 'htb', rate: 8000 })],
    ['tbf without a limit', 'limit', ns => ns.net.qdiscs.add({ link: 'a', kind: 'tbf', rate: 8000, burst: 9 })],
    ['a limit', 'limit', ns => ns.net.qdiscs.add({ link: 'a', kind: 'bfifo', limit: -1 })],
    ['an attribute', 'target', ns => ns.net.qdiscs.add({ link: 'a', kind: 'fq_codel', target: '5ms' as never })],
    [
      'an action',
      'actions[0].kind',
      ns => ns.net.filters.add({ link: 'a', kind: 'u32', actions: [{ kind: 'dorp' } as never] })
    ],
    [
      "an action's setting",
      'actions[0].rate',
      ns => ns.net.filters.add({ link: 'a', kind: 'u32', actions: [{ kind: 'police', rate: 'fast', burst: 5 }] })
    ],
    [
      "an action's link",
      'actions[0].dev',
      ns => ns.net.filters.add({ link: 'a', kind: 'u32', actions: [{ kind: 'mirred', to: 'mirror', dev: '' }] })
    ],
    ['an unknown option of list', 'dev', ns => ns.net.qdiscs.list({ dev: 'a' } as never)]
  ]
  test.for(refusals)('%s', async ([, path, attempt], { host }) => {
    const state = () => host.tools.tc('qdisc show')
    const before = state()
    await expect(attempt(host)).rejects.toSatisfy(
      (error: LinkwrightError) => error.code === 'ERR_INVALID_ARG_VALUE' && error.path === path
    )
    expect(state()).toBe(before)
  })
})
