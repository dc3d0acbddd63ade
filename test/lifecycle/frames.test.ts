/** Frames under load: however the process or a worker ends, it ends, and nothing is left. */
import { describe, expect, test } from 'vitest'
import { has } from '../support/features.js'
import { runProgram } from '../support/program.js'
import { isInitialRoot } from '../tap/support/needs.js'

test('workers that are terminated under a flood leave no descriptor', { timeout: 120_000 }, async () => {
  const { code, signal, stdout, stderr } = await runProgram('frame-workers', { args: ['10'], timeout: 100_000 })
  expect({ code, signal }, stderr).toEqual({ code: 0, signal: null })
  // One queue of the feeder, two of the shared device.
  expect(JSON.parse(stdout)).toEqual({ tuns: 3, echoed: true })
})

test('a queue that is forgotten is closed with a warning, and costs nothing afterwards', async () => {
  const { code, stdout, stderr } = await runProgram('frame-collected', { nodeArgs: ['--expose-gc'] })
  expect(code, stderr).toBe(0)
  const { warnings, busy, waits } = JSON.parse(stdout)
  expect(warnings).toEqual(['LINKWRIGHT_LEAK'])
  expect(waits).toBeGreaterThan(0)
  expect(busy).toBeLessThan(100)
})

test('a macvtap that is forgotten with its frames is closed with a warning', async context => {
  context.skip(!has('macvtap') || !isInitialRoot(), 'no macvtap here')
  const { code, stdout, stderr } = await runProgram('frame-collected', { args: ['macvtap'], nodeArgs: ['--expose-gc'] })
  expect(code, stderr).toBe(0)
  expect(JSON.parse(stdout)).toEqual({ warnings: ['LINKWRIGHT_LEAK'] })
})

describe('a process that waits for frames', () => {
  test.each([
    ['unref', 'waiting\n'],
    ['later', 'waiting\nstill here\n']
  ])('ends by itself where it need not wait (%s)', async (way, printed) => {
    const { code, stdout, stderr } = await runProgram('frame-idle', { args: [way], timeout: 20_000 })
    expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: printed })
  })

  test('ends by itself though it listens for the deletion of a macvtap', async context => {
    context.skip(!has('macvtap') || !has('veth') || !isInitialRoot(), 'no macvtap here')
    const { code, stdout, stderr } = await runProgram('frame-idle', { args: ['macvtap'], timeout: 20_000 })
    expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: 'waiting\n' })
  })

  test.each(['waiting', 'again'])('stays otherwise (%s)', async way => {
    const { code, signal } = await runProgram('frame-idle', { args: [way], signal: 'SIGTERM', after: 500 })
    expect({ code, signal }).toEqual({ code: null, signal: 'SIGTERM' })
  })
})

describe('a process that reads a flood', () => {
  test.each([
    ['exit', 0],
    ['throw', 1],
    ['close', 0]
  ])('ends by %s', async (way, code) => {
    const ended = await runProgram('frame-flood', { args: [way] })
    expect({ code: ended.code, signal: ended.signal }, ended.stderr).toEqual({ code, signal: null })
    if (way === 'throw') expect(ended.stderr).toContain('as asked')
    if (way === 'close') expect(ended.stdout).toBe('ended\n')
  })

  test('does not grow: less than 1 MB of heap per million frames', { timeout: 120_000 }, async () => {
    const ended = await runProgram('frame-flood', {
      args: ['heap', '1'],
      nodeArgs: ['--expose-gc'],
      timeout: 100_000
    })
    expect(ended.code, ended.stderr).toBe(0)
    const { frames, grown } = JSON.parse(ended.stdout)
    expect(frames).toBeGreaterThan(1e6)
    expect(grown).toBeLessThan(1e6)
  })
})
