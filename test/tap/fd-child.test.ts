import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { FdServer } from '../../lib/index.js'
import { openMacvtap, openTap } from './support/devices.js'
import { ping } from './support/kernel-stack.js'
import { addMacvtap, createLower } from './support/lower.js'
import { needsMacvtap, needsTun, tempFolder } from './support/needs.js'
import { freshIndex, ip, ipLink, PYTHON } from './support/system.js'

needsTun()
needsMacvtap()

const NAMES = `
import fcntl, json, os
answer = {}
for fd in (3, 4, 5):
    try: answer[fd] = fcntl.ioctl(fd, 0x800454D2, b"\\0" * 40)[:16].split(b"\\0")[0].decode()
    except OSError as error: answer[fd] = error.strerror
print(json.dumps(answer))
`

test('fds in stdio are 3, 4, … in a child, and nothing else is', async () => {
  const tap = await openTap({ name: 'child0', queues: 2 })
  await openTap({ name: 'child1' })
  const { stdout } = spawnSync(PYTHON, ['-c', NAMES], {
    stdio: ['ignore', 'pipe', 'inherit', ...tap.fds],
    encoding: 'utf8'
  })
  expect(JSON.parse(stdout)).toEqual({ 3: 'child0', 4: 'child0', 5: 'Bad file descriptor' })
})

test('so are those of macvtap', async () => {
  const index = freshIndex()
  addMacvtap('childmvt0', createLower().name, index)
  const direct = await openMacvtap('childmvt0', { queues: 2 })
  const { stdout } = spawnSync(PYTHON, ['-c', NAMES], {
    stdio: ['ignore', 'pipe', 'inherit', ...direct.fds],
    encoding: 'utf8'
  })
  expect(JSON.parse(stdout)).toEqual({ 3: 'childmvt0', 4: 'childmvt0', 5: 'Bad file descriptor' })
})

test('a child inherits nothing that is not handed over', async () => {
  const tap = await openTap({ name: 'child0', queues: 3 })
  const { stdout } = spawnSync('ls', ['-l', '/proc/self/fd'], { encoding: 'utf8' })
  expect(stdout).not.toContain('/dev/net/tun')
  expect(tap.fds).toHaveLength(3)
})

test('a TAP lives on in a child that got its descriptor, and is answered by it', async () => {
  const path = join(tempFolder(), 'socket')
  const server = FdServer.listen(path)
  onTestFinished(() => server.close())
  const script = fileURLToPath(new URL('support/guest.mjs', import.meta.url))
  const child = spawn(process.execPath, [script, path, '192.0.2.2'], { stdio: ['ignore', 'inherit', 'inherit'] })
  onTestFinished(() => {
    child.kill()
  })
  const ended = once(child, 'exit')
  const connection = await server.accept()
  onTestFinished(() => connection?.close())
  expect(Buffer.from((await connection?.receive())?.data ?? []).toString()).toBe('ready')

  const tap = await openTap({ name: 'child0', up: true, ipv6: false })
  ip(undefined, 'address', 'add', '192.0.2.1/24', 'dev', 'child0')
  await connection?.send('your NIC', tap.fds)
  await tap.close()
  expect(ipLink('child0')).toBeDefined()

  // The kernel's stack asks for the address before it can send.
  const pinging = ping('192.0.2.2', { count: 1 })
  expect(Buffer.from((await connection?.receive())?.data ?? []).toString()).toBe('answered')
  expect(ip(undefined, 'neighbour', 'show', '192.0.2.2')).toContain('lladdr 02:00:00:00:00:02')
  connection?.close()
  await pinging.catch(() => {})
  expect((await ended)[0]).toBe(0)
  expect(ipLink('child0')).toBeUndefined()
})
