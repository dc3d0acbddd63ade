#pragma once

#include <cstdint>

namespace linkwright {

// Integers of network byte order, at any address.

inline uint16_t LoadBig16(const uint8_t* at) {
  return static_cast<uint16_t>(at[0] << 8 | at[1]);
}

inline uint32_t LoadBig32(const uint8_t* at) {
  return uint32_t{LoadBig16(at)} << 16 | LoadBig16(at + 2);
}

inline void StoreBig16(uint8_t* at, uint16_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}

inline void StoreBig32(uint8_t* at, uint32_t value) {
  StoreBig16(at, static_cast<uint16_t>(value >> 16));
  StoreBig16(at + 2, static_cast<uint16_t>(value));
}

}  // namespace linkwright
