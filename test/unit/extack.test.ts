/** Errors made of what the kernel says: hand-made NLMSG_ERROR bytes with extended-ACK attributes. */
import { expect, it } from 'vitest'
import '../../lib/rtnetlink/kinds/index.js'
import type { LinkwrightError } from '../../lib/errors.js'
import { altnamesRequest, changeRequest, createRequest } from '../../lib/link/link-requests.js'
import { requestError, warningOf } from '../../lib/netlink/extack.js'
import { dataView, messagesIn } from '../../lib/netlink/framing.js'
import { encodeRequest, type Request } from '../../lib/netlink/request.js'
import { routeMessage } from '../../lib/rtnetlink/route.js'
import {
  ack,
  attr,
  done,
  NLM_F_ACK_TLVS,
  NLMSG_ERROR,
  nlmsg,
  s32,
  split,
  text,
  u8,
  u16,
  u32,
  u64
} from '../support/fake-kernel.js'

// NLMSGERR_ATTR_* of linux/netlink.h
const MSG = 1
const OFFS = 2
const POLICY = 4
const MISS_TYPE = 5
const MISS_NEST = 6
const NESTED = 0x8000

const received = (request: Request) => split(Buffer.from(request.bytes))[0] as never

function errorOf(request: Request, bytes: Buffer, errno = -22, item?: number): LinkwrightError {
  return requestError(request, errno, [...messagesIn(dataView(bytes))][0], item)
}

/** Where a row of bytes begins in a request: found by searching, not by the package's parser. */
function offsetOf(request: Request, ...attribute: Buffer[]): number {
  const at = Buffer.from(request.bytes).indexOf(Buffer.concat(attribute))
  if (at < 0) throw new Error('the request has no such bytes')
  return at
}

const macvlan = createRequest(
  {
    kind: 'macvlan',
    name: 'mv0',
    link: 3,
    mtu: 1400,
    mode: 'source',
    macaddrMode: 'set',
    macaddrs: ['02:00:00:00:00:01', '02:00:00:00:00:02']
  },
  false
)

it('gives the words of the kernel, the verb, the link and a negative errno', () => {
  const error = errorOf(macvlan, ack(received(macvlan), -16, attr(MSG, text('Device is a port'))), -16)
  expect(error).toMatchObject({
    code: 'EBUSY',
    errno: -16,
    syscall: 'RTM_NEWLINK',
    link: 'mv0',
    extack: 'Device is a port'
  })
  expect(error.message).toBe('EBUSY: RTM_NEWLINK mv0 failed; the kernel says: Device is a port')
  expect('path' in error).toBe(false)
})

it('gives a bare error where the kernel is silent', () => {
  const error = errorOf(macvlan, ack(received(macvlan), -22))
  expect(error).toMatchObject({ code: 'EINVAL', errno: -22 })
  expect(['extack', 'path', 'allowed', 'item'].filter(key => key in error)).toEqual([])
})

it('does not look for attributes that are not announced', () => {
  const bytes = ack(received(macvlan), -22, attr(MSG, text('x')))
  bytes.writeUInt16LE(bytes.readUInt16LE(6) & ~NLM_F_ACK_TLVS, 6)
  expect('extack' in errorOf(macvlan, bytes)).toBe(false)
})

it.each([
  ['mtu', 'mtu', () => offsetOf(macvlan, attr(4, u32(1400)))],
  ['name', 'name', () => offsetOf(macvlan, u16(8), u16(3), text('mv0'))],
  ['kind', 'linkinfo.kind', () => offsetOf(macvlan, u16(11), u16(1), Buffer.from('macvlan'))],
  ['mode', 'linkinfo.data.mode', () => offsetOf(macvlan, attr(1, u32(16)))],
  [
    'macaddrs[0]',
    'linkinfo.data.macaddrs[0]',
    () => offsetOf(macvlan, u16(10), u16(4), Buffer.from('020000000001', 'hex'))
  ],
  [
    'macaddrs[1]',
    'linkinfo.data.macaddrs[1]',
    () => offsetOf(macvlan, u16(10), u16(4), Buffer.from('020000000002', 'hex'))
  ],
  // The list begins four bytes before its first element.
  [
    'macaddrs',
    'linkinfo.data.macaddrs',
    () => offsetOf(macvlan, u16(10), u16(4), Buffer.from('020000000001', 'hex')) - 4
  ]
])('makes a path of the offset: %s', (path, attribute, offset) => {
  const error = errorOf(macvlan, ack(received(macvlan), -22, attr(OFFS, u32(offset()))))
  expect(error).toMatchObject({ path, attribute })
  expect(error.message).toContain(
    path === attribute ? `; attribute ${path}` : `; option ${path} (attribute ${attribute})`
  )
})

it('makes a path through a veth peer', () => {
  const request = createRequest({ kind: 'veth', name: 'a', peer: { name: 'b', mtu: 70000 } }, false)
  const offset = offsetOf(request, attr(4, u32(70000)))
  expect(errorOf(request, ack(received(request), -22, attr(OFFS, u32(offset)))).path).toBe('peer.mtu')
})

it("calls options what the caller calls them: a port's settings, data that no schema knows, alternative names", () => {
  const pathAt = (request: Request, offset: number) =>
    errorOf(request, ack(received(request), -22, attr(OFFS, u32(offset)))).path
  const port = changeRequest(1, { port: { cost: 77 } })
  expect(pathAt(port, offsetOf(port, attr(3, u32(77))))).toBe('port.cost')
  const unknown = changeRequest(1, { kind: 'bridge', unknownData: [{ type: 200, data: 'deadbeef' }] })
  expect(pathAt(unknown, offsetOf(unknown, Buffer.from('deadbeef', 'hex')) - 4)).toBe('attribute 200')
  const altnames = altnamesRequest('RTM_NEWLINKPROP', 1, ['first', 'second'])
  expect(pathAt(altnames, offsetOf(altnames, text('second')) - 4)).toBe('altnames[1]')
})

it('names an attribute that the schema does not know by its number', () => {
  const request = createRequest({ kind: 'ifb', unknown: [{ type: 200, data: 'deadbeef' }] }, false)
  const offset = offsetOf(request, Buffer.from('deadbeef', 'hex')) - 4
  expect(errorOf(request, ack(received(request), -22, attr(OFFS, u32(offset)))).path).toBe('attribute 200')
})

it.each([[0], [4], [16], [31], [100_000], [0xffffffff]])(
  'has no path for an offset that points to nothing (%d)',
  offset => {
    expect(errorOf(macvlan, ack(received(macvlan), -22, attr(OFFS, u32(offset)))).path).toBeUndefined()
  }
)

it('names what is missing, at the top and in a nest', () => {
  expect(errorOf(macvlan, ack(received(macvlan), -22, attr(MISS_TYPE, u32(5)))).path).toBe('link')
  const linkinfo = offsetOf(macvlan, u16(11), u16(1), Buffer.from('macvlan')) - 4
  const inLinkinfo = ack(received(macvlan), -22, attr(MISS_TYPE, u32(4)), attr(MISS_NEST, u32(linkinfo)))
  expect(errorOf(macvlan, inLinkinfo).path).toBe('linkinfo.portKind')
  const data = offsetOf(macvlan, attr(1, u32(16))) - 4
  const inData = ack(received(macvlan), -22, attr(MISS_TYPE, u32(7)), attr(MISS_NEST, u32(data)))
  expect(errorOf(macvlan, inData).path).toBe('bcQueueLen')
  expect(errorOf(macvlan, ack(received(macvlan), -22, attr(MISS_TYPE, u32(999)))).path).toBe('attribute 999')
})

it.each([
  // NL_POLICY_TYPE_ATTR_*: 1 type, 2 and 3 signed range, 4 and 5 unsigned range, 6 and 7 length, 10 and 12 masks.
  [[attr(1, u32(2)), attr(4, u64(0n)), attr(5, u64(1n))], 'a value of type u8 from 0 to 1'],
  [[attr(1, u32(8)), attr(2, u64(2n ** 64n - 5n)), attr(3, u64(7n))], 'a value of type s32 from -5 to 7'],
  [[attr(1, u32(12)), attr(7, u32(15))], 'a value of type NUL-terminated string of at most 15 bytes'],
  [
    [attr(1, u32(10)), attr(6, u32(6)), attr(7, u32(32))],
    'a value of type binary of at least 6 bytes of at most 32 bytes'
  ],
  [[attr(1, u32(4)), attr(12, u64(0xffn))], 'a value of type u32 within the mask 0xff'],
  [[attr(1, u32(15)), attr(10, u32(0x3))], 'a value of type bitfield32 within the mask 0x3'],
  [
    [attr(1, u32(5)), attr(4, u64(0n)), attr(5, u64(2n ** 64n - 1n))],
    'a value of type u64 from 0 to 18446744073709551615'
  ]
])('says what the policy allows: %#', (policy, allowed) => {
  const offset = offsetOf(macvlan, attr(4, u32(1400)))
  const error = errorOf(
    macvlan,
    ack(received(macvlan), -34, attr(OFFS, u32(offset)), attr(POLICY | NESTED, ...policy)),
    -34
  )
  expect(error).toMatchObject({ code: 'ERANGE', path: 'mtu', allowed })
  expect(error.message).toContain(`attribute mtu, allowed: ${allowed}`)
})

it('finds the attributes behind a request that is echoed as a whole', () => {
  const bytes = nlmsg(NLMSG_ERROR, NLM_F_ACK_TLVS, 1, s32(-22), Buffer.from(macvlan.bytes), attr(MSG, text('whole')))
  expect(errorOf(macvlan, bytes).extack).toBe('whole')
})

it('finds them in NLMSG_DONE, where no request is echoed', () => {
  const bytes = done(
    received(macvlan),
    -22,
    0,
    attr(MSG, text('at the end')),
    attr(OFFS, u32(offsetOf(macvlan, attr(4, u32(1400)))))
  )
  expect(errorOf(macvlan, bytes)).toMatchObject({ extack: 'at the end', path: 'mtu' })
})

it('finds warnings of requests that succeeded', () => {
  const bytes = ack(received(macvlan), 0, attr(MSG, text('take care')))
  const [message] = messagesIn(dataView(bytes))
  expect(message && warningOf(message)).toBe('take care')
})

it('tells which item of a batch it was', () => {
  expect(errorOf(macvlan, ack(received(macvlan), -22), -22, 7).item).toBe(7)
})

it('knows the schema of other messages too', () => {
  const request = encodeRequest('RTM_NEWROUTE', 24, routeMessage, { dst: '192.0.2.0', metrics: { mtu: 7 } })
  const offset = offsetOf(request, attr(2, u32(7)))
  expect(errorOf(request, ack(received(request), -22, attr(OFFS, u32(offset)))).path).toBe('metrics.mtu')
})

it('survives extended acknowledgements that are cut off anywhere', () => {
  const whole = ack(
    received(macvlan),
    -22,
    attr(MSG, text('some words')),
    attr(OFFS, u32(40)),
    attr(POLICY, attr(1, u32(2)), attr(9, u8(1)))
  )
  for (let length = 20; length <= whole.length; length++) {
    const cut = Buffer.from(whole.subarray(0, length))
    cut.writeUInt32LE(length, 0)
    expect(errorOf(macvlan, cut).code).toBe('EINVAL')
  }
})
