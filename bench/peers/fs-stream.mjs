// The `frames` suite by streams of node:fs over the descriptor, as the npm package tuntap2 has them: one frame a read,
// on a thread of the pool, which the blocking descriptor keeps.

import { once } from 'node:events'
import { createReadStream, createWriteStream, write } from 'node:fs'
import { ethertypes, passes, run } from '../frames/harness.mjs'

const readable = fd => createReadStream('', { fd })

// Without a writev, which would make one frame of several.
const writable = fd => createWriteStream('', { fd, fs: { write, open() {}, close() {} } })

function read({ note }) {
  readable(3).on('data', frame => {
    ethertypes[frame.readUInt16BE(12)]++
    note(1)
  })
}

await run({
  read,
  flood: read,

  write({ size, burst }) {
    const stream = writable(3)
    const frame = Buffer.alloc(size)
    frame.set([2, 0, 0, 0, 1, 0, 2, 0, 0, 0, 2, 0, 0x88, 0xb5])
    let sequence = 0
    return async () => {
      for (let i = 1; i < burst; i++) {
        frame.writeUInt32LE(sequence++, 14)
        // The stream keeps the buffer until it is written.
        if (!stream.write(Buffer.from(frame))) await once(stream, 'drain')
      }
      await new Promise(resolve => stream.write(Buffer.from(frame), resolve))
    }
  },

  forward() {
    const out = writable(4)
    readable(3).on('data', frame => {
      if (passes(frame, 0)) out.write(frame)
    })
  },

  echo() {
    const out = writable(3)
    readable(3).on('data', frame => {
      const destination = Buffer.from(frame.subarray(0, 6))
      frame.copyWithin(0, 6, 12)
      destination.copy(frame, 6)
      out.write(frame)
    })
  }
})
