// What one more link costs, as the links grow in number: where the kernel walks its lists.
//   growth <kind> <count> [option ...]      in a namespace of its own (unshare --net --mount)
// Kinds: ifb, veth, macvtap, bridge, vxlan, tap (held open), persistent-tap.
// Prints, for each step, the processor time of the calling thread in us at 100, 1,000, 5,000, ... links: of
// the hundred before each mark the cheapest ten, since the machine may be busy otherwise.
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_tun.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "rtnl.h"
#include "topology.h"

enum { PORTS = 1000, LISTENERS = 16, LOWERS = 100, NEAR = 100, BLOCK = 10, HIGHEST = 20000, GROUP = 7000 };

enum step { CREATE, IPV6, ENSLAVE, UP, STEPS };
static const char* const step_names[STEPS] = {"create", "ipv6", "enslave", "up"};

static const char usage[] =
    "growth <kind> <count> [option ...]\n"
    "  up                    bring each up\n"
    "  ipv6=sysctl           disable_ipv6 of each, before it is up\n"
    "  ipv6=default          disable_ipv6 of what is made from now on\n"
    "  ipv6=none             addrgenmode none, before it is up\n"
    "  ipv6=born             addrgenmode none, in the creation message\n"
    "  master                ports of bridges, 1,000 each\n"
    "  bridge=address,mtu,quiet,down  the bridges' address and MTU given, no multicast snooping, left down\n"
    "  address               each with an address that is given\n"
    "  pattern               named x%d, by the kernel\n"
    "  unnamed               named by the kernel's pattern for the kind\n"
    "  unnamed-peers         a veth's peer is named by the kernel\n"
    "  lowers=N              macvtaps on so many lower devices, 1 if left out\n"
    "  alias, group, altname each has one\n"
    "  listeners=N           sockets that hear of every change, at most 16\n"
    "  addresses=N, routes=N, routes6=N   on lo, beforehand\n"
    "  delete=N              then removed by groups of N; prints the time of the wall and of the thread, us a link\n";

struct options {
  const char* ipv6;
  const char* bridge;
  int up, master, address, pattern, unnamed, unnamed_peers, alias, group, altname;
  unsigned listeners, lowers, addresses, routes, routes6, delete;
};

struct growth {
  struct rtnl rtnl;
  const char* kind;
  unsigned count;
  struct options options;
  int listeners[LISTENERS];
  unsigned lowers[LOWERS];
  unsigned bridges[HIGHEST / PORTS + 1];
  double cost[STEPS][HIGHEST];
};

static double thread_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int given(const char* list, const char* word) {
  return list && strstr(list, word);
}

static void write_file(const char* path, const char* value) {
  int fd = open(path, O_WRONLY);
  if (fd < 0 || write(fd, value, strlen(value)) < 0) die(path);
  close(fd);
}

static void no_addresses(struct nlmsghdr* message) {
  struct nlattr* families = mnl_attr_nest_start(message, IFLA_AF_SPEC);
  struct nlattr* inet6 = mnl_attr_nest_start(message, AF_INET6);
  mnl_attr_put_u8(message, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
  mnl_attr_nest_end(message, inet6);
  mnl_attr_nest_end(message, families);
}

static void put_address(struct nlmsghdr* message, unsigned number) {
  unsigned char address[6] = {2, 1, 0, 0, (unsigned char)(number >> 8), (unsigned char)number};
  mnl_attr_put(message, IFLA_ADDRESS, sizeof address, address);
}

static struct nlmsghdr* creation(char* buffer, const struct growth* growth, const char* name,
                                 unsigned number) {
  const struct options* options = &growth->options;
  struct nlmsghdr* message = link_message(buffer, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
  if (!options->unnamed) mnl_attr_put_strz(message, IFLA_IFNAME, name);
  if (options->address) put_address(message, number);
  if (options->group) mnl_attr_put_u32(message, IFLA_GROUP, GROUP);
  if (given(options->ipv6, "born")) no_addresses(message);
  if (growth->lowers[0]) mnl_attr_put_u32(message, IFLA_LINK, growth->lowers[number % options->lowers]);
  struct nlattr* info = mnl_attr_nest_start(message, IFLA_LINKINFO);
  mnl_attr_put_str(message, IFLA_INFO_KIND, growth->kind);
  struct nlattr* data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
  if (!strcmp(growth->kind, "macvtap")) mnl_attr_put_u32(message, IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE);
  if (!strcmp(growth->kind, "vxlan")) {
    mnl_attr_put_u32(message, IFLA_VXLAN_ID, number + 1);
    mnl_attr_put_u16(message, IFLA_VXLAN_PORT, 0xb512);  // 4789, big-endian
  }
  if (!strcmp(growth->kind, "veth") && !options->unnamed_peers) {
    char peer[IFNAMSIZ];
    snprintf(peer, sizeof peer, "p%u", number);
    struct nlattr* nest = mnl_attr_nest_start(message, VETH_INFO_PEER);
    mnl_nlmsg_put_extra_header(message, sizeof(struct ifinfomsg));
    mnl_attr_put_strz(message, IFLA_IFNAME, peer);
    mnl_attr_nest_end(message, nest);
  }
  mnl_attr_nest_end(message, data);
  mnl_attr_nest_end(message, info);
  return message;
}

static void open_tap(const char* name, int persists) {
  int fd = open("/dev/net/tun", O_RDWR);
  if (fd < 0) die("/dev/net/tun");
  struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  if (ioctl(fd, TUNSETIFF, &request)) die(name);
  if (!persists) return;
  if (ioctl(fd, TUNSETPERSIST, 1)) die("TUNSETPERSIST");
  close(fd);
}

// What has happened is not to be remembered for the listeners: they have read it.
static void drain(struct growth* growth) {
  char buffer[RECEIVE_SIZE];
  for (unsigned i = 0; i < growth->options.listeners; i++)
    while (recv(growth->listeners[i], buffer, sizeof buffer, MSG_DONTWAIT) > 0)
      continue;
}

static void timed(struct growth* growth, enum step step, unsigned number, struct nlmsghdr* message) {
  double start = thread_us();
  rtnl_acked(&growth->rtnl, message);
  growth->cost[step][number] += thread_us() - start;
  drain(growth);
}

static void grow(struct growth* growth, unsigned number) {
  const struct options* options = &growth->options;
  char buffer[512], name[IFNAMSIZ];
  snprintf(name, sizeof name, options->pattern ? "x%%d" : "x%u", number);
  double start = thread_us();
  if (strstr(growth->kind, "tap") && strcmp(growth->kind, "macvtap")) {
    open_tap(options->unnamed ? "" : name, *growth->kind == 'p');
    growth->cost[CREATE][number] = thread_us() - start;
    drain(growth);
  } else {
    timed(growth, CREATE, number, creation(buffer, growth, name, number));
  }
  if (options->pattern) snprintf(name, sizeof name, "x%u", number);
  if (options->unnamed) snprintf(name, sizeof name, "%s%u", growth->kind, number);
  int index = (int)if_nametoindex(name);
  if (!index) die(name);
  struct nlmsghdr* message;
  if (given(options->ipv6, "sysctl")) {
    char path[64];
    snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
    start = thread_us();
    write_file(path, "1");
    growth->cost[IPV6][number] = thread_us() - start;
  } else if (given(options->ipv6, "none")) {
    message = link_message(buffer, RTM_SETLINK, 0, index);
    no_addresses(message);
    timed(growth, IPV6, number, message);
  }
  if (options->alias || options->altname) {
    char text[64];
    snprintf(text, sizeof text, "%s number %u of many", name, number);
    message = link_message(buffer, options->alias ? RTM_SETLINK : RTM_NEWLINKPROP,
                           options->alias ? 0 : NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND, index);
    for (char* at = text; options->altname && (at = strchr(at, ' '));)
      *at = '-';
    struct nlattr* list = options->altname ? mnl_attr_nest_start(message, IFLA_PROP_LIST) : NULL;
    if (list) {
      mnl_attr_put_strz(message, IFLA_ALT_IFNAME, text);
      mnl_attr_nest_end(message, list);
    } else {
      mnl_attr_put_str(message, IFLA_IFALIAS, text);
    }
    timed(growth, CREATE, number, message);
  }
  if (options->master) {
    message = link_message(buffer, RTM_SETLINK, 0, index);
    mnl_attr_put_u32(message, IFLA_MASTER, growth->bridges[number / PORTS]);
    timed(growth, ENSLAVE, number, message);
  }
  if (options->up) {
    message = link_message(buffer, RTM_SETLINK, 0, index);
    struct ifinfomsg* info = mnl_nlmsg_get_payload(message);
    info->ifi_flags = info->ifi_change = IFF_UP;
    timed(growth, UP, number, message);
  }
}

static void make_bridges(struct growth* growth) {
  const char* how = growth->options.bridge;
  for (unsigned i = 0; i <= growth->count / PORTS; i++) {
    char buffer[512], name[IFNAMSIZ];
    snprintf(name, sizeof name, "br-%u", i);
    struct nlmsghdr* message = link_message(buffer, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
    struct ifinfomsg* info = mnl_nlmsg_get_payload(message);
    info->ifi_flags = info->ifi_change = given(how, "down") ? 0 : IFF_UP;
    mnl_attr_put_strz(message, IFLA_IFNAME, name);
    if (given(how, "address")) put_address(message, 60000 + i);
    if (given(how, "mtu")) mnl_attr_put_u32(message, IFLA_MTU, 1500);
    struct nlattr* linkinfo = mnl_attr_nest_start(message, IFLA_LINKINFO);
    mnl_attr_put_str(message, IFLA_INFO_KIND, "bridge");
    struct nlattr* data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
    if (given(how, "quiet")) mnl_attr_put_u8(message, IFLA_BR_MCAST_SNOOPING, 0);
    mnl_attr_nest_end(message, data);
    mnl_attr_nest_end(message, linkinfo);
    rtnl_acked(&growth->rtnl, message);
    growth->bridges[i] = if_nametoindex(name);
  }
}

static void fill_lo(struct growth* growth, uint16_t type, int family, unsigned count) {
  unsigned lo = if_nametoindex("lo");
  for (unsigned i = 0; i < count; i++) {
    char buffer[256];
    unsigned char address[16] = {10, 1};
    if (family == AF_INET6) memcpy(address, "\x20\x01\x0d\xb8", 4);
    unsigned length = family == AF_INET6 ? 16 : 4;
    address[length - 2] = (unsigned char)(i >> 8);
    address[length - 1] = (unsigned char)i;
    struct nlmsghdr* message = mnl_nlmsg_put_header(buffer);
    message->nlmsg_type = type;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL;
    if (type == RTM_NEWADDR) {
      struct ifaddrmsg* header = mnl_nlmsg_put_extra_header(message, sizeof *header);
      *header = (struct ifaddrmsg){.ifa_family = (unsigned char)family, .ifa_prefixlen = 32, .ifa_index = lo};
      mnl_attr_put(message, IFA_LOCAL, length, address);
    } else {
      struct rtmsg* header = mnl_nlmsg_put_extra_header(message, sizeof *header);
      *header = (struct rtmsg){.rtm_family = (unsigned char)family,
                               .rtm_dst_len = (unsigned char)(length * 8),
                               .rtm_table = RT_TABLE_MAIN,
                               .rtm_protocol = RTPROT_STATIC,
                               .rtm_type = RTN_UNICAST};
      mnl_attr_put(message, RTA_DST, length, address);
      mnl_attr_put_u32(message, RTA_OIF, lo);
    }
    rtnl_acked(&growth->rtnl, message);
  }
}

static void prepare(struct growth* growth) {
  const struct options* options = &growth->options;
  char buffer[512];
  struct rlimit files = {HIGHEST, HIGHEST};
  setrlimit(RLIMIT_NOFILE, &files);
  struct nlmsghdr* message = link_message(buffer, RTM_SETLINK, 0, (int)if_nametoindex("lo"));
  struct ifinfomsg* info = mnl_nlmsg_get_payload(message);
  info->ifi_flags = info->ifi_change = IFF_UP;
  rtnl_acked(&growth->rtnl, message);
  if (options->master) make_bridges(growth);
  if (!strcmp(growth->kind, "macvtap")) {
    for (unsigned i = 0; i < options->lowers; i++) {
      char name[IFNAMSIZ];
      snprintf(name, sizeof name, "lower%u", i);
      message = new_link(buffer, name, "ifb");
      info = mnl_nlmsg_get_payload(message);
      info->ifi_flags = info->ifi_change = IFF_UP;
      rtnl_acked(&growth->rtnl, message);
      growth->lowers[i] = if_nametoindex(name);
    }
  }
  fill_lo(growth, RTM_NEWADDR, AF_INET, options->addresses);
  fill_lo(growth, RTM_NEWROUTE, AF_INET, options->routes);
  fill_lo(growth, RTM_NEWROUTE, AF_INET6, options->routes6);
  for (unsigned i = 0; i < options->listeners; i++) {
    struct sockaddr_nl group = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    growth->listeners[i] = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    if (bind(growth->listeners[i], (struct sockaddr*)&group, sizeof group)) die("bind");
  }
  if (given(options->ipv6, "default")) write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
}

static double cheapest(const double* costs, unsigned mark) {
  double least = 0;
  for (unsigned from = mark - NEAR; from < mark; from += BLOCK) {
    double sum = 0;
    for (unsigned i = from; i < from + BLOCK; i++)
      sum += costs[i];
    if (least == 0 || sum / BLOCK < least) least = sum / BLOCK;
  }
  return least;
}

static void report(const struct growth* growth) {
  static const unsigned marks[] = {100, 500, 1000, 2000, 5000, 10000, HIGHEST};
  printf("%-10s", "links");
  for (unsigned m = 0; m < sizeof marks / sizeof *marks && marks[m] <= growth->count; m++)
    printf("%8u", marks[m]);
  printf("     all, ms\n");
  for (enum step step = CREATE; step < STEPS; step++) {
    double all = 0;
    for (unsigned i = 0; i < growth->count; i++)
      all += growth->cost[step][i];
    if (all == 0) continue;
    printf("%-10s", step_names[step]);
    for (unsigned m = 0; m < sizeof marks / sizeof *marks && marks[m] <= growth->count; m++)
      printf("%8.1f", cheapest(growth->cost[step], marks[m]));
    printf("%12.0f\n", all / 1000);
  }
}

static void delete_by_groups(struct growth* growth) {
  char buffer[256], name[IFNAMSIZ];
  unsigned size = growth->options.delete;
  for (unsigned i = 0; i < growth->count; i++) {
    snprintf(name, sizeof name, "%s%u", growth->options.unnamed ? growth->kind : "x", i);
    struct nlmsghdr* message = link_message(buffer, RTM_SETLINK, 0, (int)if_nametoindex(name));
    mnl_attr_put_u32(message, IFLA_GROUP, GROUP + i / size);
    rtnl_acked(&growth->rtnl, message);
  }
  double all = now_seconds(), all_thread = thread_us();
  printf("deleted by %u:", size);
  for (unsigned i = 0; i * size < growth->count; i++) {
    double start = now_seconds();
    struct nlmsghdr* message = link_message(buffer, RTM_DELLINK, 0, 0);
    mnl_attr_put_u32(message, IFLA_GROUP, GROUP + i);
    rtnl_acked(&growth->rtnl, message);
    unsigned links = growth->count - i * size < size ? growth->count - i * size : size;
    if (growth->count <= size * 10) printf(" %.0f", (now_seconds() - start) * 1e6 / links);
  }
  printf("  all %.0f us/link, of the thread %.0f\n", (now_seconds() - all) * 1e6 / growth->count,
         (thread_us() - all_thread) / growth->count);
}

static struct options parse(char** words) {
  struct options options = {.lowers = 1};
  const struct {
    const char* name;
    int* flag;
    const char** text;
    unsigned* count;
  } known[] = {{"up", &options.up, 0, 0},           {"master", &options.master, 0, 0},
               {"address", &options.address, 0, 0}, {"pattern", &options.pattern, 0, 0},
               {"unnamed", &options.unnamed, 0, 0}, {"unnamed-peers", &options.unnamed_peers, 0, 0},
               {"alias", &options.alias, 0, 0},     {"group", &options.group, 0, 0},
               {"altname", &options.altname, 0, 0}, {"ipv6", 0, &options.ipv6, 0},
               {"bridge", 0, &options.bridge, 0},   {"listeners", 0, 0, &options.listeners},
               {"lowers", 0, 0, &options.lowers},   {"addresses", 0, 0, &options.addresses},
               {"routes", 0, 0, &options.routes},   {"routes6", 0, 0, &options.routes6},
               {"delete", 0, 0, &options.delete}};
  for (; *words; words++) {
    char* value = strchr(*words, '=');
    if (value) *value++ = 0;
    size_t at = 0, all = sizeof known / sizeof *known;
    while (at < all && strcmp(known[at].name, *words))
      at++;
    if (at == all || !value != !!known[at].flag) die_of(0, usage);
    if (known[at].flag)
      *known[at].flag = 1;
    else if (known[at].text)
      *known[at].text = value;
    else
      *known[at].count = number(value);
  }
  if (options.listeners > LISTENERS || options.lowers > LOWERS) die_of(0, usage);
  return options;
}

int main(int argc, char** argv) {
  if (argc < 3) die_of(0, usage);
  static struct growth growth;
  growth.kind = argv[1];
  growth.count = number(argv[2]);
  if (growth.count > HIGHEST || growth.count < NEAR) die_of(0, usage);
  growth.options = parse(argv + 3);
  growth.rtnl = rtnl_open();
  prepare(&growth);
  for (unsigned i = 0; i < growth.count; i++)
    grow(&growth, i);
  report(&growth);
  if (growth.options.delete) delete_by_groups(&growth);
  // One by one, as when the descriptors of TAPs are closed, it would take minutes.
  clear_links(&growth.rtnl);
  rtnl_close(&growth.rtnl);
  return 0;
}
