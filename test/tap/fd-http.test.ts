import { closeSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { FdServer, FdSocket } from '../../lib/index.js'
import { askDescriptors } from './support/descriptor.js'
import { openTap } from './support/devices.js'
import { needsTun, tempFolder } from './support/needs.js'

needsTun()

interface Seen {
  path: string
  body: unknown
  names: (string | undefined)[]
  sizes: (string | number)[]
}

/** cloud-hypervisor's API: it takes the descriptors that come in the same recvmsg as the first byte of the request. */
async function serveApi(server: FdServer): Promise<Seen | undefined> {
  const socket = await server.accept()
  const first = await socket?.receive()
  if (!socket || !first) return undefined
  let text = new TextDecoder().decode(first.data)
  const length = () => Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0)
  while (!text.includes('\r\n\r\n') || text.split('\r\n\r\n')[1]?.length !== length()) {
    const more = await socket.receive()
    expect(more?.fds).toEqual([])
    text += new TextDecoder().decode(more?.data)
  }
  const told = askDescriptors(first.fds)
  for (const fd of first.fds) closeSync(fd)
  await socket.send('HTTP/1.1 200 OK\r\nServer: fake\r\nContent-Length: 2\r\n\r\n{}')
  socket.close()
  const [head = '', body = ''] = text.split('\r\n\r\n')
  return {
    path: head.split('\r\n')[0] ?? '',
    body: JSON.parse(body),
    names: told.map(({ name }) => name),
    sizes: told.map(({ vnetHeaderSize }) => vnetHeaderSize)
  }
}

test('PUT /api/v1/vm.add-net with the descriptors in the same sendmsg', async () => {
  const path = join(tempFolder(), 'api')
  const server = FdServer.listen(path)
  onTestFinished(() => server.close())
  const serving = serveApi(server)
  const tap = await openTap({ name: 'ch0', queues: 2, vnetHeader: 12 })
  const config = { id: 'net1', mac: '02:00:00:00:00:02', num_queues: 4, note: 'x'.repeat(100_000) }
  const body = JSON.stringify(config)
  const socket = await FdSocket.connect(path)
  onTestFinished(() => socket.close())
  const head = `PUT /api/v1/vm.add-net HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`
  await socket.send(head + body, tap.fds)
  const answer = await socket.receive()
  expect(new TextDecoder().decode(answer?.data)).toMatch(/^HTTP\/1.1 200 OK/)
  expect(await serving).toEqual({
    path: 'PUT /api/v1/vm.add-net HTTP/1.1',
    body: config,
    names: ['ch0', 'ch0'],
    sizes: [12, 12]
  })
})
