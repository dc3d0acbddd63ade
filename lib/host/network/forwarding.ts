/** What lets packets pass the host, and what it would break: settings of the namespace. */
import { constants } from 'node:os'
import type { Netlink } from '../../link/netlink.js'
import { readSysctls, type Step, type Sysctl, sysctlBack, sysctlCommand, writeSysctls } from '../step.js'
import type { Operation } from '../way-back.js'
import type { Situation } from './situation.js'

const IPV4 = 'net/ipv4/ip_forward'
const IPV6 = 'net/ipv6/conf/all/forwarding'

/** A link that the plan makes, and the one that it has its settings of. */
export interface Born {
  readonly name: string
  readonly like: string
}

/** Values by name, those that there are. */
async function read(net: Netlink, names: readonly string[]): Promise<Sysctl[]> {
  const values = await readSysctls(net, names)
  return names.flatMap((name, at) => (values[at] === undefined ? [] : [{ name, value: values[at] as string }]))
}

/** @param born links that the plan makes on networks of others, which may have a router of their own */
export async function forwardingSteps(
  situation: Situation,
  families: ReadonlySet<string>,
  born: readonly Born[]
): Promise<Step[]> {
  const { net, links } = situation
  const names = links.flatMap(({ name }) => name ?? [])
  return [
    ...(families.has('inet') ? await switchingOn(net, IPV4, ipv4Followers(names)) : []),
    ...(families.has('inet6') ? await ipv6Steps(situation, names, born) : [])
  ]
}

async function ipv6Steps({ net, links }: Situation, names: readonly string[], born: readonly Born[]): Promise<Step[]> {
  const forwarding = names.map(name => `net/ipv6/conf/${name}/forwarding`)
  const steps = await switchingOn(net, IPV6, ['net/ipv6/conf/default/forwarding', ...forwarding])
  if (steps.length === 0) return []
  // A router does not listen to others, and forgets what they said (RFC 4861, 6.2.2), unless it is told to.
  const hosts = links.filter(({ master, flags }) => !master && !flags.loopback)
  const accepts = await read(
    net,
    hosts.map(({ name }) => `net/ipv6/conf/${name}/accept_ra`)
  )
  const listening = accepts.filter(({ value }) => value === '1')
  const ownOf = (name: string) => `net/ipv6/conf/${name}/accept_ra`
  const likes = await read(net, [...new Set(born.map(({ like }) => ownOf(like)))])
  const will = born.filter(({ like }) => likes.some(({ name, value }) => name === ownOf(like) && value === '1'))
  return [
    ...(listening.length > 0 ? [writing('router advertisements', listening, '2')] : []),
    // They go again, and their settings with them.
    ...(will.length > 0
      ? [
          {
            ...writing(
              'router advertisements',
              will.map(({ name }) => ({ name: ownOf(name), value: '' })),
              '2'
            ),
            back: []
          }
        ]
      : []),
    ...steps
  ]
}

/** The kernel changes those of all links with `ip_forward`, and accepts no redirects as a router. */
function ipv4Followers(links: readonly string[]): string[] {
  const forwarding = ['default', ...links].map(name => `net/ipv4/conf/${name}/forwarding`)
  return [...forwarding, 'net/ipv4/conf/all/accept_redirects']
}

async function switchingOn(net: Netlink, name: string, followers: readonly string[]): Promise<Step[]> {
  const [own] = await read(net, [name])
  if (own?.value !== '0') return []
  const before = await read(net, followers)
  const followed = before.filter(({ name, value }) => value !== (name.endsWith('/forwarding') ? '0' : '1'))
  const step = writing('forwarding', [own], '1')
  // The switch first: it takes the others with it.
  return [{ ...step, back: [...step.back, ...followed.map(putBack)] }]
}

/** A link that has gone meanwhile took its settings along. */
const putBack = (sysctl: Sysctl): Operation => ({ ...sysctlBack(sysctl), settled: [constants.errno.ENOENT] })

function writing(what: string, before: readonly Sysctl[], value: string): Step {
  const wanted = before.map(({ name }) => ({ name, value }))
  return {
    name: what,
    commands: wanted.map(sysctlCommand),
    back: before.map(putBack),
    apply: ({ net }) => writeSysctls(net, wanted)
  }
}
