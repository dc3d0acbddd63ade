#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "provision.h"
#include "tap.h"

// Before it is up, so that it takes no address and no routes.
static void disable_ipv6(const char* name) {
  char path[64];
  snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return;  // a kernel without IPv6
  if (write(file, "1", 1) != 1) die(path);
  close(file);
}

void create_taps(struct provision* p, unsigned count) {
  char name[IFNAMSIZ];
  p->taps = realloc(p->taps, count * sizeof *p->taps);
  if (!p->taps) die("realloc");
  for (unsigned i = 0; i < count; i++) {
    snprintf(name, sizeof name, "tap%u", i);
    p->taps[i] = tap_open(name, TAP_PLAIN);
    disable_ipv6(name);
  }
  p->taps_open = count;
  uint32_t bridge = 0;
  for (unsigned i = 0; i < count; i++) {
    if (i % TOGETHER == 0) {
      provision_flush(p);  // looking up the bridge is an exchange of its own
      bridge = numbered_index(p, "br", i / TOGETHER);
    }
    uint8_t mac[6] = {0x02, 0x74, 0, 0, (uint8_t)(i >> 8), (uint8_t)i};
    struct nlmsghdr* message = link_message(batch_room(&p->batch), RTM_SETLINK, 0, 0);
    snprintf(name, sizeof name, "tap%u", i);
    mnl_attr_put_strz(message, IFLA_IFNAME, name);
    mnl_attr_put(message, IFLA_ADDRESS, sizeof mac, mac);
    mnl_attr_put_u32(message, IFLA_MTU, TAP_MTU);
    mnl_attr_put_u32(message, IFLA_MASTER, bridge);
    set_up(message);
    provision_put(p, message);
  }
  provision_flush(p);
}

// Of TAPs that are removed already this takes no time.
void close_taps(struct provision* p, unsigned count) {
  for (unsigned i = 0; i < count && i < p->taps_open; i++) {
    if (p->taps[i] >= 0 && close(p->taps[i])) die("close");
    p->taps[i] = -1;
  }
}
