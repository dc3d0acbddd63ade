/**
 * Everything the addon offers, once, without the library above it; or one test, or a group of them: `calls`, `ends`.
 * unshare -n -m --propagation private sh -c 'mount -t sysfs sysfs /sys; node test/lifecycle/programs/addon.mjs'
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isMainThread, Worker, workerData } from 'node:worker_threads'

const path = fileURLToPath(new URL('../../../build/Release/linkwright.node', import.meta.url))
const addon = createRequire(import.meta.url)(path)

const [REQUEST, ACK, ECHO, , EXCL, CREATE, DUMP] = [1, 4, 8, 0x100, 0x200, 0x400, 0x300]
const [ERROR, DONE, NEWLINK, DELLINK, GETLINK] = [2, 3, 16, 17, 18]

function message(type, flags, payload) {
  const buffer = Buffer.alloc(16 + Math.ceil(payload.length / 4) * 4)
  buffer.writeUInt32LE(16 + payload.length, 0)
  buffer.writeUInt16LE(type, 4)
  buffer.writeUInt16LE(flags, 6)
  payload.copy(buffer, 16)
  return buffer
}
function attribute(type, payload) {
  const data = typeof payload === 'string' ? Buffer.from(`${payload}\0`) : payload
  const buffer = Buffer.alloc(4 + Math.ceil(data.length / 4) * 4)
  buffer.writeUInt16LE(4 + data.length, 0)
  buffer.writeUInt16LE(type, 2)
  data.copy(buffer, 4)
  return buffer
}
const u32 = value => Buffer.from(Uint32Array.of(value).buffer)
function ifinfomsg(index = 0, flags = 0, change = 0) {
  const buffer = Buffer.alloc(16)
  buffer.writeInt32LE(index, 4)
  buffer.writeUInt32LE(flags, 8)
  buffer.writeUInt32LE(change, 12)
  return buffer
}
const link = (name, kind, { flags = 0, index = 0, data = [], attributes = [] } = {}) =>
  message(
    NEWLINK,
    REQUEST | CREATE | EXCL | flags,
    Buffer.concat([
      ifinfomsg(index),
      attribute(3, name),
      ...attributes,
      attribute(18, Buffer.concat([attribute(1, kind), ...(data.length ? [attribute(2, Buffer.concat(data))] : [])]))
    ])
  )
const dumpLinks = () => message(GETLINK, REQUEST | DUMP, ifinfomsg())
function* messages(buffers) {
  for (const buffer of buffers) {
    const bytes = Buffer.from(buffer)
    for (let at = 0; at < bytes.length; at += (bytes.readUInt32LE(at) + 3) & ~3) {
      const length = bytes.readUInt32LE(at)
      assert.ok(length >= 16 && at + length <= bytes.length, `message of ${length} at ${at} of ${bytes.length}`)
      yield {
        type: bytes.readUInt16LE(at + 4),
        flags: bytes.readUInt16LE(at + 6),
        seq: bytes.readUInt32LE(at + 8),
        bytes: bytes.subarray(at, at + length)
      }
    }
  }
}
/** Open descriptors, but for those of modules that a terminated worker was just loading: Node leaks them. */
const fdCount = () =>
  readdirSync('/proc/self/fd').filter(fd => {
    try {
      return !/\.m?js$/.test(readlinkSync(`/proc/self/fd/${fd}`))
    } catch {
      return false
    }
  }).length
const threadCount = () => readdirSync('/proc/self/task').length
async function until(condition, what, ms = 8000) {
  for (const end = Date.now() + ms; !condition(); await delay(20)) assert.ok(Date.now() < end, what)
}

if (!isMainThread) {
  const socket = await addon.openNetlink(0, -1, 0)
  if (workerData === 'batch')
    socket.exchange(Buffer.concat(Array.from({ length: 300 }, (_, i) => link(`w${i}`, 'bridge'))), false, true)
  if (workerData === 'dump') for (let i = 0; i < 50; i++) socket.dump(dumpLinks(), true, 0)
  if (workerData === 'tap') {
    const taps = await Promise.all(Array.from({ length: 8 }, () => openTap({ name: 'wt%d' })))
    const poller = addon.createPoller(taps[0].descriptors.fds[0], () => {})
    poller.poll(1)
    globalThis.kept = [taps, poller]
  }
  if (workerData === 'fake') {
    const [ours, theirs] = addon.unixPair(5)
    globalThis.kept = addon.adoptDescriptors([theirs])
    addon.adoptNetlink(ours).exchange(link('never', 'bridge'), false, true)
  }
  if (workerData === 'exit') process.exit(0)
  const { parentPort } = await import('node:worker_threads')
  parentPort.postMessage('ready')
  if (workerData !== 'end') setInterval(() => {}, 1000)
}

function openTap(options = {}) {
  return addon.openTun({
    netns: -1,
    name: 'tap%d',
    flags: 0x1002,
    exclusive: true,
    queues: 1,
    index: 0,
    disableIpv6: true,
    ioctls: [],
    ...options
  })
}

const tests = {
  async dump() {
    const socket = await addon.openNetlink(0, -1, 0)
    assert.ok(socket.portId > 0 && socket.receiveBuffer >= 1 << 20)
    const { id, result } = socket.dump(dumpLinks(), true, 0)
    assert.equal(typeof id, 'number')
    const { status, replies, interrupted, firstSequence } = await result
    assert.deepEqual([...status], [0])
    assert.equal(interrupted, false)
    const seen = [...messages(replies)]
    assert.ok(seen.length >= 1 && seen.every(m => m.type === NEWLINK && m.seq === firstSequence))
    const bad = await socket.dump(message(250, REQUEST | DUMP, ifinfomsg()), true, 0).result
    assert.equal(bad.status[0], -95)
    socket.close()
    socket.close()
    assert.throws(() => socket.dump(dumpLinks(), true, 0), { code: 'EBADF', errno: -9 })
  },
  async batch() {
    const socket = await addon.openNetlink(0, -2, 0)
    const requests = Array.from({ length: 600 }, (_, i) =>
      link(i % 50 === 49 ? 'b0' : `b${i}`, 'bridge', { flags: ECHO })
    )
    const { status, replies, firstSequence } = await socket.exchange(Buffer.concat(requests), false, true).result
    assert.equal(status.length, 600)
    for (const [i, value] of status.entries()) assert.equal(value, i % 50 === 49 ? -17 : 0)
    const kinds = [...messages(replies)]
    assert.equal(kinds.filter(m => m.type === NEWLINK).length, 588)
    assert.equal(kinds.filter(m => m.type === ERROR).length, 12)
    for (const m of kinds) assert.ok(m.seq - firstSequence < 600)
    assert.equal(new Set(kinds.map(m => m.seq)).size, 600)
    // Many small ones that share rounds.
    const gets = await Promise.all(
      Array.from(
        { length: 700 },
        (_, i) =>
          socket.exchange(
            message(GETLINK, REQUEST, Buffer.concat([ifinfomsg(), attribute(3, i % 7 ? `b${i % 49}` : 'nope')])),
            false,
            true
          ).result
      )
    )
    gets.forEach((got, i) => {
      assert.deepEqual([...got.status], [i % 7 ? 0 : -19], `get ${i}`)
      const [reply, ...rest] = [...messages(got.replies)]
      assert.equal(rest.length, 0)
      assert.equal(reply.seq, got.firstSequence)
      assert.equal(reply.type, i % 7 ? NEWLINK : ERROR)
    })
    const { replies: dumped } = await socket.dump(dumpLinks(), true, 0).result
    assert.equal([...messages(dumped)].length, 589)
    socket.close()
  },
  async netfilter() {
    const socket = await addon.openNetlink(12, -2, 0)
    const nfgen = res => Buffer.from([0, 0, res >> 8, res & 255])
    const table = name =>
      message(
        (10 << 8) | 0,
        REQUEST | CREATE,
        Buffer.concat([Buffer.from([1, 0, 0, 0]), attribute(1, name), attribute(6, Buffer.alloc(240))])
      )
    const batch = (...inner) =>
      Buffer.concat([message(16, REQUEST, nfgen(10)), ...inner, message(17, REQUEST, nfgen(10))])
    assert.deepEqual(
      [...(await socket.exchange(batch(table('one'), table('two')), true, true).result).status],
      [0, 0, 0, 0]
    )
    const bad = message((10 << 8) | 2, REQUEST, Buffer.concat([Buffer.from([1, 0, 0, 0]), attribute(1, 'missing')]))
    const failed = await socket.exchange(batch(table('three'), bad), true, true).result
    assert.equal(failed.status[2], -2)
    assert.deepEqual([...(await socket.exchange(batch(), true, true).result).status], [0, 0])
    const short = await socket.exchange(
      Buffer.concat([
        message(16, REQUEST, nfgen(10)),
        message((10 << 8) | 0, REQUEST, Buffer.alloc(0)),
        message(17, REQUEST, nfgen(10))
      ]),
      true,
      true
    ).result
    assert.ok(short.status.some(value => value < 0))
    const large = await socket.exchange(batch(...Array.from({ length: 2500 }, (_, i) => table(`t${i}`))), true, true)
      .result
    assert.ok(large.status.every(value => value === 0))
    socket.close()
  },
  async cancel() {
    /** Of each request: answered, sent, or unsent; in this order. */
    const fates = async ({ result }) => {
      const text = [...(await result).status].map(status => ({ 0: 'a', [-125]: 's', 1: 'u' })[status]).join('')
      assert.match(text, /^a*s*u*$/)
      return text
    }
    const socket = await addon.openNetlink(0, -2, 0)
    const many = prefix => Buffer.concat(Array.from({ length: 600 }, (_, i) => link(`${prefix}${i}`, 'bridge')))
    const a = socket.exchange(many('c'), false, true)
    const b = socket.exchange(link('unsent', 'bridge'), false, true)
    const c = socket.dump(dumpLinks(), true, 0)
    socket.cancel(b.id)
    socket.cancel(c.id)
    assert.deepEqual([...(await b.result).status], [1])
    assert.deepEqual([...(await c.result).status], [1])
    socket.cancel(a.id)
    socket.cancel(a.id)
    let seen = await fates(a)
    // Between two rounds all that was sent is answered: some other time it is not.
    for (let tries = 0; !/su/.test(seen); tries++) {
      assert.ok(tries < 50, 'none was sent and unanswered')
      const another = socket.exchange(many(`c${tries}_`), false, true)
      await delay(tries)
      socket.cancel(another.id)
      seen = await fates(another)
    }
    const again = await socket.exchange(link('again', 'bridge'), false, true).result
    assert.equal(again.status[0], 0)
    const dump = socket.dump(dumpLinks(), true, 0)
    await delay(1)
    socket.cancel(dump.id)
    await dump.result
    assert.equal((await socket.dump(dumpLinks(), true, 0).result).status[0], 0)
    const last = socket.exchange(
      Buffer.concat(Array.from({ length: 300 }, (_, i) => link(`d${i}`, 'bridge'))),
      false,
      true
    )
    socket.close()
    assert.ok((await last.result).status.every(value => value === 1 || value === -125))
  },
  async manySockets() {
    await delay(100)
    const before = [fdCount(), threadCount()]
    for (let round = 0; round < 4; round++) {
      const sockets = await Promise.all(Array.from({ length: 250 }, () => addon.openNetlink(0, -1, 65536)))
      await Promise.all(sockets.map(socket => socket.dump(dumpLinks(), true, 0).result))
      assert.ok(addon.statistics().threads <= 16)
      for (const socket of sockets) socket.close()
    }
    const { sockets, pending } = addon.statistics()
    assert.deepEqual([sockets, pending], [0, 0])
    // Each of the engine's threads may keep an eventfd.
    await until(() => fdCount() <= before[0] + 4, 'descriptors leak')
    await until(() => addon.statistics().threads === 0, 'idle threads stay')
    await until(() => threadCount() <= before[1], 'threads leak')
    await until(() => fdCount() <= before[0], 'eventfds leak')
  },
  async fakeKernel() {
    const [ours, theirs] = addon.unixPair(5)
    const socket = addon.adoptNetlink(ours)
    const slab = Buffer.alloc(1 << 17)
    const received = async () => {
      for (;;) {
        const got = addon.unixReceive(theirs, slab)
        if (got) return [...messages([Uint8Array.prototype.slice.call(slab, 0, got.bytes).buffer])]
        await delay(2)
      }
    }
    const answer = (to, error, flags = 0) => {
      const reply = message(
        ERROR,
        flags,
        Buffer.concat([Buffer.from(Int32Array.of(error).buffer), to.bytes.subarray(0, 16)])
      )
      reply.writeUInt32LE(to.seq, 8)
      addon.unixSend(theirs, reply, [])
    }
    const data = (to, type, size, flags = 0) => {
      const reply = message(type, flags, Buffer.alloc(size))
      reply.writeUInt32LE(to.seq, 8)
      return reply
    }
    const two = Buffer.concat([link('x', 'bridge'), link('y', 'bridge')])
    let call = socket.exchange(two, false, true)
    let [first, second] = await received()
    assert.deepEqual([first.flags & ACK, second.flags & ACK, second.seq - first.seq], [0, ACK, 1])
    answer(first, -22)
    answer(second, 0, 0x200)
    let result = await call.result
    assert.deepEqual([...result.status], [-22, 0])
    assert.equal([...messages(result.replies)].length, 2)
    // Cancelled without an answer, which then comes late.
    call = socket.exchange(two, false, true)
    ;[first, second] = await received()
    socket.cancel(call.id)
    assert.deepEqual([...(await call.result).status], [-125, -125])
    answer(first, -1)
    answer(second, -1)
    call = socket.exchange(two, false, true)
    ;[first, second] = await received()
    answer(second, 0)
    assert.deepEqual([...(await call.result).status], [0, 0])
    // Truncated answers.
    call = socket.exchange(two, false, true)
    ;[first, second] = await received()
    addon.unixSend(theirs, data(first, NEWLINK, 70000), [])
    answer(second, 0)
    result = await call.result
    assert.deepEqual([...result.status], [-90, 0])
    // A dump that is inconsistent, explains its end, and holds a foreign message.
    let dump = socket.dump(dumpLinks(), true, 0)
    ;[first] = await received()
    addon.unixSend(
      theirs,
      Buffer.concat([
        data(first, NEWLINK, 20),
        data({ seq: first.seq + 77 }, NEWLINK, 20),
        data(first, NEWLINK, 21, 0x10)
      ]),
      []
    )
    const done = message(DONE, 0x200, Buffer.concat([Buffer.from(Int32Array.of(-5).buffer), attribute(1, 'why')]))
    done.writeUInt32LE(first.seq, 8)
    addon.unixSend(theirs, done, [])
    result = await dump.result
    assert.equal(result.status[0], -5)
    assert.equal(result.interrupted, true)
    assert.deepEqual(
      [...messages(result.replies)].map(m => [m.type, m.bytes.length]),
      [
        [NEWLINK, 36],
        [NEWLINK, 37],
        [DONE, 28]
      ]
    )
    // A truncated dump is drained; a cancelled one that falls silent is left.
    dump = socket.dump(dumpLinks(), true, 0)
    ;[first] = await received()
    addon.unixSend(theirs, data(first, NEWLINK, 70000), [])
    const plain = message(DONE, 0, Buffer.alloc(4))
    plain.writeUInt32LE(first.seq, 8)
    addon.unixSend(theirs, plain, [])
    assert.equal((await dump.result).status[0], -90)
    dump = socket.dump(dumpLinks(), true, 0)
    ;[first] = await received()
    socket.cancel(dump.id)
    assert.equal((await dump.result).status[0], -125)
    const start = Date.now()
    call = socket.exchange(two, false, true)
    ;[first, second] = await received()
    assert.ok(Date.now() - start > 500)
    // The peer goes.
    for (const fd of [theirs]) await addon.adoptDescriptors([fd]).close()
    assert.deepEqual([...(await call.result).status], [-104, -104])
    socket.close()
    assert.throws(() => addon.adoptNetlink(0), { code: /ENOTSOCK|EAFNOSUPPORT/ })
  },
  async tun() {
    const { descriptors, name, index, flags } = await openTap({
      flags: 0x1002 | 0x100 | 0x4000,
      queues: 3,
      index: 4711,
      ioctls: [
        ['TUNSETVNETHDRSZ', 12],
        ['TUNSETOFFLOAD', 1]
      ]
    })
    assert.match(name, /^tap\d+$/)
    assert.equal(index, 4711)
    assert.equal(descriptors.fds.length, 3)
    assert.equal(flags & 0x4102, 0x4102)
    assert.equal(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8').trim(), '4711')
    assert.equal(readFileSync(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, 'utf8'), '1\n')
    assert.equal(await addon.tunIoctl(descriptors.fds[0], 'TUNGETVNETHDRSZ', 0), 12)
    assert.equal((await addon.tunGetInterface(descriptors.fds[2])).name, name)
    await addon.tunIoctl(descriptors.fds[1], 'TUNSETQUEUE', 0x400)
    await addon.tunIoctl(descriptors.fds[1], 'TUNSETQUEUE', 0x200)
    await addon.tunAttachFilter(descriptors.fds[0], Buffer.from([6, 0, 0, 0, 255, 255, 0, 0]))
    await addon.tunIoctl(descriptors.fds[0], 'TUNDETACHFILTER', 0)
    await assert.rejects(addon.tunIoctl(descriptors.fds[0], 'TUNSETOFFLOAD', 1 << 20), {
      code: 'EINVAL',
      errno: -22,
      syscall: 'ioctl(TUNSETOFFLOAD)'
    })
    await assert.rejects(openTap({ name }), {
      code: 'EBUSY',
      message: 'EBUSY: device or resource busy, ioctl(TUNSETIFF)'
    })
    const before = fdCount()
    await assert.rejects(
      openTap({
        name: 'broken',
        ioctls: [
          ['TUNSETPERSIST', 1],
          ['TUNSETOFFLOAD', 1 << 20]
        ]
      }),
      { code: 'EINVAL' }
    )
    assert.equal(fdCount(), before)
    assert.ok(!readdirSync('/sys/class/net').includes('broken'))
    assert.throws(() => addon.adoptDescriptors(descriptors.fds), { code: 'ERR_INVALID_ARG_VALUE' })
    const one = descriptors.fds[1]
    await descriptors.closeOne(one)
    assert.equal(descriptors.fds.length, 2)
    await descriptors.close()
    await descriptors.close()
    assert.deepEqual(descriptors.fds, [])
    assert.ok(!readdirSync('/sys/class/net').includes(name))
    const tap = await openTap()
    const [released] = tap.descriptors.release()
    assert.deepEqual(tap.descriptors.fds, [])
    tap.descriptors.adopt([released])
    await tap.descriptors.close()
    assert.equal(addon.statistics().descriptors, 0)
  },
  async namespaces() {
    const socket = await addon.openNetlink(0, -2, 0)
    const ns = await addon.openNetns(socket)
    const mine = await addon.openNetns(null)
    const inode = fd => readlinkSync(`/proc/self/fd/${fd}`)
    assert.notEqual(inode(ns.fds[0]), inode(mine.fds[0]))
    assert.equal(inode(mine.fds[0]), readlinkSync('/proc/self/ns/net'))
    const tap = await openTap({ netns: ns.fds[0], name: 'inside' })
    assert.ok(!readdirSync('/sys/class/net').includes('inside'))
    assert.equal((await addon.readSysctl(ns.fds[0], '/proc/sys/net/ipv6/conf/inside/disable_ipv6')).trim(), '1')
    await addon.writeSysctl(ns.fds[0], 'ipv6/conf/inside/disable_ipv6', '0')
    assert.equal((await addon.readSysctl(ns.fds[0], 'ipv6/conf/inside/disable_ipv6')).trim(), '0')
    await assert.rejects(addon.readSysctl(-1, 'ipv6/conf/inside/disable_ipv6'), { code: 'ENOENT' })
    await assert.rejects(addon.readSysctl(-1, '/proc/sys/net/../kernel/hostname'), { code: 'EPERM' })
    await assert.rejects(addon.readSysctl(-1, '/etc/passwd'), { code: 'EPERM' })
    const missing = { name: 'none', index: 5, address: new Uint8Array(6) }
    const query = { names: ['none', 'inside'], macvtaps: [missing], excluded: [] }
    const scan = await addon.findHolders(ns.fds[0], query)
    assert.deepEqual([[...scan.holdings], [...scan.unknown], scan.inFlight], [[1, 0], [2], 0])
    assert.equal(scan.processes[0].pid, process.pid)
    const excluded = tap.descriptors.fds
    assert.equal((await addon.findHolders(ns.fds[0], { ...query, excluded })).holdings.length, 0)
    assert.equal((await addon.findHolders(-1, query)).holdings.length, 0)
    await assert.rejects(addon.findHolders(0, query), { syscall: 'setns' })
    assert.throws(() => addon.findHolders(-1, { ...query, names: [7] }), { code: 'ERR_INVALID_ARG_TYPE' })
    assert.throws(() => addon.findHolders(-1, { ...query, macvtaps: [{ ...missing, address: new Uint8Array(5) }] }))
    await assert.rejects(addon.openNetlink(0, 0, 0), { syscall: 'setns' })
    await assert.rejects(addon.openNetlink(0, 9999, 0), { code: 'EBADF' })
    assert.throws(() => addon.openNetlink('0', -1, 0), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
    assert.throws(() => addon.openNetns({}), { code: 'ERR_INVALID_ARG_TYPE' })
    assert.throws(() => addon.openNetns(tap.descriptors), { code: 'ERR_INVALID_ARG_TYPE' })
    const again = await addon.openNetlink(0, ns.fds[0], 0)
    assert.equal([...messages((await again.dump(dumpLinks(), true, 0).result).replies)].length, 2 + 0)
    for (const one of [ns, mine, tap.descriptors]) await one.close()
    again.close()
    socket.close()
  },
  async macvtap() {
    const mac = last => Uint8Array.of(2, 0, 0, 0, 1, last)
    const make = async (socket, name, index, last) => {
      const created = await socket.exchange(link(`${name}l`, 'ifb', { index: 9000 }), false, true).result
      assert.equal(created.status[0], 0)
      const { status } = await socket.exchange(
        link(name, 'macvtap', {
          index,
          attributes: [attribute(5, u32(9000)), attribute(1, Buffer.from(mac(last)))],
          data: [attribute(1, u32(4))]
        }),
        false,
        true
      ).result
      assert.equal(status[0], 0)
    }
    const a = await addon.openNetlink(0, -1, 0)
    const b = await addon.openNetlink(0, -2, 0)
    const ns = await addon.openNetns(b)
    await make(a, 'mva', 4242, 1)
    await make(b, 'mvb', 4242, 2)
    const options = {
      netns: -1,
      name: 'mva',
      index: 4242,
      address: mac(1),
      flags: 0x5002,
      queues: 1,
      ioctls: [['TUNSETSNDBUF', 0x7fffffff]],
      uid: -1,
      gid: -1,
      mode: 0o640
    }
    const ours = await addon.openMacvtap(options)
    assert.equal((await addon.tunGetInterface(ours.descriptors.fds[0])).name, 'mva')
    const theirs = await addon.openMacvtap({
      ...options,
      netns: ns.fds[0],
      name: 'mvb',
      address: mac(2),
      flags: 0x5102,
      queues: 2
    })
    assert.equal(theirs.descriptors.fds.length, 2)
    for (const fd of theirs.descriptors.fds) assert.equal((await addon.tunGetInterface(fd)).name, 'mvb')
    assert.notEqual(ours.minor, theirs.minor)
    assert.deepEqual([ours.node, theirs.node].sort(), ['', '/dev/tap4242'])
    assert.equal(statSync('/dev/tap4242').mode & 0o777, 0o640)
    assert.equal(readdirSync('/dev').filter(name => name.startsWith('.linkwright')).length, 0)
    const before = fdCount()
    await assert.rejects(addon.openMacvtap({ ...options, address: mac(9) }), {
      code: 'ENODEV',
      syscall: 'ioctl(SIOCGIFHWADDR)'
    })
    await assert.rejects(addon.openMacvtap({ ...options, index: 4243 }), { code: 'ENODEV' })
    await assert.rejects(addon.openMacvtap({ ...options, name: 'nope' }), { code: 'ENOENT' })
    assert.equal(fdCount(), before)
    await Promise.all([ours.descriptors.close(), theirs.descriptors.close(), ns.close()])
    await a.exchange(message(DELLINK, REQUEST, ifinfomsg(9000)), false, true).result
    a.close()
    b.close()
  },
  async listener() {
    const listener = await addon.openNetlinkListener(0, -1, 0, [1], new Uint8Array(), false)
    const slab = new Uint8Array(1 << 18)
    assert.equal(addon.readNotifications(listener.fds[0], slab, null), 0)
    const seen = []
    const poller = addon.createPoller(listener.fds[0], (error, events) => {
      assert.deepEqual([error, events], [0, 1])
      const bytes = addon.readNotifications(listener.fds[0], slab, null)
      if (bytes > 0) seen.push(...messages([slab.slice(0, bytes).buffer]))
    })
    poller.poll(1)
    const tap = await openTap({ name: 'watched' })
    await until(() => seen.some(m => m.type === NEWLINK && m.bytes.includes('watched')), 'no notification')
    await tap.descriptors.close()
    await until(() => seen.some(m => m.type === DELLINK), 'no end')
    poller.unref()
    poller.ref()
    poller.poll(0)
    poller.close()
    poller.close()
    assert.throws(() => poller.poll(1), { code: 'EBADF' })
    const small = await addon.openNetlinkListener(0, -1, 32768, [1], new Uint8Array(), false)
    for (let i = 0; i < 30; i++) await (await openTap()).descriptors.close()
    assert.equal(addon.readNotifications(small.fds[0], slab, null), -105)
    // What was left is dropped with what was lost, and then all is told again.
    assert.equal(addon.readNotifications(small.fds[0], slab, null), 0)
    await (await openTap()).descriptors.close()
    const origins = new Int32Array(64)
    assert.ok(addon.readNotifications(small.fds[0], slab, origins) > 0)
    assert.ok(origins[0] > 0 && origins[1] === -1)
    await Promise.all([listener.close(), small.close()])
    const thrown = await new Promise(resolve => {
      const [a, b] = addon.unixPair(1)
      const failing = addon.createPoller(a, () => {
        failing.close()
        throw new Error('from the callback')
      })
      process.once('uncaughtException', resolve)
      failing.poll(1)
      addon.unixSend(b, Buffer.from('x'), [])
      globalThis.ends = addon.adoptDescriptors([a, b])
    })
    assert.equal(thrown.message, 'from the callback')
    await globalThis.ends.close()
  },
  async unix() {
    const name = `/tmp/linkwright-smoke-${process.pid}`
    const server = addon.unixListen(name)
    assert.equal(addon.unixAccept(server), -11)
    const client = addon.unixConnect(name)
    const peer = addon.unixAccept(server)
    assert.ok(peer > 0)
    const data = new Uint8Array(64)
    assert.equal(addon.unixReceive(peer, data), null)
    assert.equal(addon.unixSend(client, Buffer.from('hello'), [server, client]), 5)
    const got = addon.unixReceive(peer, data)
    assert.equal(got.bytes, 5)
    assert.equal(got.fds.length, 2)
    assert.equal(got.truncated, false)
    assert.equal(addon.unixSend(peer, new Uint8Array(1), Array(253).fill(peer)), 1)
    const many = addon.unixReceive(client, data)
    assert.equal(many.fds.length, 253)
    await addon.adoptDescriptors([...got.fds, ...many.fds, client]).close()
    assert.deepEqual(addon.unixReceive(peer, data), { bytes: 0, fds: [], truncated: false })
    assert.throws(() => addon.unixSend(peer, new Uint8Array(1), []), { code: 'EPIPE', syscall: 'sendmsg' })
    assert.throws(() => addon.unixConnect('/nowhere/at/all'), { code: 'ENOENT' })
    assert.throws(() => addon.unixConnect('x'.repeat(200)), { code: 'ENAMETOOLONG' })
    await addon.adoptDescriptors([server, peer]).close()
    const { unlinkSync } = await import('node:fs')
    unlinkSync(name)
  },
  async collected() {
    if (!globalThis.gc) return
    const before = fdCount()
    await (async () => {
      for (let i = 0; i < 20; i++) await openTap()
      for (let i = 0; i < 20; i++) await addon.openNetlink(0, -1, 0)
    })()
    for (let i = 0; i < 20 && addon.statistics().descriptors + addon.statistics().sockets > 0; i++) {
      globalThis.gc()
      await delay(10)
    }
    assert.equal(addon.statistics().descriptors, 0)
    assert.equal(addon.statistics().sockets, 0)
    await until(() => fdCount() <= before + 4, 'collected descriptors stay open')
  },
  async workers() {
    await until(() => addon.statistics().threads === 0, 'idle threads stay')
    const before = fdCount()
    const file = fileURLToPath(import.meta.url)
    for (let round = 0; round < 3; round++) {
      for (const what of ['batch', 'dump', 'tap', 'fake', 'end']) {
        const worker = new Worker(file, { workerData: what })
        const exited = new Promise(resolve => worker.once('exit', resolve))
        await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
        await delay(round * 15)
        const start = Date.now()
        if (what === 'end') await exited
        else await worker.terminate()
        assert.ok(Date.now() - start < (process.env.SLOW ? 3000 : 400), `${what} took ${Date.now() - start} ms to end`)
      }
    }
    const worker = new Worker(file, { workerData: 'exit' })
    await new Promise(resolve => worker.once('exit', resolve))
    // Terminated while it loads, opens and sends.
    for (let i = 0; i < 30; i++) {
      const early = new Worker(file, { workerData: ['batch', 'dump', 'tap', 'fake'][i % 4] })
      await delay(i * 2)
      await early.terminate()
    }
    await until(() => fdCount() <= before, 'descriptors of ended workers stay open', 20000).catch(error => {
      for (const fd of readdirSync('/proc/self/fd'))
        try {
          console.log(fd, readlinkSync(`/proc/self/fd/${fd}`))
        } catch {}
      throw error
    })
  },
  /** Terminated in the middle of a native call, when Node-API refuses what it else never does. */
  async terminatedInside() {
    const loops = [
      "for (;;) addon.readSysctl(-1, 'x').catch(() => {})",
      'for (;;) addon.adoptDescriptors([])',
      'for (;;) addon.adoptDescriptors([]).close()',
      'for (;;) addon.tunGetInterface(0).catch(() => {})',
      "for (;;) try { addon.unixConnect('/x') } catch {}",
      `const [a, b] = addon.unixPair(5); globalThis.kept = addon.adoptDescriptors([b]); const socket = addon.adoptNetlink(a)
       const request = Buffer.from(Uint32Array.of(16, 0, 0, 0).buffer); for (;;) socket.cancel(socket.exchange(request, false, true).id)`
    ]
    // A worker takes the sanitizers several times as long.
    const rounds = process.env.LINKWRIGHT_SANITIZE ? 10 : 40
    for (let i = 0; i < rounds * loops.length; i++) {
      const source = `const addon = require(${JSON.stringify(path)}); require('worker_threads').parentPort.postMessage(1); ${loops[i % loops.length]}`
      const worker = new Worker(source, { eval: true })
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
      await delay(i % 4)
      await worker.terminate()
    }
  },
  exits() {
    const run = body => {
      const source = `import { createRequire } from 'node:module'; const addon = createRequire('/')(${JSON.stringify(path)});
        const batch = () => { const parts = []; for (let i = 0; i < 400; i++) { const b = Buffer.alloc(64); b.writeUInt32LE(64); b.writeUInt16LE(16, 4); b.writeUInt16LE(0x601, 6);
        b.writeUInt16LE(12, 32); b.writeUInt16LE(3, 34); b.write('e' + i, 36); b.writeUInt16LE(20, 44); b.writeUInt16LE(18, 46); b.writeUInt16LE(11, 48); b.writeUInt16LE(1, 50); b.write('bridge', 52); parts.push(b) } return Buffer.concat(parts) }
        const socket = await addon.openNetlink(0, -2, 0); ${body}`
      const started = Date.now()
      const child = spawnSync(process.execPath, ['--input-type=module', '-e', source], {
        encoding: 'utf8',
        env: process.env
      })
      assert.deepEqual([child.status, child.signal, child.stderr], [0, null, ''], body)
      return Date.now() - started
    }
    run('')
    run('socket.exchange(batch(), false, true); process.exit(0)')
    run('socket.exchange(batch(), false, true); setTimeout(() => process.exit(0), 5)')
    run('socket.exchange(batch(), false, false)')
    run(
      'const { status } = await socket.exchange(batch(), false, true).result; if (!status.every(s => s === 0)) process.exitCode = 1'
    )
    run('const [a, b] = addon.unixPair(5); addon.adoptNetlink(a).exchange(batch(), false, false)')
    run(
      'const t = await addon.openTun({netns:-1,name:"ex%d",flags:0x1002,exclusive:true,queues:1,index:0,disableIpv6:false,ioctls:[]}); const p = addon.createPoller(t.descriptors.fds[0], () => {}); p.poll(1); p.unref()'
    )
    run(
      'for (let i = 0; i < 30; i++) addon.openTun({netns:-1,name:"ey%d",flags:0x1002,exclusive:true,queues:1,index:0,disableIpv6:false,ioctls:[]}).then(t => { t.descriptors.close(); if (i === 20) process.exit(0) })'
    )
  }
}

if (isMainThread) {
  const [wanted] = process.argv.slice(2)
  const ends = ['workers', 'terminatedInside', 'exits']
  for (const [name, test] of Object.entries(tests)) {
    if (wanted && wanted !== name && wanted !== (ends.includes(name) ? 'ends' : 'calls')) continue
    const start = performance.now()
    await test()
    console.log(`ok ${name} (${Math.round(performance.now() - start)} ms)`)
  }
  const { pending, sockets, descriptors } = addon.statistics()
  assert.deepEqual({ pending, sockets, descriptors }, { pending: 0, sockets: 0, descriptors: 0 })
}
