/** Settings of a link itself, where the kernel has other ones. */
import { hasIpv6 } from '../../../link/ipv6.js'
import type { Link } from '../../../link/link.js'
import { changeRequest } from '../../../link/link-requests.js'
import { type Step, sysctlBack, sysctlCommand, writeSysctls } from '../../step.js'
import { changing, type Port } from './port.js'

/** One that is there, before anything of it goes anywhere. */
export function settingSteps(
  port: Port,
  link: Link,
  wanted: { mtu?: number | undefined; address?: string | undefined }
): Step[] {
  const { mtu, address } = wanted
  return [
    ...(mtu === undefined || mtu === link.mtu ? [] : [setting(port, { mtu }, { mtu: link.mtu })]),
    ...(address === undefined || address === link.address
      ? []
      : [setting(port, { address }, { address: link.address })]),
    ...ipv6Steps(port, link),
    ...(port.settings.carrier === false && link.carrier ? [carrying(port, false)] : [])
  ]
}

function setting(port: Port, to: Record<string, unknown>, from: Record<string, unknown>): Step {
  const change = (options: Record<string, unknown>) => ({
    request: changeRequest(port.index, options),
    command: `ip link set dev ${port.name} ${Object.entries(options).flat().join(' ')}`
  })
  return changing(Object.keys(to).join(), [change(to)], [change(from)])
}

function ipv6Steps({ name, settings }: Port, link: Link): Step[] {
  const has = hasIpv6(link)
  if (has === undefined || settings.ipv6 === undefined || has === settings.ipv6) return []
  const sysctl = (on: boolean) => ({ name: `net/ipv6/conf/${name}/disable_ipv6`, value: on ? '0' : '1' })
  const to = sysctl(settings.ipv6)
  return [
    {
      name: 'ipv6',
      commands: [sysctlCommand(to)],
      back: [sysctlBack(sysctl(has), true)],
      apply: ({ net }) => writeSysctls(net, [to])
    }
  ]
}

/** Last, when all is as it should be. */
export async function upSteps(port: Port): Promise<Step[]> {
  const { link, index, name, settings } = port
  const change = (up: boolean) => {
    return { request: changeRequest(index, { up }), command: `ip link set dev ${name} ${up ? 'up' : 'down'}` }
  }
  const unplugged = settings.carrier === true && link?.carrier === false
  // Without a guest a TAP has no carrier, and gets it with one.
  const plug = unplugged && (await port.net.links.holders([index]))[0]?.held !== false
  return [
    ...(link?.up ? [] : [changing('up', [change(true)], link ? [change(false)] : [])]),
    ...(plug ? [carrying(port, true)] : [])
  ]
}

function carrying({ index, name }: Port, on: boolean): Step {
  const change = (carrier: boolean) => {
    return {
      request: changeRequest(index, { carrier }),
      command: `ip link set dev ${name} carrier ${carrier ? 'on' : 'off'}`
    }
  }
  return changing('carrier', [change(on)], [change(!on)])
}
