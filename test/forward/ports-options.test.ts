import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { addon } from '../../lib/addon.js'
import {
  PacketPort,
  UdpPort,
  type UdpPortOptions,
  UnixPort,
  VxlanPort,
  type VxlanPortOptions
} from '../../lib/index.js'
import { tempFolder } from '../tap/support/needs.js'
import { createNetns } from '../tap/support/netns.js'
import { ip, newFiles, openFiles } from '../tap/support/system.js'
import { closedAfterwards } from './support/probe.js'
import { createUnderlay } from './support/underlay.js'

const refused = (path: string) => ({ code: 'ERR_INVALID_ARG_VALUE', path })
const remote = { address: '192.0.2.2', port: 4000 }

describe('an option that is wrong is named', () => {
  test.each<[string, object, string]>([
    ['nothing', {}, 'remote'],
    ['no address', { remote: { port: 1 } }, 'remote.address'],
    ['a name', { remote: { address: 'localhost', port: 1 } }, 'remote.address'],
    ['no port', { remote: { address: '::1' } }, 'remote.port'],
    ['port 0', { remote: { address: '::1', port: 0 } }, 'remote.port'],
    ['a port beyond', { remote, local: { port: 65_536 } }, 'local.port'],
    ['another family', { remote, local: { address: '::1' } }, 'local.address'],
    ['something unknown', { remote, locla: {} }, 'locla'],
    ['something unknown within', { remote: { ...remote, host: '' } }, 'host'],
    ['a buffer of nothing', { remote, sendBuffer: 0 }, 'sendBuffer'],
    ['a number for a switch', { remote, fragment: 1 }, 'fragment'],
    ['an empty name', { remote, name: '' }, 'name'],
    ['no namespace', { remote, netns: {} }, 'netns']
  ])('udp: %s', async (_, options, path) => {
    await expect(UdpPort.open(options as UdpPortOptions)).rejects.toMatchObject(refused(path))
  })

  test.each<[string, object, string]>([
    ['no VNI', { remote }, 'vni'],
    ['a VNI beyond 24 bits', { vni: 1 << 24, remote }, 'vni'],
    ['no remote', { vni: 1 }, 'remote'],
    ['an MTU beyond', { vni: 1, remote, mtu: 65_536 }, 'mtu']
  ])('vxlan: %s', async (_, options, path) => {
    await expect(VxlanPort.open(options as VxlanPortOptions)).rejects.toMatchObject(refused(path))
  })

  test('packet and unix', async () => {
    await expect(PacketPort.open({ link: '' })).rejects.toMatchObject(refused('link'))
    await expect(PacketPort.open({ link: 'lo', offload: 'on' as 'off' })).rejects.toMatchObject(refused('offload'))
    await expect(UnixPort.connect('')).rejects.toMatchObject(refused('path'))
    await expect(UnixPort.connect('a\0b')).rejects.toMatchObject(refused('path'))
    await expect(UnixPort.datagram({ local: '/tmp/a', remote: '' })).rejects.toMatchObject(refused('remote'))
    expect(() => UnixPort.adopt(-1)).toThrow(expect.objectContaining(refused('fd')))
    expect(() => UnixPort.pair('seqpacket' as 'dgram')).toThrow(expect.objectContaining(refused('type')))
  })
})

describe('what the system says comes with a diagnosis', () => {
  test('no route, a strange address, a port that is taken', async () => {
    const { a, b } = createUnderlay()
    const netns = a.netns
    const to = { address: b.ipv4, port: 4000 }
    const wrong: [Partial<UdpPortOptions>, string][] = [
      [{ remote: { address: '198.51.100.1', port: 1 } }, 'ENETUNREACH'],
      [{ local: { address: b.ipv4 } }, 'EADDRNOTAVAIL'],
      [{ remote: { address: 'fe80::1%nothing', port: 1 } }, 'ENODEV']
    ]
    for (const [options, code] of wrong) {
      const error = { code, link: expect.stringMatching(/^udp /), diagnosis: expect.any(String) }
      await expect(UdpPort.open({ netns, remote: to, ...options })).rejects.toMatchObject(error)
    }
    const port = closedAfterwards(await UdpPort.open({ netns, remote: to }))
    const again = { netns, remote: to, local: { port: port.local.port } }
    await expect(UdpPort.open(again)).rejects.toMatchObject({ code: 'EADDRINUSE', diagnosis: expect.any(String) })
    await port.close()
    closedAfterwards(await UdpPort.open(again))
  })

  test('a link-local peer is reached over its link', async () => {
    const { a } = createUnderlay()
    ip(a.netns, 'address', 'add', 'fe80::1/64', 'dev', 'wire', 'nodad')
    const port = closedAfterwards(
      await UdpPort.open({ netns: a.netns, remote: { address: 'fe80::1234%wire', port: 4000 } })
    )
    expect(port.local.address).toMatch(/^fe80::/)
  })

  test('no such link', async () => {
    const netns = createNetns()
    for (const link of ['nothing0', 4711]) {
      const error = { code: expect.stringMatching(/^EN(ODEV|XIO)$/), diagnosis: expect.any(String) }
      await expect(PacketPort.open({ netns, link })).rejects.toMatchObject(error)
    }
  })

  test('nobody listens', async () => {
    await expect(UnixPort.connect(join(tempFolder(), 'nothing'))).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(UnixPort.connect('x'.repeat(200))).rejects.toMatchObject({
      code: 'ENAMETOOLONG',
      diagnosis: expect.any(String)
    })
  })
})

describe('a descriptor that is none of a connected Unix socket stays the caller’s', () => {
  const reject = (fd: number, code: string) => {
    expect(() => UnixPort.adopt(fd)).toThrow(expect.objectContaining({ code }))
  }

  test('a file', () => {
    const fd = openSync('/dev/null', 'r')
    reject(fd, 'ENOTSOCK')
    closeSync(fd)
  })

  test('a socket of messages', () => {
    const pair = addon().unixPair(5)
    const [fd] = pair
    reject(fd, 'EPROTOTYPE')
    for (const end of pair) closeSync(end)
  })

  test('a socket that listens', async () => {
    const fd = addon().unixListen(join(tempFolder(), 'socket'))
    reject(fd, 'ENOTCONN')
    closeSync(fd)
  })

  test('a socket of TCP', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      server.close()
    })
    const socket = connect((server.address() as { port: number }).port, '127.0.0.1')
    await once(socket, 'connect')
    const { fd } = (socket as unknown as { _handle: { fd: number } })._handle
    reject(fd, 'EAFNOSUPPORT')
    socket.destroy()
  })

  test('one with an owner', async () => {
    const [own, other] = addon().unixPair(1)
    const owner = addon().adoptDescriptors([own, other])
    expect(() => UnixPort.adopt(own)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
    await owner.close()
  })
})

test('an aborted signal opens nothing', async () => {
  const signal = AbortSignal.abort(new Error('enough'))
  const before = openFiles()
  await expect(UdpPort.open({ remote, signal })).rejects.toThrow('enough')
  await expect(VxlanPort.open({ vni: 1, remote, signal })).rejects.toThrow('enough')
  await expect(PacketPort.open({ link: 'lo', signal })).rejects.toThrow('enough')
  expect(newFiles(before)).toEqual([])
})

test('closing is idempotent, and leaves no descriptor; the last faults can still be read', async () => {
  const { a, b } = createUnderlay()
  const folder = tempFolder()
  const { port: unix, peer } = UnixPort.pair()
  await Promise.all([unix.close(), peer.close()])
  const before = openFiles()
  const to = { address: b.ipv4, port: 4000 }
  const pair = UnixPort.pair()
  const ports = [
    await UdpPort.open({ netns: a.netns, remote: to }),
    await VxlanPort.open({ vni: 1, netns: a.netns, remote: to }),
    await PacketPort.open({ link: 'wire', netns: a.netns }),
    await UnixPort.datagram({ local: join(folder, 'ours'), remote: join(folder, 'theirs') }),
    pair.port
  ]
  expect(newFiles(before).length).toBeGreaterThanOrEqual(ports.length)
  await pair.peer.close()
  for (const port of ports) {
    expect(port.closed).toBe(false)
    await Promise.all([port.close(), port.close()])
    await port.close()
    expect(port.closed).toBe(true)
    expect(port.faults).toMatchObject({ malformed: 0, foreign: 0 })
  }
  expect(newFiles(before)).toEqual([])
})

test('a port is disposed of', async () => {
  const { port: stream, peer } = UnixPort.pair()
  {
    await using port = stream
    expect(port.closed).toBe(false)
  }
  expect(stream.closed).toBe(true)
  await peer.close()
})
