/** Links that become ports of a bridge as they are, without a takeover. */
import { constants } from 'node:os'
import type { Link } from '../../link/link.js'
import { changeRequest } from '../../link/link-requests.js'
import type { Finding } from '../finding.js'
import { type Change, type Step, send, wayBackOf } from '../step.js'
import { RX_HANDLERS } from '../takeover/conflicts.js'
import { managersOf } from '../takeover/managers.js'
import type { BridgePart } from './bridge.js'
import { linkNamed, type Situation } from './situation.js'

const { ENODEV } = constants.errno

export interface PortsPart {
  readonly steps: readonly Step[]
  readonly conflicts: readonly Finding[]
  readonly links: readonly Link[]
}

export async function portsOf(bridge: BridgePart, names: readonly string[], situation: Situation): Promise<PortsPart> {
  const conflicts: Finding[] = []
  const links: Link[] = []
  const steps: Step[] = []
  for (const name of names) {
    const link = linkNamed(situation, name)
    if (!link) {
      conflicts.push({ code: 'no-such-link', message: `there is no link ${name}`, about: name })
      continue
    }
    links.push(link)
    if (link.master === bridge.index && link.up) continue
    const managers = await managersOf(situation.net, { index: link.index, name })
    conflicts.push(...conflictsOf(link, bridge, situation), ...managers)
    steps.push(joining(link, bridge))
  }
  return { steps, conflicts, links }
}

export function conflictsOf(link: Link, bridge: Pick<BridgePart, 'index'>, { addresses, links }: Situation): Finding[] {
  const { name = '', index } = link
  const own = addresses.filter(each => each.index === index && !(each.family === 'inet6' && each.scope === 'link'))
  const found: Finding[] = []
  const add = (code: string, message: string) => found.push({ code, message, about: name })
  if (link.master && link.master !== bridge.index) add('already-a-port', `${name} is a port of another link`)
  if (link.kind === 'bridge') add('is-a-bridge', `${name} is a bridge itself`)
  for (const upper of links.filter(each => each.link === index && RX_HANDLERS.has(each.kind ?? ''))) {
    add('upper-link', `${upper.name} (${upper.kind}) is on ${name}, which cannot be a port as well (EBUSY)`)
  }
  if (own.length > 0) {
    add('port-has-addresses', `${name} has ${own.join(', ')}, which a port cannot use: move them with takeover: true`)
  }
  return found
}

function joining(link: Link, bridge: BridgePart): Step {
  const { index, name, up, master = 0 } = link
  const on: Change = {
    request: changeRequest(index, { master: bridge.index, up: true }),
    command: `ip link set dev ${name} master ${bridge.name} up`
  }
  const off: Change = {
    request: changeRequest(index, { master, ...(up ? {} : { up: false }) }),
    command: `ip link set dev ${name} ${master ? `master ${master}` : 'nomaster'}${up ? '' : ' down'}`
  }
  return {
    name: 'port',
    commands: [on.command ?? ''],
    back: wayBackOf([off], { settled: [ENODEV] }),
    apply: ({ net }) => send(net, [on])
  }
}
