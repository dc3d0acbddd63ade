/** A place of our own: network and mount namespaces in which nothing of the host can be touched. */
import { spawnSync } from 'node:child_process'

const INSIDE = 'LINKWRIGHT_DEMO_INSIDE'

/** Runs a script again, in namespaces of its own, unless that is where it runs. Ends the process with its status. */
export function runInSandbox(script) {
  if (process.env[INSIDE]) return
  const asRoot = process.getuid() === 0
  // /sys shows the namespace that it was mounted in.
  const enter = 'mount -t sysfs sysfs /sys && exec "$@"'
  const flags = [...(asRoot ? [] : ['--user', '--map-root-user']), '--net', '--mount', '--propagation', 'private']
  const command = ['sh', '-c', enter, 'sh', process.execPath, script]
  const attempt = spawnSync('unshare', [...flags, 'true'], { encoding: 'utf8' })
  if (attempt.status !== 0) {
    console.error(`No namespace can be made here: ${attempt.error?.message ?? attempt.stderr.trim()}`)
    console.error(
      'Run the demo as root, or allow user namespaces to ordinary users (see sysctl user.max_user_namespaces).'
    )
    process.exit(1)
  }
  const env = { ...process.env, [INSIDE]: asRoot ? 'root' : 'user' }
  const { status, signal } = spawnSync('unshare', [...flags, ...command], { stdio: 'inherit', env })
  if (signal) console.error(`The demo was ended by ${signal}; its namespaces are gone with it.`)
  process.exit(status ?? 1)
}

/** Whether we are an ordinary user, root in a user namespace only. */
export const isOrdinaryUser = process.env[INSIDE] === 'user'
