// A bare rtnetlink socket: libmnl builds and walks the messages, the system calls are our own.
#pragma once

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stddef.h>
#include <stdint.h>

#include "program.h"

enum { RECEIVE_SIZE = 64 * 1024 };

struct rtnl {
  int fd;
  uint32_t seq;
  char* receive;  // RECEIVE_SIZE bytes
};

// Many requests, sent by one send(); only the last one asks for an ACK (errors come back unasked).
struct batch {
  char* data;
  size_t size, capacity;
  struct nlmsghdr* last;
};

typedef void (*rtnl_each)(const struct nlmsghdr* message, void* context);

struct rtnl rtnl_open(void);
void rtnl_close(struct rtnl* rtnl);

// One request, one ACK.
void rtnl_acked(struct rtnl* rtnl, struct nlmsghdr* request);
// One request, one answer, valid until the next call.
const struct nlmsghdr* rtnl_answered(struct rtnl* rtnl, struct nlmsghdr* request);
// One request, many answers up to NLMSG_DONE.
void rtnl_dump(struct rtnl* rtnl, struct nlmsghdr* request, rtnl_each each, void* context);

struct batch batch_new(size_t capacity);
void batch_free(struct batch* batch);
// Room for the next message of the batch; batch_put keeps what was built there.
char* batch_room(struct batch* batch);
void batch_put(struct rtnl* rtnl, struct batch* batch, struct nlmsghdr* message);
// Sends what is there and waits for the last ACK; any error ends the program.
void batch_flush(struct rtnl* rtnl, struct batch* batch);

struct nlmsghdr* link_message(void* buffer, uint16_t type, uint16_t flags, int index);
struct nlmsghdr* new_link(void* buffer, const char* name, const char* kind);
struct nlmsghdr* get_links(void* buffer);
// Makes a message bring its link up.
void set_up(struct nlmsghdr* message);
// The ifindex of a link, by its name.
int link_index(struct rtnl* rtnl, const char* name);
