/** A program that is killed at any moment of its work on links: the next start removes all that it owned, and nothing else. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished } from 'vitest'
import type { CreateLink } from '../../lib/index.js'
import { Tap } from '../../lib/index.js'
import { ownerGroup } from '../../lib/link/owner.js'
import { holdElsewhere } from '../support/holding.js'
import { type Namespace, test } from '../support/namespace.js'
import { random } from '../support/random.js'
import { needsTun } from '../tap/support/needs.js'

needsTun()

const PROGRAM = fileURLToPath(new URL('programs/owning.mjs', import.meta.url))
/** Moments that each is killed at; more by KILLED_ROUNDS. */
const ROUNDS = Number(process.env['KILLED_ROUNDS'] ?? (process.env['LINKWRIGHT_SANITIZE'] ? 2 : 4))
/** Of which the last does most in native code. */
const WORKS = ['createMany', 'undo', 'deleteMany', 'ensure', 'removeOwned']
const owner = 'vmm'
const group = ownerGroup(owner)

/** Links that are somebody else's, however much they look like ours. */
const FOREIGN: CreateLink[] = [
  { kind: 'bridge', name: 'br0' },
  { kind: 'ifb', name: 'plain' },
  { kind: 'ifb', name: 'stranger', group, alias: 'mine' },
  { kind: 'ifb', name: 'longer', owner: `${owner}2` },
  { kind: 'ifb', name: 'shorter', owner: owner.slice(1) },
  { kind: 'ifb', name: 'no-blank', group, alias: `linkwright:${owner}:x` },
  { kind: 'ifb', name: 'blank-before', alias: ` linkwright:${owner}` },
  { kind: 'ifb', name: 'removal-group', group: 0x4000_0000 },
  { kind: 'veth', name: 'v0', peer: { name: 'v1', group: group + 1 } },
  { kind: 'macvtap', name: 'm0', link: 'v0', mode: 'bridge' }
]

interface Killed {
  /** Whether it was, before it came to its end. */
  cut: boolean
  /** Milliseconds that the work took, so far. */
  took: number
}

/** Runs the program; kills it some milliseconds after its work has begun. */
async function runUntil(ns: Namespace, work: string, after: number): Promise<Killed> {
  const child = spawn(process.execPath, [PROGRAM, ns.path, owner, String(group), work], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const ended = once(child, 'exit')
  await Promise.race([once(child.stdout, 'data'), ended])
  const begin = performance.now()
  const timer = setTimeout(() => child.kill('SIGKILL'), Math.min(after, 2 ** 31 - 1))
  const [code, signal] = await ended
  clearTimeout(timer)
  if (signal !== 'SIGKILL') expect(code).toBe(0)
  return { cut: signal === 'SIGKILL', took: performance.now() - begin }
}

/** Another program that makes links of its own meanwhile. Stopped, it tells their names. */
function creator(ns: Namespace): () => Promise<string[]> {
  const script = `
    i=0
    while :; do
      ip link add their$i group 42 type ifb && ip link set their$i alias linkwright:${owner}s && echo their$i
      i=$((i + 1))
      sleep 0.01
    done`
  const command = ['netns', 'exec', ns.name, 'setsid', 'sh', '-c', script]
  const child = spawn('ip', command, { stdio: ['ignore', 'pipe', 'ignore'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    output += text
  })
  const stop = async () => {
    const closed = once(child, 'close')
    process.kill(-(child.pid as number), 'SIGTERM')
    await closed
    return output.trim().split('\n').filter(Boolean)
  }
  return stop
}

const list = (ns: Namespace) => ns.tools.ipJson('link show')

describe.each(process.env['LINKWRIGHT_SANITIZE'] ? WORKS.slice(-1) : WORKS)('killed in the middle of %s', work => {
  test(`${ROUNDS} times`, { timeout: ROUNDS * 60_000 }, async ({ ns }) => {
    for (const link of FOREIGN) await ns.net.links.create(link)
    const foreign = ['lo', 'v1', ...FOREIGN.map(({ name }) => name)]
    const theirs = () => JSON.stringify(list(ns).filter(({ ifname }) => foreign.includes(ifname)))
    const before = theirs()
    // Of the life before: a guest that runs on, on a bridge of its own.
    await ns.net.links.create({ kind: 'bridge', name: 'own-kept', owner })
    const guest = { name: 'own-guest', netns: ns.path, owner, persist: true, master: 'own-kept', up: true }
    await (await Tap.open(guest)).close()
    await holdElsewhere(ns.name, ['own-guest'])
    const kept = ['own-kept', 'own-guest']

    const { took } = await runUntil(ns, work, Number.POSITIVE_INFINITY)
    await ns.net.links.removeOwned(owner)
    let cut = 0
    for (let seed = 1; seed <= ROUNDS; seed++) {
      const stop = creator(ns)
      const killed = await runUntil(ns, work, random(seed)(Math.ceil(took)))
      if (killed.cut) cut++
      const made = await stop()
      const left = list(ns)
      const alongside = (links: typeof left) => JSON.stringify(links.filter(({ ifname }) => made.includes(ifname)))

      const result = await ns.net.links.removeOwned(owner)
      const now = list(ns)
      const own = (links: typeof left) => links.map(({ ifname }) => ifname).filter(name => name.startsWith('own'))
      expect(own(now).sort(), `seed ${seed}: ${own(left)}`).toEqual([...kept].sort())
      expect(result.kept.map(({ link, reason }) => [link.name, reason]).sort()).toEqual([
        ['own-guest', 'held'],
        ['own-kept', 'needed']
      ])
      expect(result.failed).toEqual([])
      expect(theirs(), `seed ${seed}`).toBe(before)
      expect(alongside(now), `seed ${seed}`).toBe(alongside(left))
      expect(now.filter(({ ifname }) => made.includes(ifname))).toHaveLength(made.length)
      for (const link of now.filter(({ ifname }) => made.includes(ifname)))
        expect(link).toMatchObject({ group: '42', ifalias: `linkwright:${owner}s` })
      for (const name of made) ns.tools.ip(`link delete ${name}`)
    }
    // Nearly all of the moments are before its end.
    expect(cut).toBeGreaterThan(0)
  })
})
