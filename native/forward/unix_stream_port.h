#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "forward/socket_port.h"

namespace linkwright {

/**
 * Frames over a stream, each behind its length in four bytes of network order, as QEMU's `-netdev stream`
 * (and `socket`) has it. The port is gone when the peer is.
 */
class UnixStreamPort : public SocketPort {
 public:
  /** @param fd connected */
  explicit UnixStreamPort(Fd fd) : SocketPort(std::move(fd)) {}

  int Receive(size_t queue, FrameBuffer* into) override;
  Sent Send(size_t queue, const Frame* frames, size_t count) override;
  Trouble Judge(int error) const override;

 private:
  static constexpr size_t kPrefix = 4;
  /** NET_BUFSIZE of QEMU: what it takes at most itself. */
  static constexpr size_t kLongestRecord = 4096 + 65'536;
  static constexpr size_t kBytes = size_t{256} * 1024;
  static_assert(kBytes >= 2 * (kPrefix + kLongestRecord));

  enum class Parsed { kNeedsMore, kFull, kNonsense };
  Parsed Parse(FrameBuffer* into);
  int Fill();
  int Flush();

  // Of the receiving thread.
  std::unique_ptr<uint8_t[]> memory_;
  size_t begin_ = 0;
  size_t end_ = 0;

  /** Held while something is written: a frame must not come into the midst of another. */
  std::mutex writing_;
  /** What is left of a frame that the kernel took a part of; goes out before anything else. */
  std::vector<uint8_t> rest_;
  size_t rest_sent_ = 0;
};

}  // namespace linkwright
