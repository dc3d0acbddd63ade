// The `links` suite: creating, finding, listing and provisioning links over rtnetlink.
import { Sandbox } from '../sandbox.mjs'
import { figure, multiple } from '../table.mjs'
import { WARM_UPS } from './measure.mjs'
import { clearAll, ProvisionArena } from './provision-arena.mjs'
import { provisionWorkloads } from './provision-workloads.mjs'
import { compileLimit, subjects } from './subjects.mjs'
import { workloads as verbs } from './workloads.mjs'

// One namespace per workload and round, set up before the first subject and cleared after each.
class Arena {
  #sandbox
  #helper
  #workload
  #quick

  constructor(sandbox, helper, workload, quick) {
    this.#sandbox = sandbox
    this.#helper = helper
    this.#workload = workload
    this.#quick = quick
  }

  #size = sizes => sizes[this.#quick ? 'quick' : 'full']

  async #census() {
    return JSON.parse(await this.#sandbox.run(this.#helper, ['census', this.#workload.kind]))
  }

  async setUp() {
    const { name, kind, setup } = this.#workload
    if (setup) await this.#sandbox.run(this.#helper, ['setup', name, `${this.#size(setup)}`, kind])
  }

  async measure(subject, { verbs: [command, ...args] }) {
    const { name, unit, kind, creates } = this.#workload
    const count = Math.min(this.#size(this.#workload.count), subject.counts?.[name] ?? Number.POSITIVE_INFINITY)
    const before = creates && (await this.#census())
    try {
      const output = await this.#sandbox.run(command, [...args, name, `${count}`, kind, this.#helper])
      const sample = JSON.parse(output)
      if (sample.unit !== unit) throw new Error(`unit ${sample.unit} instead of ${unit}`)
      if (creates) this.#verify(before, await this.#census(), count)
      return sample
    } finally {
      if (creates) await this.#sandbox.run(this.#helper, ['clear'])
    }
  }

  // The kernel gives each new link the next index: so many were really created, in all runs, and so many are left.
  #verify(before, after, count) {
    const created = after.nextIndex - before.nextIndex - 1 // the census creates one itself
    const left = this.#workload.leaves ? count : 0
    const expected = (WARM_UPS + 1) * count
    if (created !== expected) throw new Error(`${created} links created instead of ${expected}`)
    if (after.links !== left || after.ofKind !== left) throw new Error(`${after.links} links left instead of ${left}`)
  }

  close = () => this.#sandbox.close()
}

async function open(workload, { quick }) {
  const helper = await compileLimit()
  if (workload.provisions) return new ProvisionArena(workload, helper, { quick })
  const sandbox = await Sandbox.open()
  const arena = new Arena(sandbox, helper, workload, quick)
  try {
    await arena.setUp()
    return arena
  } catch (error) {
    await sandbox.close()
    throw error
  }
}

const seconds = number => `${figure(number)} s`

const columns = [
  {
    head: 'timed',
    cell: ({ amount, of = amount, seconds: took }) => {
      if (amount === undefined) return ''
      const [some, all] = [amount, of].map(number => number.toLocaleString('en'))
      return `${amount === of ? all : `${some} of ${all}`} in ${seconds(took)}`
    }
  },
  {
    head: 'loop p99',
    cell: ({ eventLoopDelayP99Ms: delay }) => (delay === undefined ? '' : `${figure(delay)} ms`)
  },
  { head: 'linkwright is', cell: ({ oursToThis: ratio }) => (ratio === null ? '' : multiple(ratio)) }
]

const takesPart = (subject, workload) => subject.takesPart?.(workload) ?? !subject.isVariant

export const suite = {
  name: 'links',
  workloads: [...verbs, ...provisionWorkloads],
  subjects,
  columns,
  open,
  takesPart,
  roundsOf: (subject, workload) => (subject.isOurs || subject.isLimit ? undefined : workload.roundsOfOthers),
  cannot: (subject, workload) => subject.cannot?.[workload.provisions],
  abandon: clearAll
}
