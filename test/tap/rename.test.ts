/** Something else renames the device while it is being opened. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { addon } from '../../lib/addon.js'
import { Tap } from '../../lib/index.js'
import { needsTun } from './support/needs.js'
import { fdInfoName, ipLinks, PYTHON } from './support/system.js'

needsTun()

// SIOCSIFNAME as often as it can, until it succeeds once.
const RENAME = `
import fcntl, socket, struct, sys
s = socket.socket()
request = struct.pack('16s16s', sys.argv[1].encode(), sys.argv[2].encode())
print('ready', flush=True)
while True:
    try:
        fcntl.ioctl(s, 0x8923, request)
        break
    except OSError:
        pass
`

test('all queues are on one device, or there is none', { timeout: 60_000 }, async () => {
  for (let attempt = 0; attempt < 12; attempt++) {
    const name = `race${attempt}`
    const child = spawn(PYTHON, ['-c', RENAME, name, `moved${attempt}`], { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => {
      child.kill()
    })
    await once(child.stdout, 'data')
    const tap = await Tap.open({ name, queues: 64 }).catch(error => {
      expect(error).toMatchObject({ code: 'ENODEV' })
    })
    // A rename between two looks would be taken for two devices.
    if (child.exitCode === null) {
      child.kill()
      await once(child, 'exit')
    }
    if (tap) {
      expect(new Set(tap.fds.map(fdInfoName)).size).toBe(1)
      await tap.close()
    }
  }
  await expect.poll(() => ipLinks().filter(link => /^(race|moved)/.test(link.ifname))).toEqual([])
})

test('descriptors that still wait to be closed are not taken over', async () => {
  const options = { netns: -1, name: '', flags: 0x1002, exclusive: true, queues: 1, index: 0, disableIpv6: true }
  const taps = await Promise.all(Array.from({ length: 64 }, () => addon().openTun({ ...options, ioctls: [] })))
  // Closing them takes all of the closer's threads for a while.
  const closing = addon()
    .adoptDescriptors(taps.flatMap(tap => tap.descriptors.release()))
    .close()
  const [one, two] = addon().unixPair(1)
  const owner = addon().adoptDescriptors([one, two])
  const closed = owner.close()
  expect(() => addon().adoptDescriptors([one])).toThrow(/has an owner already/)
  await Promise.all([closing, closed])
})
