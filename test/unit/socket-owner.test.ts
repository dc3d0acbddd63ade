/** Descriptors that are handed to the addon: each has one owner, and bytes are read when nothing can free them. */
import { closeSync, fstatSync } from 'node:fs'
import { expect, it } from 'vitest'
import { addon } from '../../lib/addon.js'

const [STREAM, DGRAM, SEQPACKET] = [1, 2, 5]

it('takes no netlink socket over that something else owns, nor the other way round', async () => {
  const [one, two] = addon().unixPair(SEQPACKET)
  const owner = addon().adoptDescriptors([one])
  expect(() => addon().adoptNetlink(one)).toThrow(/has an owner already/)
  const socket = addon().adoptNetlink(two)
  expect(() => addon().adoptDescriptors([two])).toThrow(/has an owner already/)
  socket.close()
  await owner.close()
})

it.each([DGRAM, SEQPACKET])('takes a Unix socket of type %d over', type => {
  const [one, two] = addon().unixPair(type)
  addon().adoptNetlink(one).close()
  closeSync(two)
})

it('leaves a stream alone', () => {
  const pair = addon().unixPair(STREAM)
  expect(() => addon().adoptNetlink(pair[0])).toThrow(expect.objectContaining({ code: 'EPROTOTYPE' }))
  for (const fd of pair) {
    expect(fstatSync(fd).isSocket()).toBe(true)
    closeSync(fd)
  }
})

it('sends no descriptors without a byte, and no bytes of memory that reading the descriptors freed', () => {
  const [one, two] = addon().unixPair(STREAM)
  expect(() => addon().unixSend(one, new Uint8Array(0), [1])).toThrow(/at least one byte/)
  const data = new Uint8Array(4096).fill(0x41)
  const fds = Object.defineProperty([1], 0, {
    get() {
      structuredClone(data.buffer, { transfer: [data.buffer] })
      return 1
    }
  })
  expect(() => addon().unixSend(one, data, fds)).toThrow(/at least one byte/)
  expect(addon().unixReceive(two, new Uint8Array(1))).toBeNull()
  for (const fd of [one, two]) closeSync(fd)
})

it('refuses a NUL within a path, and takes one in an abstract name', () => {
  expect(() => addon().unixConnect('/tmp/a\0b')).toThrow(/must not contain NUL/)
  expect(() => addon().unixConnect('\0nobody\0here')).toThrow(expect.objectContaining({ code: 'ECONNREFUSED' }))
})
