/** Assigned numbers, by the names of linux/if_ether.h and linux/in.h. */

export const ETHERTYPE = {
  IPV4: 0x0800,
  ARP: 0x0806,
  /** 802.1Q: a tag follows. */
  VLAN: 0x8100,
  IPV6: 0x86dd,
  /** 802.1ad: the outer one of two tags follows. */
  QINQ: 0x88a8,
  /** What was used for outer tags before 802.1ad. */
  QINQ_OLD: 0x9100
} as const

export const IPPROTO = {
  HOPOPTS: 0,
  ICMP: 1,
  TCP: 6,
  UDP: 17,
  ROUTING: 43,
  FRAGMENT: 44,
  ESP: 50,
  AH: 51,
  ICMPV6: 58,
  NONE: 59,
  DSTOPTS: 60
} as const

/** The flags of a TCP header. */
export const TCP_FLAG = {
  FIN: 0x01,
  SYN: 0x02,
  RST: 0x04,
  PSH: 0x08,
  ACK: 0x10,
  URG: 0x20,
  ECE: 0x40,
  CWR: 0x80
} as const
