#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "forward/frame_buffer.h"
#include "forward/port_health.h"
#include "forward/port_slot.h"
#include "forward/run_state.h"
#include "offload/coalescer.h"
#include "worker.h"

namespace linkwright {

/**
 * The way out of one thread: makes frames such as a port takes them, and deals with ports that do not. Every
 * frame is sent or counted as dropped, and no port is waited for for ever.
 */
class Egress {
 public:
  struct Settings {
    /** How long a port without room is waited for. */
    std::chrono::microseconds patience{0};
    /** Whether segments are merged into super-frames for ports that take those. */
    bool merge = false;
  };

  Egress(const Settings& settings, const RunState& run, Wakeup& wakeup, PortWatcher& watcher)
      : settings_(settings), run_(run), wakeup_(wakeup), watcher_(watcher) {}

  /**
   * Sends frames to a port, at most FrameBuffer::kFrames.
   *
   * @param queue see Port::Send()
   */
  void Send(PortSlot& to, size_t queue, const Frame* frames, size_t count);

 private:
  using Clock = RunState::Clock;

  Coalescer& CoalescerFor(const PortSlot& to);
  void Merge(PortSlot& to, size_t queue, const Frame* frames, size_t count);
  void Translate(PortSlot& to, size_t queue, const Frame* frames, size_t count);
  /** Makes one frame ready. */
  void Adapt(PortSlot& to, size_t queue, const Frame& frame);
  void Split(PortSlot& to, size_t queue, const Frame& frame);
  void Complete(PortSlot& to, size_t queue, const Frame& frame);
  /** Room for a frame that is made here; sends what was made before if it must. */
  uint8_t* Room(PortSlot& to, size_t queue);
  /** Makes ready what was written there. */
  void Made(size_t length, const VnetHeader& header);
  void Flush(PortSlot& to, size_t queue);

  void Deliver(PortSlot& to, size_t queue, const Frame* frames, size_t count);
  void Count(PortSlot& to, const Frame* frames, size_t count);
  /** Until there is room again. False when it is to be waited for no longer. */
  bool Wait(PortSlot& to, size_t queue, Clock::time_point until, bool in_vain);

  const Settings settings_;
  const RunState& run_;
  Wakeup& wakeup_;
  PortWatcher& watcher_;

  /** Frames that are ready to be sent, and memory for those that are made here. */
  std::array<Frame, FrameBuffer::kFrames> ready_;
  size_t ready_count_ = 0;
  std::unique_ptr<FrameBuffer> made_;
  /** One for each combination of offloads. */
  std::array<std::unique_ptr<Coalescer>, 16> coalescers_;
};

}  // namespace linkwright
