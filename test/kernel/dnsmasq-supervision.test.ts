/** A dnsmasq that dies, one that an earlier life left, and what stands in the way of one. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { describe, expect } from 'vitest'
import { Dnsmasq, type ServerExit } from '../../lib/index.js'
import { obtain } from '../support/dhcp-client.js'
import { query } from '../support/dns-client.js'
import { eventually, Network, whyNoDnsmasq } from '../support/dnsmasq.js'
import { test as base } from '../support/namespace.js'

const test = base.extend<{ network: Network }>({
  network: async ({ ns, skip }, use) => {
    const reason = whyNoDnsmasq()
    if (reason) skip(reason)
    await using network = await Network.make(ns)
    await use(network)
  }
})

const isGone = (pid: number | undefined) => () => {
  const state = /^State:\s+(\w)/m.exec(readStatus(pid))?.[1]
  return state === undefined || state === 'Z'
}

function readStatus(pid: number | undefined): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch {
    return ''
  }
}

/** A program in place of dnsmasq, which says that any configuration is good. */
function pretender(network: Network, body: string): string {
  const path = `${network.directory}/pretender`
  writeFileSync(path, `#!/bin/sh\ncase "$1" in --test) echo 'dnsmasq: syntax check OK.' >&2; exit 0;; esac\n${body}\n`)
  chmodSync(path, 0o755)
  return path
}

/** Holds a UDP port of a namespace. */
async function hold(network: Network, port: number) {
  const script = `import socket,time
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)
s.bind(('0.0.0.0',${port}))
print('bound',flush=True)
time.sleep(60)`
  const child = spawn('ip', ['netns', 'exec', network.ns.name, 'python3', '-c', script])
  await once(child.stdout, 'data')
  return {
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  }
}

describe('one that dies', () => {
  test('comes back, with its leases and reservations', async ({ network }) => {
    const dnsmasq = await network.serve({ restart: { delay: 10 } })
    const guest = await network.guest(1)
    const { address } = await obtain(guest, 'alice')
    await dnsmasq.setReservations([{ mac: '52:54:00:00:00:02', ipv4: '192.0.2.60' }])
    const { pid } = dnsmasq
    const [died, restarted] = [once(dnsmasq, 'died'), once(dnsmasq, 'restarted')]
    process.kill(pid as number, 'SIGKILL')
    expect((await died)[0]).toEqual({ code: null, signal: 'SIGKILL', stderr: expect.anything() })
    expect(await restarted).toEqual([dnsmasq.pid])
    expect(dnsmasq.pid).not.toBe(pid)
    expect((await dnsmasq.leases()).map(lease => lease.address)).toEqual([address])
    expect((await query(guest, network.router, 'alice'))?.answers.map(({ data }) => [...data].join('.'))).toEqual([
      address
    ])
    expect((await obtain(await network.guest(2))).address).toBe('192.0.2.60')
  })

  test('again and again is given up, with its last words', async ({ network }) => {
    const program = pretender(
      network,
      `[ -e '${network.directory}/broken' ] || exec dnsmasq "$@"; echo 'out of luck' >&2; exit 3`
    )
    const dnsmasq = await network.serve({ program, restart: { delay: 1, attempts: 3 } })
    const deaths: ServerExit[] = []
    dnsmasq.on('died', exit => deaths.push(exit))
    const failed = once(dnsmasq, 'failed')
    writeFileSync(`${network.directory}/broken`, '')
    process.kill(dnsmasq.pid as number, 'SIGKILL')
    const [error] = await failed
    expect(error).toMatchObject({ code: 'ERR_PROGRAM_FAILED', link: 'br0' })
    expect(error.message).toContain('out of luck')
    expect(deaths).toHaveLength(1)
    expect(dnsmasq.pid).toBeUndefined()
    await dnsmasq.close()
    expect(existsSync(dnsmasq.directory)).toBe(false)
  })

  test('while it answers a query over TCP comes back all the same', async ({ network, other }) => {
    const { ns } = network
    ns.tools.ip(`link add v0 master br0 type veth peer name eth0 netns ${other.name}`)
    ns.tools.ip('link set v0 up')
    other.tools.ip('addr add 192.0.2.2/24 dev eth0')
    other.tools.ip('link set eth0 up')
    const dnsmasq = await network.serve({ restart: { delay: 1 } })
    const connect = `import socket,time
s=socket.create_connection(('192.0.2.1',53))
print('connected',flush=True)
time.sleep(60)`
    const client = spawn('ip', ['netns', 'exec', other.name, 'python3', '-c', connect])
    await once(client.stdout, 'data')
    const { pid } = dnsmasq
    const forked = () => {
      const pids = readdirSync('/proc').filter(name => /^\d+$/.test(name))
      return pids.map(Number).find(each => new RegExp(`^PPid:\\s*${pid}$`, 'm').test(readStatus(each)))
    }
    expect(await eventually(() => forked() !== undefined)).toBe(true)
    const orphan = forked()
    const restarted = once(dnsmasq, 'restarted')
    process.kill(pid as number, 'SIGKILL')
    await restarted
    expect(isGone(orphan)()).toBe(true)
    client.kill('SIGKILL')
    await once(client, 'exit')
  })

  test('is not started again by one that is closed meanwhile', async ({ network }) => {
    const dnsmasq = await network.serve({ restart: { delay: 1 } })
    process.kill(dnsmasq.pid as number, 'SIGKILL')
    await once(dnsmasq, 'died')
    await dnsmasq.close()
    expect(dnsmasq.pid).toBeUndefined()
    expect(network.ns.tools.exec('ss', '-Hlun')).toBe('')
  })

  test('that does not end when it is asked to is killed', async ({ network }) => {
    // A shell that ignores SIGTERM, which dnsmasq does not get.
    const program = pretender(
      network,
      `trap '' TERM; dnsmasq "$@" & echo $! > '${network.directory}/inner'; wait; wait; sleep 60`
    )
    await expect(network.serve({ program, startTimeout: 300, stopTimeout: 50 })).rejects.toMatchObject({
      code: 'ERR_TIMEOUT'
    })
    process.kill(Number(readFileSync(`${network.directory}/inner`, 'utf8')), 'SIGKILL')
    expect(existsSync(`${network.directory}/net0`)).toBe(false)
  })
})

describe('one that runs already', () => {
  test('is taken over as it is, by options that say the same', async ({ network }) => {
    const first = await network.serve()
    const { pid } = first
    const { address } = await obtain(await network.guest(1))
    await first.leave()
    expect(first.pid).toBeUndefined()
    const second = await network.serve({ reservations: [{ mac: '52:54:00:00:00:02', ipv4: '192.0.2.60' }] })
    expect([second.adopted, second.pid]).toEqual([true, pid])
    expect((await second.leases()).map(lease => lease.address)).toEqual([address])
    expect((await obtain(await network.guest(2))).address).toBe('192.0.2.60')
    // It is looked after like one's own.
    const restarted = once(second, 'restarted')
    process.kill(pid as number, 'SIGKILL')
    await restarted
    await second.close()
    expect(isGone(pid)()).toBe(true)
  })

  test('is replaced by one of other options, with its leases', async ({ network }) => {
    const first = await network.serve()
    const { pid } = first
    const { address } = await obtain(await network.guest(1))
    await first.leave()
    const second = await network.serve({ domain: 'vm.test' })
    expect(second.adopted).toBe(false)
    expect(isGone(pid)()).toBe(true)
    expect((await second.leases()).map(lease => lease.address)).toEqual([address])
  })

  test('is found without its pid file', async ({ network }) => {
    const first = await network.serve()
    const { pid, directory } = first
    await first.leave()
    execFileSync('rm', [`${directory}/dnsmasq.pid`])
    const second = await network.serve({ domain: 'vm.test' })
    expect(isGone(pid)()).toBe(true)
    expect(second.adopted).toBe(false)
  })

  test('is told from the one that has its pid now', async ({ network }) => {
    const first = await network.serve()
    const { pid, directory } = first
    await first.leave()
    // Somebody else's dnsmasq, which does nothing.
    const other = spawn('dnsmasq', ['-k', '--conf-file=/dev/null', '--port=0', '--pid-file=', '--user=root'])
    process.kill(pid as number, 'SIGKILL')
    writeFileSync(`${directory}/dnsmasq.pid`, `${other.pid}\n`)
    const second = await network.serve()
    expect(second.adopted).toBe(false)
    await second.close()
    expect(isGone(other.pid)()).toBe(false)
    other.kill('SIGKILL')
    await once(other, 'exit')
  })

  test('is left alone where it is another network’s', async ({ network }) => {
    const first = await network.serve({ dhcp4: undefined, addresses: ['192.0.2.1/24'] })
    const { pid } = first
    network.ns.tools.ip('link add br9 type bridge')
    network.ns.tools.ip('addr add 198.51.100.1/24 dev br9')
    network.ns.tools.ip('link set br9 up')
    const second = await network.serve({
      name: 'net9',
      interface: 'br9',
      addresses: ['198.51.100.1/24'],
      directory: `${network.directory}/net9`,
      dhcp4: undefined
    })
    await second.close()
    expect(first.pid).toBe(pid)
    expect(isGone(pid)()).toBe(false)
  })

  test('has one manager', async ({ network }) => {
    const first = await network.serve()
    await expect(Dnsmasq.open(network.options())).rejects.toMatchObject({ code: 'EBUSY' })
    expect(isGone(first.pid)()).toBe(false)
  })
})

describe('nothing is left, and what is in the way is named', () => {
  const nothing = (network: Network) => {
    expect(readdirSync(network.directory).filter(name => name !== 'pretender')).toEqual([])
    expect(network.ns.tools.exec('ss', '-Hlunp')).not.toContain('dnsmasq')
  }

  test('no such program', async ({ network }) => {
    const program = `${network.directory}/nowhere`
    await expect(network.serve({ program })).rejects.toMatchObject({ code: 'ERR_NOT_INSTALLED', path: 'program' })
    nothing(network)
  })

  test('another program', async ({ network }) => {
    await expect(network.serve({ program: '/bin/true' })).rejects.toMatchObject({
      code: 'ERR_INVALID_CONFIGURATION',
      diagnosis: '/bin/true is not dnsmasq'
    })
    nothing(network)
  })

  test.for([
    ['DHCP', 67],
    ['DNS', 53]
  ] as const)('the port of %s is taken', async ([, port], { network }) => {
    await using holder = await hold(network, port)
    const error = await network.serve().catch(each => each)
    expect(error).toMatchObject({ code: 'EADDRINUSE', syscall: 'bind', link: 'br0' })
    expect(error.message).toMatch(new RegExp(`port ${port} .*python3.* \\(process ${holder.pid}\\)`))
    nothing(network)
  })

  test('no such link, and no such address', async ({ network }) => {
    await expect(network.serve({ interface: 'br7' })).rejects.toMatchObject({ code: 'ENODEV' })
    await expect(network.serve({ addresses: ['192.0.3.1/24'], dhcp4: { ranges: [] } })).rejects.toMatchObject({
      code: 'EADDRNOTAVAIL',
      path: 'addresses[0]'
    })
    nothing(network)
  })

  test('a directory of others', async ({ network }) => {
    const path = `${network.directory}/net0`
    mkdirSync(path)
    chmodSync(path, 0o777)
    await expect(network.serve()).rejects.toMatchObject({ code: 'EPERM' })
    execFileSync('rmdir', [path])
    symlinkSync('/tmp', path)
    await expect(network.serve()).rejects.toMatchObject({ code: 'EPERM' })
    expect(readdirSync(network.directory)).toEqual(['net0'])
  })

  test('a directory with files of others', async ({ network }) => {
    const path = `${network.directory}/net0`
    mkdirSync(path, { mode: 0o755 })
    writeFileSync(`${path}/theirs`, '')
    await expect(network.serve()).rejects.toMatchObject({ code: 'ENOTEMPTY', path: 'directory' })
    expect([readdirSync(path), statSync(path).mode & 0o777]).toEqual([['theirs'], 0o755])
  })

  test('a directory that dnsmasq cannot get to', async ({ network }) => {
    chmodSync(network.directory, 0o700)
    await expect(network.serve()).rejects.toMatchObject({ code: 'EACCES', path: 'directory' })
    expect(readdirSync(network.directory)).toEqual([])
  })

  test('an end before it serves', async ({ network }) => {
    const program = pretender(network, `echo 'no luck today' >&2; exit 4`)
    const error = await network.serve({ program }).catch(each => each)
    expect(error).toMatchObject({ code: 'ERR_PROGRAM_FAILED' })
    expect(error.message).toBe('dnsmasq ended with code 4: no luck today')
    nothing(network)
  })

  test('a signal while it starts', async ({ network }) => {
    const program = pretender(network, 'sleep 60')
    const stop = new AbortController()
    const opening = network.serve({ program, signal: stop.signal, stopTimeout: 50 })
    expect(await eventually(() => existsSync(`${network.directory}/net0/hosts`))).toBe(true)
    stop.abort(new Error('enough'))
    await expect(opening).rejects.toThrow('enough')
    nothing(network)
  })
})
