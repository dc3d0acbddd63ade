// What the subjects of the `frames` suite that are written in JavaScript have in common: the lines that they exchange
// with the benchmark, and what is counted. argv is <workload> <bytes a frame> <frames a burst> [end of the tunnel].
import { createInterface } from 'node:readline'
import { getHeapStatistics } from 'node:v8'
import { watchEventLoop } from '../event-loop.mjs'

const [name, sizeText, burstText, endText] = process.argv.slice(2)
const [kind] = name.split('-') // 'echo-busy' is another way to do 'echo'
const burst = Number(burstText)
const say = line => process.stdout.write(`${line}\n`) // synchronous, as it is a pipe

/** The devices are there; from here on `on[line]` is called for what the benchmark says, and the end is the end. */
function obey(on, report) {
  const input = createInterface({ input: process.stdin })
  input.on('line', line => on[line]())
  input.on('close', () => {
    say(JSON.stringify(report()))
    process.kill(process.pid, 'SIGKILL') // exit() would wait for a thread of the pool in a read that never ends
  })
  say('ready')
}

/** Times each burst from when its first batch was dealt with. */
class Bursts {
  #seen = 0
  #first = 0
  #start = 0

  note(frames) {
    if (this.#seen === 0) {
      this.#first = frames
      this.#start = performance.now()
    }
    this.#seen += frames
    if (this.#seen < burst) return
    const seconds = (performance.now() - this.#start) / 1000
    say(`${this.#seen - this.#first} ${seconds}`)
    this.#seen = 0
  }
}

const heapUsed = () => getHeapStatistics().used_heap_size

function settledHeap() {
  globalThis.gc()
  globalThis.gc()
  return heapUsed()
}

const SAMPLE_MS = 10

// Heap and timers between "begin" and "end". What grew between two looks at the heap was allocated.
class Watch {
  #begun
  #counted
  #frames

  constructor(counted) {
    this.#counted = counted
  }

  async begin() {
    const rehearsal = await watchEventLoop() // what the watching itself leaves in the heap
    await rehearsal.stop()
    const begun = { heap: settledHeap(), garbage: 0, last: heapUsed() }
    begun.timer = setInterval(() => {
      const now = heapUsed()
      begun.garbage += Math.max(0, now - begun.last)
      begun.last = now
    }, SAMPLE_MS)
    this.#begun = begun
    begun.loop = await watchEventLoop()
    this.#frames = this.#counted()
    say('{}')
  }

  async end() {
    const frames = this.#counted() - this.#frames
    const { heap, garbage, loop, timer } = this.#begun
    const { eventLoopDelayP99Ms: loopP99, eventLoopDelayMaxMs: loopMax } = await loop.stop()
    clearInterval(timer)
    const perMillion = bytes => bytes / frames
    say(
      JSON.stringify({
        frames,
        heap: perMillion(Math.max(0, settledHeap() - heap)),
        garbage: perMillion(garbage),
        loopP99,
        loopMax
      })
    )
  }
}

const counts = new Uint32Array(65_536)

/** Counts frames of each EtherType. */
export const ethertypes = counts

const types = () => {
  const seen = [...counts.entries()].filter(([, count]) => count > 0)
  return Object.fromEntries(seen.map(([type, count]) => [type.toString(16).padStart(4, '0'), count]))
}

const total = () => counts.reduce((sum, count) => sum + count, 0)

/**
 * The policy of the workload `forward`: stations 02:00:00:00:01:xx are spoken to by 02:00:00:00:02:xx, of which every
 * sixteenth may not.
 */
export const policy = {
  destination: new Uint8Array(256).fill(1),
  source: new Uint8Array(256).fill(1)
}
for (let station = 15; station < 256; station += 16) policy.source[station] = 0

/** Whether the frame at `at` may pass, by both of its addresses. */
export function passes(bytes, at) {
  return (
    bytes[at] === 2 &&
    (bytes[at + 1] | bytes[at + 2] | bytes[at + 3]) === 0 &&
    bytes[at + 4] === 1 &&
    policy.destination[bytes[at + 5]] === 1 &&
    bytes[at + 6] === 2 &&
    (bytes[at + 7] | bytes[at + 8] | bytes[at + 9]) === 0 &&
    bytes[at + 10] === 2 &&
    policy.source[bytes[at + 11]] === 1
  )
}

/**
 * Runs the workload that was asked for. A subject has a function for each that it takes part in, by the first argument:
 *
 * - read(note), flood(note): counts frames in `ethertypes`, and calls note(frames) with each batch that was counted
 * - write({ size, burst }): returns a function that writes a burst
 * - forward(), pipe(), switch(), echo(), tcp(), tunnel({ end }): moves frames
 *
 * Each sets up what it needs before it resolves, and goes on by itself.
 */
export async function run(subject) {
  const bursts = new Bursts()
  const started = await subject[name]({
    size: Number(sizeText),
    burst,
    end: Number(endText ?? 1),
    note: kind === 'read' ? frames => bursts.note(frames) : () => {}
  })
  if (kind === 'read') obey({}, () => ({ types: types() }))
  else if (kind === 'write') obey({ go: () => writeBurst(started) }, () => ({}))
  else if (kind === 'flood') {
    const watch = new Watch(total)
    obey({ begin: () => watch.begin(), end: () => watch.end() }, () => ({}))
  } else obey({}, () => ({}))
}

async function writeBurst(write) {
  const start = performance.now()
  await write()
  say(`${burst} ${(performance.now() - start) / 1000}`)
}
