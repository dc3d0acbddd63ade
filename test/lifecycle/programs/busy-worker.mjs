/** Much under way in a worker, until it is terminated. */
import { parentPort } from 'node:worker_threads'
import { Netlink, Tap } from '../../../dist/index.js'

const ignore = () => {}
const net = await Netlink.open()
const prefix = `w${Math.random().toString(36).slice(2, 6)}`
const tap = await Tap.open({ name: `${prefix}%d`, queues: 2, up: true })
parentPort?.postMessage(tap.name)
setInterval(() => {
  net.links.list().catch(ignore)
  for (let i = 0; i < 50; i++) net.links.get('lo').catch(ignore)
  net.links.createMany(Array.from({ length: 20 }, () => ({ kind: 'ifb', name: `${prefix}i%d` }))).catch(ignore)
  Tap.open({ name: `${prefix}x%d` }).then(other => other.close(), ignore)
}, 1)
