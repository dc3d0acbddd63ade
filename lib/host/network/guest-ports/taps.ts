/** TAPs of guests: those that the plan makes, all at once, and those that there are. */

import type { Link, LinkOfKind } from '../../../link/link.js'
import { deleteRequest } from '../../../link/link-requests.js'
import { ownerAlias, ownerGroup } from '../../../link/owner.js'
import { Tap, type TapOptions } from '../../../tap/tap.js'
import type { Finding } from '../../finding.js'
import { hostSideMac } from '../../port/mac.js'
import { type Step, wayBackOf } from '../../step.js'
import { ownerOfNetwork } from '../bridge.js'
import { ENODEV } from './port.js'
import type { GuestPortSpec } from './spec.js'

/** A TAP that is to be made. */
export interface NewTap {
  readonly name: string
  readonly index: number
  readonly mtu: number
  readonly spec: GuestPortSpec
}

/** Down, and on no bridge yet. */
export function tapSteps(taps: readonly NewTap[]): Step[] {
  if (taps.length === 0) return []
  const back = taps.toReversed().map(({ name, index }) => {
    return { request: deleteRequest(index), command: `ip link del dev ${name}`, settled: [ENODEV] }
  })
  return [
    {
      name: 'taps',
      commands: taps.flatMap(commandsOf),
      back: wayBackOf(back),
      async apply({ net, signal }) {
        const opened: Tap[] = []
        try {
          const results = await Tap.openMany(
            taps.map(tap => ({ ...optionsOf(tap), net })),
            { onError: 'undo', signal }
          )
          const failed = results.find(result => result.status === 'rejected')
          if (failed) throw causeOf(failed.reason)
          opened.push(...results.flatMap(result => (result.status === 'fulfilled' ? [result.value] : [])))
        } finally {
          await Promise.all(opened.map(tap => tap.close()))
        }
      }
    }
  ]
}

/** The one that failed, rather than one that was undone for it. */
function causeOf(reason: unknown): unknown {
  const { code, cause } = reason as { code?: unknown; cause?: unknown }
  return code === 'ERR_UNDONE' && cause !== undefined ? cause : reason
}

function optionsOf({ name, index, mtu, spec }: NewTap): TapOptions {
  const { network, mac, uid, gid, vnetHeader, multiQueue, ipv6 = false } = spec
  const given = { uid, gid, vnetHeader, multiQueue, address: mac === undefined ? undefined : hostSideMac(mac) }
  const options = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  return { ...options, name, index, mtu, ipv6, persist: true, owner: ownerOfNetwork(network) }
}

function commandsOf({ name, mtu, spec }: NewTap): string[] {
  const { network, mac, uid, gid, vnetHeader, multiQueue, ipv6 = false } = spec
  const words = [
    ...(uid === undefined ? [] : [`user ${uid}`]),
    ...(gid === undefined ? [] : [`group ${gid}`]),
    ...(vnetHeader ? ['vnet_hdr'] : []),
    ...(multiQueue ? ['multi_queue'] : [])
  ]
  const address = mac === undefined ? '' : ` address ${hostSideMac(mac)}`
  const owner = ownerOfNetwork(network)
  return [
    ['ip tuntap add dev', name, 'mode tap', ...words].join(' '),
    `ip link set dev ${name}${address} mtu ${mtu} group ${ownerGroup(owner)} alias ${ownerAlias(owner)}`,
    ...(ipv6 ? [] : [`sysctl -qw net/ipv6/conf/${name}/disable_ipv6=1`])
  ]
}

export const isTap = (link: Link): link is LinkOfKind<'tun'> => link.is('tun') && link.data.type === 'tap'

/** What of a TAP that is there only its making could have set. */
export function tapConflicts(link: LinkOfKind<'tun'>, { uid, gid, multiQueue }: GuestPortSpec): Finding[] {
  const { name = '', data } = link
  const wanted = { user: [uid, data.owner], group: [gid, data.group], multi_queue: [multiQueue, data.multiQueue] }
  const differing = Object.entries(wanted).filter(([, [asked, has]]) => asked !== undefined && asked !== has)
  if (differing.length === 0) return []
  const said = differing.map(([key, [asked, has]]) => `${key} ${has ?? 'none'} instead of ${asked}`)
  const message = `${name} was made with ${said.join(', ')}: remove it for the plan to make it anew`
  return [{ code: 'tap-differs', message, about: name }]
}
