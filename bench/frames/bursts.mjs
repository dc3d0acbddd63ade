// Rates over bursts: read, write, forward, pipe, switch.
//
// The subject is stopped while the queues of its devices are filled, so what is timed is the draining alone, with nobody
// else at work: the generator is never the limit, and nothing is lost on the way.
import { setTimeout } from 'node:timers/promises'
import { median } from '../statistics.mjs'
import { Contestant } from './contestant.mjs'
import { count, names, raise } from './devices.mjs'
import { BURST, QUEUE } from './workloads.mjs'

const EFFORT = {
  full: { warmUps: 150, bursts: 200, seconds: 2 },
  quick: { warmUps: 15, bursts: 25, seconds: 0.3 }
}
const FEWEST = 4

// Calls `burst` untimed, then timed, until there are enough or the subject is too slow for so many.
async function repeat({ quick }, burst) {
  const { warmUps, bursts, seconds } = EFFORT[quick ? 'quick' : 'full']
  const several = async (most, limit) => {
    const samples = []
    const end = performance.now() + limit * 1000
    while (samples.length < most && (samples.length < FEWEST || performance.now() < end)) samples.push(await burst())
    return samples
  }
  const untimed = await several(warmUps, seconds / 2)
  return { untimed, timed: await several(bursts, seconds) }
}

const sum = (samples, of) => samples.reduce((total, sample) => total + of(sample), 0)

// The burst in the middle: one that the host's processor was taken away from says nothing about the subject. What a
// subject's own pauses are like is seen by the workload `flood`.
const middle = (timed, rate) => median(timed.map(rate))

async function withContestant({ sandbox }, command, args, use) {
  const contestant = await Contestant.start(sandbox, command, args)
  try {
    return await use(contestant)
  } finally {
    await contestant.kill()
  }
}

const SHARES = { '0800': 4, '86dd': 2, '0806': 1, '88b5': 1 } // of eight frames; limit/pattern.c

function verifyTypes(types, frames) {
  for (const [type, share] of Object.entries(SHARES)) {
    const expected = (frames / 8) * share
    if (types[type] !== expected) throw new Error(`${types[type]} frames of type ${type} instead of ${expected}`)
  }
}

/** The subject counts by EtherType, and times itself from the first batch it has dealt with to the last. */
export function read(world, { size }, { argument, command, reportsGenerator }) {
  const { sandbox, generator } = world
  return withContestant(world, command, [argument, size, BURST], async contestant => {
    await raise(sandbox, ['lw0'], `txqueuelen ${QUEUE}`)
    const { untimed, timed } = await repeat(world, async () => {
      const settings = { pattern: 'mixed', size, frames: BURST, marked: false, devices: ['lw0'] }
      const { filling } = await generator.burst(contestant.pid, settings)
      return { filling, ...(await contestant.burst()) }
    })
    const frames = (untimed.length + timed.length) * BURST
    const { tx_dropped: lost } = count(sandbox, ['lw0'])
    verifyTypes((await contestant.end()).types, frames)
    const generated = (timed.length * BURST) / sum(timed, sample => sample.filling)
    const rate = middle(timed, ({ frames, seconds }) => frames / seconds)
    return { value: reportsGenerator ? generated : rate, lost, check: 'all types' }
  })
}

// Nothing has to fit into a queue, and the first frames after a rest would weigh too much.
const WRITTEN = 16 * BURST

/** The subject times itself; the kernel counts. */
export function write(world, { size }, { argument, command }) {
  const { sandbox } = world
  return withContestant(world, command, [argument, size, WRITTEN], async contestant => {
    await raise(sandbox, ['lw0'], `txqueuelen ${QUEUE}`)
    const { untimed, timed } = await repeat(world, () => {
      contestant.say('go')
      return contestant.burst()
    })
    const frames = (untimed.length + timed.length) * WRITTEN
    const { rx_packets: arrived } = count(sandbox, ['lw0'])
    if (arrived > frames) throw new Error(`${arrived} frames arrived of ${frames}`)
    await contestant.end()
    const rate = middle(timed, ({ frames, seconds }) => frames / seconds)
    return { value: rate, lost: frames - arrived, check: 'written' }
  })
}

// Timed from outside, by the kernel's clock: from the arrival of a burst's first frame to that of its last.
function forwarding(world, { size }, { argument, command }, { ports, ingress, pattern, passed, learn }) {
  const { sandbox, generator } = world
  const devices = names(ports)
  const sources = names(ingress)
  return withContestant(world, command, [argument, size, BURST], async contestant => {
    await raise(sandbox, devices, `txqueuelen ${QUEUE}`)
    if (learn) await teach(world, contestant, { size, devices, stations: learn })
    const before = count(sandbox, devices)
    const cpuBefore = contestant.cpuSeconds()
    const { untimed, timed } = await repeat(world, () =>
      generator.burst(contestant.pid, { pattern, size, frames: BURST, marked: true, devices: sources })
    )
    const bursts = untimed.length + timed.length
    const cpu = (contestant.cpuSeconds() - cpuBefore) / (bursts * ingress * BURST)
    const expected = bursts * ingress * passed
    const arrived = await settle(() => count(sandbox, devices).rx_packets - before.rx_packets, expected)
    if (arrived > expected) throw new Error(`${arrived} frames arrived instead of ${expected}`)
    await contestant.end()
    const rate = middle(timed, ({ draining }) => (ingress * BURST - 1) / draining)
    return { value: rate, lost: expected - arrived, cpuNsPerFrame: cpu * 1e9, check: 'forwarded' }
  })
}

const SETTLE_MS = 20
const LATE_MS = 2_000

// Frames for other ports may come after the last marked one. More than expected may come late as well.
async function settle(arrived, expected) {
  const end = performance.now() + LATE_MS
  while (arrived() < expected && performance.now() < end) await setTimeout(SETTLE_MS)
  await setTimeout(SETTLE_MS)
  return arrived()
}

// Each station speaks once, to all, so that the switch knows them all.
async function teach({ sandbox, generator }, contestant, { size, devices, stations }) {
  const settings = { pattern: 'learn', size, frames: stations / devices.length, marked: false, devices }
  await generator.burst(contestant.pid, settings)
  const expected = stations * (devices.length - 1)
  const flooded = await settle(() => count(sandbox, devices).rx_packets, expected)
  if (flooded !== expected) throw new Error(`${flooded} frames were flooded instead of ${expected}`)
}

// The rule of the workload: of 16 frames in a row of 256, one station's are dropped.
const DROPPED = Array.from({ length: BURST - 1 }, (_, i) => i).filter(i => Math.trunc(i / 16) % 16 === 15).length

export const forward = (world, workload, entry) =>
  forwarding(world, workload, entry, { ports: 2, ingress: 1, pattern: 'pairs', passed: BURST - DROPPED })

export const pipe = (world, workload, entry) =>
  forwarding(world, workload, entry, { ports: 2, ingress: 1, pattern: 'pairs', passed: BURST })

// The limit takes part with its pipe, so that is what the switches are measured against.
const SWITCH = { ports: 8, ingress: 8, pattern: 'mesh', passed: BURST, learn: 1000 }

export const switching = (world, workload, entry) =>
  entry.argument === 'pipe' ? pipe(world, workload, entry) : forwarding(world, workload, entry, SWITCH)
