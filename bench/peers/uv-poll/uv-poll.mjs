// The `frames` suite by a frame at a time from a uv_poll handle. The first argument is the addon's path.
import { createRequire } from 'node:module'
import process from 'node:process'

const [addon] = process.argv.splice(2, 1) // the others are the harness's
const { ethertypes, passes, run } = await import('../../frames/harness.mjs')
const { poll, write } = createRequire(import.meta.url)(addon)

function send(fd, frame) {
  if (write(fd, frame) !== frame.length) throw new Error('a frame was not written')
}

function read({ note }) {
  poll(3, frame => {
    ethertypes[frame.readUInt16BE(12)]++
    note(1)
  })
}

await run({
  read,
  flood: read,

  write({ size, burst }) {
    const frame = Buffer.alloc(size)
    frame.set([2, 0, 0, 0, 1, 0, 2, 0, 0, 0, 2, 0, 0x88, 0xb5])
    let sequence = 0
    return () => {
      for (let i = 0; i < burst; i++) {
        frame.writeUInt32LE(sequence, 14)
        sequence = (sequence + 1) >>> 0
        send(3, frame)
      }
    }
  },

  forward() {
    poll(3, frame => {
      if (passes(frame, 0)) send(4, frame)
    })
  },

  echo() {
    poll(3, frame => {
      const destination = Buffer.from(frame.subarray(0, 6))
      frame.copyWithin(0, 6, 12)
      destination.copy(frame, 6)
      send(3, frame)
    })
  }
})
