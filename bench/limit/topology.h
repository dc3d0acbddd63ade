// What a namespace holds before and after a measurement; nothing here is timed.
#pragma once

#include <stdbool.h>

#include "rtnl.h"

// `get`: `count` links of `kind`, named get0, get1, ...
void setup_get(struct rtnl* rtnl, unsigned count, const char* kind);
// `dump`: `count` links in all: four bridges and links of `kind`, some of them up, some in a bridge.
void setup_dump(struct rtnl* rtnl, unsigned count, const char* kind);
// What a workload that provisions needs: bridges for TAPs, lower devices for macvtaps.
void setup_provision(struct rtnl* rtnl, const char* workload, unsigned count);
// Whether links that are made from now on speak IPv6, and so take an address when they come up.
void default_ipv6(bool on);
// A line for each link but lo: name, kind, ifindex, MTU, up or down, master, link, address.
void print_links(struct rtnl* rtnl);
// Removes every link but lo, by one group delete, and checks that they are gone.
void clear_links(struct rtnl* rtnl);
// Prints how many links there are and the index the kernel gives next, from which creations are counted.
void print_census(struct rtnl* rtnl, const char* kind);
