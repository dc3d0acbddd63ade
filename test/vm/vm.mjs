/** This checkout on the distribution's full kernel: the host's own files and programs, in a machine of their own. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureSystem, kernelPackage } from '../../scripts/system.mjs'
import { buildInitramfs } from '../guest/initramfs.mjs'
import { startQemu } from '../guest/qemu.mjs'
import { tempFolder } from '../guest/temp.mjs'
import { jobScript } from './job.mjs'

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')
const INIT = fileURLToPath(new URL('init.sh', import.meta.url))
const MODULES = ['virtio_pci', 'virtio_console', '9pnet_virtio', '9p', 'overlay']
// The timer is not checked: the emulated one may come too late on a busy machine.
const KERNEL_OPTIONS = 'console=ttyS0 quiet panic=-1 no_timer_check random.trust_cpu=on tsc=reliable mitigations=off'

/** @returns {Promise<string | null>} why no VM can be run here; installs what it may */
export async function whyNoVm() {
  return (await ensureSystem(['vm'])).vm
}

/**
 * Runs a command as root in a VM with the whole file system of this machine; what it writes is gone afterwards.
 *
 * @param {string[]} command
 * @param {object} [options]
 * @param {Record<string, string>} [options.env] beside PATH, HOME=/tmp, TMPDIR=/tmp, CI and LINKWRIGHT_VM=1
 * @param {number} [options.timeout] ms, boot included
 * @param {number} [options.memory] MiB
 * @param {number} [options.cpus]
 * @param {string} [options.cwd]
 * @param {(text: string) => void} [options.onOutput] gets both output streams as they come
 * @returns {Promise<{ status: number, output: string, log: string }>} status 124 when the time was up; `log` is the kernel's
 * @throws when the VM ends without having run the command
 */
export async function runInVm(
  command,
  { env = {}, timeout = 15 * 60_000, memory = 3072, cpus = 2, cwd = CHECKOUT, onOutput = () => {} } = {}
) {
  const reason = await whyNoVm()
  if (reason) throw new Error(reason)
  const kernel = await kernelPackage('full')
  const initramfs = await buildInitramfs(kernel, { init: INIT, modules: MODULES })
  const temp = await tempFolder()
  try {
    const statusFile = join(temp.path, 'status')
    const environment = { PATH: process.env.PATH, HOME: '/tmp', TMPDIR: '/tmp', CI: 'true', LINKWRIGHT_VM: '1', ...env }
    await writeFile(
      join(temp.path, 'job.sh'),
      jobScript(command, { cwd, env: environment, kernel, status: '/dev/ttyS1' })
    )
    const qemu = startQemu(
      [
        ...['-m', `${memory}M`, '-smp', `${cpus}`],
        ...['-kernel', kernel.image, '-initrd', initramfs, '-append', `${KERNEL_OPTIONS} linkwright.job=${temp.path}`],
        ...['-virtfs', 'local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap'],
        ...['-serial', `file:${statusFile}`],
        ...[
          '-chardev',
          'stdio,id=output,signal=off',
          '-device',
          'virtio-serial-pci',
          '-device',
          'virtserialport,chardev=output,nr=1'
        ]
      ],
      { consoleLog: join(temp.path, 'console') }
    )
    let output = ''
    qemu.child.stdout.setEncoding('utf8').on('data', text => {
      output += text
      onOutput(text)
    })
    let late = false
    const timer = setTimeout(() => {
      late = true
      qemu.kill()
    }, timeout)
    await qemu.exited
    clearTimeout(timer)
    const log = (await qemu.log()).replace(/^.*reboot: Power down\r?\n/m, '')
    const status = (await readFile(statusFile, 'utf8')).trim()
    if (late) return { status: 124, output, log }
    if (status === '') throw new Error(`the VM ended before the command did:\n${log.slice(-4000)}`)
    return { status: Number(status), output, log }
  } finally {
    await temp.remove()
  }
}
