/** MAC addresses of guests. */
import { expect } from 'vitest'
import { generateMac, hostSideMac } from '../../lib/index.js'
import { test } from '../support/namespace.js'

const five = '02:aa:bb:cc:dd'
const withPrefix = (last: number) => `${five}:${last.toString(16).padStart(2, '0')}`
/** Five bytes leave 256 addresses: all but the given ones. */
const allBut = (...left: number[]) =>
  Array.from({ length: 256 }, (_, last) => last)
    .filter(last => !left.includes(last))
    .map(withPrefix)

test('is a unicast address of QEMU’s, another one each time', async ({ ns }) => {
  const made = await Promise.all(Array.from({ length: 20 }, () => generateMac(ns.net)))
  for (const address of made) expect(address).toMatch(/^52:54:00(:[\da-f]{2}){3}$/)
  expect(new Set(made).size).toBe(20)
  // The kernel takes it.
  ns.tools.ip(`link add name a address ${made[0]} type ifb`)
  expect(ns.tools.link('a').address).toBe(made[0])
})

test.for([
  ['a link', ['link add name a address ADDRESS type ifb']],
  ['the host’s side of a port', ['link add name a address HOST type ifb']],
  [
    'a forwarding entry',
    [
      'link add name br0 type bridge',
      'link add name p type veth peer name q',
      'link set dev p master br0 up',
      'bridge fdb add ADDRESS dev p master static'
    ]
  ],
  [
    'a neighbour',
    ['link add name a type veth peer name b', 'link set dev a up', 'neigh add 192.0.2.9 lladdr ADDRESS dev a']
  ]
] as [string, string[]][])('is none that %s has', async ([, commands], { ns }) => {
  const taken = withPrefix(7)
  for (const command of commands) {
    const text = command.replace('ADDRESS', taken).replace('HOST', hostSideMac(taken))
    if (text.startsWith('bridge ')) ns.tools.bridge(text.slice('bridge '.length))
    else ns.tools.ip(text)
  }
  // Two are left, and the one is taken: whatever is drawn first, the other comes out.
  for (let i = 0; i < 10; i++) {
    expect(await draw(ns.net, allBut(7, 8))).toBe(withPrefix(8))
  }
})

/** Drawn until one is found: 64 draws of 256 miss two thirds of the time. */
async function draw(net: Parameters<typeof generateMac>[0], avoid: string[]): Promise<string> {
  for (;;) {
    try {
      return await generateMac(net, { prefix: five, avoid })
    } catch (error) {
      expect(error).toMatchObject({ code: 'EADDRINUSE', path: 'prefix' })
    }
  }
}

test('all taken is an error', async ({ ns }) => {
  await expect(generateMac(ns.net, { prefix: five, avoid: allBut() })).rejects.toMatchObject({ code: 'EADDRINUSE' })
})

test('wrong input is refused', async ({ ns }) => {
  for (const prefix of ['', '52:5', '52-54-00', '52:54:00:', '01:00:5e', '02:00:00:00:00:00', 5]) {
    await expect(generateMac(ns.net, { prefix: prefix as string })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
      path: 'prefix'
    })
  }
  await expect(generateMac(ns.net, { avoid: ['x'] })).rejects.toMatchObject({ path: 'avoid' })
  expect(() => hostSideMac('52:54:00')).toThrow(expect.objectContaining({ path: 'address' }))
})

test('the host’s side begins with fe, and never equals the guest’s', () => {
  expect(hostSideMac('52:54:00:12:34:56')).toBe('fe:54:00:12:34:56')
  expect(hostSideMac('FE:54:00:12:34:56')).toBe('fa:54:00:12:34:56')
})
