import { expect, test } from 'vitest'
import { BROADCAST, ethernet, parseEthernet } from '../support/frames.js'
import { openTap, openTun } from './support/devices.js'
import { watchFrames } from './support/io.js'
import { sendRaw } from './support/kernel-stack.js'
import { needsTun } from './support/needs.js'
import { ipLink } from './support/system.js'

needsTun()

/** Locally experimental (IEEE 802): nothing but the test speaks them. */
const WANTED = 0x88b5
const UNWANTED = 0x88b6

const source = '02:00:00:00:00:99'
const wanted = ethernet(BROADCAST, source, WANTED, Buffer.alloc(50, 1))
const unwanted = ethernet(BROADCAST, source, UNWANTED, Buffer.alloc(50, 2))

/** struct sock_filter[]: load the EtherType; take the frame if it is the wanted one, else drop it. */
function onlyType(type: number): Uint8Array {
  const program = Buffer.alloc(4 * 8)
  const instructions = [
    [0x28, 0, 0, 12],
    [0x15, 0, 1, type],
    [0x06, 0, 0, 0xffff],
    [0x06, 0, 0, 0]
  ] as const
  instructions.forEach(([code, ifTrue, ifFalse, k], at) => {
    program.writeUInt16LE(code, at * 8)
    program[at * 8 + 2] = ifTrue
    program[at * 8 + 3] = ifFalse
    program.writeUInt32LE(k, at * 8 + 4)
  })
  return program
}

/** Types of our frames that come out of the descriptor, after both were sent into the link; the last always comes. */
async function typesThrough(fd: number, link: string): Promise<number[]> {
  const watched = watchFrames(fd)
  await sendRaw(link, [unwanted, wanted])
  await expect.poll(() => watched.frames.some(frame => frame.equals(wanted))).toBe(true)
  watched.stop()
  return watched.frames.map(frame => parseEthernet(frame).type).filter(type => type === WANTED || type === UNWANTED)
}

test('everything comes without one', async () => {
  const tap = await openTap({ name: 'filter0', up: true })
  expect(await typesThrough(tap.fd, 'filter0')).toEqual([UNWANTED, WANTED])
})

test('at the opening: only what it lets through comes', async () => {
  const tap = await openTap({ name: 'filter0', up: true, filter: onlyType(WANTED) })
  expect(await typesThrough(tap.fd, 'filter0')).toEqual([WANTED])
})

test('later, and away again', async () => {
  const tap = await openTap({ name: 'filter0', up: true })
  await tap.setFilter(onlyType(WANTED))
  expect(await typesThrough(tap.fd, 'filter0')).toEqual([WANTED])
  await tap.setFilter(null)
  expect(await typesThrough(tap.fd, 'filter0')).toEqual([UNWANTED, WANTED])
})

test('the kernel refuses a program that does not end, and nothing stays', async () => {
  const endless = onlyType(WANTED).subarray(0, 8)
  await expect(openTap({ name: 'filter0', filter: endless })).rejects.toMatchObject({
    code: 'EINVAL',
    syscall: 'ioctl(TUNATTACHFILTER)',
    link: 'filter0'
  })
  expect(ipLink('filter0')).toBeUndefined()
})

test('a TUN takes none', async () => {
  const tun = await openTun({ name: 'filter0' })
  await expect(tun.setFilter(onlyType(WANTED))).rejects.toMatchObject({ code: 'EINVAL', link: 'filter0' })
})
