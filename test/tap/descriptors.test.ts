import { closeSync, openSync, readlinkSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { addon } from '../../lib/addon.js'
import { Descriptors } from '../../lib/descriptors.js'
import { openNetlink } from './support/devices.js'
import { newFiles, openFiles } from './support/system.js'

/** Two files of their own. `openVhostNet` needs a device that test machines may lack. */
function openTwo(): Descriptors {
  return new Descriptors(
    addon().adoptDescriptors([openSync('/dev/null', 'r'), openSync('/dev/null', 'r')]),
    'two files'
  )
}

const nullsOpen = () => openFiles().filter(file => file === '/dev/null').length

test('are closed once, however often it is said', async () => {
  const before = nullsOpen()
  const two = openTwo()
  expect(two.fds.map(fd => readlinkSync(`/proc/self/fd/${fd}`))).toEqual(['/dev/null', '/dev/null'])
  expect(nullsOpen()).toBe(before + 2)
  const closings = [two.close(), two.close()]
  expect(two.closed).toBe(true)
  await Promise.all(closings)
  expect(two.fds).toEqual([])
  expect(nullsOpen()).toBe(before)
  expect(() => two.release()).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
})

test('are closed by using', async () => {
  const before = nullsOpen()
  {
    await using two = openTwo()
    expect(two.closed).toBe(false)
  }
  expect(nullsOpen()).toBe(before)
  {
    using two = openTwo()
    expect(two.closed).toBe(false)
  }
  await expect.poll(nullsOpen).toBe(before)
})

test('are the caller’s once released', async () => {
  const before = nullsOpen()
  const two = openTwo()
  const fds = two.release()
  expect([two.closed, two.fds]).toEqual([true, []])
  await two.close()
  expect(nullsOpen()).toBe(before + 2)
  for (const fd of fds) closeSync(fd)
})

test('a namespace is handed out as some', async () => {
  const net = await openNetlink()
  const before = openFiles()
  await using netns = await net.openNetns()
  expect(netns).toBeInstanceOf(Descriptors)
  expect(newFiles(before)).toEqual([readlinkSync('/proc/thread-self/ns/net')])
})

test('collected while open they are closed, with a warning', async () => {
  const warnings: string[] = []
  const listener = (warning: Error & { code?: string }) => warnings.push(`${warning.code}: ${warning.message}`)
  process.on('warning', listener)
  onTestFinished(() => {
    process.off('warning', listener)
  })
  const before = nullsOpen()
  ;(() => {
    openTwo()
  })()
  const collected = async () => {
    global.gc?.()
    await delay(1)
    return warnings.length
  }
  await expect.poll(collected, { timeout: 10_000 }).toBe(1)
  expect(warnings).toEqual([
    'LINKWRIGHT_LEAK: the descriptors of two files were garbage-collected while open; call close()'
  ])
  await expect.poll(nullsOpen).toBe(before)
})
