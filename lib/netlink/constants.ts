/** linux/netlink.h */
export const NETLINK_ROUTE = 0

export const NLMSG_ERROR = 2
export const NLMSG_DONE = 3
export const NLMSG_HEADER = 16

export const NLM_F_REQUEST = 0x1
export const NLM_F_ECHO = 0x8
export const NLM_F_DUMP_INTR = 0x10
export const NLM_F_DUMP = 0x300
export const NLM_F_CAPPED = 0x100
export const NLM_F_ACK_TLVS = 0x200
/** For NEW requests. */
export const NLM_F_REPLACE = 0x100
export const NLM_F_EXCL = 0x200
export const NLM_F_CREATE = 0x400
export const NLM_F_APPEND = 0x800

/** rtnetlink's multicast groups, RTNLGRP_* of linux/rtnetlink.h. */
export const RTNLGRP_LINK = 1
export const RTNLGRP_NEIGH = 3
export const RTNLGRP_IPV4_IFADDR = 5
export const RTNLGRP_IPV4_ROUTE = 7
export const RTNLGRP_IPV4_RULE = 8
export const RTNLGRP_IPV6_IFADDR = 9
export const RTNLGRP_IPV6_ROUTE = 11
export const RTNLGRP_IPV6_IFINFO = 12
export const RTNLGRP_IPV6_RULE = 19
export const RTNLGRP_NSID = 28
export const RTNLGRP_NEXTHOP = 32
