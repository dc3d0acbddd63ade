/** Programs that are started in another namespace, and what they inherit. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect } from 'vitest'
import { Child, type ChildOptions } from '../../lib/child.js'
import { test } from '../support/namespace.js'

const folder = mkdtempSync(join(tmpdir(), 'linkwright-child-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Runs a shell's script to its end: what it prints. */
async function output(script: string, options: ChildOptions = {}): Promise<string> {
  const path = join(folder, 'output')
  const fd = openSync(path, 'w')
  try {
    const child = await Child.spawn('/bin/sh', { args: ['-c', script], stdio: ['ignore', fd, fd], ...options })
    expect(await child.exited).toEqual({ code: 0, signal: null })
    return readFileSync(path, 'utf8').trim()
  } finally {
    closeSync(fd)
  }
}

describe('a child', () => {
  test('runs in its namespace, and nothing of this process goes there', async ({ ns }) => {
    const before = readlinkSync('/proc/thread-self/ns/net')
    const there = await output('readlink /proc/self/ns/net', { netns: ns.name })
    expect(there).toBe(ns.tools.exec('readlink', '/proc/self/ns/net').trim())
    expect(there).not.toBe(before)
    expect(readlinkSync('/proc/thread-self/ns/net')).toBe(before)
    expect(await output('readlink /proc/self/ns/net')).toBe(before)
  })

  test('tells how it ended', async () => {
    const end = async (script: string) => (await Child.spawn('/bin/sh', { args: ['-c', script] })).exited
    expect(await end('exit 0')).toEqual({ code: 0, signal: null })
    expect(await end('exit 255')).toEqual({ code: 255, signal: null })
    expect(await end('kill -USR1 $$')).toEqual({ code: null, signal: 'SIGUSR1' })
  })

  test('has no descriptors but its own, no signals blocked or ignored, and a session', async () => {
    const inherited = openSync('/dev/null', 'r')
    process.on('SIGUSR2', () => {})
    const listed = await output(
      'ls /proc/$$/fd; grep -E "Sig(Blk|Ign)" /proc/self/status; cut -d" " -f1,5,6 /proc/$$/stat'
    )
    process.removeAllListeners('SIGUSR2')
    closeSync(inherited)
    const [fd0, fd1, fd2, blocked, ignored, stat = ''] = listed.split(/\n/)
    expect([fd0, fd1, fd2]).toEqual(['0', '1', '2'])
    expect([blocked, ignored]).toEqual(['SigBlk:\t0000000000000000', 'SigIgn:\t0000000000000000'])
    const [pid, group, session] = stat.split(' ')
    expect([group, session]).toEqual([pid, pid])
  })

  test('gets descriptors in any order', async () => {
    const paths = ['a', 'b', 'c'].map(name => join(folder, name))
    const fds = paths.map(path => openSync(path, 'w'))
    const [a, b, c] = fds as [number, number, number]
    // Whatever numbers these have, they are not overwritten by one another; 3 and 4 are here what was opened before.
    const stdio = ['ignore', c, b, a, a] as const
    const child = await Child.spawn('/bin/sh', { args: ['-c', 'echo 1; echo 2 >&2; echo 3 >&3; echo 4 >&4'], stdio })
    await child.exited
    for (const fd of fds) closeSync(fd)
    expect(paths.map(path => readFileSync(path, 'utf8'))).toEqual(['3\n4\n', '2\n', '1\n'])
  })

  test('has the environment and directory that it is given', async () => {
    const env = { PATH: process.env['PATH'], ONE: '1 =2', NONE: undefined }
    expect(await output('echo $ONE $PWD; env | grep -c NONE || true', { env, cwd: '/usr' })).toBe('1 =2 /usr\n0')
  })

  test('is sent signals until it has ended, and none afterwards', async () => {
    const child = await Child.spawn('/bin/sleep', { args: ['60'] })
    expect([child.kill(0), child.kill('SIGSTOP'), child.kill('SIGCONT')]).toEqual([true, true, true])
    expect(child.running).toBe(true)
    child.kill('SIGTERM')
    expect(await child.exited).toEqual({ code: null, signal: 'SIGTERM' })
    expect([child.running, child.kill(), child.kill(0)]).toEqual([false, false, false])
  })

  test('ends beside children of Node’s, and each is told of its own', async () => {
    const ours = Array.from({ length: 30 }, async (_, code) => {
      const child = await Child.spawn('/bin/sh', { args: ['-c', `exit ${code}`] })
      return (await child.exited).code
    })
    const nodes = Array.from({ length: 30 }, async (_, code) => {
      const child = spawn('/bin/sh', ['-c', `exit ${code}`])
      return (await once(child, 'exit'))[0]
    })
    const codes = Array.from({ length: 30 }, (_, code) => code)
    expect(await Promise.all(ours)).toEqual(codes)
    expect(await Promise.all(nodes)).toEqual(codes)
  })

  test('that is left is nobody’s zombie', async () => {
    const child = await Child.spawn('/bin/sleep', { args: ['60'] })
    child.leave()
    process.kill(child.pid, 'SIGKILL')
    const ended = async () =>
      (await promisify(execFile)('ps', ['-o', 'pid=', '-p', `${child.pid}`]).catch(() => undefined)) === undefined
    await expect.poll(ended, { timeout: 5000 }).toBe(true)
  })
})

describe('is refused', () => {
  test.for([
    ['no such program', '/nowhere/nothing', {}, { code: 'ENOENT', syscall: 'execve', link: '/nowhere/nothing' }],
    ['a program that is none', '/etc/passwd', {}, { code: 'EACCES', syscall: 'execve', link: '/etc/passwd' }],
    ['no such directory', '/bin/true', { cwd: '/nowhere' }, { code: 'ENOENT', syscall: 'chdir(/nowhere)' }],
    ['no such namespace', '/bin/true', { netns: 'nowhere' }, { code: 'ENOENT', link: '/run/netns/nowhere' }],
    ['a descriptor that is none', '/bin/true', { stdio: [999] }, { code: 'EBADF' }]
  ] as const)('%s', async ([, file, options, error]) => {
    await expect(Child.spawn(file, options)).rejects.toMatchObject(error)
  })

  test('an argument that the kernel would not read to its end', async () => {
    await expect(Child.spawn('/bin/true', { args: ['a\0b'] })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
  })
})

describe('a process that runs already', () => {
  test('is watched and signalled, but its end is its parent’s to know', async () => {
    const other = spawn('sleep', ['60'])
    const child = Child.open(other.pid as number)
    expect(child.kill('SIGTERM')).toBe(true)
    expect(await child.exited).toEqual({ code: null, signal: null })
    expect(
      await new Promise(resolve =>
        (other.exitCode ?? other.signalCode)
          ? resolve(other.signalCode)
          : other.once('exit', (_, signal) => resolve(signal))
      )
    ).toBe('SIGTERM')
  })

  test('is there, or it is refused', async () => {
    expect(() => Child.open(0x3fffff)).toThrow(expect.objectContaining({ code: 'ESRCH' }))
  })
})
