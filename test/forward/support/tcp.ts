/** Bytes over TCP between two namespaces. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { inside, PYTHON, runBeside } from '../../tap/support/system.js'

const RECEIVE = `
import hashlib, socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = socket.socket(family)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((sys.argv[1], 7000))
server.listen()
print("listening", flush=True)
connection, _ = server.accept()
digest, size = hashlib.sha256(), 0
while data := connection.recv(1 << 20):
    digest.update(data)
    size += len(data)
print(size, digest.hexdigest())
`

const SEND = `
import hashlib, os, socket, sys
data = os.urandom(int(sys.argv[2]))
with socket.create_connection((sys.argv[1], 7000), timeout=20) as connection:
    connection.sendall(data)
print(len(data), hashlib.sha256(data).hexdigest())
`

/** Sends random bytes; what was sent and what arrived, as size and digest. */
export async function transferTcp(
  from: string,
  to: string,
  address: string,
  bytes = 4 << 20
): Promise<{ sent: string; received: string }> {
  const [command, ...args] = inside(to, PYTHON, '-c', RECEIVE, address)
  const server = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    let output = ''
    server.stdout.setEncoding('utf8').on('data', text => (output += text))
    const ended = once(server.stdout, 'end')
    while (!output.includes('listening')) await Promise.race([once(server.stdout, 'data'), ended])
    const [sender, ...rest] = inside(from, PYTHON, '-c', SEND, address, String(bytes))
    const sent = await runBeside(sender, ...rest)
    await ended
    return { sent: sent.trim(), received: (output.split('\n')[1] ?? '').trim() }
  } finally {
    server.kill('SIGKILL')
  }
}
