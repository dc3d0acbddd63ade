/** Forgets open objects; they are collected, closed and warned of. */
import { readdirSync, readlinkSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { Netlink, Tap } from '../../../dist/index.js'

const warnings = []
process.on('warning', warning => warnings.push(warning.code))
/** Sockets and devices; threads of the engine have descriptors of their own. */
const fds = () =>
  readdirSync('/proc/self/fd').filter(fd => {
    try {
      return /net\/tun|socket:/.test(readlinkSync(`/proc/self/fd/${fd}`))
    } catch {
      return false
    }
  }).length
const net = await Netlink.open()
const before = fds()
const opened = await (async () => {
  const held = []
  for (let i = 0; i < 5; i++) held.push(await Netlink.open())
  for (let i = 0; i < 5; i++) held.push(await Tap.open({ name: 'gc%d' }))
  for (let i = 0; i < 5; i++) {
    const watch = net.watch({ links: true })
    held.push(watch)
    await watch.next()
  }
  const count = fds() - before
  // Up to here nothing may be collected.
  held.length = 0
  return count
})()
for (let tries = 0; (fds() > before || warnings.length < 15) && tries < 200; tries++) {
  global.gc()
  await delay(20)
}
const links = (await net.links.list({ kind: 'tun' })).length
console.log(JSON.stringify({ opened, left: fds() - before, warnings, links }))
net.close()
