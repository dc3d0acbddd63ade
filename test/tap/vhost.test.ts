import { existsSync, readlinkSync } from 'node:fs'
import { expect, test } from 'vitest'
import { openVhostNet } from '../../lib/index.js'
import { newFiles, openFiles } from './support/system.js'

const present = existsSync('/dev/vhost-net')

test('without vhost-net: a typed error that says what to do', context => {
  context.skip(present, 'this kernel has /dev/vhost-net')
  const before = openFiles()
  expect(() => openVhostNet(2)).toThrow(
    expect.objectContaining({
      name: 'LinkwrightError',
      code: 'ENOENT',
      errno: -2,
      syscall: 'open(/dev/vhost-net)',
      diagnosis: 'the vhost_net module is missing: modprobe vhost_net'
    })
  )
  expect(newFiles(before)).toEqual([])
})

test('one descriptor for each queue', async context => {
  context.skip(!present, 'no /dev/vhost-net: the kernel has no vhost_net')
  const vhost = openVhostNet(3)
  expect(vhost.fds.map(fd => readlinkSync(`/proc/self/fd/${fd}`))).toEqual(Array(3).fill('/dev/vhost-net'))
  await vhost.close()
  expect(openFiles()).not.toContain('/dev/vhost-net')
})

test('the number of queues is checked', () => {
  expect(() => openVhostNet(0)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE', path: 'queues' }))
})
