#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "offload/vnet_header.h"

namespace linkwright {

/**
 * A frame in memory of a FrameBuffer. FrameBuffer::kHeadroom bytes before `data` are free to be overwritten
 * by whoever sends it; the frame itself is not, for the same memory may be sent to several ports one after
 * the other.
 */
struct Frame {
  uint8_t* data = nullptr;
  uint32_t length = 0;
  VnetHeader header;
};

/** What one thread reads into: a slab, packed with frames that live until the next Clear(). */
class FrameBuffer {
 public:
  static constexpr size_t kFrames = 64;
  static constexpr size_t kHeadroom = 128;
  /** Bytes of the longest frame: a super-frame with VLAN tags. */
  static constexpr size_t kLargestFrame = 65'536 + 64;
  /** Bytes of the longest header before a frame that is stripped after reading. */
  static constexpr size_t kLargestHeader = 64;
  static constexpr size_t kRoom = kLargestHeader + kLargestFrame;

  void Clear() {
    used_ = 0;
    count_ = 0;
    rejected_ = 0;
  }
  /** Where the next frame may be read to, with room for kRoom bytes; null when the buffer is full. */
  uint8_t* Reserve() { return full() ? nullptr : memory_.get() + used_ + kHeadroom; }
  /** Keeps a frame that lies `skip` bytes (a header that was stripped) into what was reserved. */
  void Commit(size_t skip, size_t length, const VnetHeader& header) {
    frames_[count_++] = {memory_.get() + used_ + kHeadroom + skip, static_cast<uint32_t>(length), header};
    // Frames begin at a cache line each.
    used_ += (kHeadroom + skip + length + 63) & ~size_t{63};
  }
  /** Counts what was read and holds no frame. A port that only gets such is kept busy, and not stuck. */
  void Reject(size_t count = 1) { rejected_ += count; }
  size_t rejected() const { return rejected_; }
  /** Whether there is no room for another frame. */
  bool full() const { return count_ == kFrames || used_ >= kSpan; }
  const Frame* frames() const { return frames_.data(); }
  Frame* frames() { return frames_.data(); }
  size_t count() const { return count_; }

 private:
  /** Where the last frame may begin: what is read should still be in the processor's cache when it is
   * written. */
  static constexpr size_t kSpan = size_t{128} * 1024;
  static constexpr size_t kBytes = kSpan + kHeadroom + kRoom;

  std::unique_ptr<uint8_t[]> memory_{new uint8_t[kBytes]};
  std::array<Frame, kFrames> frames_;
  size_t used_ = 0;
  size_t count_ = 0;
  size_t rejected_ = 0;
};

}  // namespace linkwright
