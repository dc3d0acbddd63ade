/** Without privileges: typed errors outside a user namespace, everything inside. */
import { describe, expect } from 'vitest'
import { AS_NOBODY, canRun, IN_USER_NAMESPACE, runScript } from '../support/child.js'
import { test } from '../support/namespace.js'

describe('an unprivileged user', () => {
  test('reads, and may not change', ({ skip }) => {
    if (!canRun(AS_NOBODY)) skip('setpriv does not work here')
    const { stdout, stderr } = runScript(
      `
      const net = await lib.Netlink.open()
      const failure = await net.links.create({ kind: 'bridge', name: 'br0' }).catch(error => error)
      const { code, errno, syscall, link, diagnosis } = failure
      console.log(JSON.stringify({ names: (await net.links.list()).map(link => link.name), code, errno, syscall, link, diagnosis }))
      `,
      { before: AS_NOBODY }
    )
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toMatchObject({
      names: expect.arrayContaining(['lo']),
      code: 'EPERM',
      errno: -1,
      syscall: 'RTM_NEWLINK',
      link: 'br0',
      diagnosis: expect.stringMatching(/CAP_NET_ADMIN/)
    })
  })

  test('is told what every verb takes', ({ skip }) => {
    if (!canRun(AS_NOBODY)) skip('setpriv does not work here')
    const { stdout, stderr } = runScript(
      `
      const net = await lib.Netlink.open()
      const lladdr = '02:00:00:00:00:01'
      const attempts = {
        'links.set': () => net.links.set('lo', { mtu: 1280 }),
        'links.delete': () => net.links.delete('lo'),
        'links.addAltnames': () => net.links.addAltnames('lo', ['other']),
        'addresses.add': () => net.addresses.add({ address: '192.0.2.1/24', link: 'lo' }),
        'addresses.delete': () => net.addresses.delete({ address: '192.0.2.1/24', link: 'lo' }),
        'routes.add': () => net.routes.add({ destination: '198.51.100.0/24', link: 'lo' }),
        'neighbours.add': () => net.neighbours.add({ address: '192.0.2.1', link: 'lo', lladdr }),
        'fdb.add': () => net.fdb.add({ lladdr, link: 'lo' })
      }
      const said = {}
      for (const [verb, attempt] of Object.entries(attempts)) {
        const { code, diagnosis, message } = await attempt().catch(error => error)
        said[verb] = { code, diagnosis, told: message.split(diagnosis).length - 1 }
      }
      console.log(JSON.stringify(said))
      `,
      { before: AS_NOBODY }
    )
    expect(stderr).toBe('')
    for (const [verb, said] of Object.entries(JSON.parse(stdout))) {
      expect(said, verb).toEqual({ code: 'EPERM', diagnosis: expect.stringMatching(/CAP_NET_ADMIN/), told: 1 })
    }
  })

  test('may not enter other namespaces', ({ ns, skip }) => {
    if (!canRun(AS_NOBODY)) skip('setpriv does not work here')
    const { stdout } = runScript(
      `const error = await lib.Netlink.open({ netns: ${JSON.stringify(ns.name)} }).catch(error => error)
       console.log(JSON.stringify({ code: error.code, syscall: error.syscall }))`,
      { before: AS_NOBODY }
    )
    expect(JSON.parse(stdout)).toEqual({ code: 'EPERM', syscall: 'setns' })
  })

  test('makes bridges, pairs and macvtaps in a user namespace', ({ skip }) => {
    if (!canRun(IN_USER_NAMESPACE)) skip('unprivileged users may not make user namespaces here')
    const { stdout, stderr, status } = runScript(
      `
      import { execFileSync } from 'node:child_process'
      const net = await lib.Netlink.open()
      await net.links.create({ kind: 'bridge', name: 'br0', up: true })
      await net.links.create({ kind: 'veth', name: 'a', master: 'br0', up: true, peer: { name: 'b', up: true } })
      await net.links.create({ kind: 'macvtap', name: 'm', link: 'b', mode: 'private', up: true })
      await net.addresses.add({ address: '192.0.2.1/24', link: 'br0' })
      process.stdout.write(execFileSync('ip', ['-d', '-j', 'address']))
      `,
      { before: IN_USER_NAMESPACE }
    )
    expect(stderr).toBe('')
    expect(status).toBe(0)
    const links = Object.fromEntries(JSON.parse(stdout).map((link: { ifname: string }) => [link.ifname, link]))
    expect(links.br0).toMatchObject({ linkinfo: { info_kind: 'bridge' }, addr_info: [{ local: '192.0.2.1' }, {}] })
    expect(links.a).toMatchObject({ link: 'b', master: 'br0' })
    expect(links.m).toMatchObject({ link: 'b', linkinfo: { info_kind: 'macvtap', info_data: { mode: 'private' } } })
    for (const name of ['br0', 'a', 'b', 'm']) expect(links[name].flags).toContain('UP')
  })
})
