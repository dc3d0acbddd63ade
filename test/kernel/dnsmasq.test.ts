/** DHCP, DNS and router advertisements by a dnsmasq in another namespace, asked by guests that are frames of a TAP. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { describe, expect } from 'vitest'
import { Dnsmasq } from '../../lib/index.js'
import { discover, duidOf, inform6, obtain, obtain6, release } from '../support/dhcp-client.js'
import { query, TYPE } from '../support/dns-client.js'
import { eventually, Network, whenUp, whyNoDnsmasq } from '../support/dnsmasq.js'
import { ROUTER_ADVERTISEMENT, ROUTER_SOLICITATION } from '../support/guest-stack.js'
import { test as base } from '../support/namespace.js'

const test = base.extend<{ network: Network }>({
  network: async ({ ns, skip }, use) => {
    const reason = whyNoDnsmasq()
    if (reason) skip(reason)
    await using network = await Network.make(ns)
    await use(network)
  }
})

const RANGES = [{ start: '192.0.2.100', end: '192.0.2.199' }]
const BOTH = { addresses: ['192.0.2.1/24', '2001:db8::1/64'] }

describe('DHCP', () => {
  test('gives an address of the range, with its options', async ({ network }) => {
    await network.serve({
      dhcp4: { ranges: RANGES, lease: 600, mtu: 1400, routes: [{ to: '198.51.100.0/24', via: '192.0.2.7' }] },
      domain: 'vm.test'
    })
    const { address, options, server } = await obtain(await network.guest(1))
    const last = Number(address.split('.')[3])
    expect(address.startsWith('192.0.2.') && last >= 100 && last <= 199, address).toBe(true)
    expect(server).toBe('192.0.2.1')
    expect(options.get(1)?.toString('hex')).toBe('ffffff00')
    expect(options.get(3)?.toString('hex')).toBe('c0000201')
    expect(options.get(6)?.toString('hex')).toBe('c0000201')
    expect(options.get(15)?.toString()).toBe('vm.test')
    expect(options.get(26)?.readUInt16BE()).toBe(1400)
    expect(options.get(51)?.readUInt32BE()).toBe(600)
    // 198.51.100.0/24 via 192.0.2.7, 0.0.0.0/0 via 192.0.2.1
    expect(options.get(121)?.toString('hex')).toBe(`18c63364c0000207${'00c0000201'}`)
  })

  test('gives no router and no DNS server where there shall be none', async ({ network }) => {
    await network.serve({ dhcp4: { ranges: RANGES, router: false, dnsServers: [] }, dns: false })
    const { options } = await obtain(await network.guest(1))
    expect([options.has(3), options.has(6)]).toEqual([false, false])
    expect(network.ns.tools.exec('ss', '-Hlun', 'sport = :53')).toBe('')
  })

  test('serves its own link alone', async ({ network }) => {
    const { net, tools } = network.ns
    await net.links.create({ kind: 'bridge', name: 'br1', up: true })
    tools.ip('addr add 198.51.100.1/24 dev br1')
    await network.serve()
    const sockets = tools.exec('ss', '-Hlun').trim().split('\n')
    const local = sockets.map(line => line.split(/\s+/)[3] ?? '')
    // The bridge has a link-local address as well.
    const fixed = ['0.0.0.0%br0:67', '192.0.2.1:53', '[2001:db8::1]:53']
    expect(local.filter(address => !address.startsWith('[fe80:')).sort()).toEqual(fixed)
    expect(local.filter(address => address.startsWith('[fe80:')).every(address => address.endsWith('%br0:53'))).toBe(
      true
    )
  })

  test('honours reservations, and changes them while it runs', async ({ network }) => {
    const dnsmasq = await network.serve({
      dhcp4: { ranges: [] },
      reservations: [{ mac: '52:54:00:00:00:01', ipv4: '192.0.2.50', hostname: 'alice' }]
    })
    const [alice, bob] = [await network.guest(1), await network.guest(2)]
    const { address, options } = await obtain(alice)
    expect(address).toBe('192.0.2.50')
    expect(options.get(12)?.toString()).toBe('alice')
    // Without a range, only who is listed gets anything.
    expect(await discover(bob, undefined, 500)).toBeUndefined()

    const { pid } = dnsmasq
    await dnsmasq.setReservations([
      { mac: '52:54:00:00:00:01', ipv4: '192.0.2.51', hostname: 'alice' },
      { mac: '52:54:00:00:00:02', ipv4: '192.0.2.60', lease: 300 }
    ])
    expect((await obtain(bob)).address).toBe('192.0.2.60')
    expect((await obtain(alice)).address).toBe('192.0.2.51')
    expect(dnsmasq.pid).toBe(pid)
    await expect(dnsmasq.setReservations([{ mac: '52:54:00:00:00:01', ipv4: '203.0.113.1' }])).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
      path: 'reservations[0].ipv4'
    })
    expect(dnsmasq.reservations).toHaveLength(2)
  })
})

describe('IPv6', () => {
  const advertisement = async (network: Network) => {
    const guest = await network.guest(1)
    const received = guest.receive(({ protocol, payload }) =>
      protocol === 58 && payload[0] === ROUTER_ADVERTISEMENT ? payload : undefined
    )
    guest.sendIcmp6('ff02::2', Buffer.of(ROUTER_SOLICITATION, 0, 0, 0, 0, 0, 0, 0))
    const payload = await received
    if (!payload) throw new Error('no router advertisement')
    const options = new Map<number, Buffer>()
    for (let at = 16; at < payload.length; at += (payload[at + 1] ?? 1) * 8)
      options.set(payload[at] ?? 0, payload.subarray(at))
    const prefix = options.get(3)
    return {
      guest,
      managed: ((payload[5] ?? 0) & 0x80) !== 0,
      other: ((payload[5] ?? 0) & 0x40) !== 0,
      lifetime: payload.readUInt16BE(6),
      autonomous: ((prefix?.[3] ?? 0) & 0x40) !== 0,
      prefix: prefix?.toString('hex', 16, 24),
      mtu: options.get(5)?.readUInt32BE(4)
    }
  }

  test.for([
    ['ra-only', { managed: false, other: false, autonomous: true }],
    ['ra-stateless', { managed: false, other: true, autonomous: true }],
    ['slaac', { managed: true, other: true, autonomous: true }],
    ['stateful', { managed: true, other: true, autonomous: false }]
  ] as const)('%s is advertised', async ([mode, flags], { network }) => {
    await network.serve({ ...BOTH, dhcp6: { mode, mtu: 1400 } })
    const { guest, lifetime, ...told } = await advertisement(network)
    expect(told).toEqual({ ...flags, prefix: '20010db800000000', mtu: 1400 })
    expect(lifetime).toBeGreaterThan(0)
    if (mode === 'ra-stateless') expect(await inform6(guest)).toBe(true)
  })

  test('no default route is advertised where there shall be none', async ({ network }) => {
    await network.serve({ ...BOTH, dhcp6: { mode: 'ra-only', router: false } })
    expect((await advertisement(network)).lifetime).toBe(0)
  })

  test('DHCPv6 gives addresses, of the range and reserved ones', async ({ network }) => {
    const dnsmasq = await network.serve({
      ...BOTH,
      dhcp6: { mode: 'stateful', ranges: [{ start: '2001:db8::100', end: '2001:db8::1ff' }] },
      reservations: [{ clientId: '00:03:00:01:52:54:00:00:00:02', ipv6: '2001:db8::22', hostname: 'bob' }]
    })
    const [alice, bob] = [await network.guest(1), await network.guest(2)]
    const given = await obtain6(alice)
    expect(given).toMatch(/^2001:db8::1[0-9a-f]{2}$/)
    expect(await obtain6(bob)).toBe('2001:db8::22')
    const leases = await dnsmasq.leases()
    expect(leases.map(({ address, clientId, iaid, family }) => ({ address, clientId, iaid, family }))).toEqual(
      expect.arrayContaining([
        { address: given, clientId: duidOf(alice), iaid: 7, family: 'inet6' },
        { address: '2001:db8::22', clientId: duidOf(bob), iaid: 7, family: 'inet6' }
      ])
    )
  })
})

describe('DNS', () => {
  test('answers names of guests, hosts and records, and asks nobody else', async ({ network }) => {
    const dnsmasq = await network.serve({
      domain: 'vm.test',
      hosts: [{ addresses: ['192.0.2.9', '2001:db8::9'], names: ['printer', 'lp.vm.test'] }],
      dns: {
        cname: [{ alias: 'paper.vm.test', target: 'printer.vm.test' }],
        srv: [{ name: '_ipp._tcp.vm.test', target: 'printer.vm.test', port: 631 }],
        txt: [{ name: 'note.vm.test', text: 'two, words # here' }]
      }
    })
    const guest = await network.guest(1)
    const { address } = await obtain(guest, 'alice')
    const ask = (name: string, type?: number) => query(guest, network.router, name, type)
    const text = async (name: string) => (await ask(name))?.answers.map(({ data }) => [...data].join('.')).at(-1)
    expect(await text('alice.vm.test')).toBe(address)
    expect(await text('alice')).toBe(address)
    expect(await text('printer.vm.test')).toBe('192.0.2.9')
    expect(await text('paper.vm.test')).toBe('192.0.2.9')
    expect((await ask('lp.vm.test', TYPE.aaaa))?.answers[0]?.data.toString('hex')).toBe(
      '20010db8000000000000000000000009'
    )
    expect((await ask('_ipp._tcp.vm.test', TYPE.srv))?.answers[0]?.data.readUInt16BE(4)).toBe(631)
    expect((await ask('note.vm.test', TYPE.txt))?.answers[0]?.data.toString('latin1', 1)).toBe('two, words # here')
    expect((await ask('example.com'))?.rcode).toBe(5)
    expect((await ask('nobody.vm.test'))?.rcode).toBe(3)

    await dnsmasq.setHosts([{ addresses: ['192.0.2.10'], names: ['printer'] }])
    expect(await text('printer.vm.test')).toBe('192.0.2.10')
    expect((await ask('lp.vm.test'))?.rcode).toBe(3)
  })

  test('asks the servers that it is told of', async ({ network, other }) => {
    const { tools } = network.ns
    tools.ip(`link add up0 type veth peer name up1 netns ${other.name}`)
    tools.ip('addr add 203.0.113.1/30 dev up0')
    tools.ip('link set up0 up')
    other.tools.ip('addr add 203.0.113.2/30 dev up1')
    other.tools.ip('link set up1 up')
    await whenUp(network.ns, 'up0')
    await whenUp(other, 'up1')
    // The other one has the names of its own network.
    await using upstream = await Dnsmasq.open({
      name: 'upstream',
      interface: 'up1',
      netns: other.name,
      addresses: ['203.0.113.2/30'],
      directory: `${network.directory}/upstream`,
      hosts: [{ addresses: ['198.51.100.7'], names: ['www.example.com', 'www.other.org'] }]
    })
    expect(upstream.pid).toBeGreaterThan(0)
    await network.serve({ dns: { upstream: [{ address: '203.0.113.2', domains: ['example.com'] }] } })
    const guest = await network.guest(1)
    await obtain(guest)
    expect(
      (await query(guest, network.router, 'www.example.com'))?.answers.map(({ data }) => [...data].join('.'))
    ).toEqual(['198.51.100.7'])
    expect((await query(guest, network.router, 'www.other.org'))?.rcode).toBe(5)
  })
})

describe('leases', () => {
  test('are there when the guest has its address', async ({ network }) => {
    const dnsmasq = await network.serve({ dhcp4: { ranges: RANGES, lease: 600 } })
    expect(await dnsmasq.leases()).toEqual([])
    const { address } = await obtain(await network.guest(1), 'alice')
    const [lease] = await dnsmasq.leases()
    expect(lease).toMatchObject({
      family: 'inet',
      address,
      mac: '52:54:00:00:00:01',
      hostname: 'alice',
      clientId: undefined
    })
    const left = (lease?.expires?.getTime() ?? 0) - Date.now()
    expect(left > 590_000 && left <= 601_000, `${left}`).toBe(true)
  })

  test('are told as they come, change, go, and end', async ({ network }) => {
    const dnsmasq = await network.serve()
    const events = dnsmasq.watchLeases()
    expect((await events.next()).value).toEqual({ event: 'snapshot', leases: [] })
    const guest = await network.guest(1)
    const bound = await obtain(guest)
    expect((await events.next()).value).toMatchObject({ event: 'added', lease: { address: bound.address } })
    await obtain(guest, 'alice')
    expect((await events.next()).value).toMatchObject({
      event: 'changed',
      before: { hostname: undefined },
      lease: { address: bound.address, hostname: 'alice' }
    })
    release(guest, bound)
    expect((await events.next()).value).toMatchObject({ event: 'removed', lease: { address: bound.address } })
    await dnsmasq.close()
    expect(await events.next()).toEqual({ done: true, value: undefined })
  })

  test('that end by themselves are told as such', async ({ network }) => {
    const first = await network.serve()
    await obtain(await network.guest(1))
    await first.leave()
    // dnsmasq gives none for less than two minutes; its file tells the next one of a lease that ends sooner.
    process.kill(Number(readFileSync(`${first.directory}/dnsmasq.pid`, 'utf8')), 'SIGKILL')
    const end = Math.floor(Date.now() / 1000) + 4
    writeFileSync(`${first.directory}/leases`, `${end} 52:54:00:00:00:07 192.0.2.107 * *\n`)
    const dnsmasq = await network.serve()
    const events = dnsmasq.watchLeases()
    expect((await events.next()).value).toMatchObject({
      leases: [{ address: '192.0.2.107', mac: '52:54:00:00:00:07' }]
    })
    expect((await events.next()).value).toMatchObject({ event: 'expired', lease: { address: '192.0.2.107' } })
    await events.return()
  })

  test('a storm of guests is followed to the end', async ({ network }) => {
    const dnsmasq = await network.serve()
    const stop = new AbortController()
    const known = new Map<string, string | undefined>()
    const following = (async () => {
      for await (const event of dnsmasq.watchLeases({ signal: stop.signal })) {
        if (event.event === 'snapshot') for (const { address, mac } of event.leases) known.set(address, mac)
        else if (event.event === 'added' || event.event === 'changed') known.set(event.lease.address, event.lease.mac)
        else known.delete(event.lease.address)
      }
    })()
    const guests = await Promise.all(Array.from({ length: 20 }, (_, i) => network.guest(i + 1)))
    const bound = await Promise.all(guests.map(guest => obtain(guest)))
    for (const [i, guest] of guests.entries()) if (i % 2 === 0) release(guest, bound[i] as (typeof bound)[number])
    const expected = new Map(
      guests.flatMap((guest, i) => (i % 2 ? [[bound[i]?.address, guest.mac]] : [])) as [string, string][]
    )
    const same = () =>
      known.size === expected.size && [...expected].every(([address, mac]) => known.get(address) === mac)
    expect(await eventually(same), JSON.stringify([...known])).toBe(true)
    stop.abort()
    await expect(following).rejects.toThrow('aborted')
  })
})

describe('files', () => {
  test('are closed to others, and removed with it', async ({ network }) => {
    const dnsmasq = await network.serve()
    const { directory } = dnsmasq
    expect(statSync(directory).mode & 0o777).toBe(0o710)
    expect(statSync(`${directory}/dnsmasq.conf`).mode & 0o007).toBe(0)
    const { pid } = dnsmasq
    await dnsmasq.close()
    expect(existsSync(directory)).toBe(false)
    expect(existsSync(`/proc/${pid}`)).toBe(false)
    await dnsmasq.close()
  })

  test('of others in the directory stay', async ({ network }) => {
    const dnsmasq = await network.serve()
    writeFileSync(`${dnsmasq.directory}/theirs`, '')
    await dnsmasq.close()
    expect(existsSync(`${dnsmasq.directory}/theirs`)).toBe(true)
    expect(existsSync(`${dnsmasq.directory}/dnsmasq.conf`)).toBe(false)
  })

  test('it does not run as root', async ({ network }) => {
    const { pid } = await network.serve()
    expect(readFileSync(`/proc/${pid}/status`, 'utf8')).not.toMatch(/^Uid:\t0\t/m)
  })
})
