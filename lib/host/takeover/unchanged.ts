/** Whether a NIC still has what the plan was worked out for: somebody may have changed it since. */
import { LinkwrightError } from '../../errors.js'
import type { Step } from '../step.js'
import type { Target } from './addresses.js'
import { idOf } from './nexthops.js'
import { printOf } from './routes.js'
import { printOfRule } from './rules.js'
import { look, type Situation } from './situation.js'

/** A first step that changes nothing. It rejects with `ERR_CONFLICT` (`changed`) when something is different by now. */
export function stillAsPlanned(situation: Situation, { index, name }: Target): Step {
  return {
    name: 'situation',
    commands: [],
    back: [],
    async apply({ net }) {
      const now = await look(net, index)
      const [before, after] = [partsOf(situation), partsOf(now)]
      const changed = Object.keys(before).filter(key => before[key] !== after[key])
      if (changed.length === 0) return
      throw new LinkwrightError(`${name} has changed since it was planned (${changed.join(', ')}): plan again`, {
        code: 'ERR_CONFLICT',
        link: name,
        diagnosis: 'changed'
      })
    }
  }
}

/**
 * Before the NIC loses its addresses, with which the kernel takes every route that is left on it (fib_disable_ip): what
 * others gave it meanwhile must not go with them. Rejects with `ERR_CONFLICT` (`changed`).
 */
export function nothingElse(situation: Situation, { index, name }: Target): Step {
  return {
    name: 'others',
    commands: [],
    back: [],
    async apply({ net }) {
      const known = new Set(situation.addresses.map(String))
      const { addresses, routes } = await look(net, index)
      const strange = [...addresses.map(String).filter(each => !known.has(each)), ...routes.map(destinationOf)]
      if (strange.length === 0) return
      throw new LinkwrightError(`others gave ${name} something meanwhile: ${strange.join(', ')}`, {
        code: 'ERR_CONFLICT',
        link: name,
        diagnosis: 'changed'
      })
    }
  }
}

const destinationOf = ({ destination }: { destination: string }): string => destination

function partsOf({ nic, addresses, routes, rules, neighbours, nexthops }: Situation): Record<string, string> {
  const { index, name = '', master = 0, up, mtu, address } = nic
  const textOf = (list: readonly unknown[]) => list.map(String).toSorted().join('\n')
  return {
    link: [master, up, mtu, address].join(' '),
    addresses: textOf(addresses),
    routes: textOf(routes.map(route => printOf(route, index))),
    rules: textOf(rules.map(rule => printOfRule(rule, name))),
    neighbours: textOf(neighbours.map(({ dst }) => dst)),
    nexthops: textOf(nexthops.map(idOf))
  }
}
