import { writeSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Tap, Tun } from '../../lib/index.js'
import { arpRequest, parseArp } from '../support/frames.js'
import { askDescriptor } from './support/descriptor.js'
import { openTap } from './support/devices.js'
import { nextFrame } from './support/io.js'
import { isInitialRoot, needsTun } from './support/needs.js'
import { ip, tunFlags } from './support/system.js'

const IFF_NAPI = 0x10
const IFF_NAPI_FRAGS = 0x20

needsTun()

const guest = { mac: '02:00:00:00:00:02', ip: '192.0.2.2' }

/** The kernel's stack answers ARP for its address. */
async function expectArpAnswer(tap: Tap): Promise<void> {
  ip(undefined, 'address', 'add', '192.0.2.1/24', 'dev', tap.name)
  const answer = nextFrame(tap.fd, frame => parseArp(frame)?.operation === 2)
  writeSync(tap.fd, arpRequest(guest, '192.0.2.1'))
  expect(parseArp((await answer) as Buffer)).toMatchObject({ senderIp: '192.0.2.1', targetIp: '192.0.2.2' })
}

test('off by default', async () => {
  await openTap({ name: 'napi0' })
  expect(tunFlags('napi0') & (IFF_NAPI | IFF_NAPI_FRAGS)).toBe(0)
})

test('frames that are written go through NAPI', async () => {
  const tap = await openTap({ name: 'napi0', napi: true, up: true })
  expect(tunFlags('napi0') & IFF_NAPI).toBe(IFF_NAPI)
  await expectArpAnswer(tap)
})

test('frames in fragments', async context => {
  const plain = await openTap()
  const { features } = askDescriptor(plain.fd)
  context.skip(!isInitialRoot(), 'takes CAP_NET_ADMIN in the initial user namespace')
  context.skip(!(Number(features) & IFF_NAPI_FRAGS), 'the kernel has no IFF_NAPI_FRAGS')
  const tap = await openTap({ name: 'napi0', napi: true, napiFrags: true, up: true })
  expect(tunFlags('napi0') & (IFF_NAPI | IFF_NAPI_FRAGS)).toBe(IFF_NAPI | IFF_NAPI_FRAGS)
  await expectArpAnswer(tap)
})

test('fragments are for TAP with NAPI', async () => {
  const refused = { code: 'ERR_INVALID_ARG_VALUE', path: 'napiFrags' }
  await expect(Tun.open({ napi: true, napiFrags: true })).rejects.toMatchObject(refused)
  await expect(Tap.open({ napiFrags: true })).rejects.toMatchObject(refused)
})

test('the send buffer', async () => {
  const tap = await openTap({ name: 'napi0', sndbuf: 100_000 })
  expect(askDescriptor(tap.fd).sndbuf).toBe(100_000)
  await tap.setSndbuf(200_000)
  expect(askDescriptor(tap.fd).sndbuf).toBe(200_000)
})

test.each([0, -1, 1.5, 2 ** 31])('a send buffer of %d bytes is refused', async sndbuf => {
  await expect(Tap.open({ sndbuf })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path: 'sndbuf' })
})
