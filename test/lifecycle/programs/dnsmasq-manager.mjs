/** Opens a network's dnsmasq, in this thread or in a worker that is terminated then, and says its pid and whether it ran. */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { Dnsmasq } from '../../../dist/index.js'

const [netns, directory, how] = isMainThread ? process.argv.slice(2) : workerData
if (isMainThread && how === 'worker') {
  const worker = new Worker(new URL(import.meta.url), { workerData: [netns, directory, 'wait'] })
  const said = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  await worker.terminate()
  console.log(said)
} else {
  const dnsmasq = await Dnsmasq.open({
    name: 'net0',
    interface: 'br0',
    netns,
    directory,
    addresses: ['192.0.2.1/24'],
    dhcp4: { ranges: [{ start: '192.0.2.100', end: '192.0.2.199' }] }
  })
  const said = `${dnsmasq.pid} ${dnsmasq.adopted}`
  if (isMainThread) console.log(said)
  else parentPort.postMessage(said)
  if (how === 'wait') setInterval(() => {}, 1000)
}
