/** The shapes of a spec in a file. What the values mean is checked as it is for specs in programs. */
import { z } from 'zod'
import type { Dhcp4Options, Dhcp6Options, DnsOptions, HostRecord, Reservation } from '../host/dnsmasq/options.js'
import type {
  BridgeNetwork,
  DirectNetwork,
  IsolatedNetwork,
  NatNetwork,
  NetworkSpec,
  NetworksSpec,
  RoutedNetwork
} from '../host/network/spec.js'
import { guestPorts } from './guest-ports.js'

const text = z.string()
const list = <T extends z.ZodType>(item: T) => z.array(item).readonly()
const texts = list(text)
/** Seconds; a lease may be without an end (`.inf`). */
const seconds = z.union([z.number(), z.literal(Number.POSITIVE_INFINITY as never)]) as z.ZodType<number>

const ranges = list(z.strictObject({ start: text, end: text }))

const dhcp4 = z.strictObject({
  ranges: ranges.optional(),
  lease: seconds.optional(),
  router: z.union([text, z.literal(false)]).optional(),
  dnsServers: texts.optional(),
  mtu: z.number().optional(),
  routes: list(z.strictObject({ to: text, via: text })).optional(),
  ping: z.boolean().optional()
})

const dhcp6 = z.strictObject({
  mode: z.enum(['ra-only', 'ra-stateless', 'slaac', 'stateful']),
  ranges: ranges.optional(),
  lease: seconds.optional(),
  router: z.boolean().optional(),
  mtu: z.number().optional()
})

const upstream = z.strictObject({ address: text, port: z.number().optional(), domains: texts.optional() })

const dns: z.ZodType<DnsOptions> = z.strictObject({
  upstream: z.union([z.enum(['none', 'resolv.conf']), list(z.union([text, upstream]))]).optional(),
  hostsFile: z.boolean().optional(),
  cname: list(z.strictObject({ alias: text, target: text })).optional(),
  srv: list(
    z.strictObject({
      name: text,
      target: text,
      port: z.number(),
      priority: z.number().default(0),
      weight: z.number().default(0)
    })
  ).optional(),
  txt: list(z.strictObject({ name: text, text })).optional()
})

const reservation = z.strictObject({
  mac: text.optional(),
  clientId: text.optional(),
  ipv4: text.optional(),
  ipv6: text.optional(),
  hostname: text.optional(),
  lease: seconds.optional()
})

const host = z.strictObject({ addresses: texts, names: texts })

const bridge = {
  addresses: texts.optional(),
  mac: text.optional(),
  mtu: z.number().optional(),
  stp: z.boolean().optional(),
  forwardDelay: z.number().optional(),
  vlanFiltering: z.boolean().optional(),
  mcastSnooping: z.boolean().optional()
}

const services = {
  dhcp4: dhcp4.optional(),
  dhcp6: dhcp6.optional(),
  dns: z.union([dns, z.literal(false)]).optional(),
  domain: text.optional(),
  reservations: list(reservation).optional(),
  hosts: list(host).optional(),
  dhcp4Checksum: z.literal('none').optional()
}

const bridgeNetwork = z.strictObject({
  kind: z.literal('bridge'),
  ...bridge,
  ports: texts.optional(),
  takeover: z.boolean().optional(),
  gateway: z.union([text, texts]).optional(),
  routes: list(z.strictObject({ to: text, via: text, metric: z.number().optional() })).optional()
})

const natNetwork = z.strictObject({
  kind: z.literal('nat'),
  ...bridge,
  ...services,
  forward: z
    .strictObject({
      link: text.optional(),
      ports: text.optional(),
      ipv6: z.enum(['masquerade', 'route']).optional()
    })
    .optional()
})

const routedNetwork = z.strictObject({
  kind: z.literal('routed'),
  ...bridge,
  ...services,
  forward: z.strictObject({ link: text.optional() }).optional()
})

const isolatedNetwork = z.strictObject({ kind: z.literal('isolated'), ...bridge, ...services })

const directNetwork = z.strictObject({
  kind: z.literal('direct'),
  link: text,
  mode: z.enum(['bridge', 'private', 'vepa', 'passthru', 'source']),
  hostPeer: text.optional()
})

/** The types and the shapes are the same, to whoever compiles this. */
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : never) : never
true satisfies Same<z.infer<typeof dhcp4>, Dhcp4Options>
true satisfies Same<z.infer<typeof dhcp6>, Dhcp6Options>
true satisfies Same<z.infer<typeof reservation>, Reservation>
true satisfies Same<z.infer<typeof host>, HostRecord>
true satisfies Same<z.infer<typeof bridgeNetwork>, BridgeNetwork>
true satisfies Same<z.infer<typeof natNetwork>, NatNetwork>
true satisfies Same<z.infer<typeof routedNetwork>, RoutedNetwork>
true satisfies Same<z.infer<typeof isolatedNetwork>, IsolatedNetwork>
true satisfies Same<z.infer<typeof directNetwork>, DirectNetwork>

const network: z.ZodType<NetworkSpec> = z.discriminatedUnion('kind', [
  bridgeNetwork,
  natNetwork,
  routedNetwork,
  isolatedNetwork,
  directNetwork
])

export const networksSchema: z.ZodType<NetworksSpec> = z.strictObject({
  networks: z.record(text, network),
  ports: guestPorts.optional()
})
