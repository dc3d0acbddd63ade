/** Debian's libvirt in a namespace: a daemon of its own with all of its directories on memory. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import type { Namespace } from '../../support/namespace.js'

const run = promisify(execFile)

const DAEMON = `
set -e
mount --make-rprivate /
# There is no systemd that would make groups for it; without any it goes on.
while umount --recursive --lazy /sys 2> /dev/null; do :; done
mount -t sysfs sysfs /sys
for folder in /run /var/lib/libvirt /var/cache/libvirt /var/log/libvirt; do mount -t tmpfs tmpfs $folder; done
mkdir -p /run/libvirt /var/lib/libvirt/dnsmasq /var/lib/libvirt/network /var/lib/libvirt/qemu /var/log/libvirt/qemu
virtlogd 2> /run/virtlogd.log &
libvirtd 2> /run/libvirtd.log &
daemon=$!
for attempt in $(seq 100); do virsh -c qemu:///system version > /dev/null 2>&1 && break; sleep 0.1; done
echo ready
# Until whoever started it lets go.
cat > /dev/null
kill $daemon %1
`

export interface Libvirt extends AsyncDisposable {
  virsh(...args: string[]): Promise<string>
}

/** Whether it is installed. */
export async function hasLibvirt(): Promise<boolean> {
  return await run('sh', ['-c', 'command -v libvirtd virsh ping']).then(
    () => true,
    () => false
  )
}

export async function startLibvirt({ path }: Namespace): Promise<Libvirt> {
  const args = [
    `--net=${path}`,
    'unshare',
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
    'bash',
    '-c',
    DAEMON
  ]
  const daemon = spawn('nsenter', args, { stdio: ['pipe', 'pipe', 'pipe'] })
  await once(daemon.stdout, 'data')
  const inside = await firstChild(daemon)
  return {
    async virsh(...command) {
      // In its mount namespace, where its socket is.
      const enter = ['--net', '--mount', '--pid', '--target', inside, 'virsh', '-c', 'qemu:///system', ...command]
      return (await run('nsenter', enter)).stdout
    },
    async [Symbol.asyncDispose]() {
      daemon.stdin.end()
      await once(daemon, 'close')
    }
  }
}

/** The first process of its pid namespace. */
async function firstChild({ pid }: ChildProcess): Promise<string> {
  const { stdout } = await run('pgrep', ['--parent', String(pid)])
  return stdout.trim()
}
