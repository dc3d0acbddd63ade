import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Tap } from '../../lib/index.js'
import { openTap } from './support/devices.js'
import { isInitialRoot, needsTun } from './support/needs.js'
import { ip, ipLink, PYTHON, sysfs } from './support/system.js'

const UID = 54321
const GID = 54322
const OTHER = 54399

needsTun()

beforeEach(context => {
  context.skip(!isInitialRoot(), 'takes root to become other users')
})

afterEach(() => {
  if (ipLink('owned0')) ip(undefined, 'link', 'delete', 'owned0')
})

const ATTACH = `
import fcntl, os, struct
fd = os.open("/dev/net/tun", os.O_RDWR)
try: fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", b"owned0", 0x1002))
except OSError as error: print(os.strerror(error.errno))
else: print("attached")
`
const index = fileURLToPath(new URL('../../dist/index.js', import.meta.url))
const OPEN = `
import { Tap } from ${JSON.stringify(index)}
try {
  const tap = await Tap.open({ name: 'owned0', exclusive: false })
  console.log('attached to', (await tap.describe()).name)
  await tap.close()
} catch (error) { console.log(error.code ?? error, error.diagnosis) }
`

/** Runs a program as another user without capabilities, who may open /dev/net/tun: a node in a private /dev/net. */
function asUser(uid: number, gid: number, command: string, ...args: string[]): string {
  const prepare = 'mount -t tmpfs tmpfs /dev/net && mknod -m 666 /dev/net/tun c 10 200 && exec "$@"'
  const become = ['setpriv', '--reuid', String(uid), '--regid', String(gid), '--clear-groups', '--bounding-set=-all']
  const all = ['--mount', '--propagation', 'private', 'sh', '-c', prepare, 'sh', ...become, command, ...args]
  const { stdout, stderr, status } = spawnSync('unshare', all, { encoding: 'utf8', cwd: '/' })
  if (status !== 0) throw new Error(stderr)
  return stdout.trim()
}

describe('of a persistent device', () => {
  test('is told by the kernel', async () => {
    await (await Tap.open({ name: 'owned0', persist: true, uid: UID, gid: GID })).close()
    expect([sysfs('owned0', 'owner'), sysfs('owned0', 'group')]).toEqual([String(UID), String(GID)])
  })

  test('may be nobody in particular, or root', async () => {
    await (await Tap.open({ name: 'owned0', persist: true })).close()
    expect([sysfs('owned0', 'owner'), sysfs('owned0', 'group')]).toEqual(['-1', '-1'])
    ip(undefined, 'link', 'delete', 'owned0')
    await (await Tap.open({ name: 'owned0', persist: true, uid: 0 })).close()
    expect([sysfs('owned0', 'owner'), sysfs('owned0', 'group')]).toEqual(['0', '-1'])
  })

  test('may attach without capabilities, others may not', async () => {
    await (await Tap.open({ name: 'owned0', persist: true, uid: UID })).close()
    expect(asUser(UID, OTHER, PYTHON, '-c', ATTACH)).toBe('attached')
    expect(asUser(OTHER, OTHER, PYTHON, '-c', ATTACH)).toBe('Operation not permitted')
  })

  test('may be a group', async () => {
    await (await Tap.open({ name: 'owned0', persist: true, gid: GID })).close()
    expect(asUser(OTHER, GID, PYTHON, '-c', ATTACH)).toBe('attached')
    expect(asUser(OTHER, OTHER, PYTHON, '-c', ATTACH)).toBe('Operation not permitted')
  })

  test('is changed later', async () => {
    const tap = await openTap({ name: 'owned0', uid: UID, gid: GID })
    await tap.setOwner({ uid: OTHER })
    expect([sysfs('owned0', 'owner'), sysfs('owned0', 'group')]).toEqual([String(OTHER), String(GID)])
  })

  test('attaches by Tap.open, and others are told why not', async () => {
    await (await Tap.open({ name: 'owned0', persist: true, uid: UID })).close()
    expect(asUser(UID, OTHER, process.execPath, '--input-type=module', '-e', OPEN)).toBe('attached to owned0')
    expect(asUser(OTHER, OTHER, process.execPath, '--input-type=module', '-e', OPEN)).toBe(
      'EPERM owned0 belongs to another user (TUNSETOWNER); attaching takes CAP_NET_ADMIN'
    )
  })
})

test('without rights, making a device is refused with the reason', async () => {
  expect(asUser(UID, UID, process.execPath, '--input-type=module', '-e', OPEN)).toBe(
    'EPERM making a device takes CAP_NET_ADMIN in the user namespace that owns the network namespace'
  )
})

test.each([-1, 1.5, 0xffffffff])('%d is no user', async uid => {
  await expect(Tap.open({ uid })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path: 'uid' })
})
