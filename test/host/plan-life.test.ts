/** A plan between its calls: who may confirm, undo and apply it, and when; and what a state file says of it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished } from 'vitest'
import { SavedPlan } from '../../lib/host/saved-plan.js'
import { type Change, send, wayBackOf } from '../../lib/host/step.js'
import { changeRequest } from '../../lib/link/link-requests.js'
import { type Namespace, test } from '../support/namespace.js'
import { tempFolder } from '../tap/support/needs.js'
import { guards, guardsGone, planOf, stepOf } from './support/plans.js'

const PROGRAM = fileURLToPath(new URL('programs/waiting-plan.mjs', import.meta.url))

/** A NIC whose MTU a plan changes: the simplest change that can be seen. */
function nicIn({ tools }: Namespace) {
  tools.ip('link add name nic0 type veth peer name nic1')
  return { index: tools.link('nic0').ifindex as number, mtu: () => tools.link('nic0').mtu }
}

const mtuOf = (index: number, mtu: number): Change => ({ request: changeRequest(index, { mtu }) })

const mtuStep = (index: number, mtu: number) =>
  stepOf('mtu', ({ net }) => send(net, [mtuOf(index, mtu)]), wayBackOf([mtuOf(index, 1500)]))

describe('the way back', () => {
  test('is only taken from steps that were begun', async ({ ns }) => {
    const { index, mtu } = nicIn(ns)
    ns.tools.ip('link set dev nic0 mtu 1300')
    const failing = stepOf('fails', () => Promise.reject(new Error('enough')))
    // What somebody else did with what the second step would have changed, is his.
    await expect(planOf(ns.net, [failing, mtuStep(index, 1400)]).apply()).rejects.toThrow('enough')
    expect(mtu()).toBe(1300)
  })
})

describe('a plan', () => {
  test('is applied once, also by two calls at once', async ({ ns }) => {
    const { index, mtu } = nicIn(ns)
    const plan = planOf(ns.net, [mtuStep(index, 1400)])
    const [first, second] = await Promise.allSettled([plan.apply(), plan.apply()])
    expect([first.status, second]).toMatchObject(['fulfilled', { reason: { code: 'ERR_CLOSED' } }])
    expect([plan.status, mtu()]).toEqual(['confirmed', 1400])
  })

  test('that is undone while it is applied gives up, and stays undone', async ({ ns }) => {
    const { index, mtu } = nicIn(ns)
    let undone: Promise<void> | undefined
    const plan = planOf(ns.net, [
      stepOf('undoes', async () => {
        undone = plan.undo()
      }),
      mtuStep(index, 1400)
    ])
    await expect(plan.apply({ confirmWithin: '30s' })).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await undone
    expect([plan.status, await plan.settled, mtu(), guards(ns)]).toEqual(['undone', 'undone', 1500, []])
  })

  test('that is undone while it is probed gives up at once', async ({ ns }) => {
    const { index, mtu } = nicIn(ns)
    const plan = planOf(ns.net, [mtuStep(index, 1400)])
    let asked = 0
    const probe = () => {
      if (++asked === 1) void plan.undo()
      return false
    }
    await expect(plan.apply({ probe, confirmWithin: '60s' })).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    expect([plan.status, mtu(), guards(ns)]).toEqual(['undone', 1500, []])
  })

  test('is not confirmed before it is applied, and once by two at once', async ({ ns }) => {
    const { index, mtu } = nicIn(ns)
    let early: Promise<unknown> | undefined
    const plan = planOf(ns.net, [
      stepOf('confirms', async () => {
        early = plan.confirm().catch(({ code }) => code)
        await early
      }),
      mtuStep(index, 1400)
    ])
    await plan.apply({ confirmWithin: '30s', probe: () => Promise.all([plan.confirm(), plan.confirm()]) })
    expect(await early).toBe('ERR_CLOSED')
    expect([plan.status, mtu(), guards(ns)]).toEqual(['confirmed', 1400, []])
  })

  test('tells who waits for it that it could not be undone', async ({ ns }) => {
    const gone = wayBackOf([mtuOf(99, 1500)])
    const failing = stepOf('fails', () => Promise.reject(new Error('enough')), gone)
    const plan = planOf(ns.net, [failing])
    await expect(plan.apply()).rejects.toMatchObject({ code: 'ERR_NOT_UNDONE' })
    expect(plan.status).toBe('failed')
    await expect(plan.settled).rejects.toMatchObject({ code: 'ERR_NOT_UNDONE' })
  })

  test('leaves no guard behind, whenever it is over', { timeout: 60_000 }, async ({ ns }) => {
    const { index } = nicIn(ns)
    for (const confirmWithin of [1, 1, 1, 5, 10, 20]) {
      const plan = planOf(ns.net, [mtuStep(index, 1400)])
      const probe = () => Promise.reject(new Error('no route'))
      await expect(plan.apply({ confirmWithin, probe })).rejects.toMatchObject({
        code: expect.stringMatching(/^ERR_(RESTORED|PROBE_FAILED)$/)
      })
      expect(guards(ns)).toEqual([])
    }
  })

  test('is not applied, and not undone, when its links are not what they were', async ({ ns }) => {
    const { index, mtu } = nicIn(ns)
    const links = [{ index, name: 'nic0' }]
    const plan = planOf(ns.net, [mtuStep(index, 1400)], { links })
    ns.tools.ip('link set dev nic0 name nic9')
    await expect(plan.apply()).rejects.toMatchObject({ code: 'ERR_STALE_STATE' })
    expect(plan.status).toBe('planned')
    ns.tools.ip('link set dev nic9 name nic0')
    await plan.apply()
    ns.tools.ip('link set dev nic0 name nic9')
    await expect(plan.undo()).rejects.toMatchObject({ code: 'ERR_STALE_STATE' })
    expect(ns.tools.link('nic9').mtu).toBe(1400)
    ns.tools.ip('link set dev nic9 name nic0')
    await plan.undo()
    expect(mtu()).toBe(1500)
  })
})

describe('a state file', () => {
  test('of a plan that a process waits to be confirmed is that one’s', async ({ ns }) => {
    const { index, mtu } = nicIn(ns)
    const file = join(tempFolder(), 'state')
    const child = spawn(process.execPath, [PROGRAM, ns.path, file], { stdio: ['pipe', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    await once(child.stdout, 'data')
    const saved = await SavedPlan.load(ns.net, file)
    expect([saved.status, mtu()]).toEqual(['applied', 1400])
    const busy = { code: 'EBUSY', message: expect.stringContaining(`process ${child.pid} `) }
    await expect(saved.undo()).rejects.toMatchObject(busy)
    const another = planOf(ns.net, [mtuStep(index, 1300)])
    await expect(another.apply({ stateFile: file })).rejects.toMatchObject(busy)
    expect([another.status, mtu(), guards(ns).length]).toEqual(['planned', 1400, 1])
    child.stdin.end()
    await once(child, 'exit')
    expect(saved.status).toBe('applied')
    // It was confirmed meanwhile.
    await saved.undo()
    expect([saved.status, mtu()]).toEqual(['undone', 1500])
  })

  test('that cannot be written keeps anything from being changed', async ({ ns }) => {
    const { index, mtu } = nicIn(ns)
    ns.tools.ip('link set dev nic0 mtu 1300')
    const plan = planOf(ns.net, [mtuStep(index, 1400)])
    const stateFile = join(tempFolder(), 'missing', 'state')
    await expect(plan.apply({ stateFile })).rejects.toMatchObject({ code: 'ENOENT' })
    expect([plan.status, mtu(), guards(ns)]).toEqual(['planned', 1300, []])
  })

  test.for(['confirmed', 'undone'] as const)('that cannot be told that it is %s', async (how, { ns }) => {
    const { index, mtu } = nicIn(ns)
    const folder = join(tempFolder(), 'gone')
    mkdirSync(folder)
    const failing = how === 'undone' ? [stepOf('fails', () => Promise.reject(new Error('enough')))] : []
    const plan = planOf(ns.net, [mtuStep(index, 1400), ...failing])
    const onProgress = ({ number, state }: { number: number; state: string }) => {
      if (number === 0 && state === 'done' && how === 'undone') rmSync(folder, { recursive: true })
    }
    const probe = () => rmSync(folder, { recursive: true })
    const applied = plan.apply({ stateFile: join(folder, 'state'), onProgress, probe })
    if (how === 'undone') await expect(applied).rejects.toThrow('enough')
    else await applied
    expect([plan.status, await plan.settled, mtu()]).toEqual([how, how, how === 'undone' ? 1500 : 1400])
    expect(plan.warnings.map(({ code }) => code)).toEqual(['state-file'])
    expect(guards(ns)).toEqual([])
  })

  test('that was tampered with is refused as a whole', async ({ ns }) => {
    const { index } = nicIn(ns)
    const file = join(tempFolder(), 'state')
    await planOf(ns.net, [mtuStep(index, 1400)]).apply({ stateFile: file })
    const state = JSON.parse(readFileSync(file, 'utf8'))
    const victim = join(tempFolder(), 'victim')
    writeFileSync(victim, 'mine')
    const write = (path: string) => [{ op: 'write', path, content: 'theirs', command: '' }]
    for (const wrong of [
      { back: write(victim) },
      { back: write(`/proc/sys/../..${victim}`) },
      { back: [{ op: 'exec', command: 'rm' }] },
      { back: [{ ...state.back[0], requests: undefined }] },
      { links: [{ index: 'nic0' }] },
      { links: undefined },
      { keepers: [{}] },
      { status: 'great' }
    ]) {
      writeFileSync(file, JSON.stringify({ ...state, ...wrong }))
      await expect(SavedPlan.load(ns.net, file)).rejects.toMatchObject({ code: 'ERR_STALE_STATE' })
    }
    expect(readFileSync(victim, 'utf8')).toBe('mine')
  })
})

test('a guard that is killed while it is asked to confirm is replaced', async ({ ns }) => {
  const { index, mtu } = nicIn(ns)
  const plan = planOf(ns.net, [mtuStep(index, 1400)])
  await plan.apply({ confirmWithin: '30s' })
  const [guard] = guards(ns)
  process.kill(Number(guard), 'SIGSTOP')
  const confirmed = plan.confirm()
  await setTimeout(50)
  process.kill(Number(guard), 'SIGKILL')
  await expect(confirmed).rejects.toMatchObject({ code: 'ERR_GUARD_LOST' })
  expect(guards(ns)).toHaveLength(1)
  await plan.confirm()
  expect([plan.status, mtu()]).toEqual(['confirmed', 1400])
  await guardsGone(ns)
})
