/** `net.plan(spec)`: the verb of this floor on the door to rtnetlink, which knows nothing of it. */
import { Netlink } from '../link/netlink.js'
import { type PlanNetworksOptions, planNetworks } from './network/plan-networks.js'
import type { NetworksSpec } from './network/spec.js'
import type { Plan } from './plan.js'

declare module '../link/netlink.js' {
  interface Netlink {
    /** See {@link planNetworks}. */
    plan(spec: NetworksSpec, options?: PlanNetworksOptions): Promise<Plan>
  }
}

Netlink.prototype.plan = function (spec, options) {
  return planNetworks(this, spec, options)
}
