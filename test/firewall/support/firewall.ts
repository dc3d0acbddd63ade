/** A namespace with our door to nf_tables, and nft looking at the same. */
import { execFileSync } from 'node:child_process'
import { Nftables } from '../../../lib/index.js'
import { test as base, createNamespace, type Namespace } from '../../support/namespace.js'

/** nft in a namespace: the second source. */
export class Nft {
  constructor(readonly name: string) {}

  /** Runs commands; throws what nft prints on failure. */
  run(commands: string): string {
    return execFileSync('ip', ['netns', 'exec', this.name, 'nft', '-f', '-'], {
      input: commands,
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'pipe']
    })
  }

  list(...options: string[]): string {
    return execFileSync('ip', ['netns', 'exec', this.name, 'nft', ...options, 'list', 'ruleset'], { encoding: 'utf8' })
  }

  // biome-ignore lint/suspicious/noExplicitAny: what another program prints
  json(): any[] {
    return JSON.parse(this.list('-j')).nftables.slice(1)
  }

  /** The rules of a chain as nft writes them. */
  rules(family: string, table: string, chain: string): string[] {
    const text = execFileSync('ip', ['netns', 'exec', this.name, 'nft', 'list', 'chain', family, table, chain], {
      encoding: 'utf8'
    })
    return text
      .split('\n')
      .slice(2, -3)
      .map(line => line.trim())
      .filter(line => line !== '' && !/^(type \w+ hook|comment ")/.test(line))
  }
}

/** `test` with a namespace, nft in it, and our own socket to it. */
export const test = base.extend<{ nft: Nft; firewall: Nftables; another: Namespace }>({
  nft: async ({ ns }, use) => use(new Nft(ns.name)),
  firewall: async ({ ns }, use) => {
    await using firewall = await Nftables.open({ netns: ns.name })
    await use(firewall)
  },
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the parameter's pattern
  another: async ({}, use) => {
    await using ns = await createNamespace()
    await use(ns)
  }
})
