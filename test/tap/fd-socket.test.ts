import { closeSync, existsSync, openSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { FdServer, FdSocket, receiveFds, sendFds } from '../../lib/index.js'
import { tempFolder } from './support/needs.js'
import { newFiles, openFiles, PYTHON, runBeside } from './support/system.js'

const text = (data: Uint8Array | undefined) => new TextDecoder().decode(data)

function openPair(): [FdSocket, FdSocket] {
  const pair = FdSocket.pair()
  onTestFinished(() => {
    for (const socket of pair) socket.close()
  })
  return pair
}

/** A file of its own to send, so that it can be told from others. */
function openFile(): { fd: number; path: string } {
  const path = join(tempFolder(), 'sent')
  writeFileSync(path, path)
  const fd = openSync(path, 'r')
  onTestFinished(() => closeSync(fd))
  return { fd, path }
}

function closeAll(fds: number[] | undefined): void {
  for (const fd of fds ?? []) closeSync(fd)
}

describe('data', () => {
  test('goes both ways', async () => {
    const [one, other] = openPair()
    await one.send('there')
    expect(text((await other.receive())?.data)).toBe('there')
    await other.send(Uint8Array.of(1, 2, 3))
    expect((await one.receive())?.data).toEqual(Uint8Array.of(1, 2, 3))
  })

  test('that is waited for', async () => {
    const [one, other] = openPair()
    const receiving = other.receive()
    await delay(10)
    await one.send('late')
    expect(text((await receiving)?.data)).toBe('late')
  })

  test('of 8 MiB, more than the socket holds, in order', async () => {
    const [one, other] = openPair()
    const sent = Uint8Array.from({ length: 8 << 20 }, (_, at) => (at * 7 + (at >> 8)) & 0xff)
    let done = false
    const sending = one.send(sent).then(() => {
      done = true
    })
    await delay(20)
    expect(done).toBe(false)
    const chunks: Uint8Array[] = []
    for (let bytes = 0; bytes < sent.length; bytes += chunks.at(-1)?.length ?? 0) {
      chunks.push((await other.receive())?.data ?? new Uint8Array())
    }
    await sending
    expect(Buffer.concat(chunks).equals(sent)).toBe(true)
  })

  test('of many sends at once stays in order', async () => {
    const [one, other] = openPair()
    const lines = Array.from({ length: 3000 }, (_, at) => `line ${at} ${'x'.repeat(200)}\n`)
    const sending = Promise.all(lines.map(line => one.send(line)))
    let got = ''
    while (got.length < lines.join('').length) got += text((await other.receive())?.data)
    await sending
    expect(got).toBe(lines.join(''))
  })

  test('of no bytes is refused', async () => {
    const [one] = openPair()
    await expect(one.send('')).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path: 'data' })
  })
})

describe('descriptors', () => {
  test('come as others that are the same file, close-on-exec', async () => {
    const [one, other] = openPair()
    const { fd, path } = openFile()
    await one.send('x', [fd])
    const received = await other.receive()
    expect(received?.fds).toHaveLength(1)
    const [got = -1] = received?.fds ?? []
    expect(got).not.toBe(fd)
    expect(readlinkSync(`/proc/self/fd/${got}`)).toBe(path)
    const flags = Number.parseInt(
      /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${got}`, 'utf8'))?.[1] ?? '',
      8
    )
    expect(flags & 0o2000000).toBe(0o2000000)
    closeAll(received?.fds)
  })

  test('may be 253 at a time, in order', async () => {
    const [one, other] = openPair()
    const files = [openFile(), openFile()]
    const fds = Array.from({ length: 253 }, (_, at) => files[at % 2]?.fd ?? -1)
    await one.send('x', fds)
    const received = await other.receive()
    expect(received?.fds.map(fd => readlinkSync(`/proc/self/fd/${fd}`))).toEqual(
      fds.map((_, at) => files[at % 2]?.path)
    )
    closeAll(received?.fds)
  })

  test('may not be 254', async () => {
    const [one, other] = openPair()
    const { fd } = openFile()
    await expect(one.send('x', Array(254).fill(fd))).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
      path: 'fds'
    })
    await one.send('still usable')
    expect(text((await other.receive())?.data)).toBe('still usable')
  })

  test('travel with the first byte of their data, whatever the size', async () => {
    const [one, other] = openPair()
    const { fd } = openFile()
    const sending = one.send(new Uint8Array(1 << 20), [fd])
    const first = await other.receive()
    expect(first?.fds).toHaveLength(1)
    closeAll(first?.fds)
    let rest = (1 << 20) - (first?.data.length ?? 0)
    while (rest > 0) {
      const received = await other.receive()
      expect(received?.fds).toEqual([])
      rest -= received?.data.length ?? 0
    }
    await sending
  })

  test('of several sends come with their own data', async () => {
    const [one, other] = openPair()
    const files = [openFile(), openFile(), openFile()]
    await Promise.all(files.map(({ fd }, at) => one.send(`message ${at};`, [fd])))
    let got = ''
    const paths: string[] = []
    while (paths.length < 3) {
      const received = await other.receive()
      got += text(received?.data)
      // The kernel never joins what carries descriptors.
      expect(received?.fds.length).toBeLessThanOrEqual(1)
      for (const fd of received?.fds ?? []) paths.push(readlinkSync(`/proc/self/fd/${fd}`))
      closeAll(received?.fds)
    }
    expect(got).toBe('message 0;message 1;message 2;')
    expect(paths).toEqual(files.map(({ path }) => path))
  })

  test('that are not open are refused', async () => {
    const [one] = openPair()
    await expect(one.send('x', [99_999])).rejects.toMatchObject({ code: 'EBADF', syscall: 'sendmsg' })
  })

  test('are the sender’s to close: the receiver’s stay open', async () => {
    const [one, other] = openPair()
    const path = join(tempFolder(), 'sent')
    writeFileSync(path, 'content')
    const fd = openSync(path, 'r')
    await one.send('x', [fd])
    closeSync(fd)
    const received = await other.receive()
    expect(readFileSync(received?.fds[0] as number, 'utf8')).toBe('content')
    closeAll(received?.fds)
  })
})

describe('the end', () => {
  test('is null, also for who waits', async () => {
    const [one, other] = openPair()
    const receiving = other.receive()
    await delay(10)
    one.close()
    expect(await receiving).toBeNull()
    expect(await other.receive()).toBeNull()
  })

  test('comes after what was sent before', async () => {
    const [one, other] = openPair()
    await one.send('last words')
    one.close()
    expect(text((await other.receive())?.data)).toBe('last words')
    expect(await other.receive()).toBeNull()
  })

  test('ends iteration', async () => {
    const [one, other] = openPair()
    await one.send('a')
    one.close()
    const got: string[] = []
    for await (const { data } of other) got.push(text(data))
    expect(got).toEqual(['a'])
  })

  test('sending to nobody is an error, not a signal', async () => {
    const [one, other] = openPair()
    other.close()
    await expect.poll(() => one.send('x').catch(error => error.code)).toBe('EPIPE')
  })
})

describe('close()', () => {
  test('is idempotent, and wakes who waits', async () => {
    const [one] = openPair()
    const receiving = expect(one.receive()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    one.close()
    one.close()
    expect(one.closed).toBe(true)
    await receiving
    await expect(one.receive()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await expect(one.send('x')).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })

  test('ends a send that waits for room', async () => {
    const [one] = openPair()
    const sending = expect(one.send(new Uint8Array(8 << 20))).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await delay(10)
    one.close()
    await sending
  })

  test('leaves no descriptor', async () => {
    const before = openFiles()
    for (const socket of FdSocket.pair()) {
      using closing = socket
      expect(closing.closed).toBe(false)
    }
    await expect.poll(() => newFiles(before)).toEqual([])
  })
})

describe('an aborted signal', () => {
  test('ends the wait, and the socket goes on', async () => {
    const [one, other] = openPair()
    const controller = new AbortController()
    const receiving = expect(other.receive({ signal: controller.signal })).rejects.toThrow('enough')
    await delay(10)
    controller.abort(new Error('enough'))
    await receiving
    await one.send('on')
    expect(text((await other.receive())?.data)).toBe('on')
  })

  test('that is aborted already takes nothing', async () => {
    const [one, other] = openPair()
    await one.send('kept')
    const signal = AbortSignal.abort(new Error('too late'))
    await expect(other.receive({ signal })).rejects.toThrow('too late')
    expect(text((await other.receive())?.data)).toBe('kept')
  })

  test('that is aborted already sends nothing, and connects to nobody', async () => {
    const [one, other] = openPair()
    const signal = AbortSignal.abort(new Error('too late'))
    await expect(one.send('never', [], { signal })).rejects.toThrow('too late')
    await one.send('sent')
    expect(text((await other.receive())?.data)).toBe('sent')
    const path = join(tempFolder(), 'socket')
    using server = FdServer.listen(path)
    await expect(FdSocket.connect(path, { signal })).rejects.toThrow('too late')
    await expect(sendFds(path, [], 'x', { signal })).rejects.toThrow('too late')
    await expect(server.accept({ signal })).rejects.toThrow('too late')
  })

  test('takes a send out of the queue at once, and the others go on in order', async () => {
    const [one, other] = openPair()
    const large = new Uint8Array(1 << 20)
    const controller = new AbortController()
    const first = one.send(large)
    const second = one.send('second', [], { signal: controller.signal })
    const third = one.send('third')
    await delay(10)
    controller.abort(new Error('enough'))
    await expect(second).rejects.toThrow('enough')
    let bytes = 0
    let end = ''
    while (bytes < large.length + 'third'.length) {
      const data = (await other.receive())?.data ?? new Uint8Array()
      end = text(data).slice(-11)
      bytes += data.length
    }
    await Promise.all([first, third])
    expect(end.replaceAll('\0', '')).toBe('third')
    expect(one.closed).toBe(false)
  })

  test('in the middle of a send closes the socket: what follows would be taken for the rest', async () => {
    const [one] = openPair()
    const controller = new AbortController()
    const sending = one.send(new Uint8Array(8 << 20), [], { signal: controller.signal })
    const next = one.send('next')
    await delay(10)
    controller.abort(new Error('enough'))
    await expect(sending).rejects.toThrow('enough')
    await expect(next).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    expect(one.closed).toBe(true)
  })

  test('ends the wait for room of a send that has not begun, and the socket goes on', async () => {
    const [one, other] = openPair()
    // Fill it up to the last byte, so that the next send waits without having sent any.
    const filling = new AbortController()
    const chunk = new Uint8Array(1)
    let filled = 0
    for (let waits = false; !waits; ) {
      waits = await Promise.race([
        one.send(chunk, [], { signal: filling.signal }).then(
          () => {
            filled++
            return false
          },
          () => true
        ),
        delay(50, true)
      ])
    }
    filling.abort(new Error('full'))
    await delay(0)
    expect(one.closed).toBe(false)
    for (let bytes = 0; bytes < filled; ) bytes += (await other.receive())?.data.length ?? 0
    await one.send('on')
    expect(text((await other.receive())?.data)).toBe('on')
  })

  test('ends the wait for a connection, and the server goes on', async () => {
    const path = join(tempFolder(), 'socket')
    using server = FdServer.listen(path)
    const controller = new AbortController()
    const accepting = expect(server.accept({ signal: controller.signal })).rejects.toThrow('enough')
    await delay(10)
    controller.abort(new Error('enough'))
    await accepting
    using _client = await FdSocket.connect(path)
    using accepted = await server.accept()
    expect(accepted).toBeInstanceOf(FdSocket)
  })
})

test('one receive() at a time', async () => {
  const [one, other] = openPair()
  const first = other.receive()
  await expect(other.receive()).rejects.toMatchObject({ code: 'EBUSY' })
  await one.send('x')
  expect(text((await first)?.data)).toBe('x')
})

test('send and receive wait at the same time', async () => {
  const [one, other] = openPair()
  const receiving = one.receive()
  const sending = one.send(new Uint8Array(4 << 20))
  await delay(10)
  await other.send('across')
  expect(text((await receiving)?.data)).toBe('across')
  for (let bytes = 0; bytes < 4 << 20; ) bytes += (await other.receive())?.data.length ?? 0
  await sending
})

describe('a server', () => {
  function listen(): { server: FdServer; path: string } {
    const path = join(tempFolder(), 'socket')
    const server = FdServer.listen(path)
    onTestFinished(() => server.close())
    return { server, path }
  }

  test('takes connections, one after the other', async () => {
    const { server, path } = listen()
    const accepting = server.accept()
    const first = await FdSocket.connect(path)
    const accepted = await accepting
    await first.send('hello')
    expect(text((await accepted?.receive())?.data)).toBe('hello')
    const second = await FdSocket.connect(path)
    const other = await server.accept()
    await other?.send('and you')
    expect(text((await second.receive())?.data)).toBe('and you')
    for (const socket of [first, second, accepted, other]) socket?.close()
  })

  test('iterates until it is closed', async () => {
    const { server, path } = listen()
    const sockets = [await FdSocket.connect(path), await FdSocket.connect(path)]
    let count = 0
    for await (const socket of server) {
      socket.close()
      if (++count === 2) server.close()
    }
    expect(count).toBe(2)
    for (const socket of sockets) {
      expect(await socket.receive()).toBeNull()
      socket.close()
    }
  })

  test('closing wakes who waits', async () => {
    const { server } = listen()
    const accepting = server.accept()
    server.close()
    server.close()
    expect(await accepting).toBeNull()
    expect(await server.accept()).toBeNull()
  })

  test('one accept() at a time', async () => {
    const { server } = listen()
    const accepting = server.accept()
    await expect(server.accept()).rejects.toMatchObject({ code: 'EBUSY' })
    server.close()
    await accepting
  })

  test('speaks with Node’s own sockets', async () => {
    const { server, path } = listen()
    const client = connect(path)
    const accepted = await server.accept()
    client.end('plain')
    expect(text((await accepted?.receive())?.data)).toBe('plain')
    expect(await accepted?.receive()).toBeNull()
    accepted?.close()
  })

  test('gets descriptors from another process', async () => {
    const { server, path } = listen()
    const script = `
import socket, sys
with socket.socket(socket.AF_UNIX) as s, open("/proc/version") as f:
    s.connect(sys.argv[1]); socket.send_fds(s, [b"from python"], [f.fileno()]); s.recv(1)
`
    const running = runBeside(PYTHON, '-c', script, path)
    const accepted = await server.accept()
    const received = await receiveFds(accepted as FdSocket)
    expect(text(received?.data)).toBe('from python')
    expect(readFileSync(received?.fds[0] as number, 'utf8')).toMatch(/^Linux version/)
    closeAll(received?.fds)
    accepted?.close()
    await running
  })

  test('a path that is taken, missing, or too long', async () => {
    const { path } = listen()
    expect(() => FdServer.listen(path)).toThrow(expect.objectContaining({ code: 'EADDRINUSE', link: path }))
    await expect(FdSocket.connect(`${path}-none`)).rejects.toMatchObject({ code: 'ENOENT', syscall: 'connect' })
    const long = `/tmp/${'x'.repeat(200)}`
    await expect(FdSocket.connect(long)).rejects.toMatchObject({ code: 'ENAMETOOLONG', link: long })
    expect(existsSync(path)).toBe(true)
  })
})

describe('sendFds()', () => {
  test('over a connection', async () => {
    const [one, other] = openPair()
    const { fd, path } = openFile()
    await sendFds(one, [fd], 'x')
    const received = await receiveFds(other)
    expect(readlinkSync(`/proc/self/fd/${received?.fds[0]}`)).toBe(path)
    closeAll(received?.fds)
  })

  test('over a new connection to a path, which is closed then', async () => {
    const path = join(tempFolder(), 'socket')
    const server = FdServer.listen(path)
    const { fd, path: file } = openFile()
    await sendFds(path, [fd], 'x')
    const accepted = await server.accept()
    const received = await accepted?.receive()
    expect(readlinkSync(`/proc/self/fd/${received?.fds[0]}`)).toBe(file)
    expect(await accepted?.receive()).toBeNull()
    closeAll(received?.fds)
    accepted?.close()
    server.close()
  })
})

describe('collected while open', () => {
  /** Runs the collector until something happens. */
  async function collectUntil(condition: () => boolean): Promise<void> {
    await expect
      .poll(
        async () => {
          global.gc?.()
          await delay(1)
          return condition()
        },
        { timeout: 10_000 }
      )
      .toBe(true)
  }

  test('a socket is closed, with a warning', async () => {
    const warnings: string[] = []
    const listener = (warning: Error & { code?: string }) => warnings.push(`${warning.code}: ${warning.message}`)
    process.on('warning', listener)
    onTestFinished(() => {
      process.off('warning', listener)
    })
    const before = openFiles()
    ;(() => {
      FdSocket.pair()
    })()
    const ours = newFiles(before)
    expect(ours).toHaveLength(2)
    await collectUntil(() => warnings.length === 2)
    expect(warnings[0]).toBe('LINKWRIGHT_LEAK: the socket was garbage-collected while open; call close()')
    await expect.poll(() => openFiles().filter(file => ours.includes(file))).toEqual([])
  })

  test('one that is waited for is not', async () => {
    const got = (async () => {
      const [one, other] = FdSocket.pair()
      const receiving = other.receive()
      setTimeout(() => one.send('still there').then(() => one.close()), 100)
      const received = await receiving
      other.close()
      return text(received?.data)
    })()
    for (let round = 0; round < 10; round++) {
      global.gc?.()
      await delay(5)
    }
    expect(await got).toBe('still there')
  })
})
