#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "offload/offload.h"

namespace linkwright {

/** A frame in memory of a FrameBuffer: kHeadroom bytes before `data` are free to be overwritten. */
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
  static constexpr size_t kLargestFrame = 65'536 + 64;
  static constexpr size_t kBytes = size_t{512} * 1024;

  void Clear() {
    used_ = 0;
    count_ = 0;
  }
  /** Where the next frame may be read to, with room for kLargestFrame bytes; null when there is no room for one. */
  uint8_t* Reserve() {
    if (count_ == kFrames || used_ + kHeadroom + kLargestFrame > kBytes) return nullptr;
    return memory_.get() + used_ + kHeadroom;
  }
  /** Keeps a frame that lies `skip` bytes (a header that was stripped) into what was reserved. */
  void Commit(size_t skip, size_t length, const VnetHeader& header) {
    frames_[count_++] = {memory_.get() + used_ + kHeadroom + skip, static_cast<uint32_t>(length), header};
    // Frames begin at a cache line each.
    used_ += (kHeadroom + skip + length + 63) & ~size_t{63};
  }
  const Frame* frames() const { return frames_.data(); }
  Frame* frames() { return frames_.data(); }
  size_t count() const { return count_; }

 private:
  std::unique_ptr<uint8_t[]> memory_{new uint8_t[kBytes]};
  std::array<Frame, kFrames> frames_;
  size_t used_ = 0;
  size_t count_ = 0;
};

/** What became of frames given to a port. */
struct Sent {
  size_t frames = 0;
  /** Why the next one was not taken: an errno, or 0. */
  int error = 0;
};

/**
 * Where frames come from and go to. Plain POSIX, no JavaScript. Receive() is called by one thread a queue, Send() by any
 * number of threads at a time.
 */
class Port {
 public:
  virtual ~Port() = default;

  /** A non-blocking descriptor to poll for each queue. */
  virtual const std::vector<int>& queues() const = 0;
  /** Reads until the buffer is full or nothing is there. 0, or the errno that will not go away (EBADFD: deleted). */
  virtual int Receive(size_t queue, FrameBuffer* into) = 0;
  /**
   * Writes frames in order. They are as offloads() says: NeedsWork() is false for each. Does not block: EAGAIN in the
   * result means later.
   *
   * @param queue a hint: the same flow comes with the same number
   */
  virtual Sent Send(size_t queue, const Frame* frames, size_t count) = 0;
  /** What it takes besides finished frames. */
  virtual Offloads offloads() const = 0;
  virtual Layer layer() const = 0;
};

}  // namespace linkwright
