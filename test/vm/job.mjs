/** The script that the VM runs as its first process once the host's file system is its root. */
import { dirname } from 'node:path'

/** Devices that these would make on loading are nobody's, and in the way of tests that count. */
const MODULE_OPTIONS = ['options bonding max_bonds=0', 'options dummy numdummies=0', 'options ifb numifbs=0']

/**
 * Those that nothing loads on demand: their device nodes or sysctls must be there first. Kinds of links and nf_tables
 * expressions are loaded by the kernel itself when they are asked for.
 */
const MODULES = ['tun', 'macvtap', 'ipvtap', 'vhost_net', 'bridge', 'br_netfilter', '8021q', 'nf_tables']

const quote = text => `'${String(text).replaceAll("'", `'\\''`)}'`

/**
 * @param {string[]} command
 * @param {object} options
 * @param {string} options.cwd
 * @param {Record<string, string>} options.env
 * @param {{ release: string, modules: string }} options.kernel
 * @param {string} options.status device that takes the exit status; the output goes to the only virtio port
 */
export function jobScript(command, { cwd, env, kernel, status }) {
  const paths = [cwd, dirname(process.execPath)]
  return `
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mkdir -p /dev/shm /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t devpts devpts /dev/pts
ln -sfn /proc/self/fd /dev/fd
${paths.some(path => path.startsWith('/tmp/')) ? '' : 'mount -t tmpfs -o mode=1777 tmp /tmp'}
mkdir -p /lib/modules /etc/modprobe.d /run/lock
ln -sfn ${quote(kernel.modules)} /lib/modules/${kernel.release}
printf '%s\\n' ${MODULE_OPTIONS.map(quote).join(' ')} >/etc/modprobe.d/linkwright.conf
modprobe -a ${MODULES.join(' ')}
ip link set lo up
ulimit -n 1048576
cd ${quote(cwd)}
${Object.entries(env)
  .map(([name, value]) => `export ${name}=${quote(value)}`)
  .join('\n')}
mkfifo /run/output
cat /run/output >/dev/$(ls /sys/class/virtio-ports) & reader=$!
${command.map(quote).join(' ')} </dev/null >/run/output 2>&1
echo $? >${status}
# What the command left running may hold its output open for ever.
{ sleep 5; echo 'the command left processes behind' >/dev/console; kill $reader; } & wait $reader
exec /bin/busybox poweroff -f
`
}
