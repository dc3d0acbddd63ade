import { describe, expect, test } from 'vitest'
import { Tap } from '../../lib/index.js'
import { askDescriptor, askDescriptors } from './support/descriptor.js'
import { openTap } from './support/devices.js'
import { needsTun } from './support/needs.js'
import { fdInfoName, features, ipLink, newFiles, openFiles, tunFlags } from './support/system.js'

const IFF_MULTI_QUEUE = 0x100

needsTun()

function queuesOf(name: string): { numqueues?: number; numdisabled?: number; multi: unknown } {
  const data = ipLink(name)?.linkinfo?.info_data ?? {}
  return {
    numqueues: data['numqueues'] as number,
    numdisabled: data['numdisabled'] as number,
    multi: data['multi_queue']
  }
}

test.each([1, 2, 8])('%i queues', async queues => {
  const tap = await openTap({ name: 'queues0', queues })
  expect(tap.fds).toHaveLength(queues)
  expect(new Set(tap.fds).size).toBe(queues)
  expect(tap.fds.map(fdInfoName)).toEqual(Array(queues).fill('queues0'))
  expect(Boolean(tunFlags('queues0') & IFF_MULTI_QUEUE)).toBe(queues > 1)
  if (queues > 1) expect(queuesOf('queues0')).toMatchObject({ numqueues: queues, numdisabled: 0 })
})

describe('IFF_MULTI_QUEUE', () => {
  test.each([true, false])('with one queue: %s', async multiQueue => {
    const tap = await openTap({ name: 'queues0', multiQueue })
    expect(Boolean(tunFlags('queues0') & IFF_MULTI_QUEUE)).toBe(multiQueue)
    expect((await tap.describe()).multiQueue).toBe(multiQueue)
  })

  test('without it there are no two queues', async () => {
    await expect(Tap.open({ queues: 2, multiQueue: false })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
      path: 'multiQueue'
    })
  })
})

describe('the limit of 256', () => {
  test.each([0, 257, 1.5, -1, Number.NaN])('%d queues are refused', async queues => {
    await expect(Tap.open({ queues })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path: 'queues' })
  })

  test('256 queues are opened, one more is not', async () => {
    const before = openFiles()
    const tap = await openTap({ name: 'queues0', queues: 256 })
    expect(tap.fds).toHaveLength(256)
    expect(openFiles().filter(file => file === '/dev/net/tun')).toHaveLength(256)
    await expect(tap.addQueues(1)).rejects.toMatchObject({
      code: 'E2BIG',
      syscall: 'ioctl(TUNSETIFF)',
      link: 'queues0'
    })
    expect(tap.fds).toHaveLength(256)
    await tap.close()
    expect(newFiles(before)).toEqual([])
  })
})

describe('later', () => {
  test('further queues are opened with the settings of the first', async () => {
    const tap = await openTap({ name: 'queues0', queues: 2, vnetHeader: 12 })
    await tap.addQueues(3)
    expect(tap.fds).toHaveLength(5)
    expect(tap.fds.map(fdInfoName)).toEqual(Array(5).fill('queues0'))
    expect(queuesOf('queues0')).toMatchObject({ numqueues: 5, numdisabled: 0 })
    expect(askDescriptor(tap.fds[4] ?? -1)).toMatchObject({ name: 'queues0', vnetHeaderSize: 12 })
    await tap.close()
    expect(ipLink('queues0')).toBeUndefined()
  })

  test('further queues leave what was changed since', async () => {
    const offloads = { csum: true, tso4: true }
    const tap = await openTap({ name: 'queues0', queues: 2, vnetHeader: 12, offloads, sndbuf: 100_000 })
    await tap.setOffloads({ csum: true })
    await tap.setVnetHeaderSize(20)
    await tap.setSndbuf(200_000)
    await tap.addQueues(1)
    expect(features('queues0')).toMatchObject({ 'tx-checksum-ip-generic': true, 'tx-tcp-segmentation': false })
    for (const told of askDescriptors(tap.fds)) expect(told).toMatchObject({ vnetHeaderSize: 20, sndbuf: 200_000 })
  })

  test('a device with a single queue takes no other', async () => {
    const tap = await openTap({ name: 'queues0' })
    await expect(tap.addQueues(1)).rejects.toMatchObject({ code: 'EBUSY', link: 'queues0' })
  })

  test('a queue is parked and taken into use again', async () => {
    const tap = await openTap({ name: 'queues0', queues: 3 })
    await tap.detachQueue(1)
    expect(queuesOf('queues0')).toMatchObject({ numqueues: 2, numdisabled: 1 })
    expect((await tap.describe(1)).detached).toBe(true)
    expect((await tap.describe(0)).detached).toBe(false)
    await tap.attachQueue(1)
    expect(queuesOf('queues0')).toMatchObject({ numqueues: 3, numdisabled: 0 })
    expect((await tap.describe(1)).detached).toBe(false)
  })

  test('what cannot be parked says so', async () => {
    const tap = await openTap({ name: 'queues0' })
    await expect(tap.detachQueue(0)).rejects.toMatchObject({ code: 'EINVAL', syscall: 'ioctl(TUNSETQUEUE)' })
    await expect(tap.detachQueue(1)).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })
})
