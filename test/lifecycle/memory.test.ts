/** Garbage collection: what is forgotten is closed, what is held stays whole. */
import { expect, test } from 'vitest'
import { runProgram } from '../support/program.js'

test('forgotten sockets and devices are closed, with a warning each', async () => {
  const { code, stdout, stderr } = await runProgram('collected', { nodeArgs: ['--expose-gc'], leaks: true })
  expect(code, stderr).toBe(0)
  const { opened, left, warnings, links } = JSON.parse(stdout)
  // A watch has two sockets.
  expect(opened).toBe(20)
  expect(left).toBe(0)
  expect(links).toBe(0)
  expect(warnings).toEqual(new Array(15).fill('LINKWRIGHT_LEAK'))
})

test('views keep the memory that they look at', async () => {
  const { code, stdout, stderr } = await runProgram('pressure', { nodeArgs: ['--expose-gc'], leaks: true })
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'whole\n', stderr: '' })
})
