/** Frames under load: however the process or a worker ends, it ends, and nothing is left. */
import { describe, expect, test } from 'vitest'
import { runProgram } from '../support/program.js'

test('workers that are terminated under a flood leave no descriptor', { timeout: 120_000 }, async () => {
  const { code, signal, stdout, stderr } = await runProgram('frame-workers', { args: ['10'], timeout: 100_000 })
  expect({ code, signal }, stderr).toEqual({ code: 0, signal: null })
  // One queue of the feeder, two of the shared device.
  expect(JSON.parse(stdout)).toEqual({ tuns: 3, echoed: true })
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
