// The workloads that provision, as the kernel allows them: descriptors by bare ioctls, links by windows of
// messages of which only the last is acknowledged, removal as groups of which each is one message.
#pragma once

#include "rtnl.h"

enum {
  TOGETHER = 1000,    // TAPs of a bridge (the kernel allows 1,023), macvtaps of a lower device
  PORTS_BESIDE = 10,  // of each bridge of the workload `bridges`
  TAP_MTU = 1400,
};

struct provision {
  struct rtnl* rtnl;
  int peer;            // the namespace of the other ends of veth pairs
  int* taps;           // descriptors, -1 once closed
  unsigned taps_open;  // how many
  struct batch batch;
  unsigned waiting;  // messages in the batch
};

// Speaks with the benchmark until its input ends: create N, delete N, forget 0. `peer` is a process in the
// other namespace, or "-".
void run_provision(struct rtnl* rtnl, const char* workload, const char* peer);

void create_taps(struct provision* p, unsigned count);
void close_taps(struct provision* p, unsigned count);
void create_macvtaps(struct provision* p, unsigned count);
void create_veth(struct provision* p, unsigned count);
void create_bridges(struct provision* p, unsigned count);
// Links PREFIX0, PREFIX1, ...
void delete_groups(struct provision* p, const char* prefix, unsigned count);

void provision_put(struct provision* p, struct nlmsghdr* message);
void provision_flush(struct provision* p);
uint32_t numbered_index(struct provision* p, const char* prefix, unsigned number);
