#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

#include "forward/counters.h"
#include "forward/mirror.h"
#include "forward/port.h"

namespace linkwright {

/** Most ports of a forwarder. */
constexpr uint16_t kMostPorts = 1024;

/** A port of a forwarder, with what its threads know of it. */
struct PortSlot {
  using Clock = std::chrono::steady_clock;

  PortSlot(uint32_t given_id, uint16_t given_number, std::shared_ptr<Port> given_port, PortCounters memory,
           std::shared_ptr<Mirror> given_mirror)
      : id(given_id),
        number(given_number),
        port(std::move(given_port)),
        mirror(std::move(given_mirror)),
        offloads(port->offloads()),
        largest(port->largest()),
        counters(memory) {}

  /** As JavaScript knows it; never used again. */
  const uint32_t id;
  /** The lowest that was free. */
  const uint16_t number;
  const std::shared_ptr<Port> port;
  const std::shared_ptr<Mirror> mirror;
  const Offloads offloads;
  const size_t largest;
  PortCounters counters;

  /** It will never work again. */
  std::atomic<bool> gone{false};
  /** Its link is down, or nobody is there. */
  std::atomic<bool> down{false};
  std::atomic<Clock::time_point::rep> down_since{0};
  /** It was waited for in vain: no more waiting until it takes all that it is given. */
  std::atomic<bool> stuck{false};
  /** It is being removed: nobody shall wait for it. */
  std::atomic<bool> leaving{false};
  /** Frames that were flooded from here in a second: second << 32 | frames. */
  std::atomic<uint64_t> flooded{0};
};

/** What can be changed of a port while frames go through it. */
struct PortSettings {
  /** Which frames without a known destination it gets. */
  enum Flood : uint8_t { kFloodUnknown = 1, kFloodMulticast = 2, kFloodBroadcast = 4, kFloodAll = 7 };

  /** Nothing is read from it, and nothing is sent to it. */
  bool paused = false;
  /** Isolated ports do not talk to each other. */
  bool isolated = false;
  bool learning = true;
  uint8_t flood = kFloodAll;
  /** Most frames a second that are flooded from here; 0 for any number. */
  uint32_t storm_limit = 0;
};

/** What happens to a port. */
enum class PortEvent : uint8_t {
  kUp,
  kDown,
  kGone,
  /** Its mirror holds copies of frames. */
  kMirrored
};

}  // namespace linkwright
