/** A watch of all namespaces that have an id. */
import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import type { WatchChange } from '../../lib/index.js'
import { createNamespace, test } from '../support/namespace.js'
import { inWords, take, takeChange } from '../support/watching.js'

const OPTIONS = { namespaces: 'all', recheck: Number.POSITIVE_INFINITY } as const

describe('an id', () => {
  test('is found, given and kept', async ({ ns, other }) => {
    expect(await ns.net.nsid(other.name)).toBeUndefined()
    const id = await ns.net.assignNsid(other.name, 77)
    expect(id).toBe(77)
    expect(await ns.net.nsid(other.name)).toBe(77)
    expect(await ns.net.assignNsid(other.path)).toBe(77)
    expect(ns.tools.ip('netns list-id')).toMatch(/nsid 77/)
    await expect(ns.net.assignNsid(other.name, 78)).rejects.toMatchObject({ code: 'EEXIST' })
  })

  test('may be any', async ({ ns, other }) => {
    const id = await ns.net.assignNsid(other.name)
    expect(await ns.net.nsid(other.name)).toBe(id)
  })

  test('has to be one', async ({ ns, other }) => {
    await expect(ns.net.assignNsid(other.name, -2)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path: 'id' })
  })
})

describe('tells', () => {
  test('what is in all of them, and what changes', async ({ ns, other }) => {
    const nsid = await ns.net.assignNsid(other.name)
    other.tools.ip('link add name there type bridge')
    await using watch = ns.net.watch({ links: true, addresses: true, ...OPTIONS })
    const snapshot = await take(watch)
    if (snapshot.event !== 'snapshot') throw new Error('no snapshot')
    expect(snapshot.links.map(link => [link.targetNetnsid, link.name])).toEqual([
      [undefined, 'lo'],
      [nsid, 'lo'],
      [nsid, 'there']
    ])
    expect(new Set(snapshot.keys.links).size).toBe(3)
    other.tools.ip('link set dev there mtu 1400')
    const changed = (await takeChange(watch, 'changed link there')) as WatchChange<'link'>
    expect(changed).toMatchObject({ nsid, before: { mtu: 1500 }, after: { mtu: 1400 } })
    expect(snapshot.keys.links).toContain(changed.key)
    other.tools.ip('addr add 192.0.2.1/24 dev there')
    expect(await takeChange(watch, 'added address 192.0.2.1/24')).toMatchObject({ nsid })
    ns.tools.ip('link add name here type bridge')
    expect(await takeChange(watch, 'added link here')).toMatchObject({ nsid: null })
  })

  test('namespaces that come and go', async ({ ns }) => {
    await using watch = ns.net.watch({ links: true, ...OPTIONS })
    await take(watch)
    const late = await createNamespace()
    late.tools.ip('link add name there type bridge')
    const nsid = await ns.net.assignNsid(late.name)
    const added = [await take(watch), await take(watch)]
    expect(added.map(inWords)).toEqual(['added link lo', 'added link there'])
    expect(added.every(event => event.event === 'added' && event.nsid === nsid)).toBe(true)
    late.tools.ip('link set dev there mtu 1400')
    await takeChange(watch, 'changed link there')
    await late[Symbol.asyncDispose]()
    expect(await takeChange(watch, 'removed link there')).toMatchObject({ nsid })
  })

  test('an id that another namespace gets before the first was seen to go', async ({ ns, other }) => {
    const first = await createNamespace()
    first.tools.ip('link add name gone type bridge')
    const nsid = await ns.net.assignNsid(first.name)
    other.tools.ip('link add name come type bridge')
    await using watch = ns.net.watch({ links: true, ...OPTIONS })
    await take(watch)
    // Nobody takes an event meanwhile.
    await first[Symbol.asyncDispose]()
    for (let free = false; !free; await sleep(10)) {
      free = await ns.net.assignNsid(other.name, nsid).then(
        () => true,
        () => false
      )
    }
    // They have the same ifindex, and so the same key.
    expect(await takeChange(watch, 'changed link come')).toMatchObject({ nsid, before: { name: 'gone' } })
  })

  test('what was missed in one of them', async ({ ns, other }) => {
    await ns.net.assignNsid(other.name)
    other.tools.ip('link add name there type bridge')
    await using watch = ns.net.watch({ links: true, receiveBuffer: 1, ...OPTIONS })
    await take(watch)
    const commands = Array.from({ length: 200 }, (_, i) => `link set dev there mtu ${1300 + i}`)
    execFileSync('ip', ['-n', other.name, '-batch', '-'], { input: commands.join('\n') })
    expect(await take(watch)).toEqual({ event: 'resync', reason: 'overflow' })
    expect(await take(watch)).toMatchObject({ event: 'changed', after: { mtu: 1499 } })
  })
})

test.for(['routes', 'neighbours', 'fdb'] as const)('%s cannot be read across namespaces', (list, { ns }) => {
  expect(() => ns.net.watch({ [list]: true, namespaces: 'all' })).toThrow(
    expect.objectContaining({ code: 'ERR_UNSUPPORTED', path: list })
  )
})
