/** Forwarders at the end of their process, their worker, or themselves. */
import { describe, expect, test } from 'vitest'
import { runProgram } from '../support/program.js'

const DELAYS = [0, 3, 30]

describe('under full load', () => {
  test.each(DELAYS)('process.exit() after %i ms', async delay => {
    const { code, signal, stderr } = await runProgram('forward-storm', { args: ['exit', String(delay)] })
    expect({ code, signal, stderr }).toEqual({ code: 7, signal: null, stderr: '' })
  })

  test.each(DELAYS)('process.exit() %i ms after it began to close', async delay => {
    const { code, signal, stderr } = await runProgram('forward-storm', { args: ['closing', String(delay)] })
    expect({ code, signal, stderr }).toEqual({ code: 7, signal: null, stderr: '' })
  })

  test('an uncaught exception', async () => {
    const { code, signal, stderr } = await runProgram('forward-storm', { args: ['throw'] })
    expect({ code, signal }).toEqual({ code: 1, signal: null })
    expect(stderr).toContain('on purpose')
  })

  test.each(['SIGTERM', 'SIGKILL'] as const)('%s', async name => {
    const { code, signal } = await runProgram('forward-storm', { args: ['wait'], signal: name, after: 50 })
    expect({ code, signal }).toEqual({ code: null, signal: name })
  })

  test('closing takes no longer than it may', async () => {
    const { code, signal, stdout, stderr } = await runProgram('forward-storm', { args: ['close'] })
    expect({ code, signal }, stderr).toEqual({ code: 0, signal: null })
    expect(JSON.parse(stdout).took).toBeLessThan(3000)
  })

  test('workers are terminated while ports come and go', { timeout: 120_000 }, async () => {
    const { code, signal, stdout, stderr } = await runProgram('forward-storm', { args: ['workers'], timeout: 110_000 })
    expect({ code, signal, stdout }, stderr).toEqual({ code: 0, signal: null, stdout: 'terminated\n' })
  })
})

test('100 openings and closings leave no descriptor and no thread', { timeout: 120_000 }, async () => {
  const { code, signal, stdout, stderr } = await runProgram('forward-cycles', { timeout: 110_000 })
  expect({ code, signal }, stderr).toEqual({ code: 0, signal: null })
  const { before, after } = JSON.parse(stdout)
  expect(after.fds).toBeLessThanOrEqual(before.fds)
  expect(after.threads).toBeLessThanOrEqual(before.threads)
})

describe('with nothing else to do', () => {
  test.each(['pipe', 'switch', 'closed'])('the process ends: %s', async what => {
    const { code, signal, stdout } = await runProgram('forward-idle', { args: [what], timeout: 20_000 })
    expect({ code, signal, stdout }).toEqual({ code: 0, signal: null, stdout: 'idle\n' })
  })

  test.each(['ref', 'again'])('an open one keeps the process: %s', async what => {
    const { signal, stdout } = await runProgram('forward-idle', { args: [what], signal: 'SIGTERM', after: 1000 })
    expect({ signal, stdout }).toEqual({ signal: 'SIGTERM', stdout: 'idle\n' })
  })

  test('one that is forgotten is closed, with a warning', async () => {
    const { code, stdout } = await runProgram('forward-idle', { args: ['collected'], nodeArgs: ['--expose-gc'] })
    expect(code).toBe(0)
    const [warning] = JSON.parse(stdout.split('\n')[0] as string)
    expect(warning).toEqual(['LINKWRIGHT_LEAK', expect.stringContaining('pipe')])
  })
})
