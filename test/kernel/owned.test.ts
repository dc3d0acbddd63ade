/** Removing what is somebody's: that, but for what is in use, and nothing else. */
import { closeSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, onTestFinished } from 'vitest'
import { type CreateLink, FdSocket, type Link, Macvtap, type RemovedOwned, Tap } from '../../lib/index.js'
import { groupAlias, ownerGroup } from '../../lib/link/owner.js'
import { holdElsewhere } from '../support/holding.js'
import { type Namespace, test } from '../support/namespace.js'
import { isDump, traffic } from '../support/trace.js'
import { needsMacvtap } from '../tap/support/needs.js'

const owner = 'vmm'

async function make(ns: Namespace, ...specs: CreateLink[]): Promise<Link[]> {
  const made = await ns.net.links.createMany(specs)
  return made.map(result => {
    if (result.status === 'rejected') throw result.reason
    return result.value
  })
}

const names = (links: Link[]) => links.map(({ name }) => name as string).sort()

/** Why what stayed. */
function reasons({ kept }: RemovedOwned): Record<string, unknown> {
  return Object.fromEntries(
    kept.map(item => [item.link.name, item.reason === 'needed' ? `needed by ${item.by.name}` : item.reason])
  )
}

const persistentTap = async (ns: Namespace, options: Parameters<typeof Tap.open>[0]) =>
  (await Tap.open({ netns: ns.path, persist: true, owner, ...options })).close()

describe('listOwned', () => {
  test('gives what is tagged, in one look', async ({ ns }) => {
    await make(
      ns,
      { kind: 'ifb', name: 'i0', owner },
      { kind: 'ifb', name: 'i1', owner, alias: 'of guest 7' },
      { kind: 'bridge', name: 'br0', owner },
      { kind: 'ifb', name: 'other', owner: 'vmm2' },
      { kind: 'ifb', name: 'bare', group: ownerGroup(owner) },
      { kind: 'ifb', name: 'stranger', group: ownerGroup(owner), alias: 'mine' }
    )
    const { result, sent } = await traffic(() => ns.net.links.listOwned(owner))
    expect(names(result as Link[])).toEqual(['bare', 'br0', 'i0', 'i1'])
    expect(sent.map(isDump)).toEqual([true])
    expect(names(await ns.net.links.listOwned(owner, { kind: 'bridge' }))).toEqual(['br0'])
    await expect(ns.net.links.listOwned('a b')).rejects.toMatchObject({ path: 'owner' })
  })
})

describe('removeOwned', () => {
  test('removes what is the owner’s, in few messages, and touches nothing else', async ({ ns }) => {
    await make(
      ns,
      ...Array.from({ length: 20 }, (_, i): CreateLink => ({ kind: 'ifb', name: `i${i}`, owner })),
      { kind: 'bridge', name: 'br0', owner },
      { kind: 'bridge', name: 'mine' },
      { kind: 'ifb', name: 'other', owner: 'vmm2' },
      { kind: 'ifb', name: 'stranger', group: ownerGroup(owner), alias: 'mine' },
      { kind: 'ifb', name: 'similar', alias: 'linkwright:vmm2' }
    )
    await make(
      ns,
      { kind: 'veth', name: 'v0', owner, master: 'br0', peer: { name: 'w0' } },
      { kind: 'macvtap', name: 'm0', owner, link: 'i3', mode: 'bridge' },
      { kind: 'ifb', name: 'port', master: 'mine' }
    )
    const theirs = () => ns.tools.ipJson('link show').filter(({ ifname }) => !/^([ivw]\d+|br0|m0)$/.test(ifname))
    const before = theirs()
    const progress: [number, number][] = []
    const { result, sent } = await traffic(() =>
      ns.net.links.removeOwned(owner, { onProgress: (done, total) => void progress.push([done, total]) })
    )
    const { removed, kept, failed } = result as RemovedOwned
    expect(names(removed)).toHaveLength(23)
    expect({ kept, failed }).toEqual({ kept: [], failed: [] })
    expect(sent.filter(({ type }) => type === 'RTM_DELLINK')).toHaveLength(2)
    expect(progress.at(-1)).toEqual([23, 23])
    expect(theirs()).toEqual(before)
    expect(ns.tools.linkNames().sort()).toEqual(['lo', 'mine', 'other', 'port', 'similar', 'stranger'])
    expect(await ns.net.links.removeOwned(owner)).toEqual({ removed: [], kept: [], failed: [] })
  })

  describe('keeps', () => {
    const scene = (ns: Namespace) =>
      make(
        ns,
        { kind: 'bridge', name: 'br0', owner },
        { kind: 'bridge', name: 'br1', owner },
        { kind: 'ifb', name: 'i0', owner, altnames: ['the-long-name-of-an-ifb'] },
        { kind: 'ifb', name: 'i1', owner },
        { kind: 'ifb', name: 'i2', owner }
      )

    test('what it is told to', async ({ ns }) => {
      const made = await scene(ns)
      const keep = ['br0', 'none', 'the-long-name-of-an-ifb', made[3]?.index as number, made[4] as Link]
      const result = await ns.net.links.removeOwned(owner, { keep })
      expect(reasons(result)).toEqual({ br0: 'kept', i0: 'kept', i1: 'kept', i2: 'kept' })
      const asked: string[] = []
      const again = await ns.net.links.removeOwned(owner, {
        keep: link => {
          asked.push(link.name as string)
          return link.kind === 'bridge'
        }
      })
      expect(asked.sort()).toEqual(['br0', 'i0', 'i1', 'i2'])
      expect(reasons(again)).toEqual({ br0: 'kept' })
      expect(ns.tools.linkNames()).toEqual(['lo', 'br0'])
    })

    test('what that needs: lower devices, pairs, masters and their ways out', async ({ ns }) => {
      await scene(ns)
      await make(
        ns,
        { kind: 'veth', name: 'v0', owner, master: 'br0', peer: { name: 'w0', owner } },
        { kind: 'veth', name: 'v1', owner, master: 'br1', peer: { name: 'w1' } },
        { kind: 'vxlan', name: 'x0', owner, master: 'br0', id: 7, dstPort: 4789, dev: 'i0' }
      )
      await make(ns, { kind: 'macvtap', name: 'm0', owner, link: 'w0', mode: 'bridge' })
      const result = await ns.net.links.removeOwned(owner, { keep: ['m0', 'br1'] })
      expect(reasons(result)).toEqual({
        m0: 'kept',
        br1: 'kept',
        w0: 'needed by m0',
        v0: 'needed by w0',
        br0: 'needed by v0',
        x0: 'needed by br0',
        i0: 'needed by x0'
      })
      expect(ns.tools.linkNames().sort()).toEqual(['br0', 'br1', 'i0', 'lo', 'm0', 'v0', 'w0', 'x0'])
    })

    test('nothing that has the ifindex of a peer in another namespace', async ({ ns, other }) => {
      const made = await scene(ns)
      const peer = { name: 'w9', netns: other.path, index: made[2]?.index }
      await make(ns, { kind: 'veth', name: 'v9', index: 99, owner, peer })
      expect(reasons(await ns.net.links.removeOwned(owner, { keep: ['v9'] }))).toEqual({ v9: 'kept' })
    })

    test('what others’ links stand on, but not a bridge whose ports are left', async ({ ns }) => {
      await scene(ns)
      await make(
        ns,
        { kind: 'macvtap', name: 'theirs', link: 'i0', mode: 'bridge' },
        { kind: 'ifb', name: 'port', master: 'br0' },
        { kind: 'veth', name: 'v0', owner, peer: { name: 'w0', owner: 'else' } },
        { kind: 'veth', name: 'v1', owner, peer: { name: 'w1', alias: 'words' } }
      )
      const result = await ns.net.links.removeOwned(owner)
      expect(reasons(result)).toEqual({ i0: 'needed by theirs', v0: 'needed by w0' })
      expect(ns.tools.linkNames().sort()).toEqual(['i0', 'lo', 'port', 'theirs', 'v0', 'w0'])
    })

    test('what is open, and its way out', async ({ ns }) => {
      await scene(ns)
      await make(ns, { kind: 'veth', name: 'up', owner, master: 'br0', peer: { name: 'down' } })
      for (const name of ['held', 'free', 'mine']) await persistentTap(ns, { name, master: 'br0' })
      const { pid, release } = await holdElsewhere(ns.name, ['held'])
      const tap = await Tap.open({ name: 'mine', netns: ns.path, exclusive: false })
      const result = await ns.net.links.removeOwned(owner, { keep: ['br0'] })
      expect(reasons(result)).toEqual({ held: 'held', mine: 'held', br0: 'kept', up: 'needed by br0' })
      const holders = result.kept.flatMap(item => (item.reason === 'held' ? item.holders : []))
      expect(holders.map(holder => holder.pid).sort()).toEqual([pid, process.pid].sort())
      await release()
      await tap.close()
      expect(names((await ns.net.links.removeOwned(owner)).removed)).toEqual(['br0', 'held', 'mine', 'up'])
    })

    test('the bridge of another’s TAP that is open', async ({ ns }) => {
      await scene(ns)
      ns.tools.ip('tuntap add dev theirs mode tap')
      ns.tools.ip('link set theirs master br1')
      const { release } = await holdElsewhere(ns.name, ['theirs'])
      expect(reasons(await ns.net.links.removeOwned(owner))).toEqual({ br1: 'needed by theirs' })
      await release()
      expect(names((await ns.net.links.removeOwned(owner)).removed)).toEqual(['br1'])
    })
  })

  describe('macvtaps', () => {
    needsMacvtap()

    test('that are open stay, also when the descriptor is just on its way', async ({ ns }) => {
      await make(ns, { kind: 'veth', name: 'v0', owner, peer: { name: 'w0' } })
      const [link] = await make(
        ns,
        { kind: 'macvtap', name: 'm0', owner, link: 'v0', mode: 'bridge' },
        { kind: 'macvtap', name: 'm1', owner, link: 'v0', mode: 'bridge' }
      )
      const macvtap = await Macvtap.open(link as Link, { net: ns.net })
      const [left, right] = FdSocket.pair()
      onTestFinished(() => [left, right].forEach(socket => void socket.close()))
      await left.send('x', macvtap.fds)
      await macvtap.close()
      const removing = ns.net.links.removeOwned(owner)
      // After the first look. Nobody else receives it, so there is one more at the least.
      const received = setTimeout(200).then(() => right.receive())
      const result = await removing
      for (const fd of (await received)?.fds ?? []) closeSync(fd)
      expect(reasons(result)).toEqual({ m0: 'held', v0: 'needed by m0' })
      expect(names(result.removed)).toEqual(['m1'])
    })

    test('that may be open stay: a descriptor is on its way for ever', async ({ ns }) => {
      await make(ns, { kind: 'veth', name: 'v0', owner, peer: { name: 'w0' } })
      await make(ns, { kind: 'macvtap', name: 'm0', owner, link: 'v0', mode: 'bridge' })
      const [left, right] = FdSocket.pair()
      await left.send('x', [0])
      expect(reasons(await ns.net.links.removeOwned(owner))).toEqual({ m0: 'uncertain', v0: 'needed by m0' })
      left.close()
      right.close()
      expect(names((await ns.net.links.removeOwned(owner)).removed)).toEqual(['m0', 'v0'])
    })
  })

  test('what a deletion that was killed has left is found, and put back where it stays', async ({ ns }) => {
    const group = ownerGroup(owner)
    await make(ns, ...['a', 'b', 'c', 'd'].map((name): CreateLink => ({ kind: 'ifb', name, owner })))
    for (const name of ['a', 'b', 'c', 'd']) ns.tools.ip(`link set dev ${name} group 1342177280`)
    for (const name of ['c', 'd']) ns.tools.ip(`link set dev ${name} alias ${groupAlias(group)}`)
    const { kept, removed } = await ns.net.links.removeOwned(owner, { keep: ['a', 'c'] })
    expect(kept).toHaveLength(2)
    expect(names(removed)).toEqual(['b', 'd'])
    for (const name of ['a', 'c'])
      expect(ns.tools.link(name)).toMatchObject({ group: `${group}`, ifalias: 'linkwright:vmm' })
  })

  test('what is another link by then is left alone', async ({ ns }) => {
    const [first] = await make(ns, { kind: 'ifb', name: 'i0', owner }, { kind: 'ifb', name: 'i1', owner })
    const result = await ns.net.links.removeOwned(owner, {
      keep: ({ name }) => {
        if (name !== 'i0') return false
        ns.tools.ip('link delete i0')
        ns.tools.ip(`link add new index ${first?.index} type ifb`)
        return false
      }
    })
    expect(names(result.removed)).toEqual(['i0', 'i1'])
    expect(ns.tools.linkNames()).toEqual(['lo', 'new'])
  })

  test('what the kernel does not remove is told, with the error', async ({ ns }) => {
    await make(ns, { kind: 'ifb', name: 'i0', owner })
    await ns.net.links.set('lo', { owner })
    const { removed, failed } = await ns.net.links.removeOwned(owner)
    expect(names(removed)).toEqual(['i0'])
    expect(failed).toMatchObject([{ link: { name: 'lo' }, error: { code: 'EOPNOTSUPP' } }])
  })

  test('giving up removes nothing more', async ({ ns }) => {
    await make(ns, { kind: 'ifb', name: 'i0', owner })
    const controller = new AbortController()
    const removing = ns.net.links.removeOwned(owner, {
      signal: controller.signal,
      keep: () => {
        controller.abort(new Error('enough'))
        return false
      }
    })
    await expect(removing).rejects.toThrow('enough')
    expect(ns.tools.linkNames()).toEqual(['lo', 'i0'])
  })

  test.for([
    ['a name instead of names', { keep: 'br0' }, 'keep'],
    ['no link', { keep: [{}] }, 'keep[0]'],
    ['no ifindex', { keep: ['br0', -1] }, 'keep[1]'],
    ['an unknown option', { keeps: [] }, 'keeps'],
    ['no function', { onProgress: 1 }, 'onProgress']
  ] as [string, never, string][])('refuses %s before anything is sent', async ([, options, path], { ns }) => {
    const { result, sent } = await traffic(() => ns.net.links.removeOwned(owner, options))
    expect(result).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path })
    expect(sent).toEqual([])
  })
})
