/** Opening and closing for a long time. */
import { expect, test } from 'vitest'
import { runProgram } from '../support/program.js'

/** The sanitizers see in the first cycles what they can see at all. */
const CYCLES = process.env['LINKWRIGHT_SANITIZE'] ? 1000 : 10_000

test(`${CYCLES} openings leave no descriptor, thread, link or memory`, { timeout: 600_000 }, async () => {
  const options = { args: [String(CYCLES / 10_000)], leaks: true, timeout: 580_000 }
  const { code, signal, stdout, stderr } = await runProgram('cycles', options)
  expect({ code, signal }, stderr).toEqual({ code: 0, signal: null })
  const { done, before, after, threadsAllowed } = JSON.parse(stdout)
  expect(done).toBe(CYCLES)
  expect(after.fds).toBe(before.fds)
  expect(after.names).toEqual(before.names)
  expect(after.threads).toBeLessThanOrEqual(threadsAllowed)
})
