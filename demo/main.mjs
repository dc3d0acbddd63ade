/**
 * Shows what the package does, in namespaces of its own: links in a bridge and on lower devices, descriptors of TAP and
 * macvtap devices, and real frames through them. Ends with status 0 when everything that is possible here happened.
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { probe } from '../dist/index.js'
import { startGuest } from './guest.mjs'
import { isIcmp, ping, pingProgram } from './ping.mjs'
import { isOrdinaryUser, runInSandbox } from './sandbox.mjs'
import { failed, heading, leftOut, passed, showTable, showTree } from './show.mjs'
import { makeBridge, makeMacvtaps, openMacvtap, openTap, openWorld, removeLinks, TAPS } from './world.mjs'

runInSandbox(fileURLToPath(import.meta.url))

const began = performance.now()
let failures = 0
let omissions = 0

/** Does something that was promised; a failure is told and counted. */
async function promise(text, action) {
  try {
    const more = await action()
    passed(more ? `${text}: ${more}` : text)
  } catch (error) {
    failures++
    failed(`${text}: ${error.message}`)
  }
}

/** What the system, not the package, refuses. */
const REFUSED = ['EACCES', 'ENOENT', 'ENODEV', ...(isOrdinaryUser ? ['EPERM'] : [])]

/** Opens devices one after the other; those that cannot be opened here are told, with the reason. */
async function openAll(wanted, open) {
  const opened = []
  const refused = new Map()
  for (const item of wanted) {
    try {
      opened.push({ device: await open(item), ...item })
    } catch (error) {
      if (REFUSED.includes(error.code)) {
        omissions++
        const reason = `${error.code}: ${error.diagnosis ?? error.message}`
        refused.set(reason, [...(refused.get(reason) ?? []), item.name])
      } else {
        failures++
        failed(`${item.name}: ${error.message}`)
      }
    }
  }
  for (const [reason, names] of refused) leftOut(`not opened here: ${names.join(', ')} (${reason})`)
  return opened
}

const milliseconds = time => (time === undefined ? '' : `${time.toFixed(2)} ms`)

heading('Here')
const can = await probe()
passed(
  `Linux ${can.kernel}, ${isOrdinaryUser ? 'an ordinary user in a user namespace' : 'root'}, a namespace of its own`
)
for (const [what, finding] of Object.entries({ 'TUN and TAP': can.tun, 'macvtap links': can.kinds.macvtap })) {
  if (!finding.available) leftOut(`${what}: ${finding.reason} (${finding.remedy})`)
}

const world = await openWorld()
const devices = []
const rows = []
try {
  heading('Links')
  await promise('a bridge with an uplink', () => makeBridge(world))
  let macvtaps = []
  await promise('macvtap links in five modes on two lower devices', async () => {
    macvtaps = await makeMacvtaps(world)
  })
  if (isIcmp) {
    await promise('the outside reaches the bridge', async () => {
      const { sent, answered, median } = await ping('192.0.2.2', world.outsideFd)
      if (answered !== sent) throw new Error(`${answered} of ${sent} pings answered by the kernel`)
      return `${answered} of ${sent} pings answered by the kernel, median ${milliseconds(median)}`
    })
  }

  heading('Descriptors')
  devices.push(...(await openAll(TAPS, tap => openTap(world, tap))))
  devices.push(...(await openAll(macvtaps, link => openMacvtap(world, link))))
  if (devices.length > 0)
    passed(`${devices.length} devices, ${devices.flatMap(({ device }) => device.fds).length} descriptors`)

  heading('What exists')
  await showTree(world.here, world.outside)

  if (devices.length > 0) {
    heading(`Pings from the namespace outside (${pingProgram}), answered by JavaScript`)
    for (const { device, mac, ip, header, kind, on } of devices) {
      const guest = startGuest(device, { mac, ip, header })
      const { sent, answered, median } = await ping(ip, world.outsideFd)
      guest.stop()
      const byUs = guest.answered.icmp + guest.answered.udp
      if (answered !== sent || byUs < sent || guest.answered.arp === 0) failures++
      const fds = device.fds.join(' ')
      rows.push([
        device.name,
        kind,
        on,
        mac,
        fds,
        guest.answered.arp,
        `${Math.min(answered, byUs)} of ${sent}`,
        milliseconds(median)
      ])
    }
    showTable(['link', 'kind', 'on', 'MAC', 'fds', 'ARP', 'pings', 'median'], rows)
    const two = devices.find(({ device }) => device.fds.length > 1)
    if (two) {
      console.log(`  A guest would get ${two.device.name} with two queues:`)
      console.log("  spawn('qemu-system-x86_64', ['-netdev', 'tap,id=n0,fds=3:4', …],")
      console.log('        { stdio: [0, 1, 2, ...tap.fds] })')
    }
  }
} finally {
  heading('The end')
  const nodes = devices.map(({ device }) => device.node).filter(Boolean)
  for (const { device } of devices) await device.close()
  await removeLinks(world)
  await promise('everything is removed', async () => {
    const left = [...(await world.leftovers()), ...nodes.filter(existsSync)]
    if (left.length > 0) throw new Error(`these are left: ${left.join(', ')}`)
    return 'no link and no device node is left'
  })
  await world.close()
}

const seconds = ((performance.now() - began) / 1000).toFixed(1)
if (failures > 0) failed(`${failures} things went wrong, after ${seconds} s`)
else if (omissions > 0) leftOut(`done in ${seconds} s; ${omissions} devices were left out, for the reasons above`)
else passed(`done in ${seconds} s, with nothing left out`)
process.exitCode = failures > 0 ? 1 : 0
