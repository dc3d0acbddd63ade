/** What takes several steps: the way back, whatever happens in between. */
import { execFileSync } from 'node:child_process'
import { describe, expect, vi } from 'vitest'
import { type CreateLink, type Link, LinkwrightError, Netlink } from '../../lib/index.js'
import { NetlinkSocket } from '../../lib/netlink/socket.js'
import { createNamespace, test } from '../support/namespace.js'
import { traffic } from '../support/trace.js'

const ifbs = (count: number): CreateLink[] => Array.from({ length: count }, (_, i) => ({ kind: 'ifb', name: `i${i}` }))
const errorOf = (result: PromiseSettledResult<Link> | undefined): LinkwrightError => {
  if (result?.status !== 'rejected') throw new Error('it succeeded')
  return result.reason as LinkwrightError
}

describe('createMany', () => {
  test('on a closed socket has a result for each', async ({ ns }) => {
    ns.net.close()
    const results = await ns.net.links.createMany(ifbs(200))
    expect(results).toHaveLength(200)
    expect(new Set(results.map(result => errorOf(result).code))).toEqual(new Set(['ERR_CLOSED']))
  })

  test('whose socket is closed meanwhile says of each what became of it', async ({ ns }) => {
    const net = await Netlink.open({ netns: ns.path })
    const pending = net.links.createMany(ifbs(1000))
    await new Promise(resolve => setTimeout(resolve, 5))
    net.close()
    const results = await pending
    expect(results).toHaveLength(1000)
    const made = results.filter(result => result.status === 'fulfilled').map(result => result.value.name)
    expect(ns.tools.linkNames()).toEqual(expect.arrayContaining(made))
  })

  test('numbers its errors by the item', async ({ ns }) => {
    const wanted = ifbs(150)
    wanted[20] = { kind: 'ifb', name: 'i0' }
    wanted[100] = { kind: 'ifb', name: 'i1' }
    wanted[120] = { kind: 'ifb', name: 'a/b' }
    const results = await ns.net.links.createMany(wanted)
    const failed = results.flatMap((result, item) =>
      result.status === 'rejected' ? [[item, errorOf(result).item]] : []
    )
    expect(failed).toEqual([
      [20, 20],
      [100, 100],
      [120, 120]
    ])
  })

  test('that is given up reports what was made', async ({ ns }) => {
    const results = await ns.net.links.createMany(ifbs(2000), { timeout: 20 })
    const made = results.filter(result => result.status === 'fulfilled')
    expect(made.length).toBeLessThan(2000)
    expect(errorOf(results.at(-1)).code).toBe('ERR_TIMEOUT')
    expect(ns.tools.linkNames().filter(name => name.startsWith('i'))).toHaveLength(made.length)
  })
})

describe('createMany, all or none', () => {
  const codes = (results: PromiseSettledResult<Link>[]) =>
    results.map(result => (result.status === 'fulfilled' ? 'made' : errorOf(result).code))

  test('one that fails ends it, and what was made is removed', async ({ ns, other }) => {
    const wanted: CreateLink[] = [...ifbs(300), { kind: 'ifb', name: 'there', netns: other.path }]
    wanted[1] = { kind: 'ifb', name: 'lent', netns: other.path }
    wanted[150] = { kind: 'ifb', name: 'i0' }
    const before = [ns.tools.linkNames(), other.tools.linkNames()]
    const { result, sent } = await traffic(() => ns.net.links.createMany(wanted, { onError: 'undo' }))
    const results = result as PromiseSettledResult<Link>[]
    expect(codes(results)).toEqual(wanted.map((_, item) => (item === 150 ? 'EEXIST' : 'ERR_UNDONE')))
    expect(errorOf(results[7])).toMatchObject({ item: 7, cause: { code: 'EEXIST', item: 150 } })
    expect(errorOf(results[0]).message).toMatch(/^removed again, because item 150 failed: .*i0/)
    expect(errorOf(results.at(-1)).message).toMatch(/because item 150 failed/)
    expect([ns.tools.linkNames(), other.tools.linkNames()]).toEqual(before)
    // By one message here, and one there.
    expect(sent.filter(({ type }) => type === 'RTM_DELLINK').length).toBeLessThanOrEqual(3)
  })

  test('giving up removes what was made', async ({ ns }) => {
    const before = ns.tools.linkNames()
    const controller = new AbortController()
    const results = await ns.net.links.createMany(ifbs(2000), {
      onError: 'undo',
      signal: controller.signal,
      onProgress: done => done >= 500 && controller.abort(new Error('enough'))
    })
    expect(results).toHaveLength(2000)
    expect(results.every(({ status }) => status === 'rejected')).toBe(true)
    expect(errorOf(results[0])).toMatchObject({ code: 'ERR_UNDONE', cause: { message: 'enough' } })
    expect(ns.tools.linkNames()).toEqual(before)
  })

  test('without a failure nothing is removed', async ({ ns }) => {
    const progress: [number, number | undefined][] = []
    const onProgress = (done: number, total: number | undefined) => void progress.push([done, total])
    expect(codes(await ns.net.links.createMany(ifbs(100), { onError: 'undo', onProgress }))).toEqual(
      Array(100).fill('made')
    )
    expect(ns.tools.linkNames()).toHaveLength(101)
    expect(progress.length).toBeGreaterThan(1)
    expect(progress.map(([done]) => done)).toEqual(progress.map(([done]) => done).toSorted((a, b) => a - b))
    expect(progress.at(-1)).toEqual([100, 100])
  })

  test('those of another namespace go together, over few sockets', async ({ ns, other }) => {
    const specs = ifbs(100).map((spec): CreateLink => ({ ...spec, netns: other.name, up: true }))
    const open = vi.spyOn(NetlinkSocket, 'open')
    const { result, sent } = await traffic(() =>
      ns.net.links.createMany([...specs, { kind: 'ifb', name: 'lo' }], { onError: 'undo' })
    )
    const opened = open.mock.calls.length
    open.mockRestore()
    expect(new Set(codes(result as PromiseSettledResult<Link>[]))).toEqual(new Set(['ERR_UNDONE', 'EEXIST']))
    expect(other.tools.linkNames()).toEqual(['lo'])
    expect(sent.filter(({ type }) => type === 'RTM_DELLINK')).toHaveLength(1)
    expect(opened).toBeLessThan(10)
  })

  test('a namespace that took over the name is left alone', async ({ ns }) => {
    await using other = await createNamespace()
    const results = await ns.net.links.createMany(
      [
        { kind: 'ifb', name: 'i0', index: 77, netns: other.name },
        { kind: 'ifb', name: 'lo' }
      ],
      {
        onError: 'undo',
        onProgress() {
          execFileSync('ip', ['netns', 'del', other.name])
          execFileSync('ip', ['netns', 'add', other.name])
          execFileSync('ip', ['-n', other.name, 'link', 'add', 'innocent', 'index', '77', 'type', 'ifb'])
        }
      }
    )
    expect(codes(results).at(-1)).toBe('EEXIST')
    expect(other.tools.linkNames()).toEqual(['lo', 'innocent'])
  })

  test.for(['source', 'callback'])('a %s that throws ends it, and what was made is removed', async (what, { ns }) => {
    async function* specs(): AsyncGenerator<CreateLink> {
      for (const [at, spec] of ifbs(300).entries()) {
        if (at === 200 && what === 'source') throw new Error('a mistake')
        yield spec
      }
    }
    const onProgress = () => {
      if (what === 'callback') throw new Error('a mistake')
    }
    await expect(ns.net.links.createMany(specs(), { onError: 'undo', onProgress })).rejects.toThrow('a mistake')
    expect(ns.tools.linkNames()).toEqual(['lo'])
    await expect(ns.net.links.createMany(specs(), { onProgress })).rejects.toThrow('a mistake')
    const left = ns.tools.linkNames()
    // Nothing comes after the end.
    await ns.net.links.list()
    expect(ns.tools.linkNames()).toEqual(left)
  })

  test('refuses what it does not know', async ({ ns }) => {
    const wrong = { onError: 'stop' } as never
    await expect(ns.net.links.createMany(ifbs(2), wrong)).rejects.toMatchObject({ path: 'onError' })
    await expect(ns.net.links.createMany(ifbs(2), { onProgress: 1 as never })).rejects.toMatchObject({
      path: 'onProgress'
    })
    expect(ns.tools.linkNames()).toEqual(['lo'])
  })
})

test('createMany reads an async iterable no faster than the kernel follows', async ({ ns }) => {
  let given = 0
  let ahead = 0
  let settled = 0
  async function* specs(): AsyncGenerator<CreateLink> {
    for (const spec of ifbs(1000)) {
      given++
      ahead = Math.max(ahead, given - settled)
      yield spec
    }
  }
  const results = await ns.net.links.createMany(specs(), {
    onProgress(done) {
      settled = done
    }
  })
  expect(results.map(result => result.status === 'fulfilled' && result.value.name)).toEqual(
    ifbs(1000).map(({ name }) => name)
  )
  expect(ahead).toBeLessThan(500)
  async function* failing(): AsyncGenerator<CreateLink> {
    yield { kind: 'ifb', name: 'before' }
    throw new Error('no more')
  }
  await expect(ns.net.links.createMany(failing())).rejects.toThrow('no more')
})

test('a creation that is given up leaves nothing', async ({ ns }) => {
  for (let round = 0; round < 20; round++) {
    const controller = new AbortController()
    const creation = ns.net.links.create(
      { kind: 'bridge', name: 'gone', altnames: ['also-gone'] },
      { signal: controller.signal }
    )
    setTimeout(() => controller.abort(new Error('given up')), round / 10)
    const outcome = await creation.then(
      () => 'made',
      error => (error as Error).message
    )
    expect(ns.tools.linkNames().includes('gone')).toBe(outcome === 'made')
    if (outcome === 'made') await ns.net.links.delete('gone')
    else expect(outcome).toBe('given up')
  }
})

test('a creation in another namespace goes on there when its name means another one', async ({ ns, other }) => {
  await using third = await createNamespace()
  third.tools.ip('link add same type ifb')
  // The namespace loses its name to another while the request is on its way.
  const creation = ns.net.links.create({ kind: 'ifb', name: 'same', netns: other.path, altnames: ['written-by-us'] })
  // The request is encoded by now, and its answer has not been taken in.
  for (let turn = 0; turn < 50; turn++) await Promise.resolve()
  execFileSync('mount', ['--bind', third.path, other.path])
  try {
    await creation
  } finally {
    execFileSync('umount', [other.path])
  }
  expect(other.tools.link('same').altnames).toEqual(['written-by-us'])
  expect(third.tools.link('same').altnames).toBeUndefined()
})

describe('a master and settings as its port', () => {
  test('go together', async ({ ns }) => {
    await ns.net.links.create({ kind: 'bridge', name: 'br0' })
    await ns.net.links.create({ kind: 'ifb', name: 'p0' })
    await ns.net.links.set('p0', { master: 'br0', port: { isolated: true }, up: true })
    const [port] = ns.tools.ipJson('link show dev p0')
    expect(port.master).toBe('br0')
    expect(port.linkinfo.info_slave_data.isolated).toBe(true)
    expect(port.flags).toContain('UP')
  })

  test.for([{ isolated: 'yes' }, { cost: 0 }])(
    '%j leaves the port in the bridge that it was in',
    async (settings, { ns }) => {
      await ns.net.links.create({ kind: 'bridge', name: 'br0' })
      await ns.net.links.create({ kind: 'bridge', name: 'br1' })
      await ns.net.links.create({ kind: 'ifb', name: 'p0', master: 'br0' })
      await expect(ns.net.links.enslave('p0', 'br1', settings as object)).rejects.toBeInstanceOf(LinkwrightError)
      expect(ns.tools.link('p0').master).toBe('br0')
    }
  )
})

describe('verify is for what follows too', () => {
  // Bridges never knew what to do with it, and say nothing.
  const ignored = { learningSync: true }
  const refusal = (path: string) => ({ code: 'ERR_NOT_APPLIED', path, attribute: 'linkinfo.portData.learningSync' })

  test('of a creation', async ({ ns }) => {
    await ns.net.links.create({ kind: 'bridge', name: 'br0' })
    const options = { kind: 'ifb', name: 'p0', master: 'br0', port: ignored } as const
    await expect(ns.net.links.create(options, { verify: true })).rejects.toMatchObject(refusal('port.learningSync'))
    expect(ns.tools.linkNames()).not.toContain('p0')
    expect((await ns.net.links.create(options)).name).toBe('p0')
  })

  test('of the creation of a peer', async ({ ns }) => {
    await ns.net.links.create({ kind: 'bridge', name: 'br0' })
    const options = { kind: 'veth', name: 'a', peer: { name: 'b', master: 'br0', port: ignored } } as const
    const create = ns.net.links.create(options, { verify: true })
    await expect(create).rejects.toMatchObject(refusal('peer.port.learningSync'))
    expect(ns.tools.linkNames()).not.toContain('a')
  })

  test('of a change of master', async ({ ns }) => {
    await ns.net.links.create({ kind: 'bridge', name: 'br0' })
    await ns.net.links.create({ kind: 'ifb', name: 'p0' })
    const enslave = ns.net.links.enslave('p0', 'br0', ignored, { verify: true })
    await expect(enslave).rejects.toMatchObject(refusal('port.learningSync'))
    expect(ns.tools.link('p0').master).toBeUndefined()
  })
})

test('waitFor that is aborted at once rejects at once', async ({ ns }) => {
  const controller = new AbortController()
  const waiting = ns.net.links.waitFor('never', link => link !== undefined, { signal: controller.signal })
  controller.abort(new Error('given up'))
  await expect(waiting).rejects.toThrow('given up')
})

test('source addresses without a word on what to do with them are put in place', async ({ ns }) => {
  await ns.net.links.create({ kind: 'ifb', name: 'low' })
  await ns.net.links.create({ kind: 'veth', name: 'v0', peer: { name: 'v1' } })
  const sources = ['02:00:00:00:00:01', '02:00:00:00:00:02']
  await ns.net.links.create({ kind: 'macvlan', name: 'm0', link: 'v0', mode: 'source', macaddrs: sources })
  const shown = () => ns.tools.link('m0').linkinfo.info_data
  expect(shown().macaddr_count).toBe(2)
  await ns.net.links.set('m0', { kind: 'macvlan', macaddr: '02:00:00:00:00:03' })
  expect(shown().macaddr_count).toBe(3)
})

describe('what is no option is refused', () => {
  test('of routes, neighbours, forwarding entries, addresses and filters', async ({ ns }) => {
    const { net } = ns
    const attempts: [Promise<unknown>, string][] = [
      [net.routes.add({ destination: 'default', link: 'lo', metric: 5 } as never), 'metric'],
      [net.neighbours.add({ address: '192.0.2.1', link: 'lo', nud: 'stale' } as never), 'nud'],
      [net.fdb.add({ lladdr: '02:00:00:00:00:01', link: 'lo', vlna: 5 } as never), 'vlna'],
      [net.addresses.add({ address: '192.0.2.1', link: 'lo', lifetime: 5 } as never), 'lifetime'],
      [net.links.list({ knd: 'bridge' } as never), 'knd'],
      [net.routes.list({ tabel: 5 } as never), 'tabel'],
      [Netlink.open({ recieveBuffer: 5 } as never), 'recieveBuffer'],
      [net.links.get('lo', { timeout: -1 }), 'timeout'],
      [net.links.get('lo', { timeout: Number.NaN }), 'timeout'],
      [net.links.get('lo', { signal: 'x' } as never), 'signal']
    ]
    for (const [attempt, path] of attempts) {
      await expect(attempt, path).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path })
    }
  })

  test('but no limit is a limit', async ({ ns }) => {
    expect((await ns.net.links.get('lo', { timeout: Number.POSITIVE_INFINITY })).name).toBe('lo')
    expect((await ns.net.links.get('lo', { timeout: 2 ** 40 })).name).toBe('lo')
  })
})
