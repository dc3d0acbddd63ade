/** What a file's tests cannot do without. They are skipped, with the reason, where it is missing. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, onTestFinished } from 'vitest'
import { Macvtap, Netlink, Tap } from '../../../lib/index.js'

/** What the system refuses or does not have; anything else is a bug. */
const REFUSED = ['EACCES', 'EPERM', 'ENOENT', 'ENODEV', 'ENXIO', 'EOPNOTSUPP']

/** Why the system refuses something here, or `undefined`. */
async function whyNot(attempt: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await attempt()
    return undefined
  } catch (error) {
    const { code = '', message } = error as { code?: string; message: string }
    if (!REFUSED.includes(code)) throw error
    return message
  }
}

let tun: Promise<string | undefined> | undefined
let macvtap: Promise<string | undefined> | undefined

/** Every test of the file needs TAP devices. */
export function needsTun(): void {
  beforeEach(async context => {
    tun ??= whyNot(async () => (await Tap.open()).close())
    const reason = await tun
    context.skip(reason !== undefined, reason)
  })
}

/** Every test of the file needs to open macvtap links. */
export function needsMacvtap(): void {
  beforeEach(async context => {
    macvtap ??= whyNot(openMacvtap)
    const reason = await macvtap
    context.skip(reason !== undefined, reason)
  })
}

async function openMacvtap(): Promise<void> {
  const net = await Netlink.open({ netns: { new: true } })
  try {
    await net.links.create({ kind: 'veth', name: 'lower', peer: { name: 'peer' } })
    await net.links.create({ kind: 'macvtap', name: 'probe', link: 'lower', mode: 'bridge' })
    const own = await net.openNetns()
    const [fd = -1] = own.fds
    await (await Macvtap.open('probe', { netns: { fd } })).close()
    await own.close()
  } finally {
    net.close()
  }
}

/** A folder that is gone with the test, with a short path: those of sockets may have 107 bytes. */
export function tempFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'lw-'))
  onTestFinished(() => rmSync(path, { recursive: true }))
  return path
}
