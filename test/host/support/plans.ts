/** Plans that are made up, and the guards of those that are applied. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { Plan, type PlanParts } from '../../../lib/host/plan.js'
import type { Step } from '../../../lib/host/step.js'
import type { Operation } from '../../../lib/host/way-back.js'
import type { Netlink } from '../../../lib/index.js'
import type { Namespace } from '../../support/namespace.js'

/** Processes of guards in a namespace; those that nobody waits for any more are gone. */
export function guards({ path }: Namespace): string[] {
  const wanted = `net:[${statSync(path).ino}]`
  return readdirSync('/proc').filter(pid => {
    try {
      return (
        /^\d+$/.test(pid) &&
        /^\d+ \(linkwright-guar\) [^ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8')) &&
        readlinkSync(`/proc/${pid}/ns/net`) === wanted
      )
    } catch {
      return false
    }
  })
}

export async function guardsGone(ns: Namespace): Promise<void> {
  for (let waited = 0; guards(ns).length > 0; waited += 20) {
    if (waited > 10_000) throw new Error('a guard does not end')
    await setTimeout(20)
  }
}

export const planOf = (net: Netlink, steps: readonly Step[], more: Partial<PlanParts> = {}): Plan =>
  new Plan({
    net,
    steps,
    conflicts: [],
    warnings: [],
    verify: async () => [],
    links: [],
    made: [],
    ...more
  })

export const stepOf = (name: string, apply: Step['apply'] = async () => {}, back: Step['back'] = []): Step => ({
  name,
  commands: [],
  back,
  apply
})

/** Two steps, of which the second fails after it has said what else is to be undone. */
export const failingPlan = (net: Netlink, ...also: Operation[]): Plan =>
  planOf(net, [
    stepOf('first'),
    stepOf('second', async ({ undoAlso }) => {
      for (const operation of also) await undoAlso(operation)
      throw new Error('enough')
    })
  ])
