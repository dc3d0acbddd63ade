/** A network namespace per test, with our library and iproute2 looking at it. */
import { execFileSync } from 'node:child_process'
import { test as base } from 'vitest'
import { Netlink } from '../../lib/index.js'
import { Tools } from './ip.js'

export interface Namespace extends AsyncDisposable {
  readonly name: string
  readonly path: string
  /** Ours. */
  readonly net: Netlink
  /** Theirs. */
  readonly tools: Tools
}

let count = 0

/** Makes a namespace below the runner's private /run/netns. */
export async function createNamespace(): Promise<Namespace> {
  const name = `lw-${process.pid}-${count++}`
  execFileSync('ip', ['netns', 'add', name])
  const net = await Netlink.open({ netns: name })
  return {
    name,
    path: `/run/netns/${name}`,
    net,
    tools: new Tools(name),
    async [Symbol.asyncDispose]() {
      net.close()
      execFileSync('ip', ['netns', 'del', name])
    }
  }
}

/** `test` with a fresh namespace, and another one for those that ask for it. */
export const test = base.extend<{ ns: Namespace; other: Namespace }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the parameter's pattern
  ns: async ({}, use) => {
    await using ns = await createNamespace()
    await use(ns)
  },
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the parameter's pattern
  other: async ({}, use) => {
    await using ns = await createNamespace()
    await use(ns)
  }
})
