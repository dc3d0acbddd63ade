#pragma once

#include <cstddef>
#include <cstdint>

#include "offload/packet.h"
#include "offload/vnet_header.h"

namespace linkwright {

/**
 * Splits a super-frame (TSO, USO) into frames of the wire, each with right lengths, identifications, sequence
 * numbers, flags and checksums. Knows VLAN tags (802.1Q, 802.1ad), IPv4 with options, IPv6 with extension
 * headers. The lengths are those of the frame, whatever its headers say, and none is read twice: the frame
 * may come from a guest, and change meanwhile.
 */
class Segmenter {
 public:
  /** As many as the smallest segments of Linux (TCP_MIN_GSO_SIZE, 8 bytes) are in 64 KiB. */
  static constexpr size_t kMostSegments = 8192;

  Segmenter(const uint8_t* frame, size_t length, const VnetHeader& header, Layer layer);

  /** False for what is not a super-frame that it understands: wrong lengths, offsets or types, or a fragment.
   */
  bool valid() const { return segments_ != 0; }
  /** 1 where all of the payload fits in one. */
  size_t segments() const { return segments_; }
  /** Bytes of the longest segment. */
  size_t largest() const { return header_bytes_ + gso_size_; }
  /** Writes segment `index` into `out`, which has room for largest() bytes; returns its length. */
  size_t Write(size_t index, uint8_t* out) const;

 private:
  void FinishTcp(size_t index, uint8_t* out, size_t length) const;
  void FinishUdp(uint8_t* out, size_t length) const;

  const uint8_t* frame_;
  Headers headers_;
  size_t header_bytes_ = 0;
  size_t payload_ = 0;
  /** Payload of each segment but the last. */
  size_t gso_size_ = 0;
  size_t segments_ = 0;
  /** UDP over IPv4 without a checksum stays so. */
  bool checksum_ = true;
};

}  // namespace linkwright
