#include "marker.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "pattern.h"
#include "program.h"

enum { RING_FRAMES = 256, RING_FRAME_BYTES = 2048, BLOCK_BYTES = 16384 };

// A ring: the kernel notes the time as it puts a frame there, not when it is read.
struct markers markers_open(void) {
  struct markers markers = {.fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(MARKER_TYPE))};
  if (markers.fd < 0) die("socket");
  int version = TPACKET_V2;
  if (setsockopt(markers.fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version)) die("PACKET_VERSION");
  struct tpacket_req ring = {.tp_block_size = BLOCK_BYTES,
                             .tp_block_nr = RING_FRAMES * RING_FRAME_BYTES / BLOCK_BYTES,
                             .tp_frame_size = RING_FRAME_BYTES,
                             .tp_frame_nr = RING_FRAMES};
  if (setsockopt(markers.fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring)) die("PACKET_RX_RING");
  markers.ring =
      mmap(0, (size_t)RING_FRAMES * RING_FRAME_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, markers.fd, 0);
  if (markers.ring == MAP_FAILED) die("mmap");
  return markers;
}

static struct tpacket2_hdr* next_of(const struct markers* markers) {
  return (struct tpacket2_hdr*)(markers->ring + (size_t)markers->next * RING_FRAME_BYTES);
}

bool markers_wait(struct markers* markers, unsigned count, double seconds, struct marker* result) {
  double end = now_seconds() + seconds;
  *result = (struct marker){0};
  while (result->seen < count) {
    struct tpacket2_hdr* header = next_of(markers);
    if (!(*(volatile unsigned*)&header->tp_status & TP_STATUS_USER)) {
      double left = end - now_seconds();
      if (left <= 0) return false;
      poll(&(struct pollfd){.fd = markers->fd, .events = POLLIN}, 1, (int)(left * 1000) + 1);
      continue;
    }
    atomic_thread_fence(memory_order_acquire);
    double at = header->tp_sec + header->tp_nsec / 1e9;
    if (!result->seen || at < result->first) result->first = at;
    if (!result->seen || at > result->last) result->last = at;
    result->seen++;
    atomic_thread_fence(memory_order_release);
    header->tp_status = TP_STATUS_KERNEL;
    markers->next = (markers->next + 1) % RING_FRAMES;
  }
  return true;
}
