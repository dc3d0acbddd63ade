import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { Tap } from '../../lib/index.js'
import { openTap } from './support/devices.js'
import { needsTun } from './support/needs.js'
import { PYTHON, sysfs } from './support/system.js'

needsTun()

const HOLD = `
import fcntl, os, struct, sys
fd = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", sys.argv[1].encode(), 0x1002))
print("held", flush=True)
sys.stdin.read()
`

/** Another program that has a TAP open. */
async function holdElsewhere(name: string): Promise<number> {
  const child = spawn(PYTHON, ['-c', HOLD, name], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(async () => {
    child.stdin.end()
    await once(child, 'exit')
  })
  await once(child.stdout, 'data')
  return child.pid as number
}

test('a device that exists is not taken, and the holder is named', async () => {
  const pid = await holdElsewhere('taken0')
  await expect(Tap.open({ name: 'taken0' })).rejects.toMatchObject({
    code: 'EBUSY',
    link: 'taken0',
    diagnosis: `taken0 exists, held by process ${pid} (python3); exclusive: false attaches to a persistent device`
  })
  expect(Number(sysfs('taken0', 'tun_flags'))).toBe(0x1002)
})

test('neither is its only queue', async () => {
  const pid = await holdElsewhere('taken0')
  await expect(Tap.open({ name: 'taken0', exclusive: false })).rejects.toMatchObject({
    code: 'EBUSY',
    diagnosis: `the only queue of taken0 is taken, held by process ${pid} (python3)`
  })
})

test('this process is named like any other', async () => {
  await openTap({ name: 'taken0' })
  const error = await openTap({ name: 'taken0' }).catch(error => error)
  expect(error.message).toContain(`held by process ${process.pid} (`)
})

test('a pattern never collides', async () => {
  await holdElsewhere('taken0')
  const tap = await openTap({ name: 'taken%d' })
  expect(tap.name).toBe('taken1')
})
