/** Worker threads: each has an addon of its own, and leaves nothing when it is terminated. */
import { expect, test } from 'vitest'
import { runProgram } from '../support/program.js'

test('workers that are terminated at random moments leave no descriptor and no device', {
  timeout: 180_000
}, async () => {
  const { code, signal, stdout, stderr } = await runProgram('workers', { args: ['15'], timeout: 150_000 })
  expect({ code, signal }, stderr).toEqual({ code: 0, signal: null })
  const { fds, taps } = JSON.parse(stdout)
  expect(taps).toBe(0)
  // The one of the look at the end.
  expect(fds).toBeLessThanOrEqual(1)
})
