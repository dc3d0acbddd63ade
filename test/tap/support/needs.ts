/** What a file's tests cannot do without. They are skipped, with the reason, where it is missing. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, onTestFinished } from 'vitest'
import { PYTHON } from './system.js'

const TRY_TUN = `
import fcntl, os, struct
fd = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", b"", 0x1002))
`

/** Why a program fails here, in its own words, or `undefined`. Not asked of linkwright: its bugs are no reason to skip. */
function whyNot(command: string, ...args: string[]): string | undefined {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  return status === 0 ? undefined : (stderr.trim().split('\n').at(-1) ?? `${command} failed`)
}

/** Whether root is really root, and not that of a user namespace: device nodes belong to it. */
export function isInitialRoot(): boolean {
  return process.getuid?.() === 0 && /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'utf8'))
}

let tun: { reason: string | undefined } | undefined
let macvtap: { reason: string | undefined } | undefined

/** Every test of the file needs TAP devices. */
export function needsTun(): void {
  beforeEach(({ skip }) => {
    tun ??= { reason: whyNot(PYTHON, '-c', TRY_TUN) }
    skip(tun.reason !== undefined, `no TUN: ${tun.reason}`)
  })
}

/** Every test of the file needs to open macvtap links. */
export function needsMacvtap(): void {
  beforeEach(({ skip }) => {
    macvtap ??= { reason: isInitialRoot() ? whyNot('sh', '-c', TRY_MACVTAP) : 'the nodes belong to root' }
    skip(macvtap.reason !== undefined, `no macvtap: ${macvtap.reason}`)
  })
}

const TRY_MACVTAP =
  'unshare --net sh -c "ip link add lower type veth && ip link add link lower type macvtap mode bridge"'

/** A folder that is gone with the test, with a short path: those of sockets may have 107 bytes. */
export function tempFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'lw-'))
  onTestFinished(() => rmSync(path, { recursive: true }))
  return path
}
