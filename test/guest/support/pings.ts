/** Who reaches whom, told by busybox's ping in guests and namespaces. */

import { execFile } from 'node:child_process'
import { expect } from 'vitest'
import type { Namespace } from '../../support/namespace.js'
import { inside } from '../../tap/support/system.js'
import type { Guest } from '../guest.mjs'

/** Where a ping starts: in a guest, in a namespace, or here. */
export type Station = Guest | Namespace | 'host'

const PINGS = 3

/** The output of a shell script there. */
export async function runAt(station: Station, script: string): Promise<string> {
  if (station !== 'host' && 'run' in station) return (await station.run(script)).output
  const netns = station === 'host' ? undefined : station.name
  const [command, ...args] = inside(netns, '/bin/busybox', 'sh', '-c', script)
  return new Promise(resolve => execFile(command, args, (_error, stdout, stderr) => resolve(stdout + stderr)))
}

/** How many of some pings were answered. */
export async function pings(
  from: Station,
  to: string,
  options: { count?: number; wait?: number } = {}
): Promise<number> {
  const { count = PINGS, wait = 10 } = options
  const family = to.includes(':') ? '-6' : '-4'
  const output = await runAt(from, `busybox ping ${family} -c ${count} -i 0.1 -W ${wait} ${to}`)
  const answered = /(\d+) packets received/.exec(output)?.[1]
  if (answered === undefined) throw new Error(`ping ${to} says: ${output}`)
  return Number(answered)
}

/** Fails unless all pings are answered. Those that wait for an ARP request of before are lost when it is given up. */
export async function expectReach(from: Station, ...targets: string[]): Promise<void> {
  const reach = async (to: string) => {
    let answered = 0
    for (let attempt = 0; answered < PINGS && attempt < 6; attempt++) answered = await pings(from, to, { wait: 3 })
    expect(answered, `answers from ${to}`).toBe(PINGS)
  }
  await Promise.all(targets.map(reach))
}

/** Fails if any ping is answered. */
export async function expectSilence(from: Station, ...targets: string[]): Promise<void> {
  const beSilent = async (to: string) => expect(await pings(from, to, { wait: 2 }), `answers from ${to}`).toBe(0)
  await Promise.all(targets.map(beSilent))
}

/** How many frames came in at a link of a namespace so far. */
export function framesReceived(namespace: Namespace, link: string): number {
  return namespace.tools.ipJson(`-s link show dev ${link}`)[0].stats64.rx.packets
}
