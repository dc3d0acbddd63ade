/** Other programs that have devices open. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'
import { PYTHON } from '../tap/support/system.js'

const PROGRAM = `
import ctypes, fcntl, os, struct, sys, threading
libc = ctypes.CDLL(None)
how, *names = sys.argv[1:]
def attach():
    for name in names:
        if name.startswith("/"):
            os.open(name, os.O_RDWR)
        else:
            fd = os.open("/dev/net/tun", os.O_RDWR)
            fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x1002))
    print("held", flush=True)
def thread():
    if how == "thread":
        libc.unshare(0x400)
        attach()
    sys.stdin.read()
    os._exit(0)
if how != "thread":
    attach()
if how == "process":
    sys.stdin.read()
else:
    threading.Thread(target=thread).start()
if how == "leaderless":
    libc.syscall(60, 0)
`

export interface Holding {
  readonly pid: number
  readonly release: () => Promise<void>
}

/**
 * Opens TAPs by name, or nodes by path, in a namespace.
 *
 * @param how `thread`: only a thread that has descriptors of its own has it; `leaderless`: the first thread has ended
 */
export async function holdElsewhere(
  netns: string | undefined,
  names: string[],
  how: 'process' | 'thread' | 'leaderless' = 'process'
): Promise<Holding> {
  const command = [...(netns ? ['ip', 'netns', 'exec', netns] : []), PYTHON, '-c', PROGRAM, how, ...names]
  const child = spawn(command[0] as string, command.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] })
  const release = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.stdin.end()
    await ended
  }
  onTestFinished(release)
  await once(child.stdout, 'data')
  return { pid: child.pid as number, release }
}
