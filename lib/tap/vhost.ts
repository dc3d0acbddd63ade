/** Descriptors of /dev/vhost-net, one for each queue of a guest's NIC. */
import { closeSync, constants, openSync } from 'node:fs'
import { addon } from '../addon.js'
import { Descriptors } from '../descriptors.js'
import { nativeError } from '../errors.js'
import { checkQueues } from './queue-options.js'

/**
 * Opens /dev/vhost-net, once for each queue, for QEMU's `vhostfds=`.
 *
 * @throws LinkwrightError `ENOENT` where the kernel has no vhost-net, `EACCES` where the user may not
 */
export function openVhostNet(queues = 1): Descriptors {
  checkQueues(queues)
  const fds: number[] = []
  try {
    while (fds.length < queues) fds.push(openSync('/dev/vhost-net', constants.O_RDWR))
    return new Descriptors(addon().adoptDescriptors(fds), 'vhost-net')
  } catch (error) {
    for (const fd of fds) closeSync(fd)
    const { code } = error as { code?: string }
    throw nativeError(error, {
      syscall: 'open(/dev/vhost-net)',
      diagnosis:
        code === 'EACCES'
          ? 'this user may not; join its group (kvm)'
          : 'the vhost_net module is missing: modprobe vhost_net'
    })
  }
}
