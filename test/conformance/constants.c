/* Prints every constant that the file NAMES lists as X(name). */
#include <stdio.h>

#include <sys/socket.h>

#include <linux/fib_rules.h>
#include <linux/gen_stats.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/if_vlan.h>
#include <linux/neighbour.h>
#include <linux/net_namespace.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_gact.h>
#include <linux/tc_act/tc_mirred.h>
#include <linux/version.h>
#include <linux/veth.h>

static const struct {
  const char* name;
  long long value;
} constants[] = {
#define X(name) {#name, (long long)(name)},
#include NAMES
};

int main(void) {
  for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); ++i)
    printf("%s %lld\n", constants[i].name, constants[i].value);
  return 0;
}
