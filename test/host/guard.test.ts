/** The dead-man's switch: whatever becomes of the process, the network comes back. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished } from 'vitest'
import { SavedPlan } from '../../lib/host/saved-plan.js'
import { planTakeover } from '../../lib/host/takeover/takeover.js'
import { type Operation, signalOperation } from '../../lib/host/way-back.js'
import { type Namespace, test } from '../support/namespace.js'
import { tempFolder } from '../tap/support/needs.js'
import { failingPlan, guards, guardsGone } from './support/plans.js'
import { connectAtOnce, stateOf } from './support/scene.js'

const PROGRAM = fileURLToPath(new URL('programs/takeover.mjs', import.meta.url))

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
  await guardsGone(ns)
  return { signal, said: said.trim() }
}

describe('a process that is killed', () => {
  for (const when of ['during', 'after']) {
    test(`${when} any step: all is as it was`, { timeout: 240_000 }, async ({ ns, other }) => {
      await connectAtOnce(ns, other)
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
    await connectAtOnce(ns, other)
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
    await connectAtOnce(ns, other)
    const before = stateOf(ns)
    const file = join(tempFolder(), 'state')
    expect(await run(ns, file, -1, 'unconfirmed')).toEqual({ signal: null, said: 'undone' })
    expect(stateOf(ns)).toBe(before)
  })
})

describe('confirming', () => {
  test('lets it stay, and the guard ends; another process undoes it from the file', async ({ ns, other }) => {
    await connectAtOnce(ns, other)
    const before = stateOf(ns)
    const file = join(tempFolder(), 'state')
    const plan = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
    await plan.apply({ confirmWithin: '60s', stateFile: file })
    expect(guards(ns)).toHaveLength(1)
    await plan.confirm()
    expect(guards(ns)).toEqual([])
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
    await connectAtOnce(ns, other)
    const before = stateOf(ns)
    const plan = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
    await plan.apply({ confirmWithin: '1500ms' })
    expect(await plan.settled).toBe('undone')
    await expect(plan.confirm()).rejects.toMatchObject({ code: 'ERR_RESTORED' })
    await guardsGone(ns)
    expect(stateOf(ns)).toBe(before)
  })

  test('is what a probe does', async ({ ns, other }) => {
    await connectAtOnce(ns, other)
    let asked = 0
    const plan = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
    await plan.apply({ probe: () => ++asked === 3 })
    expect([asked, plan.status, guards(ns)]).toEqual([3, 'confirmed', []])
  })

  test('a probe that fails undoes', async ({ ns, other }) => {
    await connectAtOnce(ns, other)
    const before = stateOf(ns)
    const plan = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
    const probe = () => {
      throw new Error('no route')
    }
    const failed = plan.apply({ probe, confirmWithin: '2s' })
    await expect(failed).rejects.toThrow(/probe|not confirmed in time/)
    expect([plan.status, guards(ns)]).toEqual(['undone', []])
    expect(stateOf(ns)).toBe(before)
  })
})

test('an abort on the way undoes, at any step', { timeout: 120_000 }, async ({ ns, other }) => {
  await connectAtOnce(ns, other)
  const before = stateOf(ns)
  const { steps } = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
  for (const [at, { name }] of steps.entries()) {
    const controller = new AbortController()
    const plan = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
    const onProgress = ({ number }: { number: number }) => number === at && controller.abort(new Error('enough'))
    await expect(plan.apply({ signal: controller.signal, onProgress }), name).rejects.toThrow('enough')
    expect(stateOf(ns), name).toBe(before)
    expect(guards(ns)).toEqual([])
  }
})

test('what the kernel refuses undoes what was done before', async ({ ns, other }) => {
  await connectAtOnce(ns, other)
  const before = stateOf(ns)
  const plan = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
  ns.tools.ip('link add link eth0 name mv0 type macvlan mode bridge')
  await expect(plan.apply()).rejects.toMatchObject({ code: 'EBUSY' })
  ns.tools.ip('link del dev mv0')
  expect(stateOf(ns)).toBe(before)
})

test('ports of others keep the bridge from being removed', async ({ ns, other }) => {
  await connectAtOnce(ns, other)
  const plan = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
  await plan.apply()
  ns.tools.ip('link add name guest0 type veth peer name guest1')
  ns.tools.ip('link set dev guest0 master br0')
  await expect(plan.undo()).rejects.toMatchObject({ code: 'EBUSY', link: 'guest0' })
  expect(ns.tools.link('eth0').master).toBe('br0')
})

describe('the guard is killed', () => {
  test('while a change awaits confirmation: another takes its place', async ({ ns, other }) => {
    await connectAtOnce(ns, other)
    const before = stateOf(ns)
    const plan = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
    await plan.apply({ confirmWithin: '2s' })
    const [first] = guards(ns)
    process.kill(Number(first), 'SIGKILL')
    while (guards(ns).length !== 1 || guards(ns)[0] === first) await setTimeout(10)
    expect(await plan.settled).toBe('undone')
    await guardsGone(ns)
    expect(stateOf(ns)).toBe(before)
  })

  test('at any step: it is undone, or done', { timeout: 60_000 }, async ({ ns, other }) => {
    await connectAtOnce(ns, other)
    const before = stateOf(ns)
    const { steps } = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
    for (const [at, { name }] of steps.entries()) {
      const plan = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
      const onProgress = ({ number, state }: { number: number; state: string }) => {
        if (number === at && state === 'started') for (const pid of guards(ns)) process.kill(Number(pid), 'SIGKILL')
      }
      await plan.apply({ onProgress, confirmWithin: '30s', probe: () => true }).catch(() => {})
      expect(['confirmed', 'undone'], name).toContain(plan.status)
      await plan.undo()
      expect(stateOf(ns), name).toBe(before)
      await guardsGone(ns)
    }
  })
})

describe('a state file', () => {
  test('is only believed if nobody else can have written it', async ({ ns, other }) => {
    await connectAtOnce(ns, other)
    const folder = tempFolder()
    const file = join(folder, 'state')
    const plan = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
    // Where the draft is written, somebody was first.
    writeFileSync(join(folder, 'victim'), 'mine')
    symlinkSync(join(folder, 'victim'), `${file}.${process.pid}.new`)
    await plan.apply({ stateFile: file })
    expect(readFileSync(join(folder, 'victim'), 'utf8')).toBe('mine')
    expect(readdirSync(folder).toSorted()).toEqual(['state', 'state.outcome', 'victim'])
    symlinkSync(file, join(folder, 'link'))
    await expect(SavedPlan.load(ns.net, join(folder, 'link'))).rejects.toMatchObject({ code: 'ELOOP' })
    chmodSync(file, 0o622)
    await expect(SavedPlan.load(ns.net, file)).rejects.toMatchObject({ code: 'EPERM' })
    chmodSync(file, 0o600)
    const whole = readFileSync(file)
    writeFileSync(file, whole.subarray(0, whole.length / 2))
    await expect(SavedPlan.load(ns.net, file)).rejects.toMatchObject({ code: 'ERR_STALE_STATE' })
    writeFileSync(file, whole)
    chmodSync(file, 0o600)
    // The NIC is not what it was.
    ns.tools.ip('link set dev eth0 name eth9')
    const saved = await SavedPlan.load(ns.net, file)
    await expect(saved.undo()).rejects.toMatchObject({ code: 'ERR_STALE_STATE' })
    ns.tools.ip('link set dev eth9 name eth0')
    await saved.undo()
    expect(ns.tools.link('eth0').master).toBeUndefined()
  })

  test('is not read together with what the guard said of an earlier plan', async ({ ns, other }) => {
    await connectAtOnce(ns, other)
    const file = join(tempFolder(), 'state')
    writeFileSync(`${file}.outcome`, 'restored died -\n', { mode: 0o600 })
    const plan = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
    await plan.apply({ stateFile: file, confirmWithin: '30s' })
    expect((await SavedPlan.load(ns.net, file)).status).toBe('applied')
    await plan.undo()
    expect((await SavedPlan.load(ns.net, file)).status).toBe('undone')
  })
})

describe('a way back', () => {
  test('grows while a step is carried out, the newest first', async ({ ns }) => {
    const folder = join(tempFolder(), 'private')
    const file = join(folder, 'file')
    mkdirSync(folder)
    writeFileSync(file, '')
    const remove = (path: string): Operation => ({ op: 'remove', path, command: `rm ${path}` })
    await expect(failingPlan(ns.net, remove(folder), remove(file)).apply()).rejects.toThrow('enough')
    expect(existsSync(folder)).toBe(false)
  })

  test('leaves a directory that has files of others', async ({ ns }) => {
    const folder = tempFolder()
    writeFileSync(join(folder, 'file'), '')
    await expect(failingPlan(ns.net, { op: 'remove', path: folder, command: '' }).apply()).rejects.toThrow('enough')
    expect(existsSync(join(folder, 'file'))).toBe(true)
  })

  test('stops a program by its argument, in this namespace only, whether it wants to or not', async ({ ns, other }) => {
    const path = join(tempFolder(), 'stubborn')
    copyFileSync(realpathSync('/bin/sh'), path)
    const loop = 'trap "" TERM; while :; do sleep 0.1; done'
    const start = (namespace: string, argument: string) => {
      const child = spawn('ip', ['netns', 'exec', namespace, path, '-c', loop, argument], { stdio: 'ignore' })
      onTestFinished(() => void child.kill('SIGKILL'))
      return child
    }
    const ended = start(ns.name, '--conf-file=/a')
    const others = [start(ns.name, '--conf-file=/ab'), start(other.name, '--conf-file=/a')]
    const runs = ({ pid }: { pid?: number | undefined }) => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'stubborn\n'
    while (![ended, ...others].every(runs)) await setTimeout(10)
    const gone = once(ended, 'exit')
    const program = 'stubborn'
    const stop: Operation = { op: 'stop', program, argument: '--conf-file=/a', milliseconds: 300, command: '' }
    await expect(failingPlan(ns.net, stop).apply()).rejects.toThrow('enough')
    expect(await gone).toEqual([null, 'SIGKILL'])
    expect(others.map(({ exitCode, signalCode }) => exitCode ?? signalCode)).toEqual([null, null])
  })

  test('signals a process, and none that has its number later', async ({ ns }) => {
    const children = [0, 1].map(() => spawn('sleep', ['100']))
    const [one, two] = children as [(typeof children)[0], (typeof children)[0]]
    const later = { ...signalOperation(two.pid as number, 15), startTime: 1 }
    const gone = once(one, 'exit')
    await expect(failingPlan(ns.net, later, signalOperation(one.pid as number, 15)).apply()).rejects.toThrow('enough')
    expect(await gone).toEqual([null, 'SIGTERM'])
    expect([two.exitCode, two.signalCode]).toEqual([null, null])
    two.kill('SIGKILL')
  })
})
