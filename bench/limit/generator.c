// Makes frames, on the network's side of TAP devices, and sees what comes back. A command a line, a line of
// JSON each:
//   burst <process> <pattern> <bytes> <frames> <markers> <device>...
//       stops the process, sends so many frames to each device, lets it go on; with markers (0 or 1: none, or
//       the first and the last frame for each device) waits until they have all come in somewhere
//   echo <device> <bytes> <untimed> <timed> <milliseconds>     round trips, one frame outstanding, for so
//   long at most flood <device> <bytes> <milliseconds>       as fast as it can
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flood.h"
#include "marker.h"
#include "pattern.h"
#include "program.h"
#include "stopped.h"

enum {
  MOST_WORDS = 32,
  MOST_DEVICES = 16,
  MOST_FRAMES = 16384,
  FRAME_ROOM = 2048,
  WINDOW = 64,
  SEND_BYTES = 64 << 20,
  MOST_TIMES = 1000000,
  PAYLOAD = 14
};
static const double PATIENCE = 10;

struct device {
  int fd, index;
};

static struct device devices[MOST_DEVICES];
static unsigned device_count;

// Frames go straight to the driver (no queueing discipline), so what does not fit its queue is an error here.
static struct device* device_of(const char* name) {
  int index = (int)if_nametoindex(name);
  if (!index) die(name);
  for (unsigned i = 0; i < device_count; i++)
    if (devices[i].index == index) return &devices[i];
  if (device_count == MOST_DEVICES) {  // those of a subject that has ended
    for (unsigned i = 0; i < device_count; i++)
      close(devices[i].fd);
    device_count = 0;
  }
  struct device* device = &devices[device_count++];
  int one = 1, bytes = SEND_BYTES;
  *device = (struct device){.fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), .index = index};
  if (device->fd < 0) die("socket");
  if (setsockopt(device->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one)) die("PACKET_QDISC_BYPASS");
  if (setsockopt(device->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes)) die("SO_SNDBUFFORCE");
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = index};
  if (bind(device->fd, (struct sockaddr*)&address, sizeof address)) die("bind");
  return device;
}

struct load {
  unsigned count;
  struct mmsghdr messages[MOST_FRAMES];
  struct iovec data[MOST_FRAMES];
  uint8_t frames[MOST_FRAMES][FRAME_ROOM];
};

static struct load* build(pattern fill, unsigned size, unsigned count, unsigned port, unsigned ports) {
  static struct load loads[1];
  struct load* load = loads;
  if (count > MOST_FRAMES || size < PAYLOAD || size > FRAME_ROOM) die_of(EINVAL, "frames");
  load->count = count;
  for (unsigned i = 0; i < count; i++) {
    fill(load->frames[i], i, port, ports);
    load->data[i] = (struct iovec){load->frames[i], size};
    load->messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &load->data[i], .msg_iovlen = 1}};
  }
  return load;
}

struct sent {
  unsigned long frames, refused;
};

static struct sent send_all(const struct device* device, struct load* load) {
  struct sent sent = {0};
  for (unsigned at = 0; at < load->count;) {
    unsigned window = load->count - at < WINDOW ? load->count - at : WINDOW;
    int count = sendmmsg(device->fd, load->messages + at, window, 0);
    if (count > 0) {
      at += (unsigned)count;
      sent.frames += (unsigned)count;
    } else if (errno == ENOBUFS || errno == EAGAIN) {  // the device's queue is full
      at++;
      sent.refused++;
    } else if (errno != EINTR) {
      die("sendmmsg");
    }
  }
  return sent;
}

static void mark(struct load* load) {
  set_type(load->frames[0], MARKER_TYPE);
  // The last must arrive as the first does, so it comes from the same station.
  memcpy(load->frames[load->count - 1], load->frames[0], PAYLOAD);
}

static void burst(struct markers* markers, char** words, unsigned count) {
  if (count < 6) die_of(EINVAL, "burst");
  pid_t process = (pid_t)number(words[0]);
  pattern fill = find_pattern(words[1]);
  unsigned size = number(words[2]), frames = number(words[3]), ports = count - 5;
  bool marked = !strcmp(words[4], "1");
  struct marker arrival = {0};
  struct sent sent = {0};
  double filling = 0;
  markers_wait(markers, ~0U, 0, &arrival);  // what is left of a burst that was given up
  stop_process(process);
  for (unsigned port = 0; port < ports; port++) {
    const struct device* device = device_of(words[5 + port]);
    struct load* load = build(fill, size, frames, port, ports);
    if (marked) mark(load);
    double start = now_seconds();
    struct sent to_port = send_all(device, load);
    filling += now_seconds() - start;
    sent.frames += to_port.frames;
    sent.refused += to_port.refused;
  }
  continue_process(process);
  if (marked) markers_wait(markers, 2 * ports, PATIENCE, &arrival);
  printf("{\"sent\":%lu,\"refused\":%lu,\"filling\":%.9f,\"markers\":%u,\"draining\":%.9f}\n", sent.frames,
         sent.refused, filling, arrival.seen, arrival.last - arrival.first);
}

static int ascending(const void* a, const void* b) {
  double left = *(const double*)a, right = *(const double*)b;
  return (left > right) - (left < right);
}

// The frame is ours when it carries the number and comes from where it went.
static bool came_back(int fd, const uint8_t* frame, unsigned size) {
  uint8_t back[FRAME_ROOM];
  double end = now_seconds() + 1;
  while (now_seconds() < end) {
    ssize_t length = recv(fd, back, sizeof back, MSG_DONTWAIT);
    if (length == (ssize_t)size && !memcmp(back + PAYLOAD, frame + PAYLOAD, 4) &&
        !memcmp(back, frame + 6, 6) && !memcmp(back + 6, frame, 6))
      return true;
  }
  return false;
}

// It asks for the answer without sleeping, so that the time is the other side's.
static void echo(char** words, unsigned count) {
  static double times[MOST_TIMES];
  if (count != 5) die_of(EINVAL, "echo");
  const struct device* device = device_of(words[0]);
  unsigned size = number(words[1]), untimed = number(words[2]), timed = number(words[3]), lost = 0;
  if (timed > MOST_TIMES || size > FRAME_ROOM) die_of(EINVAL, "echo");
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  struct sockaddr_ll address = {
      .sll_family = AF_PACKET, .sll_ifindex = device->index, .sll_protocol = htons(TEST_TYPE)};
  if (fd < 0 || bind(fd, (struct sockaddr*)&address, sizeof address)) die("socket");
  uint8_t frame[FRAME_ROOM] = {0};
  find_pattern("pairs")(frame, 0, 0, 1);
  unsigned answered = 0;
  double start = now_seconds(), most = number(words[4]) / 1e3;
  for (uint32_t i = 0; answered < timed && now_seconds() < start + most; i++) {
    bool warm = i >= untimed || now_seconds() > start + most / 2;
    memcpy(frame + PAYLOAD, &i, sizeof i);
    double sent = now_seconds();
    if (send(device->fd, frame, size, 0) < 0) die("send");
    if (!came_back(fd, frame, size)) {
      lost++;
    } else if (warm) {
      times[answered++] = now_seconds() - sent;
    }
  }
  close(fd);
  qsort(times, answered, sizeof *times, ascending);
  double p50 = answered ? times[answered / 2] : 0, p99 = answered ? times[answered * 99UL / 100] : 0;
  printf("{\"answered\":%u,\"lost\":%u,\"p50\":%.9f,\"p99\":%.9f}\n", answered, lost, p50, p99);
}

static void flood(char** words, unsigned count) {
  if (count != 3) die_of(EINVAL, "flood");
  int index = (int)if_nametoindex(words[0]);
  if (!index) die(words[0]);
  double start = now_seconds();
  unsigned long sent = flood_device(index, number(words[1]), number(words[2]) / 1e3);
  printf("{\"sent\":%lu,\"seconds\":%.9f}\n", sent, now_seconds() - start);
}

static void obey(struct markers* markers, char* line) {
  char* words[MOST_WORDS];
  unsigned count = 0;
  for (char* word = strtok(line, " \n"); word && count < MOST_WORDS; word = strtok(NULL, " \n"))
    words[count++] = word;
  if (!count) return;
  if (!strcmp(words[0], "burst")) {
    burst(markers, words + 1, count - 1);
  } else if (!strcmp(words[0], "echo")) {
    echo(words + 1, count - 1);
  } else if (!strcmp(words[0], "flood")) {
    flood(words + 1, count - 1);
  } else {
    die_of(EINVAL, words[0]);
  }
  fflush(stdout);
}

// It stays on the first processor, so that the others are for those who are measured.
int main(void) {
  char line[1024];
  cpu_set_t first;
  CPU_ZERO(&first);
  CPU_SET(0, &first);
  sched_setaffinity(0, sizeof first, &first);  // where it may not, so be it
  struct markers markers = markers_open();
  puts("{\"ready\":true}");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin))
    obey(&markers, line);
  return 0;
}
