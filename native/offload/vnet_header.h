#pragma once

#include <cstddef>
#include <cstdint>

namespace linkwright {

/** struct virtio_net_hdr of linux/virtio_net.h in the machine's byte order, as TUN devices use it. */
struct VnetHeader {
  static constexpr uint8_t kNeedsChecksum = 1;
  static constexpr uint8_t kDataValid = 2;
  static constexpr uint8_t kGsoNone = 0;
  static constexpr uint8_t kGsoTcp4 = 1;
  static constexpr uint8_t kGsoUdp = 3;
  static constexpr uint8_t kGsoTcp6 = 4;
  static constexpr uint8_t kGsoUdpL4 = 5;
  static constexpr uint8_t kGsoEcn = 0x80;

  uint8_t flags = 0;
  uint8_t gso_type = 0;
  /** Of Ethernet, IP and TCP or UDP together. Not to be trusted: forwarded frames carry other values. */
  uint16_t header_length = 0;
  /** Payload bytes of each segment. */
  uint16_t gso_size = 0;
  uint16_t checksum_start = 0;
  uint16_t checksum_offset = 0;
};
/** The kernel reads and writes so much of a header of whatever size; the rest is 0. */
constexpr size_t kVnetHeaderBytes = 10;
static_assert(sizeof(VnetHeader) == kVnetHeaderBytes);

}  // namespace linkwright
