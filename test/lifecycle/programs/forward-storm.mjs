/**
 * A switch and a pipe under full load: with a bridge of the kernel each is a loop, in which a broadcast never ends. Ends
 * as its argument says. As a worker it tells its parent, and goes on until it is terminated.
 */
import { writeSync } from 'node:fs'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { Netlink, Pipe, Switch, Tap } from '../../../dist/index.js'

const [end = 'return', delay = '0'] = process.argv.slice(2)
const BROADCAST = Buffer.concat([Buffer.from('ffffffffffff02000000000188b5', 'hex'), Buffer.alloc(100)])

/** Ports of a bridge, and so far no loop. */
async function ring(net, prefix, count, options = {}) {
  await net.links.create({ kind: 'bridge', name: `${prefix}br`, up: true })
  const names = Array.from({ length: count }, (_, at) => `${prefix}${at}`)
  return Promise.all(names.map(name => Tap.open({ name, master: `${prefix}br`, up: true, queues: 2, ...options })))
}

async function storm() {
  const net = await Netlink.open()
  const prefix = `s${Math.random().toString(36).slice(2, 6)}`
  const ports = await ring(net, `${prefix}a`, 4)
  const sw = await Switch.open({ ports })
  const [one, other] = await ring(net, `${prefix}b`, 2, { vnetHeader: 12 })
  const pipe = await Pipe.open(one, other)
  for (const port of [...sw.ports, pipe.a]) port.mirror = frames => frames.bytes.at(-1)
  for (let at = 0; at < 50; at++) {
    writeSync(ports[0].fd, BROADCAST)
    writeSync(one.fd, Buffer.concat([Buffer.alloc(12), BROADCAST]))
  }
  while (sw.counters.txFrames < 10_000 || pipe.counters.txFrames < 10_000) await new Promise(setImmediate)
  return { net, sw, pipe, ports }
}

if (!isMainThread) {
  const { sw, ports } = await storm()
  parentPort.postMessage('stormy')
  // Ports come and go meanwhile.
  for (let at = 0; ; at = (at + 1) % ports.length) {
    const port = sw.ports.find(({ source }) => source === ports[at])
    if (!port) await sw.addPort(ports[at])
    else if (at % 2) await sw.removePort(port)
    else {
      port.pause()
      port.resume()
    }
    await new Promise(setImmediate)
  }
}

switch (end) {
  case 'exit':
    await storm()
    console.log('stormy')
    setTimeout(() => process.exit(7), Number(delay))
    break
  case 'throw':
    await storm()
    setTimeout(() => {
      throw new Error('on purpose')
    }, Number(delay))
    break
  case 'wait':
    await storm()
    console.log('stormy')
    break
  case 'closing':
    // Exits in the middle of closing and removing.
    await storm().then(({ sw, pipe }) => {
      sw.removePort(sw.ports[0])
      pipe.close({ drain: true })
      sw.close()
    })
    setTimeout(() => process.exit(7), Number(delay))
    break
  case 'close': {
    const { sw, pipe, net } = await storm()
    const start = performance.now()
    await Promise.all([sw.close({ drain: true, timeout: 200 }), pipe.close()])
    console.log(JSON.stringify({ took: performance.now() - start }))
    net.close()
    break
  }
  case 'workers':
    for (let round = 0; round < 6; round++) {
      const worker = new Worker(new URL(import.meta.url))
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
      await new Promise(resolve => setTimeout(resolve, round * 15))
      const start = performance.now()
      await worker.terminate()
      const took = performance.now() - start
      if (took > 2000) throw new Error(`terminating took ${took} ms`)
    }
    console.log('terminated')
    break
  default:
    throw new Error(`no such end: ${end}`)
}
