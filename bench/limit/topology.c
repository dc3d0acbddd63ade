#include "topology.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BRIDGES = 4, WINDOW = 128, SCRATCH_GROUP = 0x6c77, MOST_LINKS = 1 << 16 };

struct links {
  unsigned count, of_kind;
  const char* kind;
  int index[MOST_LINKS];
};

static int kind_is(const struct nlattr* info, const char* kind) {
  const struct nlattr* attribute;
  mnl_attr_for_each_nested(attribute, info) {
    if (mnl_attr_get_type(attribute) == IFLA_INFO_KIND) return !strcmp(mnl_attr_get_str(attribute), kind);
  }
  return 0;
}

static void note_link(const struct nlmsghdr* message, void* context) {
  struct links* links = context;
  const struct ifinfomsg* info = mnl_nlmsg_get_payload(message);
  const struct nlattr* attribute;
  if (info->ifi_flags & IFF_LOOPBACK) return;
  if (links->count == MOST_LINKS) die_of(0, "too many links");
  links->index[links->count++] = info->ifi_index;
  mnl_attr_for_each(attribute, message, sizeof *info) {
    if (mnl_attr_get_type(attribute) == IFLA_LINKINFO)
      links->of_kind += (unsigned)kind_is(attribute, links->kind);
  }
}

static struct links* list_links(struct rtnl* rtnl, const char* kind) {
  static struct links links;
  char buffer[256];
  links.count = links.of_kind = 0;
  links.kind = kind;
  rtnl_dump(rtnl, get_links(buffer), note_link, &links);
  return &links;
}

static void flush_full(struct rtnl* rtnl, struct batch* batch, unsigned done) {
  if (done % WINDOW == WINDOW - 1) batch_flush(rtnl, batch);
}

void setup_get(struct rtnl* rtnl, unsigned count, const char* kind) {
  struct batch batch = batch_new(WINDOW);
  for (unsigned i = 0; i < count; i++) {
    char name[IFNAMSIZ];
    snprintf(name, sizeof name, "get%u", i);
    batch_put(rtnl, &batch, new_link(batch_room(&batch), name, kind));
    flush_full(rtnl, &batch, i);
  }
  batch_flush(rtnl, &batch);
  batch_free(&batch);
}

void default_ipv6(bool on) {
  int file = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
  if (file < 0) return;  // a kernel without IPv6
  if (write(file, on ? "0" : "1", 1) != 1) die("disable_ipv6");
  close(file);
}

void setup_dump(struct rtnl* rtnl, unsigned count, const char* kind) {
  struct batch batch = batch_new(WINDOW);
  int bridge[BRIDGES];
  char name[IFNAMSIZ];
  default_ipv6(false);  // no timers run and no state changes during the dumps
  for (unsigned i = 0; i < BRIDGES; i++) {
    char buffer[256];
    snprintf(name, sizeof name, "bridge%u", i);
    rtnl_acked(rtnl, new_link(buffer, name, "bridge"));
    bridge[i] = link_index(rtnl, name);
  }
  for (unsigned i = 0; i + BRIDGES < count; i++) {
    snprintf(name, sizeof name, "link%u", i);
    struct nlmsghdr* message = new_link(batch_room(&batch), name, kind);
    if (i % 4 == 0) mnl_attr_put_u32(message, IFLA_MASTER, (uint32_t)bridge[i / 4 % BRIDGES]);
    if (i % 8 == 1) set_up(message);
    batch_put(rtnl, &batch, message);
    flush_full(rtnl, &batch, i);
  }
  batch_flush(rtnl, &batch);
  batch_free(&batch);
}

void clear_links(struct rtnl* rtnl) {
  struct links* links = list_links(rtnl, "");
  if (!links->count) return;
  struct batch batch = batch_new(WINDOW);
  for (unsigned i = 0; i < links->count; i++) {
    struct nlmsghdr* message = link_message(batch_room(&batch), RTM_SETLINK, 0, links->index[i]);
    mnl_attr_put_u32(message, IFLA_GROUP, SCRATCH_GROUP);
    batch_put(rtnl, &batch, message);
    flush_full(rtnl, &batch, i);
  }
  batch_flush(rtnl, &batch);
  batch_free(&batch);
  char buffer[256];
  struct nlmsghdr* request = link_message(buffer, RTM_DELLINK, 0, 0);
  mnl_attr_put_u32(request, IFLA_GROUP, SCRATCH_GROUP);
  rtnl_acked(rtnl, request);
  if (list_links(rtnl, "")->count) die_of(0, "links left after the group delete");
}

void print_census(struct rtnl* rtnl, const char* kind) {
  struct links* links = list_links(rtnl, kind);
  unsigned count = links->count, of_kind = links->of_kind;
  char buffer[256];
  rtnl_acked(rtnl, new_link(buffer, "census", kind));
  int next = link_index(rtnl, "census");
  rtnl_acked(rtnl, link_message(buffer, RTM_DELLINK, 0, next));
  printf("{\"links\":%u,\"ofKind\":%u,\"nextIndex\":%d}\n", count, of_kind, next);
}
