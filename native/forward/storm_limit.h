#pragma once

#include <atomic>
#include <cstdint>

namespace linkwright {

/**
 * Counts one more in this second, and says whether that is within the limit. The second and the count are one
 * word, so that threads share it without a lock.
 *
 * @param limit 0 for none
 */
inline bool WithinLimit(std::atomic<uint64_t>* window, uint32_t limit, uint32_t second) {
  if (limit == 0) return true;
  uint64_t seen = window->load(std::memory_order_relaxed);
  while (true) {
    const bool same = static_cast<uint32_t>(seen >> 32) == second;
    const uint32_t count = same ? static_cast<uint32_t>(seen) : 0;
    if (count >= limit) return false;
    const uint64_t wanted = uint64_t{second} << 32 | (count + 1);
    if (window->compare_exchange_weak(seen, wanted, std::memory_order_relaxed)) return true;
  }
}

}  // namespace linkwright
