#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace linkwright {

/** How a forwarder's threads shall go on. */
struct RunState {
  using Clock = std::chrono::steady_clock;

  enum class Mode : uint8_t {
    kRun,
    /** Forward what waits to be read, then end. */
    kDrain,
    kStop
  };

  Mode Load() const { return mode.load(std::memory_order_acquire); }
  Clock::time_point DrainUntil() const {
    return Clock::time_point(Clock::duration(drain_until.load(std::memory_order_relaxed)));
  }

  std::atomic<Mode> mode{Mode::kRun};
  /** When draining ends, finished or not. */
  std::atomic<Clock::time_point::rep> drain_until{0};
};

}  // namespace linkwright
