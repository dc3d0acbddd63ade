/** Opening and closing for a long time. */
import { expect, test } from 'vitest'
import { runProgram } from '../support/program.js'

test('10,000 openings leave no descriptor, thread or link', { timeout: 600_000 }, async () => {
  const { code, signal, stdout, stderr } = await runProgram('cycles', { timeout: 580_000 })
  expect({ code, signal }, stderr).toEqual({ code: 0, signal: null })
  const { done, before, after, threadsAllowed } = JSON.parse(stdout)
  expect(done).toBe(10_000)
  expect(after.fds).toBe(before.fds)
  expect(after.names).toEqual(before.names)
  expect(after.threads).toBeLessThanOrEqual(threadsAllowed)
})
