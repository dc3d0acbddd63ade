#pragma once

#include <cstddef>
#include <cstdint>

#include "offload/vnet_header.h"

namespace linkwright {

/** What a descriptor carries: Ethernet frames (TAP, macvtap) or bare IP packets (TUN). */
enum class Layer : uint8_t { kEthernet, kIp };

/** What a receiver can take besides finished frames (TUN_F_*). */
struct Offloads {
  bool checksum = false;
  bool tso4 = false;
  bool tso6 = false;
  bool uso = false;
};

/**
 * Computes the checksum that VIRTIO_NET_HDR_F_NEEDS_CSUM leaves to the receiver, and clears the flag.
 * False, with nothing changed, when the header points outside of the frame.
 */
bool CompleteChecksum(uint8_t* frame, size_t length, VnetHeader* header);

/** Whether the receiver must not get this frame as it is: it has to be split, or its checksum computed, first. */
bool NeedsWork(const VnetHeader& header, const Offloads& receiver);

/**
 * Splits a super-frame (TSO, USO) into frames of the wire, each with right lengths, identifications, sequence
 * numbers, flags and checksums. Knows VLAN tags (802.1Q, 802.1ad), IPv4 with options, IPv6 with extension headers.
 */
class Segmenter {
 public:
  Segmenter(const uint8_t* frame, size_t length, const VnetHeader& header, Layer layer);

  /** False for what is not a super-frame that it understands: wrong lengths, offsets or types. */
  bool valid() const { return segments_ != 0; }
  size_t segments() const { return segments_; }
  /** Bytes of the longest segment. */
  size_t largest() const { return header_bytes_ + gso_size_; }
  /** Writes segment `index` into `out`, which has room for largest() bytes; returns its length. */
  size_t Write(size_t index, uint8_t* out) const;

 private:
  const uint8_t* frame_;
  size_t length_;
  Layer layer_;
  size_t segments_ = 0;
  size_t header_bytes_ = 0;
  size_t gso_size_ = 0;
};

}  // namespace linkwright
