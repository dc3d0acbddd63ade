/** Messages of the running kernel, damaged in every way: reading them neither throws nor hangs. */
import { spawnSync } from 'node:child_process'
import { afterAll, beforeAll, expect, it } from 'vitest'
import '../../lib/rtnetlink/kinds/index.js'
import { plain } from '../../lib/codec/attributes.js'
import { Writer } from '../../lib/codec/writer.js'
import { LinkwrightError } from '../../lib/errors.js'
import { createRequest } from '../../lib/link/link-requests.js'
import { requestError } from '../../lib/netlink/extack.js'
import { dataView, messagesIn } from '../../lib/netlink/framing.js'
import { NetlinkSocket } from '../../lib/netlink/socket.js'
import { rtnetlink } from '../../lib/rtnetlink/verbs.js'
import { ack, attr, nlmsg, split, text, u32 } from '../support/fake-kernel.js'

/** Mulberry32: the same damage for the same seed. */
function random(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
const next = random(seed)
const corpus: Buffer[] = []
const ROUNDS = 6000

beforeAll(async () => {
  for (const command of [
    'link add fz0 type bridge stp_state 1',
    'link add fz1 type veth peer name fz2',
    'link set fz2 master fz0 up',
    'link property add dev fz1 altname a-name-that-is-longer',
    'link set fz1 alias words',
    'link add link fz1 fz3 type macvlan mode source macaddr set 02:00:00:00:00:01 02:00:00:00:00:02',
    'link add fz4 type vxlan id 1 dstport 4789 remote 127.0.0.1',
    'link set fz1 up',
    'addr add 192.0.2.1/24 dev fz1',
    'route add 203.0.113.0/24 nexthop via 192.0.2.2 dev fz1 nexthop via 192.0.2.3 dev fz1 weight 3',
    'route add 203.0.114.0/24 via inet6 fe80::1 dev fz1 mtu 1300',
    'neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev fz1'
  ]) {
    spawnSync('ip', command.split(' '))
  }
  const socket = await NetlinkSocket.open()
  for (const type of [18, 22, 26, 30]) {
    const header = Buffer.alloc({ 18: 16, 22: 8, 26: 12, 30: 12 }[type] as number)
    for (const { data, offset, end } of await socket.raw(nlmsg(type, 0x301, 0, header), { dump: true })) {
      corpus.push(Buffer.from(data.buffer.slice(data.byteOffset + offset, data.byteOffset + end)))
    }
  }
  socket.close()
})

afterAll(() => {
  for (const name of ['fz0', 'fz1', 'fz4']) spawnSync('ip', ['link', 'del', name])
})

/** Reads everything that there is to read. */
function readAll(bytes: Buffer): void {
  // In memory of exactly its size, so that whoever looks beyond its end fails.
  const memory = new Uint8Array(bytes.length)
  memory.set(bytes)
  for (const { data, start, end, type } of messagesIn(dataView(memory))) {
    const view = rtnetlink.schemaOf(type)?.read(data, start, end) as (object & { toJSON(): unknown }) | undefined
    if (!view) continue
    JSON.stringify(view.toJSON())
    for (
      let shape = Object.getPrototypeOf(view);
      shape && shape !== Object.prototype;
      shape = Object.getPrototypeOf(shape)
    ) {
      for (const name of Object.keys(shape)) plain((view as Record<string, unknown>)[name])
    }
    rtnetlink.schemaOf(type)?.locate(data, start, end, next(bytes.length + 8))
  }
}

function damage(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  for (let times = 1 + next(6); times > 0; times--) {
    const at = 16 + next(Math.max(1, copy.length - 16))
    switch (next(4)) {
      case 0:
        copy[at] = next(256)
        break
      case 1:
        // Where lengths and types are.
        if ((at & ~3) + 2 <= copy.length)
          copy.writeUInt16LE(
            [0, 1, 3, 4, 5, 6, 8, 0xffff, copy.length, copy.length - at][next(10)] as number & 0xffff,
            at & ~3
          )
        break
      case 2:
        copy.copyWithin(at, 16 + next(copy.length - 16))
        break
      default:
        copy.fill(next(2) * 255, at, Math.min(copy.length, at + next(16)))
    }
  }
  const cut = copy.subarray(0, next(3) === 0 ? 16 + next(copy.length - 15) : copy.length)
  cut.writeUInt32LE(cut.length, 0)
  return cut
}

it('has something to damage', () => {
  const types = new Set(corpus.map(bytes => bytes.readUInt16LE(4)))
  expect([...types].sort()).toEqual([16, 20, 24, 28])
  for (const bytes of corpus) readAll(bytes)
})

it(`reads damaged messages without a complaint (SEED=${seed})`, () => {
  for (let round = 0; round < ROUNDS; round++) {
    const bytes = damage(corpus[next(corpus.length)] as Buffer)
    try {
      readAll(bytes)
    } catch (error) {
      throw new Error(`round ${round} of SEED=${seed}: ${bytes.toString('hex')}`, { cause: error })
    }
  }
})

it(`reads messages that are cut anywhere (SEED=${seed})`, () => {
  for (const bytes of corpus) {
    for (let length = 16; length < bytes.length; length += 1 + next(5)) {
      const cut = Buffer.from(bytes.subarray(0, length))
      cut.writeUInt32LE(length, 0)
      readAll(cut)
    }
  }
})

it(`walks datagrams of noise (SEED=${seed})`, () => {
  for (let round = 0; round < ROUNDS; round++) {
    const noise = Buffer.from(
      Array.from({ length: next(120) }, () => [0, 1, 4, 8, 16, 255, next(256)][next(7)] as number)
    )
    readAll(noise)
  }
})

it(`sends again what it read, unless it says why not (SEED=${seed})`, () => {
  let sent = 0
  for (let round = 0; round < ROUNDS; round++) {
    const bytes = damage(corpus[next(corpus.length)] as Buffer)
    for (const { data, start, end, type } of messagesIn(dataView(bytes))) {
      const schema = rtnetlink.schemaOf(type)
      for (const [name, value] of Object.entries(schema?.read(data, start, end).toJSON() ?? {})) {
        const writer = new Writer()
        writer.creating = true
        try {
          schema?.write(writer, { [name]: value })
          sent++
        } catch (error) {
          if (error instanceof LinkwrightError && error.path?.startsWith(name)) continue
          throw new Error(`${name}: ${JSON.stringify(value)}`, { cause: error })
        }
      }
    }
  }
  expect(sent).toBeGreaterThan(ROUNDS)
})

it(`explains errors from damaged extended acknowledgements (SEED=${seed})`, () => {
  const request = createRequest(
    { kind: 'macvtap', name: 'x', link: 1, mode: 'bridge', macaddrs: ['02:00:00:00:00:01'] },
    false
  )
  const received = split(Buffer.from(request.bytes))[0] as never
  const whole = ack(
    received,
    -22,
    attr(1, text('words')),
    attr(2, u32(60)),
    attr(4, attr(1, u32(4)), attr(5, u32(9))),
    attr(6, u32(40))
  )
  for (let round = 0; round < ROUNDS; round++) {
    const bytes = damage(whole)
    const [message] = messagesIn(dataView(new Uint8Array(bytes)))
    expect(requestError(request, -22, message, undefined).code).toBe('EINVAL')
  }
})
