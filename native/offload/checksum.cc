#include "offload/checksum.h"

#include <cstring>

namespace linkwright {

uint64_t Sum(const uint8_t* data, size_t length) {
  // Two chains of additions at a time; what overflows is counted, and worth 1 in one's complement.
  uint64_t even = 0;
  uint64_t odd = 0;
  uint64_t carries = 0;
  for (; length >= 64; data += 64, length -= 64) {
    uint64_t words[8];
    std::memcpy(words, data, sizeof words);
    for (int i = 0; i < 8; i += 2) {
      even += words[i];
      carries += even < words[i];
      odd += words[i + 1];
      carries += odd < words[i + 1];
    }
  }
  uint64_t sum = carries + (even & 0xffffffff) + (even >> 32) + (odd & 0xffffffff) + (odd >> 32);
  for (; length >= 4; data += 4, length -= 4) {
    uint32_t word = 0;
    std::memcpy(&word, data, sizeof word);
    sum += word;
  }
  if (length >= 2) {
    uint16_t word = 0;
    std::memcpy(&word, data, sizeof word);
    sum += word;
    data += 2;
    length -= 2;
  }
  if (length == 1) {
    uint16_t word = 0;
    std::memcpy(&word, data, 1);
    sum += word;
  }
  return sum;
}

uint16_t Fold(uint64_t sum) {
  while ((sum >> 16) != 0)
    sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

void StoreChecksum(uint8_t* at, uint64_t sum) {
  const auto checksum = static_cast<uint16_t>(~Fold(sum));
  std::memcpy(at, &checksum, sizeof checksum);
}

void StoreChecksumNotZero(uint8_t* at, uint64_t sum) {
  const auto checksum = static_cast<uint16_t>(~Fold(sum));
  const uint16_t stored = checksum == 0 ? 0xffff : checksum;
  std::memcpy(at, &stored, sizeof stored);
}

bool CompleteChecksum(uint8_t* frame, size_t length, VnetHeader* header) {
  if ((header->flags & VnetHeader::kNeedsChecksum) == 0) return true;
  const size_t start = header->checksum_start;
  const size_t at = start + header->checksum_offset;
  if (header->gso_type != VnetHeader::kGsoNone || at + 2 > length) return false;
  // The field holds the sum of the pseudo header and is summed up with the rest. As the kernel does it, 0 is
  // avoided without a look at the protocol: where it is no special value, it is equal to 0xffff.
  StoreChecksumNotZero(frame + at, Sum(frame + start, length - start));
  header->flags &= static_cast<uint8_t>(~VnetHeader::kNeedsChecksum);
  header->checksum_start = 0;
  header->checksum_offset = 0;
  return true;
}

}  // namespace linkwright
