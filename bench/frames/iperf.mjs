// TCP between two namespaces, by iperf3: through what joins two TAPs (tcp), or through a tunnel over UDP (tunnel).
import { Sandbox } from '../sandbox.mjs'
import { Contestant } from './contestant.mjs'
import { ip, silence } from './devices.mjs'
import { BURST, TUNNEL_MTU } from './workloads.mjs'

const EFFORT = { full: { seconds: 3, omit: 1 }, quick: { seconds: 1, omit: 0 } }

// A queue of 1,000 frames is less than what TCP has under way: it would measure recovery from losses.
const TXQUEUELEN = 10_000
const LARGEST = 1514

const CLIENT = '10.9.0.1'
const SERVER = '10.9.0.2'

async function iperf({ quick }, client, server) {
  const { seconds, omit } = EFFORT[quick ? 'quick' : 'full']
  const listening = server.converse('iperf3', ['-s', '-1', '-B', SERVER, '--forceflush'])
  try {
    let line = ''
    while (!line.includes('listening')) line = await listening.answer()
    const args = ['-c', SERVER, '-B', CLIENT, '-t', `${seconds}`, '-O', `${omit}`, '-J']
    const { end } = JSON.parse(await client.run('iperf3', args, { timeout: 60_000 }))
    const { sum_sent: sent, sum_received: received } = end
    return { gigabits: received.bits_per_second / 1e9, bytes: received.bytes, retransmits: sent.retransmits }
  } finally {
    await listening.kill()
  }
}

async function open(count, use) {
  const sandboxes = []
  try {
    while (sandboxes.length < count) {
      sandboxes.push(await Sandbox.open())
      await silence(sandboxes.at(-1))
    }
    return await use(...sandboxes)
  } finally {
    for (const sandbox of sandboxes) await sandbox.close()
  }
}

const sample = ({ gigabits, retransmits }, extras) => ({ value: gigabits, retransmits, ...extras, check: 'received' })

// Processor time of the subjects for each gigabyte, both directions of TCP included.
function cpuMeter(contestants) {
  const seconds = () => contestants.reduce((sum, contestant) => sum + contestant.cpuSeconds(), 0)
  const before = seconds()
  return bytes => ({ cpuSecondsPerGB: (seconds() - before) / (bytes / 1e9) })
}

const address = (device, own, settings) => [`address add ${own}/24 dev ${device}`, `link set ${device} ${settings} up`]

// The TAPs' network sides move into namespaces of their own; the subject keeps the descriptors.
async function betweenTaps(world, argument, command) {
  const { sandbox } = world
  const contestant = await Contestant.start(sandbox, command, [argument, LARGEST, BURST])
  try {
    return await open(2, async (client, server) => {
      await ip(sandbox, `link set lw0 netns ${client.pid}`, `link set lw1 netns ${server.pid}`)
      await ip(client, ...address('lw0', CLIENT, `txqueuelen ${TXQUEUELEN}`))
      await ip(server, ...address('lw1', SERVER, `txqueuelen ${TXQUEUELEN}`))
      const cpu = cpuMeter([contestant])
      const result = await iperf(world, client, server)
      const extras = cpu(result.bytes)
      await contestant.end()
      return sample(result, extras)
    })
  } finally {
    await contestant.kill()
  }
}

// veth pairs from both namespaces into the kernel's bridge.
async function overBridge(world) {
  const { sandbox } = world
  return open(2, async (client, server) => {
    await ip(
      sandbox,
      'link add bridge0 type bridge stp_state 0',
      'link set bridge0 up',
      `link add port0 type veth peer name lw0 netns ${client.pid}`,
      `link add port1 type veth peer name lw1 netns ${server.pid}`,
      'link set port0 master bridge0 up',
      'link set port1 master bridge0 up'
    )
    await ip(client, ...address('lw0', CLIENT, ''))
    await ip(server, ...address('lw1', SERVER, ''))
    try {
      return sample(await iperf(world, client, server))
    } finally {
      await ip(sandbox, 'link delete port0', 'link delete port1', 'link delete bridge0')
    }
  })
}

export const tcp = (world, _workload, { argument, command }) =>
  argument === 'bridge' ? overBridge(world) : betweenTaps(world, argument, command)

const OUTER = end => `192.168.9.${end}`

// Two namespaces joined by a veth pair as the wire; each has its end of the tunnel.
export const tunnel = (world, _workload, { argument, command }) =>
  open(2, async (first, second) => {
    const ends = [first, second]
    await ip(first, `link add wire type veth peer name wire netns ${second.pid}`)
    for (const [i, sandbox] of ends.entries()) await ip(sandbox, ...address('wire', OUTER(i + 1), 'mtu 1500'))
    if (argument === 'vxlan') {
      for (const [i, sandbox] of ends.entries()) {
        const vxlan = `id 1 local ${OUTER(i + 1)} remote ${OUTER(2 - i)} dstport 4789 dev wire`
        await ip(sandbox, `link add lw0 type vxlan ${vxlan}`)
        await ip(sandbox, ...address('lw0', [CLIENT, SERVER][i], `mtu ${TUNNEL_MTU}`))
      }
      return sample(await iperf(world, first, second))
    }
    const contestants = []
    try {
      for (const [i, sandbox] of ends.entries()) {
        contestants.push(await Contestant.start(sandbox, command, [argument, LARGEST, BURST, i + 1]))
        await ip(sandbox, ...address('lw0', [CLIENT, SERVER][i], `mtu ${TUNNEL_MTU} txqueuelen ${TXQUEUELEN}`))
      }
      const cpu = cpuMeter(contestants)
      const result = await iperf(world, first, second)
      const extras = cpu(result.bytes)
      for (const contestant of contestants) await contestant.end()
      return sample(result, extras)
    } finally {
      for (const contestant of contestants) await contestant.kill()
    }
  })
