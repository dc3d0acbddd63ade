/** The addon by itself: everything it offers, its limits, terminations in the middle of a call. */
import { expect, test } from 'vitest'
import { runProgram } from '../support/program.js'

test.each([
  // Node-API loses what is under way in a worker that is terminated.
  { group: 'calls', leaks: true },
  { group: 'ends', leaks: false }
])('all of the addon works without the library above it: $group', { timeout: 300_000 }, async ({ group, leaks }) => {
  const options = { args: [group], nodeArgs: ['--expose-gc'], leaks, timeout: 280_000 }
  const { code, signal, stdout, stderr } = await runProgram('addon', options)
  expect({ code, signal }, stdout + stderr).toEqual({ code: 0, signal: null })
})
