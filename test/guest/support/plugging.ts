/** Cards of a guest that runs: descriptors over QMP, as a hypervisor manager hands them over. */
import { FdSocket } from '../../../lib/index.js'
import type { Guest } from '../guest.mjs'
import { Qmp, type QmpTransport } from '../qmp.mjs'

/** QMP over a socket of ours, which takes descriptors along. */
export async function openQmp(guest: Guest): Promise<Qmp> {
  return await Qmp.open(qmpTransport(await FdSocket.connect(guest.qmpPath)))
}

function qmpTransport(socket: FdSocket): QmpTransport {
  return {
    write: (data, fds) => socket.send(data, fds),
    async *[Symbol.asyncIterator]() {
      for await (const { data } of socket) yield data
    },
    close: () => socket.close()
  }
}

/** Plugs a card in; each descriptor goes in a message of its own. */
export async function plug(qmp: Qmp, id: string, fds: readonly number[], mac: string): Promise<void> {
  const names = fds.map((_, queue) => `${id}-${queue}`)
  for (const [queue, fd] of fds.entries()) await qmp.execute('getfd', { fdname: names[queue] }, { fds: [fd] })
  await qmp.execute('netdev_add', { type: 'tap', id, fds: names.join(':') })
  const multiqueue = fds.length > 1 ? { mq: true, vectors: 2 * fds.length + 2 } : {}
  await qmp.execute('device_add', {
    driver: 'virtio-net-pci',
    id: `${id}-card`,
    netdev: id,
    mac,
    romfile: '',
    ...multiqueue
  })
}

export async function unplug(qmp: Qmp, id: string): Promise<void> {
  const card = `${id}-card`
  const gone = qmp.event('DEVICE_DELETED', { matches: data => data.device === card, timeout: 60_000 })
  await qmp.execute('device_del', { id: card })
  await gone
  await qmp.execute('netdev_del', { id })
}
