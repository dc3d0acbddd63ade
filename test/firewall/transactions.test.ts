/** All or nothing: what is refused, by whom, and what is left. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { Nftables, type NftChange, nft as n } from '../../lib/index.js'
import { atLeast, inVm } from '../support/features.js'
import { test } from './support/firewall.js'

const table: NftChange = { add: { table: { family: 'inet', name: 'ours' } } }
const chain: NftChange = { add: { chain: { family: 'inet', table: 'ours', name: 'c' } } }
const ruleOf = (port: number): NftChange => ({
  add: { rule: { family: 'inet', table: 'ours', chain: 'c', statements: [n.tcp.dport(port), n.drop] } }
})

describe('handles', () => {
  test('are those that nft shows, and remove exactly what was added', async ({ firewall, nft }) => {
    nft.run('table inet theirs { chain c { tcp dport 1 drop; }\n}')
    nft.run('add table inet ours; add chain inet ours c; add rule inet ours c tcp dport 22 drop'.replaceAll(';', '\n'))
    const { handles } = await firewall.transaction([table, chain, ruleOf(23), ruleOf(24)])
    const shown = nft.json().filter(({ rule }) => rule?.table === 'ours')
    expect(handles.slice(2)).toEqual(shown.slice(1).map(({ rule }) => rule.handle))
    await firewall.transaction([
      { delete: { rule: { family: 'inet', table: 'ours', chain: 'c', handle: handles[2] as number } } },
      { delete: { rule: { family: 'inet', table: 'ours', chain: 'c', handle: handles[3] as number } } }
    ])
    expect(nft.rules('inet', 'ours', 'c')).toEqual(['tcp dport 22 drop'])
    expect(nft.rules('inet', 'theirs', 'c')).toEqual(['tcp dport 1 drop'])
  })

  test('are not asked for when nobody wants them', async ({ firewall }) => {
    expect(await firewall.transaction([table, chain], { handles: false })).toEqual({ handles: [undefined, undefined] })
  })

  test('a rule with sets of its own has one, and takes them along', async ({ firewall, nft }) => {
    const statements = [n.ip.saddr(['10.0.0.1', '10.0.0.2']), n.tcp.dport([1, '5-9']), n.drop]
    const rule = { family: 'inet', table: 'ours', chain: 'c', statements } as const
    const { handles } = await firewall.transaction([table, chain, { add: { rule } }])
    expect(handles[2]).toBe(nft.json().find(entry => entry.rule)?.rule.handle)
    await firewall.transaction([
      { delete: { rule: { family: 'inet', table: 'ours', chain: 'c', handle: handles[2] as number } } }
    ])
    expect(nft.json().map(entry => Object.keys(entry)[0])).toEqual(['table', 'chain'])
  })
})

describe('places', () => {
  test('insert, position and replace', async ({ firewall, nft }) => {
    const place = { family: 'inet', table: 'ours', chain: 'c' } as const
    const { handles } = await firewall.transaction([table, chain, ruleOf(10), ruleOf(20)])
    const [, , first, second] = handles as number[]
    await firewall.transaction([
      { insert: { rule: { ...place, statements: [n.tcp.dport(1), n.drop] } } },
      { insert: { rule: { ...place, position: second, statements: [n.tcp.dport(15), n.drop] } } },
      { add: { rule: { ...place, position: first, statements: [n.tcp.dport(12), n.drop] } } },
      { replace: { rule: { ...place, handle: second as number, statements: [n.tcp.dport(21), n.accept] } } }
    ])
    expect(nft.rules('inet', 'ours', 'c')).toEqual([
      'tcp dport 1 drop',
      'tcp dport 10 drop',
      'tcp dport 12 drop',
      'tcp dport 15 drop',
      'tcp dport 21 accept'
    ])
  })

  test('flush takes what is in it and leaves the rest', async ({ firewall, nft }) => {
    const other: NftChange = { add: { chain: { family: 'inet', table: 'ours', name: 'other' } } }
    const set: NftChange = {
      add: { set: { family: 'inet', table: 'ours', name: 's', type: 'ipv4_addr', elements: [{ key: '10.0.0.1' }] } }
    }
    const rule: NftChange = { add: { rule: { family: 'inet', table: 'ours', chain: 'other', statements: [n.drop] } } }
    await firewall.transaction([table, chain, other, set, ruleOf(1), rule])
    await firewall.transaction([{ flush: { chain: { family: 'inet', table: 'ours', name: 'c' } } }])
    expect(nft.rules('inet', 'ours', 'c')).toEqual([])
    expect(nft.rules('inet', 'ours', 'other')).toEqual(['drop'])
    await firewall.transaction([
      { flush: { set: { family: 'inet', table: 'ours', name: 's' } } },
      { flush: { table: { family: 'inet', name: 'ours' } } }
    ])
    expect(nft.rules('inet', 'ours', 'other')).toEqual([])
    expect((await firewall.sets())[0]?.elements).toEqual([])
  })
})

describe('what fails', () => {
  test('is named, and nothing was changed', async ({ firewall, nft }) => {
    nft.run('table inet theirs { chain c { type filter hook input priority 5; drop\n }\n}')
    const before = nft.list('-a')
    const bad: NftChange = { add: { rule: { family: 'inet', table: 'ours', chain: 'nowhere', statements: [n.drop] } } }
    const refused = firewall.transaction([table, chain, ruleOf(1), bad, ruleOf(2)])
    await expect(refused).rejects.toMatchObject({
      code: 'ENOENT',
      syscall: 'NFT_MSG_NEWRULE',
      item: 3,
      path: '[3].add.rule.chain',
      link: 'inet ours nowhere'
    })
    await expect(refused).rejects.toThrow('nothing was changed')
    expect(nft.list('-a')).toBe(before)
    // And the socket is as good as before.
    await firewall.transaction([table, chain, ruleOf(1)])
    expect(nft.rules('inet', 'ours', 'c')).toEqual(['tcp dport 1 drop'])
  })

  test('the first of several is told', async ({ firewall }) => {
    const missing = (name: string): NftChange => ({ delete: { table: { family: 'ip', name } } })
    await expect(firewall.transaction([table, missing('a'), missing('b')])).rejects.toMatchObject({
      code: 'ENOENT',
      item: 1,
      path: '[1].delete.table.name'
    })
    expect(await firewall.tables()).toEqual([])
  })

  test('the last, and one of several messages of a change', async ({ firewall }) => {
    const exists: NftChange = { create: { table: { family: 'inet', name: 'ours' } } }
    await firewall.transaction([table])
    await expect(firewall.transaction([chain, exists])).rejects.toMatchObject({ code: 'EEXIST', item: 1 })
    // The set comes before its rule.
    const rule: NftChange = {
      add: { rule: { family: 'inet', table: 'ours', chain: 'c', statements: [n.tcp.dport([1, 2]), n.jump('nowhere')] } }
    }
    await expect(firewall.transaction([chain, rule])).rejects.toMatchObject({ code: 'ENOENT', item: 1 })
    expect(await firewall.chains()).toEqual([])
    expect(await firewall.sets()).toEqual([])
  })

  test('a loop, which the kernel sees when all is there', async ({ firewall }) => {
    const jump = (from: string, to: string): NftChange => ({
      add: { rule: { family: 'ip', table: 't', chain: from, statements: [n.jump(to)] } }
    })
    const base: NftChange = { add: { chain: { family: 'ip', table: 't', name: 'base', hook: 'input', priority: 0 } } }
    const named = ['a', 'b'].map((name): NftChange => ({ add: { chain: { family: 'ip', table: 't', name } } }))
    const chains = [base, ...named]
    const changes: NftChange[] = [
      { add: { table: { family: 'ip', name: 't' } } },
      ...chains,
      jump('base', 'a'),
      jump('a', 'b'),
      jump('b', 'a')
    ]
    await expect(firewall.transaction(changes)).rejects.toMatchObject({
      code: expect.stringMatching(/^(ELOOP|EMLINK)$/)
    })
    expect(await firewall.tables()).toEqual([])
  })

  test('a chain on a link that does not exist', async ({ firewall }) => {
    const changes: NftChange[] = [
      { add: { table: { family: 'netdev', name: 't' } } },
      { add: { chain: { family: 'netdev', table: 't', name: 'c', hook: 'ingress', priority: 0, devs: ['nolink'] } } }
    ]
    // Since 6.16 a chain may be there before its links.
    if (atLeast('6.16')) await firewall.transaction(changes)
    else await expect(firewall.transaction(changes)).rejects.toMatchObject({ code: 'ENOENT', item: 1 })
  })

  test('an empty transaction is none', async ({ firewall }) => {
    const before = await firewall.generation()
    expect(await firewall.transaction([])).toEqual({ handles: [] })
    expect(await firewall.generation()).toBe(before)
  })

  test.for([
    [[{ add: { table: { family: 'ipv4', name: 'x' } } }], '[0].add.table.family'],
    [[{ add: { tabel: {} } }], '[0].add'],
    [[table, { remove: { table: { family: 'ip', name: 'x' } } }], '[1].remove'],
    [[{ delete: { rule: { family: 'ip', table: 't', chain: 'c' } } }], '[0].delete.rule.handle'],
    [[{ delete: { chain: { family: 'ip', table: 't' } } }], '[0].delete.chain.name'],
    [[{ delete: { table: { family: 'ip' } } }], '[0].delete.table.name'],
    [[{ delete: { table: { name: 'x' } } }], '[0].delete.table.family'],
    [[{ delete: { table: { family: 'unspec', name: 'x' } } }], '[0].delete.table.family'],
    [[{ destroy: { table: { name: 'x' } } }], '[0].destroy.table.family'],
    [[{ delete: { table: null } }], '[0].delete'],
    [[{ flush: { table: { family: 'ip' } } }], '[0].flush.table.name'],
    [[{ add: { chain: { family: 'ip', table: 't', name: 'c', hook: 'ingress', priority: 0 } } }], '[0].add.chain.hook'],
    [[{ add: { chain: { family: 'ip', table: 't', name: 'c', hook: 'input' } } }], '[0].add.chain.priority'],
    [[{ add: { chain: { family: 'ip', table: 't', name: 'c', priority: 1 } } }], '[0].add.chain.priority'],
    [[{ add: { elements: { family: 'ip', table: 't', set: 'nowhere', elements: [] } } }], '[0].add.elements.set']
  ] as [NftChange[], string][])('refused before anything is sent: %j', async ([changes, path], { firewall }) => {
    const before = await firewall.generation()
    await expect(firewall.transaction(changes)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path })
    expect(await firewall.generation()).toBe(before)
  })
})

describe('somebody else at the same time', () => {
  test('a transaction for another generation changes nothing', async ({ firewall, nft }) => {
    await firewall.transaction([table, chain])
    const { generation } = await firewall.ruleset()
    nft.run('add table ip theirs')
    const before = nft.list('-a')
    await expect(firewall.transaction([ruleOf(1)], { generation })).rejects.toMatchObject({
      code: 'ERR_RULESET_CHANGED'
    })
    expect(nft.list('-a')).toBe(before)
    const now = await firewall.generation()
    await firewall.transaction([ruleOf(1)], { generation: now })
    expect(await firewall.generation()).toBe(now + 1)
    expect(nft.rules('inet', 'ours', 'c')).toEqual(['tcp dport 1 drop'])
  })

  // Under software emulation a list takes longer than the storm ever rests.
  test.skipIf(inVm)('a list is of one moment, whatever happens meanwhile', async ({ firewall, ns }) => {
    await firewall.transaction([table, chain])
    await using other = await Nftables.open({ netns: ns.name })
    // Two rules that are there together or not at all, each with its set.
    const withSet = (port: number): NftChange => ({
      add: { rule: { family: 'inet', table: 'ours', chain: 'c', statements: [n.tcp.dport([port, 9]), n.drop] } }
    })
    let stop = false
    const storm = (async () => {
      let transactions = 0
      for (; !stop; transactions++) {
        const { handles } = await other.transaction([withSet(1), withSet(2)])
        await other.transaction(
          handles.map(handle => ({
            delete: { rule: { family: 'inet', table: 'ours', chain: 'c', handle: handle as number } }
          }))
        )
        // Without a rest no list would ever be finished: now in the middle of one, now between two.
        await delay(transactions % 8)
      }
      return transactions
    })()
    let lists = 0
    try {
      for (let i = 0; i < 200; i++) {
        const counts = await firewall.rules({ table: 'ours' }).then(
          rules => rules.map(String),
          error => (error.code === 'ERR_DUMP_INTERRUPTED' ? undefined : Promise.reject(error))
        )
        if (counts === undefined) continue
        lists++
        expect([[], ['tcp dport { 1, 9 } drop', 'tcp dport { 2, 9 } drop']]).toContainEqual(counts)
      }
    } finally {
      stop = true
    }
    expect(await storm).toBeGreaterThan(10)
    expect(lists).toBeGreaterThan(0)
  })
})

describe('large transactions', () => {
  test('5,000 rules at once, each with its handle', async ({ firewall, nft }) => {
    const rules = Array.from({ length: 5000 }, (_, i) => ruleOf(i + 1))
    const { handles } = await firewall.transaction([table, chain, ...rules])
    expect(new Set(handles.slice(2)).size).toBe(5000)
    expect(handles.slice(2).every(handle => Number.isInteger(handle))).toBe(true)
    expect(nft.rules('inet', 'ours', 'c')).toHaveLength(5000)
    const listed = await firewall.rules({ table: 'ours' })
    expect(listed.map(rule => rule.handle)).toEqual(handles.slice(2))
    // The last is refused: none is there.
    const bad: NftChange = { create: { table: { family: 'inet', name: 'ours' } } }
    await expect(firewall.transaction([...rules, bad])).rejects.toMatchObject({ code: 'EEXIST', item: 5000 })
    expect(await firewall.rules({ table: 'ours' })).toHaveLength(5000)
  })

  test('20,000 elements at once', async ({ firewall, nft }) => {
    const keys = Array.from({ length: 20_000 }, (_, i) => `10.${i >> 14}.${(i >> 7) & 127}.${2 * (i & 127)}`)
    const elements = keys.map(key => ({ key }))
    const set = { family: 'inet', table: 'ours', name: 's', type: 'ipv4_addr' } as const
    await firewall.transaction([
      table,
      { add: { set: { ...set, elements } } },
      { add: { set: { ...set, name: 'i', flags: ['interval'], elements } } }
    ])
    const [plain, interval] = await firewall.sets()
    expect(plain?.elements?.map(({ key }) => key).sort()).toEqual(keys.toSorted())
    expect(interval?.elements?.map(({ key }) => key).sort()).toEqual(keys.toSorted())
    const shown = nft.json().find(entry => entry.set?.name === 's')?.set.elem
    expect(shown.toSorted()).toEqual(keys.toSorted())
  })
})

test('a transaction larger than the socket may send says so', async ({ ns, skip }) => {
  // In a user namespace the limits of the system hold; older kernels show them in the first network namespace only.
  const setting = '/proc/sys/net/core/wmem_max'
  if (!existsSync(setting)) skip(`no ${setting} here`)
  const limit = Number(readFileSync(setting, 'utf8'))
  const count = Math.ceil((2 * limit) / 200)
  if (count > 200_000) skip(`net.core.wmem_max is ${limit}`)
  const script = `
    import { Nftables, nft } from '${new URL('../../dist/index.js', import.meta.url).href}'
    const firewall = await Nftables.open()
    const place = { family: 'inet', table: 't', chain: 'c' }
    const rule = { add: { rule: { ...place, statements: [nft.tcp.dport(1), nft.drop] } } }
    const changes = [{ add: { table: { family: 'inet', name: 't' } } }, { add: { chain: { family: 'inet', table: 't', name: 'c' } } }]
    for (const handles of [true, false]) {
      // 250 bytes a rule.
      const error = await firewall.transaction([...changes, ...Array(${count}).fill(rule)], { handles }).catch(error => error)
      console.log(JSON.stringify({ code: error.code, message: error.message, tables: await firewall.tables() }))
    }
    const small = await firewall.transaction([...changes, ...Array(100).fill(rule)])
    console.log(JSON.stringify({ handles: small.handles.filter(Boolean).length }))
    firewall.close()`
  const args = ['--user', '--map-root-user', '--net', process.execPath, '--input-type=module', '-e', script]
  let lines: { code?: string; message?: string; tables?: unknown[]; handles?: number }[]
  try {
    lines = execFileSync('unshare', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string }
    if (!stderr.startsWith('unshare:')) throw error
    skip(`no user namespaces here: ${stderr}`)
    return
  }
  expect(ns.name).not.toBe('')
  expect(lines[0]).toMatchObject({ code: 'EMSGSIZE', tables: [] })
  expect(lines[0]?.message).toContain('net.core.rmem_max')
  expect(lines[1]).toMatchObject({ code: 'EMSGSIZE', tables: [] })
  expect(lines[1]?.message).toContain('net.core.wmem_max')
  expect(lines[2]).toEqual({ handles: 102 })
})

describe('destroy', () => {
  test('of what is there, and of what is not', async ({ firewall, nft }) => {
    await firewall.transaction([table, chain, ruleOf(1)])
    await firewall.transaction([
      { destroy: { chain: { family: 'inet', table: 'ours', name: 'never' } } },
      { destroy: { chain: { family: 'inet', table: 'ours', name: 'c' } } },
      { destroy: { table: { family: 'inet', name: 'never' } } }
    ])
    expect(nft.json().map(entry => Object.keys(entry)[0])).toEqual(['table'])
    await firewall.transaction([{ destroy: { table: { family: 'inet', name: 'ours' } } }])
    expect(nft.json()).toEqual([])
  })

  test('of sets is newer', async ({ firewall }) => {
    await firewall.transaction([table])
    const destroy = firewall.transaction([{ destroy: { set: { family: 'inet', table: 'ours', name: 'never' } } }])
    if (atLeast('6.3')) await destroy
    else await expect(destroy).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED', path: '[0].destroy.set' })
  })
})

test("a table that is owned goes with its socket, and is nobody else's", async ({ ns, firewall, nft }) => {
  const owner = await Nftables.open({ netns: ns.name })
  await owner.transaction([{ add: { table: { family: 'inet', name: 'ours', owned: true } } }])
  expect((await firewall.tables())[0]?.owner).toBe(owner.socket.portId)
  await expect(firewall.transaction([chain])).rejects.toMatchObject({ code: 'EPERM' })
  owner.close()
  await expect.poll(() => nft.json(), { timeout: 5000 }).toEqual([])
})

test('without the right to it', async ({ ns, skip }) => {
  const { AS_NOBODY, canRun, runScript } = await import('../support/child.js')
  if (!canRun(AS_NOBODY)) skip('setpriv does not work here')
  const { stdout } = runScript(
    `const firewall = await lib.Nftables.open()
     const error = await firewall.transaction([{ add: { table: { family: 'ip', name: 't' } } }], { timeout: 5000 }).catch(error => error)
     console.log(error.code)
     firewall.close()`,
    { before: AS_NOBODY }
  )
  expect(ns.name).not.toBe('')
  expect(stdout.trim()).toBe('EPERM')
})
