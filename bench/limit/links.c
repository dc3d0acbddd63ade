// The limit of the `links` suite: each workload as the kernel allows it, without a library above the socket.
//   links <workload> <count> <kind>      three untimed runs, a timed one, one line of JSON
//   links setup <workload> <count> <kind> | links clear | links census <kind>
//   links provision <workload> <peer>    speaks with the benchmark
//   links prepare <workload> <count> <ipv6: 0 or 1> | links list
#include "provision.h"
#include "rtnl.h"
#include "topology.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GET_LINKS = 100, CREATE_WINDOW = 128, WARM_UPS = 3, LONGEST_MAC = 32 };

static void create_delete(struct rtnl* rtnl, unsigned count, const char* kind) {
  char create[256], delete[256];
  struct nlmsghdr* creation = new_link(create, "one", kind);
  struct nlmsghdr* deletion = link_message(delete, RTM_DELLINK, 0, 0);
  mnl_attr_put_strz(deletion, IFLA_IFNAME, "one");
  for (unsigned i = 0; i < count; i++) {
    rtnl_acked(rtnl, creation);
    rtnl_acked(rtnl, deletion);
  }
}

// Asks for get0 ... get99 in turn and returns the sum of the first hundred indexes.
static unsigned long get(struct rtnl* rtnl, unsigned count) {
  unsigned long sum = 0;
  char buffer[256], name[IFNAMSIZ];
  for (unsigned i = 0; i < count; i++) {
    struct nlmsghdr* request = link_message(buffer, RTM_GETLINK, 0, 0);
    snprintf(name, sizeof name, "get%u", i % GET_LINKS);
    mnl_attr_put_strz(request, IFLA_IFNAME, name);
    mnl_attr_put_u32(request, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    const struct ifinfomsg* info = mnl_nlmsg_get_payload(rtnl_answered(rtnl, request));
    if (i < GET_LINKS) sum += (unsigned long)info->ifi_index;
  }
  return sum;
}

// Windows bound how long one send() keeps the RTNL; a single window of 1,000 is not faster (see README).
static void create_batch(struct rtnl* rtnl, unsigned count, const char* kind, unsigned window) {
  struct batch batch = batch_new(window);
  for (unsigned i = 0; i < count; i++) {
    char name[IFNAMSIZ];
    snprintf(name, sizeof name, "batch%u", i);
    batch_put(rtnl, &batch, new_link(batch_room(&batch), name, kind));
    if (i % window == window - 1) batch_flush(rtnl, &batch);
  }
  batch_flush(rtnl, &batch);
  batch_free(&batch);
}

struct row {
  char name[IFNAMSIZ];
  int index;
  uint32_t master;
  uint8_t state, mac_length, mac[LONGEST_MAC];
};

struct rows {
  size_t count, capacity;
  struct row* at;
};

static void read_row(const struct nlmsghdr* message, void* context) {
  struct rows* rows = context;
  if (rows->count == rows->capacity) {
    rows->capacity = rows->capacity ? rows->capacity * 2 : 1024;
    rows->at = realloc(rows->at, rows->capacity * sizeof *rows->at);
    if (!rows->at) die("realloc");
  }
  struct row* row = &rows->at[rows->count++];
  const struct ifinfomsg* info = mnl_nlmsg_get_payload(message);
  row->index = info->ifi_index;
  row->master = 0;
  row->state = row->mac_length = 0;
  const struct nlattr* attribute;
  mnl_attr_for_each(attribute, message, sizeof *info) {
    size_t length = mnl_attr_get_payload_len(attribute);
    switch (mnl_attr_get_type(attribute)) {
      case IFLA_IFNAME:
        memcpy(row->name, mnl_attr_get_payload(attribute), length < IFNAMSIZ ? length : IFNAMSIZ);
        break;
      case IFLA_OPERSTATE:
        row->state = mnl_attr_get_u8(attribute);
        break;
      case IFLA_MASTER:
        row->master = mnl_attr_get_u32(attribute);
        break;
      case IFLA_ADDRESS:
        row->mac_length = (uint8_t)(length < LONGEST_MAC ? length : LONGEST_MAC);
        memcpy(row->mac, mnl_attr_get_payload(attribute), row->mac_length);
        break;
    }
  }
}

static void dump(struct rtnl* rtnl, unsigned count, struct rows* rows) {
  char buffer[256];
  for (unsigned i = 0; i < count; i++) {
    rows->count = 0;
    rtnl_dump(rtnl, get_links(buffer), read_row, rows);
  }
}

// The same digest is made by every subject from the five fields, after the clock has stopped.
static void print_digest(char* check, size_t size, const struct rows* rows) {
  unsigned long indexes = 0, masters = 0, states = 0, names = 0;
  uint8_t mac[6] = {0};
  for (size_t i = 0; i < rows->count; i++) {
    const struct row* row = &rows->at[i];
    indexes += (unsigned long)row->index;
    masters += row->master;
    states += row->state;
    names += strnlen(row->name, IFNAMSIZ);
    for (unsigned b = 0; b < 6 && b < row->mac_length; b++)
      mac[b] ^= row->mac[b];
  }
  snprintf(check, size, "links=%zu names=%lu indexes=%lu states=%lu masters=%lu mac=%02x%02x%02x%02x%02x%02x",
           rows->count, names, indexes, states, masters, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static void run(struct rtnl* rtnl, const char* workload, unsigned count, const char* kind, unsigned window) {
  char check[256] = "";
  const char* unit = NULL;
  double value = 0;
  struct rows rows = {0};
  for (int round = 0; round <= WARM_UPS; round++) {
    double start = now_seconds();
    if (!strcmp(workload, "create-delete")) {
      create_delete(rtnl, count, kind);
      value = count / (now_seconds() - start);
      unit = "operations/s";
    } else if (!strcmp(workload, "get")) {
      unsigned long sum = get(rtnl, count);
      value = count / (now_seconds() - start);
      unit = "requests/s";
      snprintf(check, sizeof check, "indexes=%lu", sum);
    } else if (!strcmp(workload, "create-batch")) {
      create_batch(rtnl, count, kind, window);
      value = count / (now_seconds() - start);
      unit = "links/s";
      if (round < WARM_UPS) clear_links(rtnl);
    } else if (!strcmp(workload, "dump")) {
      dump(rtnl, count, &rows);
      value = (now_seconds() - start) * 1000 / count;
      unit = "ms";
      print_digest(check, sizeof check, &rows);
    } else {
      die_of(0, "no such workload");
    }
  }
  free(rows.at);
  printf("{\"value\":%.9g,\"unit\":\"%s\",\"check\":\"%s\"}\n", value, unit, check);
}

int main(int argc, char** argv) {
  struct rtnl rtnl = rtnl_open();
  if (argc == 2 && !strcmp(argv[1], "clear")) {
    clear_links(&rtnl);
  } else if (argc == 3 && !strcmp(argv[1], "census")) {
    print_census(&rtnl, argv[2]);
  } else if (argc == 5 && !strcmp(argv[1], "setup") && !strcmp(argv[2], "get")) {
    setup_get(&rtnl, number(argv[3]), argv[4]);
  } else if (argc == 5 && !strcmp(argv[1], "setup") && !strcmp(argv[2], "dump")) {
    setup_dump(&rtnl, number(argv[3]), argv[4]);
  } else if (argc == 2 && !strcmp(argv[1], "list")) {
    print_links(&rtnl);
  } else if (argc == 5 && !strcmp(argv[1], "prepare")) {
    default_ipv6(!strcmp(argv[4], "1"));
    setup_provision(&rtnl, argv[2], number(argv[3]));
  } else if (argc >= 4 && !strcmp(argv[1], "provision")) {
    run_provision(&rtnl, argv[2], argv[3]);
  } else if (argc >= 4) {
    const char* window = getenv("WINDOW");  // to find the best window again
    run(&rtnl, argv[1], number(argv[2]), argv[3], window ? number(window) : CREATE_WINDOW);
  } else {
    die_of(EINVAL, "links <workload> <count> <kind>");
  }
  rtnl_close(&rtnl);
  return 0;
}
