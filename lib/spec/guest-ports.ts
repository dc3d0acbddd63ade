/** The shape of guests' ports in a file. */
import { z } from 'zod'
import type { GuestPortSpec, GuestPortSpecs } from '../host/network/guest-ports/spec.js'
import type { PortVlans } from '../host/port/vlans.js'
import type { BandwidthLimits } from '../link/bandwidth/limits.js'
import type { Rate, Size } from '../rtnetlink/tc-units.js'

const text = z.string()
const texts = z.array(text).readonly()
/** As tc writes it, `100mbit`, or bits per second. */
const rate = z.union([z.number(), text]) as z.ZodType<Rate>
const size = z.union([z.number(), text]) as z.ZodType<Size>

const limit = z.strictObject({ rate, burst: size.optional(), ceil: rate.optional() }).nullable().optional()
const bandwidth = z.strictObject({ inbound: limit, outbound: limit })

const vlans = z.strictObject({
  untagged: z.number().optional(),
  tagged: z
    .array(z.union([z.number(), text]))
    .readonly()
    .optional()
})

const antiSpoofing = z.strictObject({
  mac: z.union([text, texts]).optional(),
  ips: texts.optional(),
  dhcpServer: z.boolean().optional(),
  router: z.boolean().optional(),
  vlanTags: z.boolean().optional()
})

const guestPort = z.strictObject({
  network: text,
  mac: text.optional(),
  uid: z.number().optional(),
  gid: z.number().optional(),
  vnetHeader: z.boolean().optional(),
  multiQueue: z.boolean().optional(),
  sources: texts.optional(),
  antiSpoofing: antiSpoofing.nullable().optional(),
  isolated: z.boolean().optional(),
  staticFdb: z
    .union([z.literal(true), text, texts])
    .nullable()
    .optional(),
  vlans: vlans.nullable().optional(),
  bandwidth: bandwidth.nullable().optional(),
  mtu: z.union([z.number(), z.literal('bridge')]).optional(),
  ipv6: z.boolean().optional(),
  carrier: z.boolean().optional()
})

/** The types and the shapes are the same, to whoever compiles this. */
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : never) : never
true satisfies Same<z.infer<typeof guestPort>, GuestPortSpec>
true satisfies Same<z.infer<typeof vlans>, PortVlans>
true satisfies Same<z.infer<typeof bandwidth>, BandwidthLimits>

export const guestPorts: z.ZodType<GuestPortSpecs> = z.record(text, guestPort)
