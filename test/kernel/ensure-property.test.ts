/**
 * Desired states at random, while others and we ourselves create, change, rename, move and delete links at random: once
 * they stop, `ensure` gets there, sends nothing the second time, and has touched nothing that is not its own.
 *
 * LINKWRIGHT_SEED: the first seed; LINKWRIGHT_SEEDS: how many; LINKWRIGHT_ROUNDS: desired states each.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect } from 'vitest'
import { type EnsureLink, LinkwrightError } from '../../lib/index.js'
import { ownerGroup } from '../../lib/link/owner.js'
import type { Parsed } from '../support/ip.js'
import { type Namespace, test } from '../support/namespace.js'
import { random } from '../support/random.js'
import { isDump, traffic } from '../support/trace.js'

const setting = (name: string, otherwise: number) => Number(process.env[name] ?? otherwise)
const FIRST = setting('LINKWRIGHT_SEED', 1)
const SEEDS = setting('LINKWRIGHT_SEEDS', 4)
const ROUNDS = setting('LINKWRIGHT_ROUNDS', 2)
/** What others do during each round. */
const DISTURBANCES = 30

const OWNER = 'vmm'
const GROUP = String(ownerGroup(OWNER))

type Random = (below: number) => number
type Spec = Record<string, Parsed> & { name: string }

const run = promisify(execFile)
const one = <T>(pick: Random, of: readonly T[]): T => of[pick(of.length)] as T
const often = (pick: Random) => pick(3) > 0

/** Lists of links that the kernel takes. */
function desired(pick: Random): Spec[] {
  const bridges: Spec[] = ['b0', 'b1', 'b2'].slice(0, 1 + pick(3)).map(name => ({
    kind: 'bridge',
    name,
    ageingTime: 1000 + pick(3) * 333,
    mtu: one(pick, [1400, 1500]),
    numTxQueues: name === 'b0' ? 1 : 1 + pick(2),
    up: often(pick)
  }))
  const asPort = (): object => {
    if (!often(pick)) return pick(2) === 0 ? { master: null } : {}
    return { master: one(pick, bridges).name, port: { cost: 1 + pick(3), isolated: pick(2) === 0 } }
  }
  const common = (): object => ({ mtu: one(pick, [1300, 1400, 1500]), up: pick(2) === 0, txqlen: 10 + pick(3) })
  const specs: Spec[] = [...bridges]
  for (const name of ['i0', 'i1', 'i2']) {
    if (often(pick))
      specs.push({ kind: 'ifb', name, ...common(), ...asPort(), altnames: pick(2) ? [`alt-${name}`] : [] })
  }
  const lowers: string[] = []
  for (const at of [0, 1, 2]) {
    if (!often(pick)) continue
    // A port would be in the way of what is to be on it.
    const peer = { name: `q${at}`, ...common(), master: null }
    specs.push({ kind: 'veth', name: `p${at}`, ...common(), ...asPort(), peer })
    lowers.push(peer.name)
  }
  for (const [at, link] of lowers.entries()) {
    const mode = one(pick, ['private', 'bridge', 'vepa', 'passthru', 'source'])
    if (often(pick)) specs.push({ kind: 'macvlan', name: `m${at}`, link, mode, up: pick(2) === 0 })
    else
      specs.push({
        kind: 'vxlan',
        name: `x${at}`,
        id: 10 + at + pick(2) * 10,
        dstPort: 4789,
        dev: link,
        ttl: pick(3),
        ...asPort()
      })
  }
  // In whatever order.
  return specs
    .map(spec => [pick(1000), spec] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, spec]) => spec)
}

const OURS = [...[0, 1, 2].flatMap(at => [`i${at}`, `p${at}`, `q${at}`, `m${at}`, `x${at}`]), 'b1', 'b2']

/** Others: what they do to links of ours, and to their own, which they keep account of. */
class Others {
  /** Their own links as they left them. */
  readonly theirs = new Map<string, { mtu: number; up: boolean; master: string | undefined }>()
  #renamed = 0
  #made = 0

  constructor(
    readonly ns: Namespace,
    readonly other: Namespace,
    readonly pick: Random
  ) {}

  async #ip(command: string): Promise<boolean> {
    return run('ip', ['-n', this.ns.name, ...command.split(' ')]).then(
      () => true,
      () => false
    )
  }

  /** Something to a link of ours, by `ip` or by our own verbs. It may not be there, or be refused. */
  async #disturb(): Promise<void> {
    const { pick, ns, other } = this
    const { links } = ns.net
    const name = one(pick, OURS)
    const byIp = pick(2) === 0
    const mtu = 1280 + pick(3) * 10
    const free = `z${++this.#renamed}`
    const deeds: [string, () => Promise<unknown>][] = [
      [`link set dev ${name} mtu ${mtu}`, () => links.set(name, { mtu })],
      [`link set dev ${name} ${pick(2) ? 'up' : 'down'}`, () => (pick(2) ? links.up(name) : links.down(name))],
      [`link set dev ${name} nomaster`, () => links.release(name)],
      [`link set dev ${name} master b0`, () => links.enslave(name, 'b0')],
      [`link set dev b0 type bridge ageing_time ${mtu}`, () => links.set('b0', { kind: 'bridge', ageingTime: mtu })],
      [`link set dev ${name} name ${free}`, () => links.rename(name, free)],
      [`link set dev ${name} name ${one(pick, OURS)}`, () => links.rename(name, one(pick, OURS))],
      [`link set dev ${name} netns ${other.name}`, () => links.move(name, other.name)],
      [`link property add dev ${name} altname ${free}`, () => links.addAltnames(name, [free])],
      [`link del dev ${name}`, () => links.delete(name)],
      [
        `link add name ${name} group ${GROUP} type ifb`,
        () => links.create({ kind: 'ifb', name: pick(2) ? name : free, owner: OWNER })
      ]
    ]
    const [command, verb] = one(pick, deeds)
    // A link made by `ip` would be nobody's, and in the way for good.
    if (byIp && !command.startsWith('link add')) await this.#ip(command)
    else await verb().catch(() => {})
  }

  /** Something of their own. */
  async #live(): Promise<void> {
    const { pick } = this
    const name = one(pick, [...this.theirs.keys(), ''])
    const link = this.theirs.get(name)
    if (!link) {
      const fresh = `f${++this.#made}`
      if (await this.#ip(`link add name ${fresh} mtu 1500 type ifb`)) {
        this.theirs.set(fresh, { mtu: 1500, up: false, master: undefined })
      }
      return
    }
    const deed = pick(4)
    if (deed === 0) {
      link.mtu = 1280 + pick(100)
      await this.#ip(`link set dev ${name} mtu ${link.mtu}`)
    } else if (deed === 1) {
      link.up = !link.up
      await this.#ip(`link set dev ${name} ${link.up ? 'up' : 'down'}`)
    } else if (deed === 2) {
      // b0 is always wanted and never replaced: it would be in the way of that.
      if (await this.#ip(`link set dev ${name} master b0`)) link.master = 'b0'
    } else {
      const fresh = `f${++this.#made}`
      if (await this.#ip(`link set dev ${name} name ${fresh}`)) {
        this.theirs.delete(name)
        this.theirs.set(fresh, link)
      }
    }
  }

  async act(): Promise<void> {
    for (let at = 0; at < DISTURBANCES; at++) await (this.pick(4) === 0 ? this.#live() : this.#disturb())
  }

  /** Theirs are as they left them. */
  check(shown: Parsed[]): void {
    const of = (name: string) => shown.find(({ ifname }) => ifname === name)
    for (const [name, { mtu, up, master }] of this.theirs) {
      const link = of(name)
      expect({ name, mtu: link?.mtu, up: link?.flags.includes('UP'), master: link?.master }).toEqual({
        name,
        mtu,
        up,
        master
      })
    }
  }
}

/** The links of a list as `ip -d -j link` has to show them. */
function expected(specs: readonly Spec[]): Parsed[] {
  const links = specs.flatMap(({ peer, ...spec }) => (peer ? [spec, { kind: 'veth', ...peer }] : [spec])) as Spec[]
  return links
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(spec => {
      const { kind, name, mtu, up, txqlen, master, port, altnames, link, mode, id, dev, ttl, ageingTime, numTxQueues } =
        spec
      return {
        kind,
        ifname: name,
        ifalias: `linkwright:${OWNER}`,
        group: GROUP,
        mtu,
        up,
        txqlen,
        master,
        cost: port?.cost,
        isolated: port?.isolated,
        altnames: altnames?.toSorted(),
        link,
        mode,
        id,
        dev,
        ttl,
        numTxQueues,
        // Rounded to ticks of the kernel's clock.
        ageingTime: ageingTime && ageingTime - (ageingTime % 2)
      }
    })
}

/** What is shown of what was asked for. */
function asked(wanted: Parsed[], shown: Parsed[]): Parsed[] {
  return wanted.map(want => {
    const link = shown.find(({ ifname }) => ifname === want.ifname) ?? {}
    const data = link.linkinfo?.info_data ?? {}
    const port = link.linkinfo?.info_slave_data ?? {}
    const now: Record<string, unknown> = {
      ...link,
      kind: link.linkinfo?.info_kind,
      up: link.flags?.includes('UP'),
      master: link.master ?? null,
      cost: port.cost,
      isolated: port.isolated,
      altnames: (link.altnames ?? []).toSorted(),
      mode: data.mode,
      id: data.id,
      dev: data.link,
      ttl: data.ttl,
      numTxQueues: link.num_tx_queues,
      ageingTime: data.ageing_time && data.ageing_time - (data.ageing_time % 2)
    }
    return Object.fromEntries(
      Object.entries(want).map(([key, value]) => [key, value === undefined ? undefined : now[key]])
    )
  })
}

const isOurs = ({ group }: Parsed) => group === GROUP
const byName = (a: Parsed, b: Parsed) => (a.ifname < b.ifname ? -1 : 1)
/** What is not ours, but for timers, which run. */
const foreign = (shown: Parsed[]) =>
  JSON.parse(
    JSON.stringify(shown.filter(link => !isOurs(link)).toSorted(byName), (key, value) =>
      key.endsWith('timer') ? undefined : value
    )
  )

async function live(ns: Namespace, other: Namespace, seed: number): Promise<void> {
  const pick = random(seed)
  const others = new Others(ns, other, pick)
  const { links } = ns.net
  for (const name of ['fb0', 'fp0']) ns.tools.ip(`link add name ${name} type ${name === 'fb0' ? 'bridge' : 'ifb'}`)
  ns.tools.ip('link set dev fp0 master fb0')
  for (let round = 0; round < ROUNDS; round++) {
    const specs = desired(random(seed * 1000 + round))
    const ensure = () => links.ensure(specs as EnsureLink[], { owner: OWNER })
    let busy = true
    const disturbance = others.act().finally(() => {
      busy = false
    })
    while (busy) {
      const error = await ensure().catch((reason: unknown) => reason)
      // It may not get there yet, but says so in our own way.
      if (error instanceof Error) expect(error).toBeInstanceOf(LinkwrightError)
    }
    await disturbance
    // A VXLAN link that was moved keeps its identifier taken where it was made.
    // So it does with the whole lower device, in mode passthru.
    for (const kind of ['vxlan', 'macvlan']) {
      for (const { ifname } of other.tools.ipJson(`link show type ${kind}`)) other.tools.ip(`link del dev ${ifname}`)
    }
    // Without others: there, and theirs exactly as it was.
    const before = ns.tools.ipJson('link show')
    const elsewhere = other.tools.ipJson('link show')
    await ensure()
    const after = ns.tools.ipJson('link show')
    expect(foreign(after)).toEqual(foreign(before).map((link: Parsed) => asLeft(link, after)))
    others.check(after)
    expect(other.tools.ipJson('link show').length).toBeLessThanOrEqual(elsewhere.length)
    const wanted = expected(specs)
    expect(asked(wanted, after)).toEqual(wanted)
    expect(
      after
        .filter(isOurs)
        .map(({ ifname }) => ifname)
        .toSorted()
    ).toEqual(wanted.map(({ ifname }) => ifname))
    const { result, sent } = await traffic(ensure)
    expect(result).toMatchObject({ steps: [] })
    expect(sent.map(isDump)).toEqual([true])
  }
}

/** A port shows what the bridge that it is on says of itself. */
function asLeft(link: Parsed, after: Parsed[]): Parsed {
  const now = after.find(({ ifname }) => ifname === link.ifname)
  const { bridge_id, root_id, designated_port, id, no, state } = now?.linkinfo?.info_slave_data ?? {}
  if (bridge_id === undefined) return link
  const data = { ...link.linkinfo.info_slave_data, bridge_id, root_id, designated_port, id, no, state }
  return { ...link, linkinfo: { ...link.linkinfo, info_slave_data: data } }
}

for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
  test(`seed ${seed}`, { timeout: 120_000 }, async ({ ns, other }) => {
    await live(ns, other, seed)
  })
}
