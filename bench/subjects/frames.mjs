// linkwright itself in the `frames` suite. [API] marks what has to follow the library's public face.

import * as linkwright from '../../dist/index.js' // [API]

const { DROP, FrameBatch, Pipe, Switch, Tap, UdpPort } = linkwright // [API]

import { ethertypes, passes, run } from '../frames/harness.mjs'

const OFFLOADS = { csum: true, tso4: true, tso6: true, tsoEcn: true, uso4: true, uso6: true } // [API]

// What nobody holds is collected and closed.
const kept = []

async function keep(opening) {
  const opened = await opening
  kept.push(opened)
  return opened
}

const open = (name, options) => keep(Tap.open({ name, ...options })) // [API]
const openWithOffloads = name => open(name, { vnetHeader: true, offloads: OFFLOADS }) // [API]

function countTypes({ bytes, offsets, length }) {
  for (let i = 0; i < length; i++) {
    const at = offsets[i] + 12
    ethertypes[(bytes[at] << 8) | bytes[at + 1]]++
  }
}

// On the event loop, as a program would.
async function read({ note }) {
  const tap = await open('lw0')
  void (async () => {
    // [API] the iterator of batches
    for await (const batch of tap.frames()) {
      countTypes(batch)
      note(batch.length)
    }
  })()
}

function swapAddresses({ bytes, offsets, length }) {
  for (let i = 0; i < length; i++) {
    const at = offsets[i]
    for (let byte = at; byte < at + 6; byte++) {
      const destination = bytes[byte]
      bytes[byte] = bytes[byte + 6]
      bytes[byte + 6] = destination
    }
  }
}

async function echo(options) {
  const tap = await open('lw0')
  const queue = tap.frames() // [API]
  void (async () => {
    // [API] busyPoll in microseconds
    for await (const batch of queue.batches(options)) {
      swapAddresses(batch)
      queue.writeBatch(batch) // [API]
    }
  })()
}

async function pipe(opener) {
  const [a, b] = [await opener('lw0'), await opener('lw1')]
  await keep(Pipe.open(a, b)) // [API]
}

const tunnelAddress = end => ({ address: `192.168.9.${end}`, port: 4789 })

// [API] merge: segments of a TCP stream are put together before they are written to the TAP
async function tunnel(end, options) {
  const tap = await openWithOffloads('lw0')
  const udp = await keep(UdpPort.open({ local: tunnelAddress(end), remote: tunnelAddress(3 - end) })) // [API]
  await keep(Pipe.open(tap, udp, options)) // [API]
}

const SWITCH_PORTS = 8

await run({
  read,
  flood: read,

  // With a loop of one's own: no event loop between the batches of a burst.
  async 'read-sync'({ note }) {
    const tap = await open('lw0')
    const queue = tap.frames() // [API]
    const batch = queue.createBatch() // [API]
    void (async () => {
      for (;;) {
        await queue.readable() // [API]
        // [API] 0: nothing more is there
        while (queue.readBatch(batch) > 0) {
          countTypes(batch)
          note(batch.length)
        }
      }
    })()
  },

  async write({ size, burst }) {
    const tap = await open('lw0')
    const queue = tap.frames() // [API]
    const batch = new FrameBatch() // [API]
    const frame = new Uint8Array(size)
    frame.set([2, 0, 0, 0, 1, 0, 2, 0, 0, 0, 2, 0, 0x88, 0xb5])
    while (batch.length < batch.capacity) batch.push(frame) // [API]
    let written = 0
    return () => {
      let sequence = written
      for (let left = burst; left > 0; ) {
        const count = Math.min(left, batch.capacity)
        const { bytes, offsets } = batch
        for (let i = 0; i < count; i++, sequence++) {
          const at = offsets[i] + 14
          bytes[at] = sequence
          bytes[at + 1] = sequence >> 8
          bytes[at + 2] = sequence >> 16
          bytes[at + 3] = sequence >> 24
        }
        // [API] frames of the batch from, to; how many were written
        if (queue.writeBatch(batch, 0, count) !== count) throw queue.writeError
        left -= count
      }
      written = sequence
    }
  },

  // JavaScript decides, native code moves.
  async forward() {
    const [from, to] = [await open('lw0'), await open('lw1')]
    const [input, output] = [from.frames(), to.frames()] // [API]
    const ports = [output]
    const verdicts = new Int32Array(64)
    void (async () => {
      // [API] verdicts: a position in ports, or DROP
      for await (const batch of input) {
        const { bytes, offsets, length } = batch
        for (let i = 0; i < length; i++) verdicts[i] = passes(bytes, offsets[i]) ? 0 : DROP
        input.forward(batch, verdicts, ports)
      }
    })()
  },

  pipe: () => pipe(open),
  tcp: () => pipe(openWithOffloads),
  'tcp-plain': () => pipe(open),

  async switch() {
    const ports = []
    while (ports.length < SWITCH_PORTS) ports.push(await open(`lw${ports.length}`))
    await keep(Switch.open({ ports })) // [API]
  },

  tunnel: ({ end }) => tunnel(end, { merge: true }),
  'tunnel-apart': ({ end }) => tunnel(end, {}),

  echo: () => echo({}),
  'echo-busy': () => echo({ busyPoll: 1000 })
})
