#pragma once

#include <cstddef>
#include <cstdint>

#include "offload/vnet_header.h"

namespace linkwright {

/**
 * The one's complement sum of 16-bit words as they lie in memory (RFC 1071), not folded, so that sums can be
 * added; an odd last byte counts as if a 0 followed it. What is added to must be of even length.
 */
uint64_t Sum(const uint8_t* data, size_t length);

/** Folded to 16 bits, still as it lies in memory. */
uint16_t Fold(uint64_t sum);

/** Writes the checksum of what has this sum. */
void StoreChecksum(uint8_t* at, uint64_t sum);

/** The same, but never 0, which in UDP means that there is none. */
void StoreChecksumNotZero(uint8_t* at, uint64_t sum);

/**
 * Computes the checksum that VIRTIO_NET_HDR_F_NEEDS_CSUM leaves to the receiver, and clears the flag. True as
 * well where there is nothing to compute. False, with nothing changed, when the header points outside of the
 * frame or is that of a super-frame, whose segments get checksums of their own.
 */
bool CompleteChecksum(uint8_t* frame, size_t length, VnetHeader* header);

}  // namespace linkwright
