/** What becomes of children when the process or the worker that started them ends. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { runProgram } from '../support/program.js'

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

test.each([
  ['kill', 'itself', 0],
  ['kill', 'exit', 0],
  ['kill', 'throw', 1],
  ['kill', 'terminate', 0],
  ['leave', 'itself', 0],
  ['leave', 'exit', 0],
  ['leave', 'throw', 1],
  ['leave', 'terminate', 0]
] as const)('%s: when it ends by %s', async (atEnd, how, expected) => {
  const { code, signal, stdout, stderr } = await runProgram('children', { args: [atEnd, how] })
  expect({ code, signal }, stderr).toEqual({ code: expected, signal: null })
  const pids = stdout.trim().split(' ').map(Number)
  expect(pids).toHaveLength(2)
  try {
    if (atEnd === 'leave') expect(pids.map(isRunning)).toEqual([true, true])
    else await expect.poll(() => pids.some(isRunning), { timeout: 5000 }).toBe(false)
  } finally {
    for (const pid of pids) if (isRunning(pid)) process.kill(pid, 'SIGKILL')
  }
})

test('a killed process leaves them', async () => {
  const { signal, stdout } = await runProgram('children', { args: ['leave', 'wait'], signal: 'SIGKILL' })
  const pids = stdout.trim().split(' ').map(Number)
  expect(signal).toBe('SIGKILL')
  expect(pids.map(isRunning)).toEqual([true, true])
  for (const pid of pids) process.kill(pid, 'SIGKILL')
})

test('workers that are terminated at random moments leave no process, zombie or descriptor', {
  timeout: 180_000
}, async () => {
  const { code, stdout, stderr } = await runProgram('child-workers', { args: ['15'], timeout: 150_000 })
  expect(code, stderr).toBe(0)
  expect(JSON.parse(stdout)).toEqual({ pidfds: 0, children: 0 })
})
