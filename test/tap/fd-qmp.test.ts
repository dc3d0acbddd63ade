import { closeSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { FdServer, FdSocket, receiveFds, sendFds } from '../../lib/index.js'
import { askDescriptor } from './support/descriptor.js'
import { openTap } from './support/devices.js'
import { needsTun, tempFolder } from './support/needs.js'
import { ipLink } from './support/system.js'

needsTun()

interface Command {
  execute: string
  arguments: { fdname?: string; fds?: string; id?: string }
}

/** QEMU's monitor as far as descriptors go: `getfd` keeps the one that came along, `netdev_add` takes those named. */
async function serveMonitor(server: FdServer, named: Map<string, number>, added: string[][]): Promise<void> {
  const socket = await server.accept()
  if (!socket) return
  await socket.send(`${JSON.stringify({ QMP: { version: {}, capabilities: ['oob'] } })}\r\n`)
  const waiting: number[] = []
  let text = ''
  for await (const { data, fds } of socket) {
    waiting.push(...fds)
    text += new TextDecoder().decode(data)
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      const command: Command = JSON.parse(text.slice(0, end))
      text = text.slice(end + 1)
      const answer = run(command, waiting, named, added)
      await socket.send(`${JSON.stringify(answer)}\r\n`)
    }
  }
  socket.close()
}

function run(command: Command, waiting: number[], named: Map<string, number>, added: string[][]): object {
  const { fdname = '', fds = '' } = command.arguments ?? {}
  if (command.execute === 'getfd') {
    const fd = waiting.shift()
    if (fd === undefined)
      return { error: { class: 'GenericError', desc: 'No file descriptor supplied via SCM_RIGHTS' } }
    named.set(fdname, fd)
  } else if (command.execute === 'netdev_add')
    added.push(fds.split(':').map(name => askDescriptor(named.get(name) ?? -1).name ?? ''))
  return { return: {} }
}

/** A client as a hypervisor manager would write it. */
class Monitor {
  #text = ''
  constructor(readonly socket: FdSocket) {}

  async line(): Promise<Record<string, unknown>> {
    while (!this.#text.includes('\n')) this.#text += new TextDecoder().decode((await receiveFds(this.socket))?.data)
    const [line = '', ...rest] = this.#text.split('\n')
    this.#text = rest.join('\n')
    return JSON.parse(line)
  }

  async execute(execute: string, args: object = {}, fds: number[] = []): Promise<Record<string, unknown>> {
    await sendFds(this.socket, fds, `${JSON.stringify({ execute, arguments: args })}\n`)
    return this.line()
  }
}

test('getfd and netdev_add: a NIC with two queues is plugged in', async () => {
  const path = join(tempFolder(), 'qmp')
  const server = FdServer.listen(path)
  const named = new Map<string, number>()
  const added: string[][] = []
  const serving = serveMonitor(server, named, added)
  const monitor = new Monitor(await FdSocket.connect(path))
  onTestFinished(async () => {
    monitor.socket.close()
    server.close()
    await serving
    for (const fd of named.values()) closeSync(fd)
  })
  expect(await monitor.line()).toHaveProperty('QMP')
  await monitor.execute('qmp_capabilities')

  const tap = await openTap({ name: 'hotplug0', queues: 2, vnetHeader: true })
  expect(await monitor.execute('getfd', { fdname: 'q9' })).toMatchObject({
    error: { desc: 'No file descriptor supplied via SCM_RIGHTS' }
  })
  for (const [queue, fd] of tap.fds.entries()) {
    expect(await monitor.execute('getfd', { fdname: `q${queue}` }, [fd])).toEqual({ return: {} })
  }
  // Ours are not needed any more: the device lives on by those of the monitor.
  await tap.close()
  expect(await monitor.execute('netdev_add', { type: 'tap', id: 'n0', fds: 'q0:q1' })).toEqual({ return: {} })
  expect(added).toEqual([['hotplug0', 'hotplug0']])
  expect(ipLink('hotplug0')?.linkinfo?.info_data).toMatchObject({ numqueues: 2 })
})
