#include "forward/mirror.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <utility>

namespace linkwright {
namespace {

/** Frames begin that far into the space that they get, so that their header has room. */
constexpr size_t kHeader = 16;
static_assert(kHeader >= kVnetHeaderBytes);

uint64_t Now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

void Mirror::Start(size_t snap_length) {
  const std::lock_guard lock(mutex_);
  snap_length_ = snap_length;
  on_.store(true, std::memory_order_relaxed);
}

void Mirror::Stop() {
  const std::lock_guard lock(mutex_);
  on_.store(false, std::memory_order_relaxed);
  page_ = {};
}

bool Mirror::Record(const Frame* frames, size_t count, bool outbound) {
  const uint64_t time = Now();
  const std::lock_guard lock(mutex_);
  if (!on()) return false;
  if (page_.memory == nullptr) {
    page_.memory.reset(new uint8_t[kBytes]);
    page_.copies.reserve(kFrames);
  }
  const bool first = page_.copies.empty() && page_.lost == 0;
  for (size_t i = 0; i < count; ++i) {
    const Frame& frame = frames[i];
    const size_t length = std::min<size_t>(frame.length, snap_length_);
    // Once one found no room, none does: those that are lost come last.
    if (page_.lost != 0 || page_.copies.size() == kFrames || kBytes - page_.used < kHeader + length) {
      page_.lost += count - i;
      break;
    }
    uint8_t* const at = page_.memory.get() + page_.used + kHeader;
    std::memcpy(at - kVnetHeaderBytes, &frame.header, kVnetHeaderBytes);
    std::memcpy(at, frame.data, length);
    page_.copies.push_back({static_cast<uint32_t>(page_.used + kHeader), static_cast<uint32_t>(length),
                            frame.length, outbound, time});
    page_.used = std::min(kBytes, (page_.used + kHeader + length + kHeader - 1) & ~(kHeader - 1));
  }
  return first;
}

void Mirror::Take(Page* page) {
  page->used = 0;
  page->copies.clear();
  page->lost = 0;
  const std::lock_guard lock(mutex_);
  if (on()) std::swap(*page, page_);
}

}  // namespace linkwright
