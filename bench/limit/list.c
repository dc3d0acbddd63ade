#include <stdio.h>

#include "topology.h"

// The kind is in the nest IFLA_LINKINFO.
static const char* kind_of(const struct nlattr* info) {
  const struct nlattr* attribute;
  mnl_attr_for_each_nested(attribute, info) {
    if (mnl_attr_get_type(attribute) == IFLA_INFO_KIND) return mnl_attr_get_str(attribute);
  }
  return "-";
}

static void print_link(const struct nlmsghdr* message, void* context) {
  (void)context;
  const struct ifinfomsg* info = mnl_nlmsg_get_payload(message);
  if (info->ifi_flags & IFF_LOOPBACK) return;
  const char *name = "-", *kind = "-";
  uint32_t mtu = 0, master = 0, link = 0;
  char address[18] = "-";
  const struct nlattr* attribute;
  mnl_attr_for_each(attribute, message, sizeof *info) {
    const uint8_t* bytes = mnl_attr_get_payload(attribute);
    switch (mnl_attr_get_type(attribute)) {
      case IFLA_IFNAME:
        name = mnl_attr_get_str(attribute);
        break;
      case IFLA_LINKINFO:
        kind = kind_of(attribute);
        break;
      case IFLA_MTU:
        mtu = mnl_attr_get_u32(attribute);
        break;
      case IFLA_MASTER:
        master = mnl_attr_get_u32(attribute);
        break;
      case IFLA_LINK:
        link = mnl_attr_get_u32(attribute);
        break;
      case IFLA_ADDRESS:
        if (mnl_attr_get_payload_len(attribute) == 6)
          snprintf(address, sizeof address, "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2],
                   bytes[3], bytes[4], bytes[5]);
        break;
    }
  }
  printf("%s %s %d %u %s %u %u %s\n", name, kind, info->ifi_index, mtu,
         info->ifi_flags & IFF_UP ? "up" : "down", master, link, address);
}

void print_links(struct rtnl* rtnl) {
  char buffer[256];
  rtnl_dump(rtnl, get_links(buffer), print_link, NULL);
}
