/** The dead-man's switch: whatever becomes of the process, the network comes back. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect } from 'vitest'
import { SavedPlan } from '../../lib/host/saved-plan.js'
import { planTakeover } from '../../lib/host/takeover/takeover.js'
import { type Namespace, test } from '../support/namespace.js'
import { tempFolder } from '../tap/support/needs.js'
import { connect, stateOf } from './support/scene.js'

const PROGRAM = fileURLToPath(new URL('programs/takeover.mjs', import.meta.url))

/** Processes of the guard; those that nobody waits for any more are gone. */
function guards(): string[] {
  return readdirSync('/proc').filter(pid => {
    try {
      return /^\d+ \(linkwright-guar\) [^ZX]/.test(/^\d+$/.test(pid) ? readFileSync(`/proc/${pid}/stat`, 'utf8') : '')
    } catch {
      return false
    }
  })
}

async function guardsGone(): Promise<void> {
  while (guards().length > 0) await setTimeout(20)
}

async function run(
  ns: Namespace,
  file: string,
  step: number,
  when: string
): Promise<{ signal: string | null; said: string }> {
  const child = spawn(process.execPath, [PROGRAM, ns.path, file, String(step), when], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  let said = ''
  child.stdout.on('data', text => {
    said += text
  })
  const [, signal] = await once(child, 'close')
  await guardsGone()
  return { signal, said: said.trim() }
}

describe('a process that is killed', () => {
  for (const when of ['during', 'after']) {
    test(`${when} any step: all is as it was`, { timeout: 240_000 }, async ({ ns, other }) => {
      await connect(ns, other)
      const before = stateOf(ns)
      const { steps } = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
      for (const [number, { name }] of steps.entries()) {
        const file = join(tempFolder(), 'state')
        const { signal } = await run(ns, file, number, when)
        expect(signal, name).toBe('SIGKILL')
        expect(readFileSync(`${file}.outcome`, 'utf8'), name).toBe('restored died -\n')
        expect(stateOf(ns), name).toBe(before)
      }
    })
  }

  test('when all is applied and not confirmed: all is as it was, and a later process knows', async ({ ns, other }) => {
    await connect(ns, other)
    const before = stateOf(ns)
    const file = join(tempFolder(), 'state')
    expect((await run(ns, file, -1, 'at the end')).signal).toBe('SIGKILL')
    expect(stateOf(ns)).toBe(before)
    const saved = await SavedPlan.load(ns.net, file)
    expect(saved.status).toBe('undone')
    expect(saved.restoration).toEqual({ reason: 'died', failures: [] })
    await saved.undo()
    expect(stateOf(ns)).toBe(before)
  })

  test('and hangs instead: the deadline brings it back', async ({ ns, other }) => {
    await connect(ns, other)
    const before = stateOf(ns)
    const file = join(tempFolder(), 'state')
    expect(await run(ns, file, -1, 'unconfirmed')).toEqual({ signal: null, said: 'undone' })
    expect(stateOf(ns)).toBe(before)
  })
})

describe('confirming', () => {
  test('lets it stay, and the guard ends; another process undoes it from the file', async ({ ns, other }) => {
    await connect(ns, other)
    const before = stateOf(ns)
    const file = join(tempFolder(), 'state')
    const plan = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
    await plan.apply({ confirmWithin: '60s', stateFile: file })
    expect(guards()).toHaveLength(1)
    await plan.confirm()
    expect(guards()).toEqual([])
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(ns.tools.link('eth0').master).toBe('br0')
    const again = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
    expect([again.empty, String(again)]).toEqual([true, ''])
    await expect(SavedPlan.load(other.net, file)).rejects.toMatchObject({ code: 'ERR_STALE_STATE' })
    const saved = await SavedPlan.load(ns.net, file)
    expect([saved.status, String(saved)]).toEqual(['confirmed', String(plan)])
    await saved.undo()
    expect(stateOf(ns)).toBe(before)
    expect((await SavedPlan.load(ns.net, file)).status).toBe('undone')
  })

  test('is refused after the deadline', async ({ ns, other }) => {
    await connect(ns, other)
    const before = stateOf(ns)
    const plan = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
    await plan.apply({ confirmWithin: '2s' })
    expect(await plan.settled).toBe('undone')
    await expect(plan.confirm()).rejects.toMatchObject({ code: 'ERR_RESTORED' })
    await guardsGone()
    expect(stateOf(ns)).toBe(before)
  })

  test('is what a probe does', async ({ ns, other }) => {
    await connect(ns, other)
    let asked = 0
    const plan = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
    await plan.apply({ probe: () => ++asked === 3 })
    expect([asked, plan.status, guards()]).toEqual([3, 'confirmed', []])
  })

  test('a probe that fails undoes', async ({ ns, other }) => {
    await connect(ns, other)
    const before = stateOf(ns)
    const plan = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
    const probe = () => {
      throw new Error('no route')
    }
    const failed = plan.apply({ probe, confirmWithin: '2s' })
    await expect(failed).rejects.toThrow(/probe|not confirmed in time/)
    expect([plan.status, guards()]).toEqual(['undone', []])
    expect(stateOf(ns)).toBe(before)
  })
})

test('an abort on the way undoes, at any step', { timeout: 120_000 }, async ({ ns, other }) => {
  await connect(ns, other)
  const before = stateOf(ns)
  const { steps } = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
  for (const [at, { name }] of steps.entries()) {
    const controller = new AbortController()
    const plan = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
    const onProgress = ({ number }: { number: number }) => number === at && controller.abort(new Error('enough'))
    await expect(plan.apply({ signal: controller.signal, onProgress }), name).rejects.toThrow('enough')
    expect(stateOf(ns), name).toBe(before)
    expect(guards()).toEqual([])
  }
})

test('what the kernel refuses undoes what was done before', async ({ ns, other }) => {
  await connect(ns, other)
  const before = stateOf(ns)
  const plan = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
  ns.tools.ip('link add link eth0 name mv0 type macvlan mode bridge')
  await expect(plan.apply()).rejects.toMatchObject({ code: 'EBUSY' })
  ns.tools.ip('link del dev mv0')
  expect(stateOf(ns)).toBe(before)
})

test('ports of others keep the bridge from being removed', async ({ ns, other }) => {
  await connect(ns, other)
  const plan = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
  await plan.apply()
  ns.tools.ip('link add name guest0 type veth peer name guest1')
  ns.tools.ip('link set dev guest0 master br0')
  await expect(plan.undo()).rejects.toMatchObject({ code: 'EBUSY', link: 'guest0' })
  expect(ns.tools.link('eth0').master).toBe('br0')
})
