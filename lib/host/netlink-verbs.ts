/** `net.plan(spec)` and `net.diagnose(link)`: verbs of this floor on the door to rtnetlink, which knows nothing of them. */
import type { LinkRef } from '../link/link.js'
import { Netlink } from '../link/netlink.js'
import { diagnose } from './diagnosis/diagnose.js'
import type { DiagnoseOptions, Diagnosis } from './diagnosis/diagnosis.js'
import { type PlanNetworksOptions, planNetworks } from './network/plan-networks.js'
import type { NetworksSpec } from './network/spec.js'
import type { Plan } from './plan.js'

declare module '../link/netlink.js' {
  interface Netlink {
    /** See {@link planNetworks}. */
    plan(spec: NetworksSpec, options?: PlanNetworksOptions): Promise<Plan>
    /** See {@link diagnose}. */
    diagnose(link: LinkRef, options?: DiagnoseOptions): Promise<Diagnosis[]>
  }
}

Netlink.prototype.plan = function (spec, options) {
  return planNetworks(this, spec, options)
}

Netlink.prototype.diagnose = function (link, options) {
  return diagnose(this, link, options)
}
