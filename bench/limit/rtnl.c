#include "rtnl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE_ROOM = 512 };

struct rtnl rtnl_open(void) {
  struct rtnl rtnl = {.seq = 1};
  int one = 1, bytes = 4 << 20;
  rtnl.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (rtnl.fd < 0) die("socket");
  struct sockaddr_nl self = {.nl_family = AF_NETLINK};
  if (bind(rtnl.fd, (struct sockaddr*)&self, sizeof self)) die("bind");
  if (setsockopt(rtnl.fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one)) die("NETLINK_CAP_ACK");
  if (setsockopt(rtnl.fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof one))
    die("NETLINK_GET_STRICT_CHK");
  // A full receive buffer would lose ACKs, a small send buffer refuses a large batch.
  if (setsockopt(rtnl.fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes)) die("SO_RCVBUFFORCE");
  if (setsockopt(rtnl.fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes)) die("SO_SNDBUFFORCE");
  rtnl.receive = malloc(RECEIVE_SIZE);
  if (!rtnl.receive) die("malloc");
  return rtnl;
}

void rtnl_close(struct rtnl* rtnl) {
  close(rtnl->fd);
  free(rtnl->receive);
}

static void send_all(struct rtnl* rtnl, const void* data, size_t size) {
  ssize_t sent = send(rtnl->fd, data, size, 0);
  if (sent < 0) die("send");
  if ((size_t)sent != size) die_of(0, "short send");
}

static int receive(struct rtnl* rtnl) {
  ssize_t size = recv(rtnl->fd, rtnl->receive, RECEIVE_SIZE, MSG_TRUNC);
  if (size < 0) die("recv");
  if (size > RECEIVE_SIZE) die_of(0, "recv truncated a datagram");
  return (int)size;
}

static void expect_success(const struct nlmsghdr* message, const char* what) {
  const struct nlmsgerr* error = mnl_nlmsg_get_payload(message);
  if (error->error) die_of(-error->error, what);
}

// Reads until the ACK of `seq`; an error of any other request ends the program too.
static void await_ack(struct rtnl* rtnl, uint32_t seq) {
  for (;;) {
    int left = receive(rtnl);
    for (struct nlmsghdr* message = (void*)rtnl->receive; mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_type != NLMSG_ERROR) die_of(0, "an answer where an ACK was due");
      expect_success(message, "request");
      if (message->nlmsg_seq == seq) return;
    }
  }
}

void rtnl_acked(struct rtnl* rtnl, struct nlmsghdr* request) {
  request->nlmsg_seq = ++rtnl->seq;
  request->nlmsg_flags |= NLM_F_ACK;
  send_all(rtnl, request, request->nlmsg_len);
  await_ack(rtnl, request->nlmsg_seq);
}

const struct nlmsghdr* rtnl_answered(struct rtnl* rtnl, struct nlmsghdr* request) {
  request->nlmsg_seq = ++rtnl->seq;
  send_all(rtnl, request, request->nlmsg_len);
  int left = receive(rtnl);
  const struct nlmsghdr* answer = (void*)rtnl->receive;
  if (!mnl_nlmsg_ok(answer, left) || answer->nlmsg_seq != request->nlmsg_seq) die_of(0, "no answer");
  if (answer->nlmsg_type == NLMSG_ERROR) expect_success(answer, "request");
  return answer;
}

void rtnl_dump(struct rtnl* rtnl, struct nlmsghdr* request, rtnl_each each, void* context) {
  request->nlmsg_seq = ++rtnl->seq;
  send_all(rtnl, request, request->nlmsg_len);
  for (;;) {
    int left = receive(rtnl);
    for (struct nlmsghdr* message = (void*)rtnl->receive; mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_flags & NLM_F_DUMP_INTR) die_of(EINTR, "dump");
      if (message->nlmsg_type == NLMSG_DONE) return;
      if (message->nlmsg_type == NLMSG_ERROR) expect_success(message, "dump");
      each(message, context);
    }
  }
}

struct batch batch_new(size_t capacity) {
  struct batch batch = {.capacity = capacity * MESSAGE_ROOM, .data = malloc(capacity * MESSAGE_ROOM)};
  if (!batch.data) die("malloc");
  return batch;
}

void batch_free(struct batch* batch) {
  free(batch->data);
}

char* batch_room(struct batch* batch) {
  if (batch->size + MESSAGE_ROOM > batch->capacity) die_of(0, "batch overflow");
  return batch->data + batch->size;
}

void batch_put(struct rtnl* rtnl, struct batch* batch, struct nlmsghdr* message) {
  message->nlmsg_seq = ++rtnl->seq;
  batch->size += MNL_ALIGN(message->nlmsg_len);
  batch->last = message;
}

void batch_flush(struct rtnl* rtnl, struct batch* batch) {
  if (!batch->size) return;
  batch->last->nlmsg_flags |= NLM_F_ACK;
  send_all(rtnl, batch->data, batch->size);
  await_ack(rtnl, batch->last->nlmsg_seq);
  batch->size = 0;
}

struct nlmsghdr* link_message(void* buffer, uint16_t type, uint16_t flags, int index) {
  struct nlmsghdr* message = mnl_nlmsg_put_header(buffer);
  message->nlmsg_type = type;
  message->nlmsg_flags = NLM_F_REQUEST | flags;
  struct ifinfomsg* info = mnl_nlmsg_put_extra_header(message, sizeof *info);
  info->ifi_index = index;
  return message;
}

struct nlmsghdr* new_link(void* buffer, const char* name, const char* kind) {
  struct nlmsghdr* message = link_message(buffer, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
  mnl_attr_put_strz(message, IFLA_IFNAME, name);
  struct nlattr* info = mnl_attr_nest_start(message, IFLA_LINKINFO);
  mnl_attr_put_str(message, IFLA_INFO_KIND, kind);
  mnl_attr_nest_end(message, info);
  return message;
}

struct nlmsghdr* get_links(void* buffer) {
  struct nlmsghdr* message = link_message(buffer, RTM_GETLINK, NLM_F_DUMP, 0);
  mnl_attr_put_u32(message, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  return message;
}

void set_up(struct nlmsghdr* message) {
  struct ifinfomsg* info = mnl_nlmsg_get_payload(message);
  info->ifi_flags = info->ifi_change = IFF_UP;
}

int link_index(struct rtnl* rtnl, const char* name) {
  char buffer[256];
  struct nlmsghdr* request = link_message(buffer, RTM_GETLINK, 0, 0);
  mnl_attr_put_strz(request, IFLA_IFNAME, name);
  const struct ifinfomsg* info = mnl_nlmsg_get_payload(rtnl_answered(rtnl, request));
  return info->ifi_index;
}
