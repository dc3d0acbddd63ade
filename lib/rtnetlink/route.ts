/** Routes: `struct rtmsg` and RTA_* of linux/rtnetlink.h. */
import { ip } from '../codec/addresses.js'
import { attributes, type In } from '../codec/attributes.js'
import { type Codec, refuse, within } from '../codec/codec.js'
import { bitset, enumeration } from '../codec/enumeration.js'
import { be16, be32, s32, u8, u16, u32 } from '../codec/integers.js'
import { message } from '../codec/message.js'
import { bytes, string } from '../codec/strings.js'
import { struct } from '../codec/struct.js'
import { scope } from './address.js'
import { family } from './family.js'

/** RTPROT_*: who installed the route. */
export const routeProtocol = enumeration(
  u8,
  {
    unspec: 0,
    redirect: 1,
    kernel: 2,
    boot: 3,
    static: 4,
    gated: 8,
    ra: 9,
    mrt: 10,
    zebra: 11,
    bird: 12,
    dnrouted: 13,
    xorp: 14,
    ntk: 15,
    dhcp: 16,
    mrouted: 17,
    keepalived: 18,
    babel: 42,
    ovn: 84,
    openr: 99,
    bgp: 186,
    isis: 187,
    ospf: 188,
    rip: 189,
    eigrp: 192
  },
  { open: true }
)

/** RTN_* */
export const routeType = enumeration(u8, {
  unspec: 0,
  unicast: 1,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
  throw: 9,
  nat: 10,
  xresolve: 11
})

/** RTNH_F_* in the low byte, RTM_F_* above. */
export const routeFlags = bitset(u32, {
  dead: 0x1,
  pervasive: 0x2,
  onlink: 0x4,
  nexthopOffload: 0x8,
  linkdown: 0x10,
  unresolved: 0x20,
  nexthopTrap: 0x40,
  notify: 0x100,
  cloned: 0x200,
  equalize: 0x400,
  prefix: 0x800,
  lookupTable: 0x1000,
  fibMatch: 0x2000,
  offload: 0x4000,
  trap: 0x8000,
  offloadFailed: 0x20000000
})

/** RTAX_*. `lock` is a mask of 1 << RTAX_* that the kernel may not change. Times in milliseconds. */
const metrics = attributes({
  lock: [1, u32],
  mtu: [2, u32],
  window: [3, u32],
  rtt: [4, u32],
  rttvar: [5, u32],
  ssthresh: [6, u32],
  cwnd: [7, u32],
  advmss: [8, u32],
  reordering: [9, u32],
  hoplimit: [10, u32],
  initcwnd: [11, u32],
  features: [12, u32],
  rtoMin: [13, u32],
  initrwnd: [14, u32],
  quickack: [15, u32],
  congctl: [16, string({ nul: false, max: 15 })],
  fastopenNoCookie: [17, u32]
})

const cacheinfo = struct('rta_cacheinfo', {
  clntref: u32,
  lastuse: u32,
  expires: s32,
  error: u32,
  used: u32,
  id: u32,
  ts: u32,
  tsage: u32
})

/** struct rtvia: a gateway of another family. */
const via: Codec<string> = {
  expects: ip.expects,
  write(writer, value) {
    if (typeof value !== 'string') refuse(this, value)
    writer.u16(value.includes(':') ? 10 : 2)
    ip.write(writer, value)
  },
  read: (data, offset, length) => ip.read(data, offset + 2, Math.max(0, length - 2))
}

const nexthopHeader = struct('rtnexthop', {
  length: u16,
  flags: bitset(u8, { dead: 1, pervasive: 2, onlink: 4, offload: 8, linkdown: 16, unresolved: 32, trap: 64 }),
  /** Weight minus one. */
  hops: u8,
  index: s32
})

const nexthopAttributes = attributes({
  gateway: [5, ip],
  flow: [11, u32],
  via: [18, via],
  newdst: [19, be32],
  encapType: [21, u16],
  encap: [22, bytes()]
})

type NexthopTable = (typeof nexthopAttributes)['table']

export interface NexthopIn extends In<NexthopTable> {
  flags?: Parameters<(typeof nexthopHeader.fields.flags)['write']>[1]
  /** 1 to 256 */
  weight?: number
  /** Ifindex of the link. */
  index?: number
}

/** One way of a multipath route, as read. */
export class Nexthop extends nexthopAttributes.View {
  readonly flags: ReturnType<(typeof nexthopHeader.fields.flags)['read']>
  /** 1 to 256 */
  readonly weight: number
  /** Ifindex of the link. */
  readonly index: number

  constructor(data: DataView, start: number, end: number) {
    super(data, start + nexthopHeader.size, end)
    const header = nexthopHeader.read(data, start, nexthopHeader.size)
    this.flags = header.flags
    this.weight = header.hops + 1
    this.index = header.index
  }

  override toJSON(): Record<string, unknown> {
    return { index: this.index, weight: this.weight, flags: this.flags, ...super.toJSON() }
  }
}

/** RTA_MULTIPATH: a row of struct rtnexthop, each with attributes behind it. */
const multipath: Codec<NexthopIn[], Nexthop[]> = {
  expects: 'an array of next hops',
  write(writer, hops) {
    if (!Array.isArray(hops)) refuse(this, hops)
    for (const [index, hop] of hops.entries()) {
      within(index, () => {
        const given: NexthopIn = hop instanceof Nexthop ? (hop.toJSON() as NexthopIn) : hop
        const { flags = {}, weight = 1, index: ifindex = 0, ...rest } = given
        if (!Number.isInteger(weight) || weight < 1 || weight > 256) {
          within('weight', () => refuse({ expects: 'a weight from 1 to 256' }, weight))
        }
        const start = writer.length
        nexthopHeader.write(writer, { flags, hops: weight - 1, index: ifindex })
        nexthopAttributes.write(writer, rest)
        writer.setU16(start, writer.length - start)
      })
    }
  },
  read(data, offset, length) {
    const hops: Nexthop[] = []
    for (let at = offset; at + nexthopHeader.size <= offset + length; ) {
      const size = nexthopHeader.field(data, at, 'length')
      if (size < nexthopHeader.size || at + size > offset + length) break
      hops.push(new Nexthop(data, at, at + size))
      at += (size + 3) & ~3
    }
    return hops
  }
}

export const routeMessage = message(
  struct('rtmsg', {
    family,
    dstLength: u8,
    srcLength: u8,
    tos: u8,
    shortTable: u8,
    protocol: routeProtocol,
    scope,
    type: routeType,
    flags: routeFlags
  }),
  {
    dst: [1, ip],
    src: [2, ip],
    iif: [3, u32],
    /** Ifindex of the outgoing link. */
    oif: [4, u32],
    gateway: [5, ip],
    /** The metric. */
    priority: [6, u32],
    prefsrc: [7, ip],
    metrics: [8, metrics],
    multipath: [9, multipath],
    flow: [11, u32],
    cacheinfo: [12, cacheinfo, { readOnly: true, volatile: true }],
    table: [15, u32],
    mark: [16, u32],
    mfcStats: [17, bytes(), { readOnly: true, volatile: true }],
    via: [18, via],
    newdst: [19, be32],
    pref: [20, enumeration(u8, { medium: 0, high: 1, low: 3 })],
    encapType: [21, u16],
    encap: [22, bytes()],
    /** Seconds. */
    expires: [23, u32],
    uid: [25, u32],
    ttlPropagate: [26, u8],
    ipProto: [27, u8],
    sport: [28, be16],
    dport: [29, be16],
    nhId: [30, u32, { since: '5.3' }],
    flowlabel: [31, be32, { since: '6.14' }]
  }
)
