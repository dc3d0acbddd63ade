#pragma once

#include <cstddef>
#include <cstdint>

namespace linkwright {

/**
 * Counters of one port, in memory that JavaScript reads without a call: a block for each queue, of what was
 * received there and became of it, then one of what was sent. lib/forward/counters.ts has the same order.
 */
class PortCounters {
 public:
  enum Received : size_t {
    kRxFrames,
    kRxBytes,
    /** Sent to every port that may have them. */
    kFlooded,
    // Dropped:
    /** No Ethernet frame, from a group address, or a datagram that was refused. */
    kMalformed,
    /** From an address that is fixed to another port, or is ours. */
    kLoop,
    /** Above the storm limit. */
    kStorm,
    /** Between isolated ports. */
    kIsolated,
    /** There is no port for it. */
    kUnknown,
    /** For where it came from, for us, or never forwarded. */
    kFiltered,
  };
  enum Transmitted : size_t {
    kTxFrames,
    kTxBytes,
    /** Super-frames that were split for this port. */
    kSplit,
    /** Frames whose checksum was computed for this port. */
    kCompleted,
    // Dropped:
    /** There was no room for too long, or none behind the port. */
    kRefused,
    /** The link is down, or nobody listens. */
    kDown,
    /** The device is gone. */
    kGone,
    /** Paused. */
    kPaused,
    /** Longer than the port takes. */
    kOversize,
    /** Refused for themselves, or of a kind that cannot be translated. */
    kError,
  };
  /** Counters of a block: so many that two blocks never share a cache line, wherever the memory begins. */
  static constexpr size_t kBlock = 24;

  /** Counters that a port needs. */
  static constexpr size_t Needed(size_t queues) { return (queues + 1) * kBlock; }

  PortCounters(uint64_t* memory, size_t queues) : memory_(memory), transmitted_(memory + queues * kBlock) {}

  /** Only by the thread that reads the queue. */
  void Add(size_t queue, Received counter, uint64_t amount) {
    uint64_t* const at = memory_ + queue * kBlock + counter;
    __atomic_store_n(at, __atomic_load_n(at, __ATOMIC_RELAXED) + amount, __ATOMIC_RELAXED);
  }
  /** By any thread. */
  void Add(Transmitted counter, uint64_t amount) {
    __atomic_fetch_add(transmitted_ + counter, amount, __ATOMIC_RELAXED);
  }

 private:
  uint64_t* memory_;
  uint64_t* transmitted_;
};

}  // namespace linkwright
