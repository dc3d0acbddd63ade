import { writeSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { answerFrame, arpRequest, parseArp } from '../support/frames.js'
import { openMacvtap, openNetlink } from './support/devices.js'
import { nextFrame, respond, watchFrames } from './support/io.js'
import { ping } from './support/kernel-stack.js'
import { createLower, type Lower } from './support/lower.js'
import { needsMacvtap } from './support/needs.js'
import { freshIndex, ip, sysfs } from './support/system.js'

needsMacvtap()

const IP = '198.51.100.240'
type Mode = 'private' | 'vepa' | 'bridge' | 'passthru' | 'source'

async function makeLink(name: string, lower: Lower, mode: Mode) {
  const net = await openNetlink()
  const link = await net.links.create({ kind: 'macvtap', name, link: lower.name, mode, index: freshIndex() })
  if (mode === 'source') {
    const outside = JSON.parse(ip(lower.outside, '-j', 'link', 'show', 'eth0'))[0].address as string
    await net.links.set(name, { kind: 'macvtap', macaddrMode: 'add', macaddr: outside })
  }
  await net.links.up(name)
  return link
}

describe('the stack beyond the lower device is answered ARP and pings', () => {
  test.each<[Mode, boolean | number | undefined, number]>([
    ['private', undefined, 0],
    ['vepa', undefined, 0],
    ['bridge', undefined, 0],
    ['passthru', undefined, 0],
    ['source', undefined, 0],
    ['bridge', true, 10],
    ['bridge', 12, 12]
  ])('mode %s, header %s', async (mode, vnetHeader, header) => {
    const lower = createLower()
    const link = await makeLink('frames0', lower, mode)
    const direct = await openMacvtap(link, { vnetHeader })
    const guest = { mac: sysfs('frames0', 'address'), ip: IP }
    const responder = respond(direct.fd, frame => answerFrame(frame, guest), header)
    onTestFinished(responder.stop)
    expect(await ping(IP, { netns: lower.outside, count: 3 })).toBe(3)
    expect(responder.answered).toBeGreaterThanOrEqual(4)
    expect(ip(lower.outside, 'neighbour')).toContain(`${IP} dev eth0 lladdr ${guest.mac}`)
  })

  test('on two queues', async () => {
    const lower = createLower()
    const direct = await openMacvtap(await makeLink('frames0', lower, 'bridge'), { queues: 2 })
    const guest = { mac: sysfs('frames0', 'address'), ip: IP }
    for (const fd of direct.fds) onTestFinished(respond(fd, frame => answerFrame(frame, guest)).stop)
    expect(await ping(IP, { netns: lower.outside, count: 3 })).toBe(3)
  })
})

describe('two links on one lower device', () => {
  test.each<[Mode, boolean]>([
    ['bridge', true],
    ['private', false],
    ['vepa', false]
  ])('mode %s: reach each other: %s', async (mode, reach) => {
    const lower = createLower()
    const [one, two] = [
      await openMacvtap(await makeLink('one0', lower, mode)),
      await openMacvtap(await makeLink('two0', lower, mode))
    ]
    const sent = arpRequest({ mac: sysfs('one0', 'address'), ip: IP }, lower.address)
    const arrived = nextFrame(two.fd, frame => frame.equals(sent), reach ? 3000 : 300)
    // It goes out to the wire in any mode, as the answer shows.
    const answer = nextFrame(one.fd, frame => parseArp(frame)?.operation === 2)
    writeSync(one.fd, sent)
    expect(parseArp((await answer) as Buffer)).toMatchObject({ senderIp: lower.address, targetIp: IP })
    expect((await arrived) !== undefined).toBe(reach)
  })
})

test('a source mode link takes nothing from addresses that are not listed', async () => {
  const lower = createLower()
  const net = await openNetlink()
  const link = await makeLink('frames0', lower, 'source')
  const direct = await openMacvtap(link)
  await net.links.set('frames0', { kind: 'macvtap', macaddrMode: 'flush' })
  const watched = watchFrames(direct.fd)
  expect(await ping(IP, { netns: lower.outside, count: 1 })).toBe(0)
  watched.stop()
  expect(watched.frames).toEqual([])
})
