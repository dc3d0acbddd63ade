/** How fast TCP and datagrams go from one namespace to another, as the receiver sees it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'vitest'
import { inside, PYTHON } from '../../tap/support/system.js'

export interface Flow {
  from: string
  to: string
  /** Of the receiver. */
  address: string
  /** Megabits per second that are sent as datagrams of 1200 bytes, instead of TCP. */
  datagrams?: number
  /** Megabits per second that are expected. */
  rate: number
}

/**
 * Seconds: what is thrown away of the beginning, and what counts. A slow flow takes long to find its pace, and begins with
 * segments of 64 KiB that take half a second each.
 */
const timesFor = (rate: number) => (rate < 10 ? { warmUp: 5, measured: 8 } : { warmUp: 1, measured: 2 })

const RECEIVE = `
import socket, sys, time
address, kind, warm_up, measured = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
server = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((address, 7000))
if kind == "tcp": server.listen()
print("listening", flush=True)
connection = server.accept()[0] if kind == "tcp" else server
connection.settimeout(10)
end = time.monotonic() + warm_up
while (begin := time.monotonic()) < end: connection.recv(1 << 16)
size, last = 0, begin
while last < begin + measured:
    size += len(connection.recv(1 << 16))
    last = time.monotonic()
print(size * 8 / (last - begin) / 1e6)
`

const SEND = `
import socket, sys, time
address, kind, rate = sys.argv[1], sys.argv[2], float(sys.argv[3]) * 1e6
if kind == "tcp":
    with socket.create_connection((address, 7000), timeout=20) as connection:
        try:
            while True: connection.sendall(bytes(1 << 16))
        except OSError: pass
else:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM)
    data, begin, sent = bytes(1200), time.monotonic(), 0
    while True:
        if sent < (time.monotonic() - begin) * rate / 8:
            try: s.sendto(data, (address, 7000))
            except OSError: pass
            sent += len(data)
        else: time.sleep(0.0005)
`

/** Megabits of payload per second. */
export async function throughput({ from, to, address, datagrams, rate }: Flow): Promise<number> {
  const kind = datagrams ? 'udp' : 'tcp'
  const start = (namespace: string, script: string, ...args: unknown[]) => {
    const [command, ...rest] = inside(namespace, PYTHON, '-c', script, address, kind, ...args.map(String))
    return spawn(command, rest, { stdio: ['ignore', 'pipe', 'inherit'] })
  }
  const { warmUp, measured: seconds } = timesFor(rate)
  const receiver = start(to, RECEIVE, warmUp, seconds)
  let sender: ReturnType<typeof start> | undefined
  try {
    let output = ''
    receiver.stdout.setEncoding('utf8').on('data', text => (output += text))
    const ended = once(receiver, 'close')
    while (!output.includes('listening')) await Promise.race([once(receiver.stdout, 'data'), ended])
    sender = start(from, SEND, datagrams ?? 0)
    await ended
    const measured = Number(output.split('\n')[1])
    if (!Number.isFinite(measured) || measured === 0) throw new Error(`nothing was measured: ${output}`)
    return measured
  } finally {
    for (const child of [receiver, sender]) {
      if (!child || child.exitCode !== null || child.signalCode !== null) continue
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    }
  }
}

/** Another attempt where a busy machine slowed it down; faster than asked it must never be. */
const ATTEMPTS = 3

/** Whether `rate` megabits per second are kept within 10 %, without the headers, which count too. */
export async function expectRate(flow: Flow): Promise<void> {
  const { rate } = flow
  let measured = 0
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    measured = await throughput(flow)
    expect(measured).toBeLessThan(1.1 * rate)
    if (measured > 0.9 * rate) return
  }
  expect(measured).toBeGreaterThan(0.9 * rate)
}
