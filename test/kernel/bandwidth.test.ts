/** Limits of ports: what they are made of, changed in place, told, taken back, and never at others' cost. */
import { spawnSync } from 'node:child_process'
import { describe, expect } from 'vitest'
import type { LinkwrightError } from '../../lib/index.js'
import { has } from '../support/features.js'
import { test as base, createNamespace, type Namespace } from '../support/namespace.js'
import { traffic } from '../support/trace.js'
import { PYTHON } from '../tap/support/system.js'

const missing = (['htb', 'mirred', 'ifb'] as const).find(feature => !has(feature))

/** A namespace with a port, and `guest` behind it. */
const test = base.extend<{ host: Namespace }>({
  host: async ({ ns }, use) => {
    addPort(ns)
    await use(ns)
  }
})

function addPort(ns: Namespace): void {
  ns.tools.ip('link add name port up type veth peer name guest')
  ns.tools.ip('link set dev guest up')
}

/** All traffic control and links of a namespace, in words, without what counts and what is random. */
function state(ns: Namespace): string {
  const links = ns.tools.ipJson('link show').map(({ ifname }) => ifname as string)
  const of = (link: string) => [
    ns.tools.tc(`-d qdisc show dev ${link}`),
    ns.tools.tc(`-d class show dev ${link}`),
    ns.tools.tc(`-d filter show dev ${link} ingress`)
  ]
  return (
    links
      .flatMap(link => [link, ...of(link)])
      .join('\n')
      .replaceAll(/index \d+ ref/g, 'index N ref')
      // Flows that have sent something, and hashes of them.
      .replaceAll(/class fq_codel .*\n/g, '')
      .replaceAll(/direct_packets_stat \d+/g, '')
  )
}

const ifbs = (ns: Namespace) => ns.tools.linkNames().filter(name => name.startsWith('ifb-'))

describe.skipIf(missing)(missing ? `limits (skipped: this kernel has no ${missing})` : 'limits', () => {
  test('HTB on the port for what the guest receives, on an ifb for what it sends', async ({ host }) => {
    await host.net.bandwidth.set('port', {
      inbound: { rate: '10mbit', ceil: '20mbit', burst: '64k' },
      outbound: { rate: 5_000_000n }
    })
    const { ifindex } = host.tools.link('port')
    const ifb = `ifb-${ifindex}`
    expect(host.tools.tc('-d class show dev port')).toMatch(
      /^class htb 6c77:1 root leaf 6c78: .*rate 10Mbit ceil 20Mbit/
    )
    expect(host.tools.tc('-d class show dev port')).toMatch(/burst 64Kb/)
    expect(host.tools.tc(`-d class show dev ${ifb}`)).toMatch(/rate 5Mbit ceil 5Mbit .*burst 12500b/)
    expect(host.tools.tc('filter show dev port ingress')).toMatch(new RegExp(`Egress Redirect to device ${ifb}`))
    for (const link of ['port', ifb]) {
      const leaf = host.tools.tc(`qdisc show dev ${link}`)
      expect(leaf).toContain(`${has('fq_codel') ? 'fq_codel' : 'bfifo'} 6c78: parent 6c77:1`)
    }
    expect(host.tools.link(ifb)).toMatchObject({
      flags: expect.arrayContaining(['UP']),
      ifalias: 'linkwright:linkwright.bandwidth outbound of port'
    })
    const limits = await host.net.bandwidth.get('port')
    expect(limits).toEqual({
      inbound: { rate: 10_000_000, ceil: 20_000_000, burst: 65_536 },
      outbound: { rate: 5_000_000, burst: 12_500 }
    })
    // What is read can be given again, and makes no difference.
    const { result, sent } = await traffic(() => host.net.bandwidth.set('port', limits))
    expect(result).toMatchObject({ steps: [] })
    expect(sent.filter(({ type }) => !type?.startsWith('RTM_GET'))).toEqual([])
  })

  test('it is taken away without a trace', async ({ host }) => {
    const before = state(host)
    await host.net.bandwidth.set('port', { inbound: { rate: '10mbit' }, outbound: { rate: '5mbit' } })
    expect(state(host)).not.toBe(before)
    await host.net.bandwidth.set('port', { inbound: null })
    expect(await host.net.bandwidth.get('port')).toEqual({ outbound: expect.objectContaining({ rate: 5_000_000 }) })
    await host.net.bandwidth.clear('port')
    expect(state(host)).toBe(before)
    expect(await host.net.bandwidth.clear('port')).toMatchObject({ steps: [] })
    expect(await host.net.bandwidth.get('port')).toEqual({})
  })

  test('it is changed in place: what waits stays', async ({ host }) => {
    await host.net.bandwidth.set('port', { inbound: { rate: '8kbit' } })
    host.tools.ip('address add 192.0.2.1/24 dev port')
    host.tools.ip('neighbour add 192.0.2.2 lladdr 02:00:00:00:00:02 dev port')
    const fill = 'for i in {1..40}; do printf %01000d 0 >/dev/udp/192.0.2.2/9; done'
    host.tools.exec('bash', '-c', fill)
    const waiting = () => Number(host.tools.tcJson('qdisc show dev port').find(one => one.handle === '6c78:').qlen)
    const before = waiting()
    expect(before).toBeGreaterThan(20)
    await host.net.bandwidth.set('port', { inbound: { rate: '9kbit' } })
    expect(host.tools.tc('class show dev port')).toMatch(/rate 9Kbit/)
    expect(waiting()).toBeGreaterThan(before - 5)
    const [leaf] = host.tools.tcJson('qdisc show dev port').filter(one => one.handle === '6c78:')
    expect(leaf.drops).toBe(0)
  })

  test('the plan is what is done, and a shell can do it', async ({ host }) => {
    await using other = await createNamespace()
    addPort(other)
    // The same ifindex, or the ifb has another name.
    expect(other.tools.link('port').ifindex).toBe(host.tools.link('port').ifindex)
    const limits = { inbound: { rate: '10mbit', burst: '20k' }, outbound: { rate: '1gbit', ceil: '2gbit' } }
    const before = state(host)
    const plan = await host.net.bandwidth.set('port', limits, { dryRun: true })
    expect(state(host)).toBe(before)
    expect(plan.steps).toHaveLength(9)
    expect(String(await host.net.bandwidth.set('port', limits))).toBe(String(plan))
    const { status, stderr } = spawnSync('ip', ['netns', 'exec', other.name, 'sh', '-ec', String(plan)], {
      encoding: 'utf8'
    })
    // What the kernel says of a queue that it has not.
    expect(stderr.replaceAll('Error: Specified qdisc kind is unknown.\n', '')).toBe('')
    expect(status).toBe(0)
    const rough = (text: string) => text.replaceAll(/c?burst \S+/g, '')
    expect(rough(state(other))).toBe(rough(state(host)))
    // Ours reads what a shell has made, and has nothing to add but bursts that tc rounds.
    expect(await other.net.bandwidth.get('port')).toMatchObject({ inbound: { rate: 10_000_000 } })
    const undo = await other.net.bandwidth.clear('port', { dryRun: true })
    spawnSync('ip', ['netns', 'exec', other.name, 'sh', '-ec', String(undo)])
    expect(state(other)).toBe(before)
  })

  test('frames of any sort and length count', async ({ host }) => {
    await host.net.bandwidth.set('port', { outbound: { rate: '1mbit' } })
    const ifb = `ifb-${host.tools.link('port').ifindex}`
    const sent = () => Number(/Sent \d+ bytes (\d+) pkt/.exec(host.tools.tc(`-s class show dev ${ifb}`))?.[1])
    const before = sent()
    const raw = `
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("guest", 0))
for kind in (0x0806, 0x86dd, 0x88b5, 0x8100):
    for length in (14, 15, 60, 1514):
        s.send((bytes.fromhex("ffffffffffff020000000001") + kind.to_bytes(2, "big") + bytes(1500))[:length])
`
    host.tools.exec(PYTHON, '-c', raw)
    // A frame whose VLAN tag is cut off is dropped before anything sees it.
    await expect.poll(sent).toBeGreaterThanOrEqual(before + 14)
  })

  test('a port with several queues', async ({ host }) => {
    host.tools.ip('tuntap add dev many mode tap multi_queue')
    host.tools.ip('link set dev many up')
    const before = state(host)
    expect(before).toMatch(/qdisc mq 0: root/)
    await host.net.bandwidth.set('many', { inbound: { rate: '1mbit' }, outbound: { rate: '1mbit' } })
    expect(host.tools.tc('qdisc show dev many')).toMatch(/^qdisc htb 6c77: root/)
    await host.net.bandwidth.clear('many')
    expect(state(host)).toBe(before)
  })

  test('a port of a macvtap is seen from its other side', async ({ host, skip }) => {
    if (!has('macvtap')) skip('this kernel has no macvtap')
    host.tools.ip('link add link guest name tap type macvtap mode bridge')
    host.tools.ip('link set dev tap up')
    await host.net.bandwidth.set('tap', { inbound: { rate: '10mbit' }, outbound: { rate: '5mbit' } })
    const { ifindex } = host.tools.link('tap')
    expect(host.tools.tc('class show dev tap')).toMatch(/rate 5Mbit/)
    expect(host.tools.tc(`class show dev ifb-${ifindex}`)).toMatch(/rate 10Mbit/)
    expect(await host.net.bandwidth.get('tap')).toMatchObject({
      inbound: { rate: 10_000_000 },
      outbound: { rate: 5_000_000 }
    })
  })

  test("a qdisc of somebody else's is left alone, unless asked", async ({ host }) => {
    host.tools.tc('qdisc add dev port root handle 1: htb')
    host.tools.tc('qdisc add dev port clsact')
    const before = state(host)
    for (const [limits, what] of [
      [{ inbound: { rate: '1mbit' } }, /htb 1:/],
      [{ outbound: { rate: '1mbit' } }, /clsact ffff:/],
      [{ inbound: { rate: '1mbit' }, outbound: { rate: '1mbit' } }, /htb 1:/]
    ] as const) {
      await expect(host.net.bandwidth.set('port', limits)).rejects.toSatisfy(
        (error: LinkwrightError) => error.code === 'EEXIST' && what.test(error.message) && error.link === 'port'
      )
    }
    await host.net.bandwidth.clear('port')
    expect(state(host)).toBe(before)
    await host.net.bandwidth.set('port', { inbound: { rate: '1mbit' }, outbound: { rate: '2mbit' } }, { replace: true })
    expect(await host.net.bandwidth.get('port')).toMatchObject({
      inbound: { rate: 1_000_000 },
      outbound: { rate: 2_000_000 }
    })
  })

  test("others' filters beside ours stay", async ({ host }) => {
    await host.net.bandwidth.set('port', { outbound: { rate: '1mbit' } })
    host.tools.tc('filter add dev port ingress protocol ip pref 5 u32 match u32 0 0 classid 1:1')
    await host.net.bandwidth.set('port', { outbound: { rate: '2mbit' } })
    await host.net.bandwidth.clear('port')
    const left = host.tools.tc('filter show dev port ingress')
    expect(left).toContain('pref 5 u32')
    expect(left).not.toContain('mirred')
    expect(ifbs(host)).toEqual([])
  })

  test('a step that fails takes those before it back', async ({ host }) => {
    const before = state(host)
    const { filters, classes } = host.net
    const fail = async () => {
      throw new Error('refused for the test')
    }
    // The last step of the first direction, and one of the second.
    for (const [verbs, verb] of [
      [filters, 'add'],
      [classes, 'replace']
    ] as const) {
      Object.defineProperty(verbs, verb, { value: fail, configurable: true })
      const limits = { inbound: { rate: '1mbit' }, outbound: { rate: '1mbit' } }
      await expect(host.net.bandwidth.set('port', limits)).rejects.toThrow('refused for the test')
      expect(state(host)).toBe(before)
      Reflect.deleteProperty(verbs, verb)
    }
    await host.net.bandwidth.set('port', { inbound: { rate: '1mbit' }, outbound: { rate: '2mbit' } })
    const limited = state(host)
    const { qdiscs } = host.net
    Object.defineProperty(qdiscs, 'delete', { value: fail, configurable: true })
    await expect(host.net.bandwidth.set('port', { inbound: { rate: '3mbit' }, outbound: null })).rejects.toThrow()
    Reflect.deleteProperty(qdiscs, 'delete')
    expect(state(host)).toBe(limited)
  })

  test('an ifb of a port that is gone is found and removed', async ({ host }) => {
    host.tools.ip('link add name second type veth peer name its')
    await host.net.bandwidth.set('port', { outbound: { rate: '1mbit' } })
    host.tools.ip('link add name ifb-999 type ifb')
    expect(await host.net.bandwidth.removeOrphans()).toEqual([])
    const [ifb] = ifbs(host).filter(name => name !== 'ifb-999')
    host.tools.ip('link del dev port')
    expect(ifbs(host)).toContain(ifb)
    host.tools.ip('link set dev second up')
    // Another port's limit removes it, too.
    host.tools.ip('link add name third type veth peer name theirs')
    await host.net.bandwidth.set('second', { outbound: { rate: '1mbit' } })
    expect(ifbs(host)).not.toContain(ifb)
    host.tools.ip('link del dev second')
    expect(await host.net.bandwidth.removeOrphans()).toEqual([expect.stringMatching(/^ifb-\d+$/)])
    expect(ifbs(host)).toEqual(['ifb-999'])
  })

  test("an ifb of that name which is somebody else's is not taken", async ({ host }) => {
    const { ifindex } = host.tools.link('port')
    host.tools.ip(`link add name ifb-${ifindex} type ifb`)
    const before = state(host)
    await expect(host.net.bandwidth.set('port', { outbound: { rate: '1mbit' } })).rejects.toMatchObject({
      code: 'EEXIST',
      link: `ifb-${ifindex}`
    })
    expect(state(host)).toBe(before)
  })

  test('two changes of one port at once do not meet', async ({ host }) => {
    const rates = [1, 2, 3, 4].map(rate => ({ rate: rate * 1_000_000 }))
    await Promise.all(rates.map(limit => host.net.bandwidth.set('port', { inbound: limit, outbound: limit })))
    expect(await host.net.bandwidth.get('port')).toMatchObject({
      inbound: { rate: 4_000_000 },
      outbound: { rate: 4_000_000 }
    })
  })

  test('what was left by a process that was killed is taken on', { timeout: 400_000 }, async ({ host }) => {
    const limits = { inbound: { rate: '1mbit' }, outbound: { rate: '2mbit' } }
    const { steps } = await host.net.bandwidth.set('port', limits)
    const whole = state(host)
    await host.net.bandwidth.clear('port')
    for (let killedAfter = 1; killedAfter < steps.length; killedAfter++) {
      const script = steps.slice(0, killedAfter).map(step => step.command)
      spawnSync('ip', ['netns', 'exec', host.name, 'sh', '-ec', script.join('\n')])
      await host.net.bandwidth.set('port', limits)
      expect(state(host), `after ${killedAfter} steps`).toBe(whole)
      await host.net.bandwidth.clear('port')
      expect(ifbs(host)).toEqual([])
    }
  })

  test.for([
    [{ inbound: { rate: 'fast' } }, 'inbound.rate'],
    [{ outbound: { rate: 0 } }, 'outbound.rate'],
    [{ outbound: {} }, 'outbound.rate'],
    [{ inbound: { rate: '1mbit', ceil: '500kbit' } }, 'inbound.ceil'],
    [{ inbound: { rate: '1mbit', burst: -1 } }, 'inbound.burst'],
    [{ inbound: { rate: '1mbit', brust: 1 } }, 'inbound.brust'],
    [{ inbound: '1mbit' }, 'inbound'],
    [{ inbound: false }, 'inbound'],
    [{ input: { rate: '1mbit' } }, 'input'],
    [{ inbound: { rate: '1kbit', burst: '1g' } }, 'inbound.burst']
  ] as const)('%j is refused', async ([limits, path], { host }) => {
    const before = state(host)
    await expect(host.net.bandwidth.set('port', limits as never)).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
      path
    })
    expect(state(host)).toBe(before)
  })
})
