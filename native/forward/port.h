#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "forward/frame_buffer.h"
#include "offload/offload.h"

namespace linkwright {

/** What became of frames given to a port. */
struct Sent {
  size_t frames = 0;
  /** Why the next one was not taken: an errno, or 0. */
  int error = 0;
};

/** What an errno of a port means for those who go on forwarding. */
enum class Trouble : uint8_t {
  /** There is no room now: wait for POLLOUT, or drop. */
  kLater,
  /** That frame is refused and no other: drop it and go on with the next. */
  kFrame,
  /** Nobody is there at the moment (the link is down, the peer unreachable): drop, and try again with later
     frames. */
  kDown,
  /** Never again (the device was deleted, the connection closed): the port is given up. */
  kGone
};

/** What an errno of read(), write(), send() or recv() usually means. */
Trouble JudgeError(int error);

/**
 * Where frames come from and go to. Plain POSIX, no JavaScript: it is used by the forwarder's threads.
 * Receive() is called by one thread a queue, and always the same; Send() by any number of threads at a time.
 *
 * JavaScript gets it wrapped: a function of the addon that opens a port returns PortObject::New()
 * (port_object.h), and a class that extends `Port` of lib/forward/port.ts is what people see.
 *
 * It is destroyed when no thread uses it any more, on a thread where that may block.
 */
class Port {
 public:
  Port() = default;
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  virtual ~Port() = default;

  /**
   * A non-blocking descriptor for each queue, at least one and always the same: polled for POLLIN before
   * Receive(), and for POLLOUT after Send() with that queue (modulo their number) said EAGAIN.
   */
  virtual const std::vector<int>& queues() const = 0;
  /**
   * Reads until the buffer is full or nothing is there. When it is full this is called again before the
   * descriptor is polled, so a port may keep frames for the next call in memory of its own.
   *
   * @return 0, or an errno that Judge() knows; what was read before is in the buffer
   */
  virtual int Receive(size_t queue, FrameBuffer* into) = 0;
  /**
   * Writes frames in order. They are as offloads() and largest() say: NeedsWork() is false for each. Does not
   * block: EAGAIN in the result means later. Where all are taken it holds on to a part of the last one, and
   * is called again, without frames.
   *
   * @param queue a hint, possibly above the number of queues: the same flow comes with the same number
   */
  virtual Sent Send(size_t queue, const Frame* frames, size_t count) = 0;
  /** What it takes besides finished frames. Always the same. */
  virtual Offloads offloads() const = 0;
  virtual Layer layer() const = 0;
  /** Bytes of the longest frame that it takes, or of the longest segment of a super-frame. Always the same.
   */
  virtual size_t largest() const { return FrameBuffer::kLargestFrame; }
  /** 0, or why it will never work again, where reading and writing do not tell. May block: for other threads.
   */
  virtual int Check() const { return 0; }
  /** What an errno of Send() or Receive() means. */
  virtual Trouble Judge(int error) const { return JudgeError(error); }
};

}  // namespace linkwright
