#include <stdio.h>
#include <string.h>

#include "provision.h"
#include "topology.h"

// A bridge with MAC and MTU of its own does not look for them among its ports whenever one comes or goes.
static void new_bridge(struct rtnl* rtnl, unsigned number) {
  char buffer[256], name[IFNAMSIZ];
  uint8_t mac[6] = {0x02, 0x62, 0x72, 0, (uint8_t)(number >> 8), (uint8_t)number};
  snprintf(name, sizeof name, "br%u", number);
  struct nlmsghdr* message = new_link(buffer, name, "bridge");
  mnl_attr_put(message, IFLA_ADDRESS, sizeof mac, mac);
  mnl_attr_put_u32(message, IFLA_MTU, 1500);
  set_up(message);
  rtnl_acked(rtnl, message);
}

static void new_lower(struct rtnl* rtnl, unsigned number) {
  char buffer[256], name[IFNAMSIZ];
  snprintf(name, sizeof name, "lower%u", number);
  struct nlmsghdr* message = new_link(buffer, name, "ifb");
  set_up(message);
  rtnl_acked(rtnl, message);
}

void setup_provision(struct rtnl* rtnl, const char* workload, unsigned count) {
  for (unsigned i = 0; i * TOGETHER < count; i++) {
    if (!strcmp(workload, "taps")) new_bridge(rtnl, i);
    if (!strcmp(workload, "macvtaps")) new_lower(rtnl, i);
  }
}
