/** A guest whose cards are Unix sockets of QEMU's, each forwarded to a TAP of a namespace. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Pipe, UnixPort } from '../../lib/index.js'
import { expectReach, runAt, type Station } from './support/pings.js'
import { scene } from './support/scene.js'

const CARDS = [
  'stream, QEMU connects',
  'stream, QEMU has a descriptor',
  'datagrams by path',
  'datagrams, QEMU has a descriptor'
]

const given = scene(['tap'], async scene => {
  const folder = mkdtempSync(join(tmpdir(), 'lw-'))
  scene.later(() => rmSync(folder, { recursive: true }))
  const path = (name: string) => join(folder, name)
  const listening = UnixPort.listen(path('stream'))
  const stream = UnixPort.pair('stream')
  const datagrams = UnixPort.pair('dgram')
  const byPath = await UnixPort.datagram({ local: path('ours'), remote: path('theirs') })
  const guest = await scene.guest({
    stdioFds: [...stream.peer.fds, ...datagrams.peer.fds],
    netdevs: [
      { netdev: `stream,server=off,addr.type=unix,addr.path=${path('stream')}` },
      { netdev: 'stream,server=off,addr.type=fd,addr.str=3' },
      {
        netdev: `dgram,local.type=unix,local.path=${path('theirs')},remote.type=unix,remote.path=${path('ours')}`
      },
      { netdev: 'dgram,local.type=fd,local.str=4' }
    ]
  })
  await Promise.all([stream.peer.close(), datagrams.peer.close()])
  const ports = [await listening, stream.port, byPath, datagrams.port]
  const lines = []
  for (const [number, port] of ports.entries()) {
    scene.later(() => port.close())
    const outside = await scene.namespace()
    const tap = await scene.tap({ name: 'tap0', netns: outside.name, mtu: 1500 })
    await outside.net.addresses.add({ link: 'tap0', address: `10.8.${number}.1/24` })
    const pipe = await Pipe.open(tap, port)
    scene.later(() => pipe.close())
    await guest.up(`eth${number}`, `10.8.${number}.2/24`)
    lines.push({ outside, pipe, port, host: `10.8.${number}.1`, guest: `10.8.${number}.2` })
  }
  return { scene, guest, lines }
})

/** Sends bytes from a station and gives the digest of what arrives at the other. */
async function sendBytes(from: Station, to: Station, address: string, bytes: Buffer): Promise<string> {
  await runAt(
    to,
    `rm -f /tmp/digest; busybox nc -l -p 7000 -e sh -c 'busybox md5sum >/tmp/digest' </dev/null >/dev/null 2>&1 &
     until busybox netstat -ltn | busybox grep -q :7000; do busybox usleep 20000; done`
  )
  const seed = bytes.toString('base64')
  // The same bytes many times over: 2 MiB.
  await runAt(
    from,
    `busybox seq 512 | while read number; do echo ${seed}; done | busybox nc -w 20 ${address} 7000
     busybox usleep 300000`
  )
  return (
    await runAt(to, 'until busybox test -s /tmp/digest; do busybox usleep 20000; done; busybox cat /tmp/digest')
  ).slice(0, 32)
}

test.each(CARDS.map((name, number) => [name, number] as const))(
  '%s: pings and TCP pass',
  { timeout: 180_000 },
  async (_, number) => {
    const { guest, lines } = given()
    const line = lines[number] as (typeof lines)[number]
    await expectReach(guest, line.host)
    await expectReach(line.outside, line.guest)
    const bytes = randomBytes(3000)
    const expected = createHash('md5')
      .update(`${bytes.toString('base64')}\n`.repeat(512))
      .digest('hex')
    expect(await sendBytes(guest, line.outside, line.host, bytes)).toBe(expected)
    expect(await sendBytes(line.outside, guest, line.guest, bytes)).toBe(expected)
    expect(line.port.faults).toMatchObject({ malformed: 0, foreign: 0, tooLong: 0 })
    expect(line.pipe.b.counters.rxBytes).toBeGreaterThan(2 << 20)
    expect(line.pipe.b.counters.txBytes).toBeGreaterThan(2 << 20)
  }
)

test('when the guest ends, its streams are gone', { timeout: 60_000 }, async () => {
  const { guest, lines } = given()
  await guest.stop()
  await expect.poll(() => lines.slice(0, 2).map(({ pipe }) => pipe.b.state)).toEqual(['gone', 'gone'])
})
