import { describe, expect, test } from 'vitest'
import { Tap, Tun } from '../../lib/index.js'
import { arpRequest } from '../support/frames.js'
import { askDescriptor, askDescriptors } from './support/descriptor.js'
import { openTap } from './support/devices.js'
import { nextFrame } from './support/io.js'
import { sendRaw } from './support/kernel-stack.js'
import { needsTun } from './support/needs.js'
import { ip, tunFlags } from './support/system.js'

const IFF_VNET_HDR = 0x4000

needsTun()

const someone = { mac: '02:00:00:00:00:99', ip: '192.0.2.9' }

describe('size', () => {
  test.each([
    [true, 10],
    [10, 10],
    [12, 12],
    [20, 20],
    [24, 24],
    [64, 64]
  ])('%s: %i bytes before each frame', async (vnetHeader, size) => {
    const tap = await openTap({ name: 'vnet0', vnetHeader, up: true })
    expect(tunFlags('vnet0') & IFF_VNET_HDR).toBe(IFF_VNET_HDR)
    expect(askDescriptor(tap.fd).vnetHeaderSize).toBe(size)
    const sent = arpRequest(someone, '192.0.2.1')
    const [got] = await Promise.all([
      nextFrame(tap.fd, frame => frame.subarray(size).equals(sent)),
      sendRaw('vnet0', [sent])
    ])
    expect(got?.length).toBe(size + sent.length)
  })

  test('none', async () => {
    const tap = await openTap({ name: 'vnet0', vnetHeader: false, up: true })
    expect(tunFlags('vnet0') & IFF_VNET_HDR).toBe(0)
    const sent = arpRequest(someone, '192.0.2.1')
    const [got] = await Promise.all([nextFrame(tap.fd, frame => frame.equals(sent)), sendRaw('vnet0', [sent])])
    expect(got?.length).toBe(sent.length)
  })

  test('it is changed while open, for all queues', async () => {
    const tap = await openTap({ name: 'vnet0', vnetHeader: true, queues: 2 })
    await tap.setVnetHeaderSize(12)
    expect(askDescriptors(tap.fds).map(({ vnetHeaderSize }) => vnetHeaderSize)).toEqual([12, 12])
  })

  test.each([0, 9, 300, 10.5])('%d is refused', async vnetHeader => {
    await expect(Tap.open({ vnetHeader })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path: 'vnetHeader' })
  })
})

describe('byte order', () => {
  test('little', async () => {
    const tap = await openTap({ vnetHeader: true, vnetEndian: 'little' })
    expect(askDescriptor(tap.fd).littleEndian).toBe(1)
  })

  test('that of the machine is the default', async () => {
    const tap = await openTap({ vnetHeader: true })
    expect(askDescriptor(tap.fd).littleEndian).toBe(0)
    await tap.setVnetEndian('little')
    expect(askDescriptor(tap.fd).littleEndian).toBe(1)
  })

  test('big, or an error where the kernel is built without it', async () => {
    const probe = await openTap({ vnetHeader: true })
    const has = typeof askDescriptor(probe.fd).bigEndian === 'number'
    await probe.close()
    const opening = openTap({ name: 'vnet0', vnetHeader: true, vnetEndian: 'big' })
    if (has) {
      const tap = await opening
      expect(askDescriptor(tap.fd).bigEndian).toBe(1)
      await tap.close()
    } else {
      await expect(opening).rejects.toMatchObject({ code: 'EINVAL', syscall: 'ioctl(TUNSETVNETBE)', link: 'vnet0' })
      expect(() => ip(undefined, 'link', 'show', 'vnet0')).toThrow('does not exist')
    }
  })

  test('needs the header', async () => {
    await expect(Tun.open({ vnetEndian: 'little' })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
      path: 'vnetHeader'
    })
  })
})
