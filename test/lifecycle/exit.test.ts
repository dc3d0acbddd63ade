/** A process ends as it was told, whatever is under way. */
import { describe, expect, test } from 'vitest'
import { runProgram } from '../support/program.js'

const DELAYS = [0, 1, 3, 10, 30]

describe('with requests, openings, closings and waits under way', () => {
  test.each(DELAYS)('process.exit() after %i ms', async delay => {
    const { code, signal, stderr } = await runProgram('busy', { args: ['exit', String(delay)] })
    expect({ code, signal, stderr }).toEqual({ code: 7, signal: null, stderr: '' })
  })

  test.each(DELAYS)('an uncaught exception after %i ms', async delay => {
    const { code, signal, stderr } = await runProgram('busy', { args: ['throw', String(delay)] })
    expect({ code, signal }).toEqual({ code: 1, signal: null })
    expect(stderr).toContain('on purpose')
  })

  test.each(['SIGTERM', 'SIGINT', 'SIGKILL', 'SIGHUP'] as const)('%s', async name => {
    const { code, signal } = await runProgram('busy', { args: ['wait'], signal: name, after: 50 })
    expect({ code, signal }).toEqual({ code: null, signal: name })
  })

  test.each(DELAYS)('a worker beside it is terminated after %i ms', async delay => {
    const { code, signal } = await runProgram('busy', { args: ['worker', String(delay * 3)] })
    expect({ code, signal }).toEqual({ code: 0, signal: null })
  })
})

describe('by itself, with nothing pending', () => {
  test.each(['netlink', 'tap', 'tun', 'macvtap', 'pair', 'server', 'watch', 'unref watch', 'unref'])(
    'an open %s does not keep it',
    async what => {
      // Node-API keeps the handle of a promise that is never settled.
      const options = { args: [what], leaks: !what.startsWith('unref'), timeout: 20_000 }
      const { code, signal, stdout, stderr } = await runProgram('idle', options)
      expect({ code, signal, stdout }, stderr).toEqual({ code: 0, signal: null, stdout: 'idle\n' })
    }
  )
})

describe('with many TAPs open, which are closed first', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('%s', async name => {
    const { code, signal, stdout } = await runProgram('signalled', { signal: name })
    // The TAPs together, and those of the pool.
    expect({ code, signal, stdout }).toEqual({ code: null, signal: name, stdout: 'ready\nremoved\nremoved\n' })
  })

  test('none ends it while another is closing', async () => {
    const { code, signal, stdout } = await runProgram('signalled', { signal: 'SIGTERM', args: ['two'] })
    expect({ code, signal, stdout }).toEqual({
      code: null,
      signal: 'SIGTERM',
      stdout: 'ready\nremoved\nremoved\nslow\n'
    })
  })

  test.each(['own', 'once'])('the program has handlers of its own (%s)', async how => {
    const { code, signal, stdout } = await runProgram('signalled', { signal: 'SIGTERM', args: [how] })
    expect({ code, signal, stdout }).toEqual({ code: 7, signal: null, stdout: 'ready\nremoved\nremoved\nclosed\n' })
  })
})
