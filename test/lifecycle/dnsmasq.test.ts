/** A network's DHCP and DNS outlive their manager, and the next one takes them over. */
import { expect } from 'vitest'
import { Dnsmasq } from '../../lib/index.js'
import { obtain } from '../support/dhcp-client.js'
import { Network, whyNoDnsmasq } from '../support/dnsmasq.js'
import { test as base } from '../support/namespace.js'
import { runProgram } from '../support/program.js'

const test = base.extend<{ network: Network }>({
  network: async ({ ns, skip }, use) => {
    const reason = whyNoDnsmasq()
    if (reason) skip(reason)
    await using network = await Network.make(ns)
    await use(network)
  }
})

test.for([
  ['killed', 'wait', 'SIGKILL'],
  ['ends by itself', 'end', undefined],
  ['is a worker that is terminated', 'worker', undefined]
] as const)('a manager that %s', async ([, how, signal], { network }) => {
  const options = network.options()
  const args = [network.ns.path, options.directory as string, how]
  const ended = await runProgram('dnsmasq-manager', signal ? { args, signal } : { args })
  expect({ code: ended.code, signal: ended.signal }, ended.stderr).toEqual(
    signal ? { code: null, signal } : { code: 0, signal: null }
  )
  const [pid, adopted] = ended.stdout.trim().split(' ')
  expect(adopted).toBe('false')

  // Nobody looks after it, and nobody takes what it says; it serves all the same.
  const guest = await network.guest(1)
  const { address } = await obtain(guest)

  const again = await runProgram('dnsmasq-manager', { args: [network.ns.path, options.directory as string, 'end'] })
  expect(again.stdout, again.stderr).toBe(`${pid} true\n`)
  const dnsmasq = await Dnsmasq.open(options)
  expect([dnsmasq.adopted, dnsmasq.pid]).toEqual([true, Number(pid)])
  expect((await dnsmasq.leases()).map(lease => lease.address)).toEqual([address])
  await dnsmasq.close()
  expect(dnsmasq.pid).toBeUndefined()
})
