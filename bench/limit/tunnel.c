#include "tunnel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "batch.h"
#include "program.h"
#include "tap.h"
#include "told.h"

#ifndef UDP_GRO
#define UDP_SEGMENT 103
#define UDP_GRO 104
#endif

enum { PORT = 4789, BUFFER_BYTES = 4 << 20, LARGEST_DATAGRAM = 65507, MOST_SEGMENTS = 64, BUDGET = 64 };

static struct sockaddr_in address_of(unsigned end) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
  address.sin_addr.s_addr = htonl(0xc0a80900U + end);
  return address;
}

static int open_socket(unsigned end, bool segmenting) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  struct sockaddr_in here = address_of(end), there = address_of(3 - end);
  if (bind(fd, (struct sockaddr*)&here, sizeof here)) die("bind");
  if (connect(fd, (struct sockaddr*)&there, sizeof there)) die("connect");
  int bytes = BUFFER_BYTES, one = 1;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes)) die("SO_RCVBUFFORCE");
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes)) die("SO_SNDBUFFORCE");
  if (segmenting && setsockopt(fd, SOL_UDP, UDP_GRO, &one, sizeof one)) die("UDP_GRO");
  return fd;
}

// A peer that is not there yet (ECONNREFUSED) and a full queue lose the frame, as on any wire.
static void note_failure(ssize_t result) {
  if (result < 0 && errno != ECONNREFUSED && errno != EAGAIN && errno != ENOBUFS && errno != EINTR)
    die("send");
}

static void send_each(const struct batch* batch, int udp) {
  for (unsigned i = 0; i < batch->count; i++)
    note_failure(send(udp, batch->at[i], batch->length[i], 0));
}

// Frames from `first` on that one call can send: of one size, of which the last may be shorter.
static unsigned run_of(const struct batch* batch, unsigned first, size_t* bytes) {
  unsigned count = 0;
  *bytes = 0;
  while (first + count < batch->count && count < MOST_SEGMENTS) {
    uint32_t length = batch->length[first + count];
    if (length > batch->length[first] || *bytes + length > LARGEST_DATAGRAM) break;
    *bytes += length;
    count++;
    if (length < batch->length[first]) break;
  }
  return count;
}

static void send_segments(const struct batch* batch, int udp) {
  for (unsigned first = 0; first < batch->count;) {
    size_t bytes;
    unsigned count = run_of(batch, first, &bytes);
    struct iovec data = {batch->at[first], bytes};
    union {
      char room[CMSG_SPACE(sizeof(uint16_t))];
      struct cmsghdr aligned;
    } control = {0};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    if (count > 1) {
      message.msg_control = &control;
      message.msg_controllen = sizeof control.room;
      struct cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_UDP;
      header->cmsg_type = UDP_SEGMENT;
      header->cmsg_len = CMSG_LEN(sizeof(uint16_t));
      uint16_t size = (uint16_t)batch->length[first];
      memcpy(CMSG_DATA(header), &size, sizeof size);
    }
    note_failure(sendmsg(udp, &message, 0));
    first += count;
  }
}

// Size of the datagrams that the kernel has put together in one, or `received` for a single one.
static size_t segment_size(struct msghdr* message, size_t received) {
  for (struct cmsghdr* header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
    int size;
    if (header->cmsg_level != SOL_UDP || header->cmsg_type != UDP_GRO) continue;
    memcpy(&size, CMSG_DATA(header), sizeof size);
    return (size_t)size;
  }
  return received;
}

// Datagrams to the TAP, at most a budget of calls; how many calls brought something.
static unsigned receive(int udp, int tap) {
  static uint8_t buffer[LARGEST_SUPER_FRAME];
  for (unsigned calls = 0; calls < BUDGET; calls++) {
    struct iovec data = {buffer, sizeof buffer};
    union {
      char room[CMSG_SPACE(sizeof(int))];
      struct cmsghdr aligned;
    } control;
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room};
    ssize_t received = recvmsg(udp, &message, 0);
    if (received < 0) {
      if (errno == EAGAIN) return calls;
      if (errno != ECONNREFUSED && errno != EINTR) die("recvmsg");
      continue;
    }
    size_t size = segment_size(&message, (size_t)received);
    for (size_t at = 0; at < (size_t)received; at += size)
      write_frame(tap, buffer + at, (size_t)received - at < size ? (size_t)received - at : size);
  }
  return BUDGET;
}

void tunnel(unsigned end, bool segmenting) {
  struct batch batch = batch_new(LARGEST_FRAME, 1);
  int tap = tap_open("lw0", TAP_PLAIN), udp = open_socket(end, segmenting);
  const int both[2] = {tap, udp};
  tell_ready();
  do {
    unsigned moved;
    do {
      moved = batch_read(&batch, tap);
      (segmenting ? send_segments : send_each)(&batch, udp);
      moved += receive(udp, tap);
    } while (moved);
  } while (wait_readable(both, 2));
  puts("{}");
}
