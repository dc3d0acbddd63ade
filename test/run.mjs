/**
 * Runs the tests in network, mount and process namespaces of their own: nothing of the host is touched, and nothing is
 * left. As an ordinary user in a user namespace as well, where the system allows it.
 *
 * Arguments go to vitest: `node test/run.mjs test/unit`.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../', import.meta.url))
const asRoot = process.getuid() === 0

// /sys shows the namespace that it was mounted in, and /run/netns is shared with the host unless hidden.
const enter = [
  'mount -t sysfs sysfs /sys',
  'mount -t tmpfs tmpfs /run 2>/dev/null || true',
  'mkdir -p /run/netns 2>/dev/null || true',
  'ip link set lo up',
  'exec "$@"'
].join('\n')

const unshare = [
  ...(asRoot ? [] : ['--user', '--map-root-user']),
  '--net',
  '--mount',
  '--propagation',
  'private',
  '--pid',
  '--fork',
  '--kill-child',
  '--mount-proc'
]
const vitest = [process.execPath, `${root}node_modules/vitest/vitest.mjs`, 'run', ...process.argv.slice(2)]
const { status, signal, error } = spawnSync('unshare', [...unshare, 'sh', '-c', enter, 'sh', ...vitest], {
  cwd: root,
  stdio: 'inherit'
})
if (error) {
  console.error(`The tests need unshare(1) of util-linux and the right to make namespaces: ${error.message}`)
  process.exit(1)
}
process.exit(signal ? 1 : status)
