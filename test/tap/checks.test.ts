import { afterEach, describe, expect, test } from 'vitest'
import { Macvtap, Tap } from '../../lib/index.js'
import { openTap } from './support/devices.js'
import { needsTun } from './support/needs.js'
import { ip, ipLink } from './support/system.js'

needsTun()

afterEach(() => {
  for (const name of ['wrong0', 'wrong-br']) if (ipLink(name)) ip(undefined, 'link', 'delete', name)
})

const QUEUE_OPTIONS: [string, unknown][] = [
  ['queues', '2'],
  ['vnetHeader', 'yes'],
  ['vnetHeader', 9],
  ['vnetHeader', 65],
  ['offloads', 5],
  ['offloads', null],
  ['vnetEndian', 'middle'],
  ['sndbuf', '100'],
  ['net', {}],
  ['signal', {}]
]

const TAP_OPTIONS: [string, unknown][] = [
  ...['persist', 'carrier', 'napi', 'napiFrags', 'exclusive', 'ipv6', 'multiQueue'].flatMap(option =>
    [1, 'false', null].map(value => [option, value] as [string, unknown])
  ),
  ['index', 1.5],
  ['uid', 'root'],
  ['gid', -1],
  ['filter', 'ip'],
  ['filter', new Uint8Array(7)],
  ['filter', new Uint8Array(0)],
  ['filter', new Uint8Array(8 * 4097)],
  ['steeringProgram', -1],
  ['steeringProgram', '3'],
  ['filterProgram', 1.5],
  ['netns', null],
  ['altnames', 'further'],
  ['altnames', ['further', 2]],
  ['master', {}],
  ['mtu', 'large'],
  ['address', '02:00'],
  ['up', 1],
  ['promisc', 'no'],
  ['alias', 5]
]

test.each([...QUEUE_OPTIONS, ...TAP_OPTIONS])(
  'Tap.open refuses %s: %j before there is a device',
  async (path, value) => {
    const options = { name: 'wrong0', persist: true, [path]: value } as object
    await expect(Tap.open(options)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path })
    expect(ipLink('wrong0')).toBeUndefined()
  }
)

test.each(QUEUE_OPTIONS)('Macvtap.open refuses %s: %j', async (path, value) => {
  await expect(Macvtap.open('wrong0', { [path]: value })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path })
})

test.each([
  ['node', 5],
  ['node.uid', { uid: 'root' }],
  ['node.gid', { gid: -1 }],
  ['node.mode', { mode: 0o10000 }],
  ['owner', { owner: 1 }]
])('Macvtap.open refuses a %s: %j', async (path, node) => {
  await expect(Macvtap.open('wrong0', { node: node as object })).rejects.toMatchObject({
    code: 'ERR_INVALID_ARG_VALUE',
    path
  })
})

test.each([
  [5, 'port'],
  [{ priority: 'high' }, 'port.priority'],
  [{ colour: 'blue' }, expect.stringContaining('colour')]
])('port settings that are wrong never cost a device: %j', async (port, path) => {
  ip(undefined, 'link', 'add', 'wrong-br', 'type', 'bridge')
  const options = { name: 'wrong0', master: 'wrong-br', persist: true, port } as object
  await expect(Tap.open(options)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path })
  expect(ipLink('wrong0')).toBeUndefined()
})

test('the message says which sizes of the header are accepted', async () => {
  await expect(Tap.open({ vnetHeader: 65 })).rejects.toThrow('from 10 to 64 bytes')
})

describe('setters', () => {
  test.each([
    ['carrier', (tap: Tap) => tap.setCarrier(1 as never)],
    ['persist', (tap: Tap) => tap.setPersist('no' as never)],
    ['uid', (tap: Tap) => tap.setOwner({ uid: 'root' as never })],
    ['sndbuf', (tap: Tap) => tap.setSndbuf(0)],
    ['size', (tap: Tap) => tap.setVnetHeaderSize(9)],
    ['vnetEndian', (tap: Tap) => tap.setVnetEndian('middle' as never)],
    ['filter', (tap: Tap) => tap.setFilter(new Uint8Array(7))],
    ['steeringProgram', (tap: Tap) => tap.setSteeringProgram(-1)],
    ['filterProgram', (tap: Tap) => tap.setFilterProgram('3' as never)]
  ])('of %s check, too', async (path, set) => {
    const tap = await openTap({ vnetHeader: true })
    await expect(set(tap)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path })
  })
})
