#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "forward/frame_buffer.h"

namespace linkwright {

/**
 * Copies of what goes through a port, for a capture. Any number of threads fill it, and nobody waits for
 * whoever takes them: what finds no room is counted as lost.
 */
class Mirror {
 public:
  static constexpr size_t kFrames = 1024;
  static constexpr size_t kBytes = size_t{1024} * 1024;

  struct Copy {
    /** Of the frame in the page; its virtio-net header lies right before it. */
    uint32_t offset;
    /** What was kept of it, in bytes. */
    uint32_t length;
    uint32_t original_length;
    /** Written to the port, not read from it. */
    bool outbound;
    /** Nanoseconds since 1970. */
    uint64_t time;
  };
  struct Page {
    std::unique_ptr<uint8_t[]> memory;
    size_t used = 0;
    std::vector<Copy> copies;
    /** Frames that found no room after those. */
    uint64_t lost = 0;
  };

  /** @param snap_length most bytes of a frame that are kept */
  void Start(size_t snap_length);
  void Stop();
  bool on() const { return on_.load(std::memory_order_relaxed); }

  /** True when there was nothing to take before: somebody has to be told. */
  bool Record(const Frame* frames, size_t count, bool outbound);
  /** Takes what there is, in exchange for an empty page. */
  void Take(Page* page);

 private:
  std::atomic<bool> on_{false};
  std::mutex mutex_;
  size_t snap_length_ = 0;
  Page page_;
};

}  // namespace linkwright
