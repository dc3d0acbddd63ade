// The `frames` suite: frames of TAP devices read, written and moved.
import { Sandbox } from '../sandbox.mjs'
import { forward, pipe, read, switching, write } from './bursts.mjs'
import { silence } from './devices.mjs'
import { echo } from './echo.mjs'
import { flood } from './flood.mjs'
import { Generator } from './generator.mjs'
import { tcp, tunnel } from './iperf.mjs'
import { subjects } from './subjects.mjs'
import { workloads } from './workloads.mjs'

const measures = { read, write, forward, pipe, switch: switching, tcp, tunnel, echo, flood }

// One namespace per workload and round, with a generator; the subjects' devices go with their processes.
class Arena {
  #world
  #workload

  constructor(world, workload) {
    this.#world = world
    this.#workload = workload
  }

  measure(subject, command) {
    const { kind } = this.#workload
    const { reportsGenerator = false } = subject
    return measures[kind](this.#world, this.#workload, { argument: subject.does[kind], command, reportsGenerator })
  }

  async close() {
    await this.#world.generator.close()
    await this.#world.sandbox.close()
  }
}

async function open(workload, { quick }) {
  const sandbox = await Sandbox.open()
  try {
    await silence(sandbox)
    return new Arena({ sandbox, generator: await Generator.start(sandbox), quick }, workload)
  } catch (error) {
    await sandbox.close()
    throw error
  }
}

const takesPart = (subject, workload) => Object.hasOwn(subject.does, workload.kind)

const percent = share => `${(share * 100).toFixed(1)} %`

// Lost frames of those sent; the subject's processor time.
const columns = [
  {
    head: 'lost',
    cell: ({ lost, lostShare, retransmits }) =>
      lostShare !== undefined ? percent(lostShare) : retransmits !== undefined ? `${retransmits} retr` : `${lost ?? ''}`
  },
  {
    head: 'CPU',
    cell: ({ cpuNsPerFrame, cpuSecondsPerGB }) =>
      cpuNsPerFrame !== undefined
        ? `${Math.round(cpuNsPerFrame)} ns/frame`
        : cpuSecondsPerGB !== undefined
          ? `${cpuSecondsPerGB.toFixed(2)} s/GB`
          : ''
  }
]

export const suite = { name: 'frames', quickRounds: 2, workloads, subjects, columns, takesPart, open }
