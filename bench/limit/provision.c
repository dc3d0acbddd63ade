#include "provision.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "topology.h"

enum { WINDOW = 128, REMOVED_TOGETHER = 1024, FIRST_GROUP = 0x4c690000 };

void provision_flush(struct provision* p) {
  batch_flush(p->rtnl, &p->batch);
  p->waiting = 0;
}

void provision_put(struct provision* p, struct nlmsghdr* message) {
  batch_put(p->rtnl, &p->batch, message);
  if (++p->waiting == WINDOW) provision_flush(p);
}

uint32_t numbered_index(struct provision* p, const char* prefix, unsigned number) {
  char name[IFNAMSIZ];
  snprintf(name, sizeof name, "%s%u", prefix, number);
  return (uint32_t)link_index(p->rtnl, name);
}

// Links PREFIX0 ... are put into groups of 1,024, and each group is removed by one message.
void delete_groups(struct provision* p, const char* prefix, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    char name[IFNAMSIZ];
    struct nlmsghdr* message = link_message(batch_room(&p->batch), RTM_SETLINK, 0, 0);
    snprintf(name, sizeof name, "%s%u", prefix, i);
    mnl_attr_put_strz(message, IFLA_IFNAME, name);
    mnl_attr_put_u32(message, IFLA_GROUP, FIRST_GROUP + i / REMOVED_TOGETHER);
    provision_put(p, message);
  }
  provision_flush(p);
  for (unsigned group = 0; group * REMOVED_TOGETHER < count; group++) {
    char buffer[256];
    struct nlmsghdr* message = link_message(buffer, RTM_DELLINK, 0, 0);
    mnl_attr_put_u32(message, IFLA_GROUP, FIRST_GROUP + group);
    rtnl_acked(p->rtnl, message);
  }
}

static void create_links(struct provision* p, const char* workload, unsigned count) {
  if (!strcmp(workload, "taps")) create_taps(p, count);
  if (!strcmp(workload, "macvtaps")) create_macvtaps(p, count);
  if (!strcmp(workload, "veth")) create_veth(p, count);
  if (!strcmp(workload, "bridges")) create_bridges(p, count);
}

static void delete_links(struct provision* p, const char* workload, unsigned count) {
  if (!strcmp(workload, "taps")) {
    delete_groups(p, "tap", count);
    close_taps(p, count);
  }
  if (!strcmp(workload, "macvtaps")) delete_groups(p, "mvt", count);
  if (!strcmp(workload, "veth")) delete_groups(p, "veth", count);
  if (!strcmp(workload, "bridges")) {
    delete_groups(p, "port", count * PORTS_BESIDE);
    delete_groups(p, "br", count);
  }
}

static int open_namespace(const char* process) {
  char path[32];
  snprintf(path, sizeof path, "/proc/%s/ns/net", process);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) die(path);
  return fd;
}

static void allow_descriptors(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit)) die("RLIMIT_NOFILE");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit)) die("RLIMIT_NOFILE");
}

void run_provision(struct rtnl* rtnl, const char* workload, const char* peer) {
  struct provision provision = {.rtnl = rtnl, .peer = -1, .batch = batch_new(WINDOW)};
  char line[64], verb[16], count[16];
  allow_descriptors();
  if (strcmp(peer, "-")) provision.peer = open_namespace(peer);
  setvbuf(stdout, NULL, _IOLBF, 0);
  puts("{}");
  while (fgets(line, sizeof line, stdin)) {
    if (sscanf(line, "%15s %15s", verb, count) != 2) die_of(0, line);
    double start = now_seconds();
    if (!strcmp(verb, "create")) create_links(&provision, workload, number(count));
    if (!strcmp(verb, "delete")) delete_links(&provision, workload, number(count));
    double seconds = now_seconds() - start;
    if (!strcmp(verb, "forget")) {
      close_taps(&provision, provision.taps_open);
      provision.taps_open = 0;
    }
    printf("{\"seconds\":%.9g}\n", seconds);
  }
  batch_free(&provision.batch);
  clear_links(rtnl);  // or the kernel would take each TAP down by itself when its descriptor closes: minutes
}
