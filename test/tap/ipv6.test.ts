import { existsSync, readFileSync } from 'node:fs'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { openTap } from './support/devices.js'
import { needsTun } from './support/needs.js'
import { createNetns } from './support/netns.js'
import { inside, ip, run } from './support/system.js'

needsTun()

beforeEach(context => {
  context.skip(!existsSync('/proc/sys/net/ipv6'), 'the kernel has no IPv6')
})

const disabled = (name: string) => readFileSync(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, 'utf8').trim() === '1'
const addresses = (name: string) => ip(undefined, '-6', 'address', 'show', 'dev', name)

async function openPort(options: object): Promise<void> {
  ip(undefined, 'link', 'add', 'six-br', 'type', 'bridge')
  onTestFinished(() => {
    ip(undefined, 'link', 'delete', 'six-br')
  })
  await openTap({ name: 'six0', master: 'six-br', up: true, ...options })
}

describe('by default', () => {
  test('on for a device of its own', async () => {
    await openTap({ name: 'six0', up: true })
    expect(disabled('six0')).toBe(false)
    await expect.poll(() => addresses('six0')).toContain('fe80:')
  })

  test('off for a port, which gets no address', async () => {
    await openPort({})
    expect(disabled('six0')).toBe(true)
    expect(addresses('six0')).toBe('')
  })
})

describe('as told', () => {
  test('off', async () => {
    await openTap({ name: 'six0', up: true, ipv6: false })
    expect(disabled('six0')).toBe(true)
    expect(addresses('six0')).toBe('')
  })

  test('on, for a port', async () => {
    await openPort({ ipv6: true })
    expect(disabled('six0')).toBe(false)
  })

  test('off in another namespace', async () => {
    const netns = createNetns()
    await openTap({ name: 'six0', netns, up: true, ipv6: false })
    const [command, ...args] = inside(netns, 'cat', '/proc/sys/net/ipv6/conf/six0/disable_ipv6')
    expect(run(command, ...args).trim()).toBe('1')
    expect(ip(netns, '-6', 'address', 'show', 'dev', 'six0')).toBe('')
  })
})
