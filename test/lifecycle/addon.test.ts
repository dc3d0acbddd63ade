/** The addon by itself: everything it offers, its limits, terminations in the middle of a call. */
import { expect, test } from 'vitest'
import { runProgram } from '../support/program.js'

test('all of the addon works without the library above it', { timeout: 300_000 }, async () => {
  const { code, signal, stdout, stderr } = await runProgram('addon', { nodeArgs: ['--expose-gc'], timeout: 280_000 })
  expect({ code, signal }, stdout + stderr).toEqual({ code: 0, signal: null })
})
