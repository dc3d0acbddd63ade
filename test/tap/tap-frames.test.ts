import { writeSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Tap } from '../../lib/index.js'
import { answerFrame, answerPacket, arpRequest, parseArp, udpFrame } from '../support/frames.js'
import { openTap, openTun } from './support/devices.js'
import { nextFrame, respond, watchFrames } from './support/io.js'
import { ping } from './support/kernel-stack.js'
import { needsTun } from './support/needs.js'
import { createNetns } from './support/netns.js'
import { ip, ipLink } from './support/system.js'

needsTun()

const guest = { mac: '02:00:00:00:00:02', ip: '192.0.2.2' }

/** Answers as the guest would, on all queues of the device. */
function beGuest(tap: Tap, header = 0): { answered: number }[] {
  return tap.fds.map(fd => {
    const responder = respond(fd, frame => answerFrame(frame, guest), header)
    onTestFinished(responder.stop)
    return responder
  })
}

const total = (responders: { answered: number }[]) => responders.reduce((sum, { answered }) => sum + answered, 0)

describe('the kernel’s stack', () => {
  test.each([
    ['no header', undefined, 0],
    ['a header of 10 bytes', true, 10],
    ['a header of 12 bytes', 12, 12]
  ])('is answered ARP and pings through the descriptor: %s', async (_, vnetHeader, header) => {
    const tap = await openTap({ name: 'frames0', vnetHeader, up: true, ipv6: false })
    ip(undefined, 'address', 'add', '192.0.2.1/24', 'dev', 'frames0')
    const responders = beGuest(tap, header)
    expect(await ping(guest.ip, { count: 3 })).toBe(3)
    // One for ARP beside.
    expect(total(responders)).toBeGreaterThanOrEqual(4)
    expect(ip(undefined, 'neighbour', 'show', 'dev', 'frames0')).toContain(`${guest.ip} lladdr ${guest.mac}`)
  })

  test('is answered whichever queue it chooses', async () => {
    const tap = await openTap({ name: 'frames0', queues: 4, up: true, ipv6: false })
    ip(undefined, 'address', 'add', '192.0.2.1/24', 'dev', 'frames0')
    beGuest(tap)
    expect(await ping(guest.ip, { count: 3 })).toBe(3)
  })

  test('answers us', async () => {
    const tap = await openTap({ name: 'frames0', up: true, ipv6: false })
    ip(undefined, 'address', 'add', '192.0.2.1/24', 'dev', 'frames0')
    const answer = nextFrame(tap.fd, frame => parseArp(frame)?.operation === 2)
    writeSync(tap.fd, arpRequest(guest, '192.0.2.1'))
    expect(parseArp((await answer) as Buffer)).toEqual({
      operation: 2,
      senderMac: ipLink('frames0')?.address,
      senderIp: '192.0.2.1',
      targetMac: guest.mac,
      targetIp: guest.ip
    })
  })
})

test('frames cross a bridge, to a namespace beyond', async () => {
  const outside = createNetns()
  ip(undefined, 'link', 'add', 'frames-br', 'type', 'bridge')
  ip(undefined, 'link', 'add', 'uplink0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside)
  onTestFinished(() => {
    ip(undefined, 'link', 'delete', 'uplink0')
    ip(undefined, 'link', 'delete', 'frames-br')
  })
  ip(undefined, 'link', 'set', 'uplink0', 'master', 'frames-br', 'up')
  ip(undefined, 'link', 'set', 'frames-br', 'up')
  ip(outside, 'link', 'set', 'eth0', 'up')
  ip(outside, 'address', 'add', '192.0.2.1/24', 'dev', 'eth0')
  const tap = await openTap({ name: 'frames0', master: 'frames-br', up: true })
  beGuest(tap)
  expect(await ping(guest.ip, { netns: outside, count: 3 })).toBe(3)
})

test('between isolated ports nothing passes', async () => {
  ip(undefined, 'link', 'add', 'frames-br', 'type', 'bridge')
  onTestFinished(() => {
    ip(undefined, 'link', 'delete', 'frames-br')
  })
  ip(undefined, 'link', 'set', 'frames-br', 'up')
  const port = { isolated: true }
  const one = await openTap({ name: 'frames0', master: 'frames-br', port, up: true })
  const two = await openTap({ name: 'frames1', master: 'frames-br', port, up: true })
  const free = await openTap({ name: 'frames2', master: 'frames-br', up: true })
  const sent = arpRequest(guest, '192.0.2.9')
  const atTwo = watchFrames(two.fd)
  const [atFree] = await Promise.all([nextFrame(free.fd, frame => frame.equals(sent)), writeSync(one.fd, sent)])
  expect(atFree).toBeDefined()
  atTwo.stop()
  expect(atTwo.frames.some(frame => frame.equals(sent))).toBe(false)
})

test('an unread queue that is parked gets nothing', async () => {
  const tap = await openTap({ name: 'frames0', queues: 2, up: true, ipv6: false })
  ip(undefined, 'address', 'add', '192.0.2.1/24', 'dev', 'frames0')
  await tap.detachQueue(1)
  const [first, parked] = tap.fds as [number, number]
  const atParked = watchFrames(parked)
  const responder = respond(first, frame => answerFrame(frame, guest))
  expect(await ping(guest.ip, { count: 3 })).toBe(3)
  responder.stop()
  atParked.stop()
  expect(atParked.frames).toEqual([])
})

test('a link that is down takes no frames', async () => {
  const tap = await openTap({ name: 'frames0' })
  expect(() => writeSync(tap.fd, udpFrame(guest, guest, 9, Buffer.alloc(9)))).toThrow(
    expect.objectContaining({ code: 'EIO' })
  )
})

test('a TUN carries IP packets, and answers pings with them', async () => {
  const tun = await openTun({ name: 'frames0', up: true, ipv6: false })
  ip(undefined, 'address', 'add', '192.0.2.1/24', 'dev', 'frames0')
  const responder = respond(tun.fd, packet => answerPacket(packet, guest.ip))
  expect(await ping(guest.ip, { count: 3 })).toBe(3)
  responder.stop()
  expect(responder.answered).toBe(3)
  expect(responder.frames[0]?.readUInt8(0)).toBe(0x45)
})

test('a TUN with a header', async () => {
  const tun = await openTun({ name: 'frames0', up: true, ipv6: false, vnetHeader: 12 })
  ip(undefined, 'address', 'add', '192.0.2.1/24', 'dev', 'frames0')
  const responder = respond(tun.fd, packet => answerPacket(packet, guest.ip), 12)
  expect(await ping(guest.ip, { count: 2 })).toBe(2)
  responder.stop()
  expect(responder.frames[0]?.readUInt8(12)).toBe(0x45)
})

test('with offloads, checksums are left to the reader, and the header says so', async () => {
  const offloads = { csum: true, tso4: true }
  const tap = await openTap({ name: 'frames0', up: true, ipv6: false, vnetHeader: true, offloads })
  ip(undefined, 'address', 'add', '192.0.2.1/24', 'dev', 'frames0')
  ip(undefined, 'neighbour', 'add', guest.ip, 'lladdr', guest.mac, 'dev', 'frames0')
  const { connect } = await import('node:net')
  const socket = connect({ host: guest.ip, port: 9, localAddress: '192.0.2.1' })
  socket.on('error', () => {})
  const syn = await nextFrame(tap.fd, frame => frame.readUInt8(10 + 14 + 9) === 6)
  socket.destroy()
  // NEEDS_CSUM: the reader completes the checksum, which only a header can say.
  expect(syn?.readUInt8(0)).toBe(1)
})
