/** Echoes the frames of a queue as fast as they come. */
import { parentPort, workerData } from 'node:worker_threads'
import { FrameQueue } from '../../../dist/index.js'

const queue = await FrameQueue.duplicate(workerData.fd)
parentPort.postMessage('reading')
let frames = 0
for await (const batch of queue.batches({ busyPoll: 20 })) {
  frames += queue.writeBatch(batch)
  workerData.echoed[workerData.at] = frames
}
