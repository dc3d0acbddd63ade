/** DHCP, DNS and router advertisements of a network, from its start to its end. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect } from 'vitest'
import { type Dnsmasq, type NatNetwork, Network, type NetworksSpec, planNetworks, SavedPlan } from '../../lib/index.js'
import { obtain, obtain6 } from '../support/dhcp-client.js'
import { query, TYPE } from '../support/dns-client.js'
import { eventually, whyNoDnsmasq } from '../support/dnsmasq.js'
import { GuestStack } from '../support/guest-stack.js'
import { tempFolder } from '../tap/support/needs.js'
import { test as base, processesIn, type Scene } from './support/network.js'

const test = base.extend<{ installed: undefined }>({
  installed: [
    async ({ skip }, use) => {
      const reason = whyNoDnsmasq()
      if (reason) skip(reason)
      await use(undefined)
    },
    { auto: true }
  ]
})

const PROGRAM = fileURLToPath(new URL('programs/networks.mjs', import.meta.url))

const SPEC: NetworksSpec = {
  networks: {
    virbr0: {
      kind: 'nat',
      mtu: 1400,
      addresses: ['192.168.122.1/24', 'fd00:122::1/64'],
      dhcp4: { ranges: [{ start: '192.168.122.100', end: '192.168.122.199' }] },
      dhcp6: { mode: 'stateful', ranges: [{ start: 'fd00:122::100', end: 'fd00:122::1ff' }] },
      dns: { upstream: 'none' },
      domain: 'vm.test',
      hosts: [{ addresses: ['192.168.122.5'], names: ['db'] }],
      reservations: [{ mac: '52:54:00:00:00:02', ipv4: '192.168.122.20', hostname: 'two' }]
    }
  }
}

const opened = (scene: Scene, spec = SPEC) =>
  Network.open(scene.host.net, spec, 'virbr0', { runtimeDirectory: scene.runtimeDirectory })

async function withGuest<T>(network: Network, number: number, use: (guest: GuestStack) => Promise<T>): Promise<T> {
  await using tap = await network.openTap({ name: `vnet${number}`, vnetHeader: false })
  using guest = new GuestStack(tap, `52:54:00:00:00:0${number}`)
  return await use(guest)
}

describe('a network with DHCP and DNS', () => {
  test('serves its guests; the second plan is empty; undone, nothing is left', async ({ scene }) => {
    const { host } = scene
    const before = scene.state()
    const plan = await scene.apply(SPEC)
    expect([plan.conflicts, plan.warnings]).toEqual([[], []])
    expect(processesIn(host.name)).toEqual(['dnsmasq'])
    expect(String(await scene.plan(SPEC))).toBe('')
    await using network = await opened(scene)
    expect(network.dnsmasq?.adopted).toBe(true)
    const router = { ip: '192.168.122.1', mac: (await network.bridge()).address ?? '' }
    await withGuest(network, 1, async guest => {
      expect(host.tools.link('vnet1')).toMatchObject({ master: 'virbr0', mtu: 1400 })
      const { address, options } = await obtain(guest)
      expect(address).toMatch(/^192\.168\.122\.1\d\d$/)
      // The MTU of the network, its router and its DNS server.
      expect(options.get(26)?.readUInt16BE()).toBe(1400)
      expect([options.get(3)?.toString('hex'), options.get(6)?.toString('hex')]).toEqual(['c0a87a01', 'c0a87a01'])
      expect(await obtain6(guest)).toMatch(/^fd00:122::1[0-9a-f]{2}$/)
      const answer = await query(guest, router, 'db.vm.test', TYPE.a)
      expect(answer?.answers.map(({ data }) => [...data].join('.'))).toEqual(['192.168.122.5'])
    })
    await withGuest(network, 2, async guest => expect((await obtain(guest)).address).toBe('192.168.122.20'))
    await network[Symbol.asyncDispose]()
    await plan.undo()
    expect(scene.state()).toBe(before)
  })

  test('is started again when it dies while it is looked after, and undone all the same', async ({ scene }) => {
    const { host } = scene
    const before = scene.state()
    const stateFile = join(tempFolder(), 'state')
    await scene.apply(SPEC, { stateFile })
    const network = await opened(scene)
    const pid = network.dnsmasq?.pid as number
    process.kill(pid, 'SIGKILL')
    expect(await eventually(() => ![undefined, pid].includes(network.dnsmasq?.pid))).toBe(true)
    await network[Symbol.asyncDispose]()
    expect(processesIn(host.name)).toEqual(['dnsmasq'])
    await (await SavedPlan.load(host.net, stateFile)).undo()
    expect(scene.state()).toBe(before)
  })

  test('is undone while it is looked after, and does not come back', async ({ scene }) => {
    const { host } = scene
    const before = scene.state()
    const plan = await scene.apply(SPEC)
    await using network = await opened(scene)
    const failed = once(network.dnsmasq as Dnsmasq, 'failed')
    await plan.undo()
    expect(String((await failed)[0])).toContain('dnsmasq')
    expect(processesIn(host.name)).toEqual([])
    expect(scene.state()).toBe(before)
  })

  test('one that died is a step of the next plan, and so are other settings', async ({ scene }) => {
    const { host } = scene
    const plan = await scene.apply(SPEC)
    const pid = await (async () => {
      await using network = await opened(scene)
      return network.dnsmasq?.pid as number
    })()
    process.kill(pid, 'SIGKILL')
    expect(await eventually(() => processesIn(host.name).length === 0)).toBe(true)
    const again = await scene.plan(SPEC)
    expect(again.steps.map(({ name }) => name)).toEqual(['dnsmasq'])
    await again.apply()
    const virbr0 = { ...(SPEC.networks['virbr0'] as NatNetwork), reservations: [] }
    const other = await scene.plan({ networks: { virbr0 } })
    expect([other.steps.map(({ name }) => name), other.warnings.map(({ code }) => code)]).toEqual([
      ['dnsmasq'],
      ['dnsmasq-changed']
    ])
    await plan.undo()
  })

  test('given up at any step, nothing is left', async ({ scene }) => {
    const before = scene.state()
    const { steps } = await scene.plan(SPEC)
    const names = steps.map(({ name }) => name)
    expect(names).toEqual([
      'bridge',
      'firewall',
      'addresses',
      'forwarding',
      'router advertisements',
      'forwarding',
      'dnsmasq'
    ])
    for (const at of steps.keys()) {
      const controller = new AbortController()
      const onProgress = ({ number }: { number: number }) => number === at && controller.abort(new Error('enough'))
      const plan = await scene.plan(SPEC)
      await expect(plan.apply({ signal: controller.signal, onProgress }), names[at]).rejects.toThrow('enough')
      expect(scene.state(), names[at]).toBe(before)
    }
  })

  test('what was taken away comes back, and no more', async ({ scene }) => {
    const { tools } = scene.host
    await scene.apply(SPEC)
    tools.ip('address del 192.168.122.1/24 dev virbr0')
    tools.ip('link set dev virbr0 type bridge forward_delay 200')
    tools.ip('address add 192.168.122.77/32 dev virbr0')
    tools.exec('sh', '-c', 'echo 0 > /proc/sys/net/ipv4/ip_forward')
    const plan = await scene.plan(SPEC)
    expect(String(plan).split('\n')).toEqual([
      'ip link set dev virbr0 type bridge forward_delay 0',
      'ip address add 192.168.122.1/24 broadcast 192.168.122.255 dev virbr0',
      'sysctl -qw net/ipv4/ip_forward=1'
    ])
    await plan.apply()
    expect(String(await scene.plan(SPEC))).toBe('')
    expect(tools.ip('address show dev virbr0')).toContain('192.168.122.77/32')
  })

  test('leaves no draft of a file either', async ({ scene }) => {
    const before = scene.state()
    const plan = await scene.apply(SPEC)
    writeFileSync(join(scene.runtimeDirectory, 'virbr0', 'reservations.new'), '')
    await plan.undo()
    expect(scene.state()).toBe(before)
  })

  test('has a directory of its own by default, which goes as well', async ({ scene }) => {
    const { host } = scene
    rmSync('/run/linkwright', { recursive: true, force: true })
    const plan = await planNetworks(host.net, SPEC)
    await plan.apply()
    expect(existsSync('/run/linkwright/virbr0/dnsmasq.conf')).toBe(true)
    await plan.undo()
    expect(existsSync('/run/linkwright')).toBe(false)
  })

  test('in another namespace is not touched', async ({ scene, other }) => {
    const { runtimeDirectory } = scene
    const plan = await scene.apply(SPEC)
    const elsewhere = await planNetworks(other.net, SPEC, { runtimeDirectory })
    expect(elsewhere.conflicts.map(({ code }) => code)).toEqual(['dnsmasq-elsewhere'])
    await expect(elsewhere.apply()).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
    expect(processesIn(scene.host.name)).toEqual(['dnsmasq'])
    await plan.undo()
  })

  test('what fails afterwards ends it', async ({ scene }) => {
    const before = scene.state()
    const plan = await scene.plan(SPEC)
    const probe = () => {
      throw new Error('no way out')
    }
    await expect(plan.apply({ probe, confirmWithin: '1s' })).rejects.toThrow(/probe|not confirmed/)
    // The guard may take a moment longer.
    expect(await eventually(() => processesIn(scene.host.name).length === 0)).toBe(true)
    expect(scene.state()).toBe(before)
  })

  test('a process that is killed behind its start leaves nothing', async ({ scene }) => {
    const { host, runtimeDirectory } = scene
    const before = scene.state()
    const file = join(tempFolder(), 'state')
    const args = [PROGRAM, host.path, file, runtimeDirectory, JSON.stringify(SPEC)]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] })
    const [, signal] = await once(child, 'close')
    expect(signal).toBe('SIGKILL')
    expect(await eventually(() => readOutcome(file) === 'restored died -\n')).toBe(true)
    expect(await eventually(() => processesIn(host.name).length === 0)).toBe(true)
    expect(scene.state()).toBe(before)
  })
})

function readOutcome(file: string): string {
  try {
    return readFileSync(`${file}.outcome`, 'utf8')
  } catch {
    return ''
  }
}
