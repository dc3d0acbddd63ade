/** What the kernel never answers, or loses the answer to: it ends nevertheless. */
import { execFileSync } from 'node:child_process'
import { describe, expect } from 'vitest'
import { addon } from '../../lib/addon.js'
import { withNetns } from '../../lib/netns.js'
import { AS_NOBODY, canRun, runScript } from '../support/child.js'
import { nlmsg } from '../support/fake-kernel.js'
import { type Namespace, test } from '../support/namespace.js'

const [NETLINK_ROUTE, NETLINK_FIB_LOOKUP] = [0, 10]
const RTM_GETLINK = 18
const [REQUEST, DUMP] = [1, 0x300]
const [EBADMSG, ENOBUFS] = [-74, -105]

/** struct ifinfomsg for a link, or for all. */
function getLink(index: number, flags = REQUEST): Buffer {
  const body = Buffer.alloc(16)
  body.writeInt32LE(index, 4)
  return nlmsg(RTM_GETLINK, flags, 0, body)
}

const open = (ns: Namespace, protocol: number, receiveBuffer = 0) =>
  withNetns(ns.name, netns => addon().openNetlink(protocol, netns, receiveBuffer))

/** Many commands by one run of `ip`. */
function batch(ns: Namespace, commands: string[]): void {
  execFileSync('ip', ['-n', ns.name, '-batch', '-'], { input: commands.join('\n') })
}

describe('a protocol that acknowledges nothing', () => {
  test('what it ignores fails', async ({ ns }) => {
    const socket = await open(ns, NETLINK_FIB_LOOKUP)
    const ignored = nlmsg(16, REQUEST, 0, Buffer.alloc(4))
    expect([...(await socket.exchange(ignored, false, true).result).status]).toEqual([EBADMSG])
    expect([...(await socket.dump(nlmsg(16, REQUEST | DUMP, 0, Buffer.alloc(4)), true, 0).result).status]).toEqual([
      EBADMSG
    ])
    socket.close()
  })

  test('what it answers has succeeded', async ({ ns }) => {
    const socket = await open(ns, NETLINK_FIB_LOOKUP)
    const { status, replies } = await socket.exchange(nlmsg(16, REQUEST, 0, Buffer.alloc(64)), false, true).result
    expect([...status]).toEqual([0])
    expect(replies).toHaveLength(1)
    socket.close()
  })
})

test('nfnetlink refuses only the first message of an unprivileged user', ({ skip }) => {
  if (!canRun(AS_NOBODY)) skip('setpriv does not work here')
  const { stdout, stderr } = runScript(
    `const socket = await lib.NetlinkSocket.open({ protocol: { ...lib.rtnetlink, number: 12 } })
     const message = Buffer.alloc(20)
     message.writeUInt32LE(20, 0)
     message.writeUInt16LE(0x0a0a, 4)
     message.writeUInt16LE(1, 6)
     const replies = await socket.raw(Buffer.concat([message, message]), { timeout: 2000 })
     console.log(JSON.stringify(replies.map(reply => reply.data.getInt32(reply.start, true))))
     socket.close()`,
    { before: AS_NOBODY }
  )
  expect(stderr).toBe('')
  expect(JSON.parse(stdout)).toEqual([-1])
})

test('a dump is not disturbed by another that was never read to its end', async ({ ns }) => {
  const count = 400
  batch(
    ns,
    Array.from({ length: count }, (_, i) => `link add name b${i} type bridge`)
  )
  const socket = await open(ns, NETLINK_ROUTE)
  const stray = await socket.exchange(Buffer.concat([getLink(0, REQUEST | DUMP), getLink(1)]), false, true).result
  expect([...stray.status]).toEqual([0, 0])
  const { status, replies } = await socket.dump(getLink(0, REQUEST | DUMP), true, 0).result
  expect([...status]).toEqual([0])
  let links = 0
  for (const bytes of replies.map(buffer => Buffer.from(buffer))) {
    for (let at = 0; at < bytes.length; at += (bytes.readUInt32LE(at) + 3) & ~3) links++
  }
  expect(links).toBeGreaterThanOrEqual(count)
  socket.close()
})

test('requests whose answers did not fit are answered when they are repeated', async ({ ns }) => {
  batch(ns, [
    'link add name big type veth peer name small',
    ...Array.from({ length: 200 }, (_, i) => `link property add dev big altname ${'x'.repeat(110)}${i}`)
  ])
  const { index } = await ns.net.links.get('big')
  // Room for a whole round of small answers, not of such.
  const socket = await open(ns, NETLINK_ROUTE, 200_000)
  let left = 256
  const losses: number[] = []
  while (left > 0 && losses.length < 10) {
    const requests = Buffer.concat(Array.from({ length: left }, () => getLink(index)))
    const { status } = await socket.exchange(requests, false, true).result
    expect([...status].filter(one => one !== 0 && one !== ENOBUFS)).toEqual([])
    left = status.filter(one => one === ENOBUFS).length
    losses.push(left)
  }
  expect(losses[0]).toBeGreaterThan(0)
  expect(losses.at(-1)).toBe(0)
  socket.close()
})
