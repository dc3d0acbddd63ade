/** What the guard may, and whether it says so before anything is changed; and what it has to hold. */
import { execFileSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { Guard } from '../../lib/host/guard.js'
import { SavedPlan } from '../../lib/host/saved-plan.js'
import { Netlink } from '../../lib/index.js'
import { createNamespace, test } from '../support/namespace.js'
import { tempFolder } from '../tap/support/needs.js'
import { planOf, stepOf } from './support/plans.js'

const GUARD = fileURLToPath(new URL('../../build/Release/linkwright-guard', import.meta.url))
/** An empty way back: `p` and no bytes, and then the end. */
const ARM = `printf 'p\\0\\0\\0\\0'; sleep 0.3; printf 'q\\0\\0\\0\\0'`

/** What a guard in its parent's namespace says that has these rights. */
function armed(namespace: string, ...rights: string[]): string {
  const guard = `exec 3</proc/self/ns/net; (${ARM}) | "$0" $$ '' 1`
  const words = ['netns', 'exec', namespace, 'setpriv', ...rights, 'bash', '-c', guard, GUARD]
  return execFileSync('ip', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

const NOBODY = ['--reuid=65534', '--regid=65534', '--clear-groups']

test.skipIf(!existsSync(GUARD))('may do with CAP_NET_ADMIN alone in its own namespace', async ({ ns }) => {
  const rights = [...NOBODY, '--inh-caps=+net_admin', '--ambient-caps=+net_admin']
  expect(armed(ns.name, ...rights)).toBe('armed - -\n')
})

test.skipIf(!existsSync(GUARD))('is refused at once without: it could not restore', async ({ ns }) => {
  expect(armed(ns.name, ...NOBODY)).toBe('refused 1 -\n')
})

test('sends a transaction that is longer than the usual send buffer', async ({ ns }) => {
  await using guarding = await Guard.start({ net: ns.net }).then(guard => ({
    guard,
    [Symbol.asyncDispose]: () => guard.dismiss()
  }))
  // NLMSG_NOOP, which nobody answers; the last asks for an answer.
  const message = Buffer.alloc(1024)
  message.writeUInt32LE(message.length, 0)
  message.writeUInt16LE(1, 4)
  const requests = Buffer.concat(new Array(600).fill(message))
  requests.writeUInt16LE(5, requests.length - message.length + 6)
  await guarding.guard.arm([{ op: 'netlink', protocol: 0, atomic: true, requests, command: 'long' }])
  expect(await guarding.guard.restore()).toEqual({ reason: 'asked', failures: [] })
})

test('a state file is of its namespace, not of a later one with its inode', { timeout: 60_000 }, async () => {
  const stateFile = join(tempFolder(), 'state')
  let inode = 0
  {
    await using ns = await createNamespace()
    inode = statSync(ns.path).ino
    await planOf(ns.net, [stepOf('nothing')]).apply({ stateFile })
    await SavedPlan.load(ns.net, stateFile)
  }
  const names: string[] = []
  try {
    for (let attempt = 0; attempt < 50; attempt++) {
      const name = `lw-again-${process.pid}-${attempt}`
      execFileSync('ip', ['netns', 'add', name])
      names.push(name)
      if (statSync(`/run/netns/${name}`).ino !== inode) continue
      await using net = await Netlink.open({ netns: name })
      await expect(SavedPlan.load(net, stateFile)).rejects.toMatchObject({ code: 'ERR_STALE_STATE' })
      return
    }
    expect.fail('no namespace got the inode again')
  } finally {
    for (const name of names) execFileSync('ip', ['netns', 'del', name])
  }
})
