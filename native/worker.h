#pragma once

#include <cstddef>
#include <cstdint>

#include "fd.h"

namespace linkwright {

class Engine;

/** Lets another thread interrupt a poll(). */
class Wakeup {
 public:
  /** Descriptor to poll; -1 when there was none left, so polls need a timeout then. */
  int Descriptor();
  void Ring() const;
  void Clear() const;

 private:
  Fd event_;
};

/** Memory to receive datagrams into; only what is used is ever touched. */
class Slab {
 public:
  /** More than any netlink datagram: dumps are capped at 32 KiB, an attribute at 64 KiB. */
  static constexpr size_t kSlotBytes = size_t{64} * 1024;
  static constexpr size_t kSlots = 16;

  Slab() = default;
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab();

  /** Null when the system has no memory left. */
  uint8_t* Memory();

 private:
  uint8_t* memory_ = nullptr;
};

/** What a thread of the engine has for the task that it runs. */
class Worker {
 public:
  explicit Worker(Engine& engine) : engine_(engine) {}

  Engine& engine() { return engine_; }
  Wakeup& wakeup() { return wakeup_; }
  Slab& slab() { return slab_; }

 private:
  Engine& engine_;
  Wakeup wakeup_;
  Slab slab_;
};

}  // namespace linkwright
