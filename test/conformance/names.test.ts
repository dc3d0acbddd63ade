/** Which names a link may have: the running kernel is asked. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import '../../lib/rtnetlink/kinds/index.js'
import { interfaceName, string } from '../../lib/codec/strings.js'
import { createRequest } from '../../lib/link/link-requests.js'
import { NetlinkSocket } from '../../lib/netlink/socket.js'
import { attr, encode, thrown } from '../support/fake-kernel.js'

let socket: NetlinkSocket

beforeAll(async () => {
  socket = await NetlinkSocket.open()
})
afterAll(() => socket.close())

/** Whether the kernel makes a link of this name; our own check of names is gone round. */
async function kernelTakes(name: string): Promise<boolean> {
  const { bytes } = createRequest({ kind: 'ifb' }, false)
  const body = Buffer.concat([bytes, attr(3, encode(string(), name))])
  body.writeUInt32LE(body.length, 0)
  const failure = (await socket.raw(body)).find(reply => reply.data.getInt32(reply.start, true) !== 0)
  if (failure) return false
  const remove = Buffer.concat([body.subarray(0, 32), attr(3, encode(string(), name))])
  remove.writeUInt32LE(remove.length, 0)
  remove.writeUInt16LE(17, 4)
  remove.writeUInt16LE(1, 6)
  await socket.raw(remove)
  return true
}

it.each([
  'a',
  'fifteen-bytes-x',
  'sixteen-bytes-xx',
  'a.b',
  '.',
  '..',
  '...',
  'a/b',
  'a:b',
  'a b',
  'a\tb',
  'a\nb',
  'a\vb',
  'a\fb',
  'a\rb',
  'a\u001fb',
  'a\u007fb',
  'a\u2003b',
  'a\ufeffb',
  'a\u00a0b',
  'a\u1680b',
  'ä',
  'à',
  '€',
  'a"b',
  'a\\b',
  'a|b'
])('%j', async name => {
  let ours = true
  try {
    encode(interfaceName, name)
  } catch {
    ours = false
    expect(thrown(() => encode(interfaceName, name)).code).toBe('ERR_INVALID_ARG_VALUE')
  }
  expect(ours).toBe(await kernelTakes(name))
})
