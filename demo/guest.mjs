/** A guest made of a few lines of JavaScript: reads frames from descriptors and answers them. */
import { readSync, writeSync } from 'node:fs'
import { answer } from './frames.mjs'

/**
 * Answers on all queues of a TAP or macvtap device until it is stopped.
 *
 * @param {import('../dist/index.js').Tap | import('../dist/index.js').Macvtap} device
 * @param {{ mac: string, ip: string, header?: number }} self `header`: bytes of the virtio-net header before each frame
 */
export function startGuest(device, { mac, ip, header = 0 }) {
  const answered = { arp: 0, icmp: 0, udp: 0 }
  const buffer = Buffer.alloc(65_536 + header)
  let running = true

  /** All frames of a queue that are there. */
  const drain = fd => {
    for (;;) {
      let length
      try {
        length = readSync(fd, buffer)
      } catch (error) {
        if (error.code === 'EAGAIN') return
        throw error
      }
      const found = answer(buffer.subarray(header, length), { mac, ip })
      if (!found) continue
      writeSync(fd, Buffer.concat([Buffer.alloc(header), found.reply]))
      answered[found.asked]++
    }
  }
  const turn = () => {
    if (!running) return
    for (const fd of device.fds) drain(fd)
    setImmediate(turn)
  }
  turn()
  return {
    answered,
    stop() {
      running = false
    }
  }
}
