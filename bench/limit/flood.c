#include "flood.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "program.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4  // Linux 6.2
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum {
  ETHERNET = 14,
  HEADERS = ETHERNET + 20 + 8,
  MOST_SEGMENTS = 64,
  MOST_BYTES = 65000,
  CALLS_A_LOOK = 16
};

struct super_frame {
  struct virtio_net_hdr header;
  uint8_t ethernet[ETHERNET];
  struct iphdr ip;
  struct udphdr udp;
  uint8_t payload[MOST_BYTES];
} __attribute__((packed));

static uint16_t folded(uint32_t sum) {
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)sum;
}

static uint32_t sum_words(const void* data, size_t words) {
  uint32_t sum = 0;
  for (uint16_t word; words--; sum += word, data = (const uint8_t*)data + 2)
    memcpy(&word, data, 2);
  return sum;
}

// The kernel completes the checksum of each segment from that of the pseudo header.
static void fill(struct super_frame* frame, unsigned segments, unsigned payload) {
  uint16_t udp_length = htons((uint16_t)(sizeof frame->udp + segments * payload));
  frame->header = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                          .gso_type = VIRTIO_NET_HDR_GSO_UDP_L4,
                                          .hdr_len = HEADERS,
                                          .gso_size = (uint16_t)payload,
                                          .csum_start = ETHERNET + sizeof frame->ip,
                                          .csum_offset = 6};
  memcpy(frame->ethernet, (uint8_t[ETHERNET]){2, 0, 0, 0, 1, 0, 2, 0, 0, 0, 2, 0, 8, 0}, ETHERNET);
  frame->ip = (struct iphdr){.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP};
  frame->ip.tot_len = htons((uint16_t)(sizeof frame->ip + sizeof frame->udp + segments * payload));
  frame->ip.saddr = htonl(0x0a090001);
  frame->ip.daddr = htonl(0x0a090002);
  frame->ip.check = (uint16_t)~folded(sum_words(&frame->ip, sizeof frame->ip / 2));
  frame->udp = (struct udphdr){.source = htons(5000), .dest = htons(5001), .len = udp_length};
  uint32_t pseudo = sum_words((const uint8_t*)&frame->ip + 12, 4) + htons(IPPROTO_UDP) + udp_length;
  frame->udp.check = folded(pseudo);
}

unsigned long flood_device(int index, unsigned size, double seconds) {
  static struct super_frame frame;
  if (size <= HEADERS) die_of(EINVAL, "size");
  unsigned payload = size - HEADERS, fitting = MOST_BYTES / payload;
  unsigned segments = fitting < MOST_SEGMENTS ? fitting : MOST_SEGMENTS;
  fill(&frame, segments, payload);
  size_t length = sizeof frame - sizeof frame.payload + (size_t)segments * payload;
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), one = 1;
  if (fd < 0) die("socket");
  if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one)) die("PACKET_VNET_HDR");
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = index};
  if (bind(fd, (struct sockaddr*)&address, sizeof address)) die("bind");
  unsigned long sent = 0;
  double end = now_seconds() + seconds;
  while (now_seconds() < end) {
    for (unsigned i = 0; i < CALLS_A_LOOK; i++) {
      if (send(fd, &frame, length, 0) >= 0) {
        sent += segments;
      } else if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR) {
        die("send");
      }
    }
  }
  close(fd);
  return sent;
}
