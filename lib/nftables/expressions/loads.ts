/** Expressions that bring something of the packet or its state into a register, or the other way round. */
import { attributes } from '../../codec/attributes.js'
import { bitset, enumeration } from '../../codec/enumeration.js'
import { be32, u8 } from '../../codec/integers.js'

/** NFTA_PAYLOAD_*: bytes of a header. With `sreg` they are written, and the checksum is mended. */
export const payload = attributes(
  {
    dreg: [1, be32],
    /** NFT_PAYLOAD_* */
    base: [2, enumeration(be32, { ll: 0, network: 1, transport: 2, inner: 3, tunnel: 4 }, { open: true })],
    offset: [3, be32],
    len: [4, be32],
    sreg: [5, be32],
    /** NFT_PAYLOAD_CSUM_* */
    csumType: [6, enumeration(be32, { none: 0, inet: 1, sctp: 2 }, { open: true })],
    csumOffset: [7, be32],
    csumFlags: [8, bitset(be32, { l4Pseudohdr: 1 })]
  },
  { nestedFlag: true }
)

/** NFT_META_* */
export const metaKey = enumeration(
  be32,
  {
    len: 0,
    protocol: 1,
    priority: 2,
    mark: 3,
    iif: 4,
    oif: 5,
    iifname: 6,
    oifname: 7,
    iiftype: 8,
    oiftype: 9,
    skuid: 10,
    skgid: 11,
    nftrace: 12,
    rtclassid: 13,
    secmark: 14,
    nfproto: 15,
    l4proto: 16,
    briIifname: 17,
    briOifname: 18,
    pkttype: 19,
    cpu: 20,
    iifgroup: 21,
    oifgroup: 22,
    cgroup: 23,
    prandom: 24,
    secpath: 25,
    iifkind: 26,
    oifkind: 27,
    briIifpvid: 28,
    briIifvproto: 29,
    timeNs: 30,
    timeDay: 31,
    timeHour: 32,
    sdif: 33,
    sdifname: 34
  },
  { open: true }
)

/** NFTA_META_* */
export const meta = attributes({ dreg: [1, be32], key: [2, metaKey], sreg: [3, be32] }, { nestedFlag: true })

/** NFT_CT_* */
export const ctKey = enumeration(
  be32,
  {
    state: 0,
    direction: 1,
    status: 2,
    mark: 3,
    secmark: 4,
    expiration: 5,
    helper: 6,
    l3protocol: 7,
    src: 8,
    dst: 9,
    protocol: 10,
    protoSrc: 11,
    protoDst: 12,
    labels: 13,
    pkts: 14,
    bytes: 15,
    avgpkt: 16,
    zone: 17,
    eventmask: 18,
    srcIp: 19,
    dstIp: 20,
    srcIp6: 21,
    dstIp6: 22,
    id: 23
  },
  { open: true }
)

/** NFTA_CT_* */
export const ct = attributes(
  { dreg: [1, be32], key: [2, ctKey], direction: [3, u8], sreg: [4, be32] },
  { nestedFlag: true }
)

/** NFTA_RT_*, NFT_RT_* */
export const rt = attributes(
  {
    dreg: [1, be32],
    key: [2, enumeration(be32, { classid: 0, nexthop4: 1, nexthop6: 2, tcpmss: 3, xfrm: 4 }, { open: true })]
  },
  { nestedFlag: true }
)

/** NFTA_EXTHDR_*: extension headers of IPv6, options of IPv4 and TCP, chunks of SCTP. */
export const exthdr = attributes(
  {
    dreg: [1, be32],
    type: [2, u8],
    offset: [3, be32],
    len: [4, be32],
    flags: [5, bitset(be32, { present: 1 })],
    /** NFT_EXTHDR_OP_* */
    op: [6, enumeration(be32, { ipv6: 0, tcpopt: 1, ipv4: 2, sctp: 3, dccp: 4 }, { open: true })],
    sreg: [7, be32]
  },
  { nestedFlag: true }
)

/** NFTA_FIB_*: what the routing table says of the packet's addresses. */
export const fib = attributes(
  {
    dreg: [1, be32],
    /** NFT_FIB_RESULT_* */
    result: [2, enumeration(be32, { oif: 1, oifname: 2, addrtype: 3 }, { open: true })],
    /** NFTA_FIB_F_* */
    flags: [3, bitset(be32, { saddr: 1, daddr: 2, mark: 4, iif: 8, oif: 16, present: 32 })]
  },
  { nestedFlag: true }
)
