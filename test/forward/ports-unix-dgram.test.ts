/** Datagrams as QEMU's `-netdev dgram` has them, with another program at the other end. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import { UnixPort } from '../../lib/index.js'
import { tempFolder } from '../tap/support/needs.js'
import { PYTHON, runBeside } from '../tap/support/system.js'
import { someTime, until } from './support/frames.js'
import { closedAfterwards, numberedFrame, probe } from './support/probe.js'

const PEER = `
import os, socket, sys, threading
local, remote = sys.argv[1:]
peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
if os.path.exists(local): os.unlink(local)
peer.bind(local)
print("bound", flush=True)
def receive():
    while True: print(peer.recv(70000).hex(), flush=True)
threading.Thread(target=receive, daemon=True).start()
for line in sys.stdin: peer.sendto(bytes.fromhex(line.strip()), remote)
`

class Peer {
  readonly received: Buffer[] = []
  readonly #child: ChildProcessByStdio<Writable, Readable, null>

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child
  }

  static async open(local: string, remote: string): Promise<Peer> {
    const child = spawn(PYTHON, ['-c', PEER, local, remote], { stdio: ['pipe', 'pipe', 'inherit'] })
    const peer = new Peer(child)
    onTestFinished(() => peer.close())
    const lines = createInterface(child.stdout)
    await once(lines, 'line')
    lines.on('line', line => peer.received.push(Buffer.from(line, 'hex')))
    return peer
  }

  send(frame: Buffer): void {
    this.#child.stdin.write(`${frame.toString('hex')}\n`)
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }
}

async function scene() {
  const folder = tempFolder()
  const [local, remote] = [join(folder, 'ours'), join(folder, 'theirs')] as const
  const port = closedAfterwards(await UnixPort.datagram({ local, remote }))
  return { local, remote, port, far: await probe(port) }
}

test('each datagram is a frame, both ways', async () => {
  const { local, remote, far } = await scene()
  const peer = await Peer.open(remote, local)
  const frames = [60, 14, 1514, 65_000].map((length, number) => numberedFrame(number, length))
  far.send(...frames)
  await until(() => peer.received.length === frames.length, 'all arrive')
  expect(peer.received).toEqual(frames)
  for (const frame of frames) peer.send(frame)
  expect(await far.receiveMany(frames.length)).toEqual(frames)
})

test('datagrams that are no frames do no harm', async () => {
  const { local, remote, port, far } = await scene()
  const peer = await Peer.open(remote, local)
  for (const length of [0, 1, 13, 65_601, 100_000]) peer.send(Buffer.alloc(length))
  peer.send(numberedFrame(1))
  expect(await far.receive()).toEqual(numberedFrame(1))
  expect(port.faults).toMatchObject({ malformed: 5 })
})

test('the peer may come and go', async () => {
  const { local, remote, far } = await scene()
  far.send(numberedFrame(1))
  await until(() => far.pipe.a.counters.drops.down === 1, 'the frame is dropped')
  await until(() => far.pipe.a.state === 'down', 'it is told')
  const first = await Peer.open(remote, local)
  far.send(numberedFrame(2))
  await until(() => first.received.length === 1, 'the frame arrives')
  await first.close()
  far.send(numberedFrame(3))
  await until(() => far.pipe.a.counters.drops.down === 2, 'the frame is dropped')
  const second = await Peer.open(remote, local)
  far.send(numberedFrame(4))
  await until(() => second.received.length === 1, 'the frame arrives')
  expect(second.received).toEqual([numberedFrame(4)])
  second.send(numberedFrame(5))
  expect(await far.receive()).toEqual(numberedFrame(5))
})

test('a peer that takes the place of another is heard, though nothing is sent to it', async () => {
  const { local, remote, far } = await scene()
  const first = await Peer.open(remote, local)
  far.send(numberedFrame(1))
  await until(() => first.received.length === 1, 'the frame arrives')
  await first.close()
  const second = await Peer.open(remote, local)
  await someTime(1200)
  second.send(numberedFrame(2))
  expect(await far.receive()).toEqual(numberedFrame(2))
})

test('a stranger is refused by the kernel once the peer is connected', async () => {
  const { local, remote, far } = await scene()
  const peer = await Peer.open(remote, local)
  far.send(numberedFrame(1))
  await until(() => peer.received.length === 1, 'the frame arrives')
  const SEND =
    'import socket, sys\ns = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\ns.sendto(b"x" * 60, sys.argv[1])'
  const stranger = spawn(PYTHON, ['-c', SEND, local], { stdio: 'ignore' })
  const [status] = await once(stranger, 'exit')
  expect(status).not.toBe(0)
  expect(await far.receive(100)).toBeUndefined()
})

test('descriptors that come along are left out: nobody would close them', async () => {
  const { local, far } = await scene()
  const SEND = `
import array, socket, sys
peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for number in range(5):
    peer.sendmsg([b"x" * 60], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * 10))], 0, sys.argv[1])
`
  const descriptors = () => readdirSync('/proc/self/fd').length
  const before = descriptors()
  await runBeside(PYTHON, '-c', SEND, local)
  expect(await far.receiveMany(5)).toHaveLength(5)
  expect(descriptors()).toBeLessThan(before + 10)
})

test('the path is gone with the port', async () => {
  const { local, port } = await scene()
  expect(existsSync(local)).toBe(true)
  await port.close()
  expect(existsSync(local)).toBe(false)
})

describe('a pair', () => {
  test('is given up when something is sent and nobody is there', async () => {
    const { port, peer } = UnixPort.pair('dgram')
    const far = await probe(closedAfterwards(port))
    const gone = once(far.pipe.a, 'gone')
    await peer.close()
    far.send(numberedFrame(1))
    expect((await gone)[0]).toMatchObject({ code: 'ECONNREFUSED' })
  })
})
