#include <linux/veth.h>
#include <stdio.h>
#include <stdlib.h>

#include "provision.h"

static struct nlmsghdr* begin_link(struct provision* p, const char* prefix, unsigned number) {
  char name[IFNAMSIZ];
  struct nlmsghdr* message = link_message(batch_room(&p->batch), RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
  snprintf(name, sizeof name, "%s%u", prefix, number);
  mnl_attr_put_strz(message, IFLA_IFNAME, name);
  set_up(message);
  return message;
}

static struct nlattr* begin_kind(struct nlmsghdr* message, const char* kind) {
  struct nlattr* info = mnl_attr_nest_start(message, IFLA_LINKINFO);
  mnl_attr_put_str(message, IFLA_INFO_KIND, kind);
  return info;
}

void create_macvtaps(struct provision* p, unsigned count) {
  uint32_t lower = 0;
  for (unsigned i = 0; i < count; i++) {
    if (i % TOGETHER == 0) {
      provision_flush(p);  // looking up the lower device is an exchange of its own
      lower = numbered_index(p, "lower", i / TOGETHER);
    }
    struct nlmsghdr* message = begin_link(p, "mvt", i);
    mnl_attr_put_u32(message, IFLA_LINK, lower);
    struct nlattr* info = begin_kind(message, "macvtap");
    struct nlattr* data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
    mnl_attr_put_u32(message, IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE);
    mnl_attr_nest_end(message, data);
    mnl_attr_nest_end(message, info);
    provision_put(p, message);
  }
  provision_flush(p);
}

void create_veth(struct provision* p, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    char name[IFNAMSIZ];
    struct nlmsghdr* message = begin_link(p, "veth", i);
    struct nlattr* info = begin_kind(message, "veth");
    struct nlattr* data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
    struct nlattr* peer = mnl_attr_nest_start(message, VETH_INFO_PEER);
    mnl_nlmsg_put_extra_header(message, sizeof(struct ifinfomsg));
    snprintf(name, sizeof name, "peer%u", i);
    mnl_attr_put_strz(message, IFLA_IFNAME, name);
    mnl_attr_put_u32(message, IFLA_NET_NS_FD, (uint32_t)p->peer);
    mnl_attr_nest_end(message, peer);
    mnl_attr_nest_end(message, data);
    mnl_attr_nest_end(message, info);
    provision_put(p, message);
  }
  provision_flush(p);
}

void create_bridges(struct provision* p, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    struct nlmsghdr* message = begin_link(p, "br", i);
    mnl_attr_nest_end(message, begin_kind(message, "bridge"));
    provision_put(p, message);
  }
  provision_flush(p);
  uint32_t* bridges = malloc(count * sizeof *bridges);
  if (!bridges) die("malloc");
  for (unsigned i = 0; i < count; i++)
    bridges[i] = numbered_index(p, "br", i);
  for (unsigned i = 0; i < count * PORTS_BESIDE; i++) {
    struct nlmsghdr* message = begin_link(p, "port", i);
    mnl_attr_put_u32(message, IFLA_MASTER, bridges[i / PORTS_BESIDE]);
    mnl_attr_nest_end(message, begin_kind(message, "ifb"));
    provision_put(p, message);
  }
  provision_flush(p);
  free(bridges);
}
