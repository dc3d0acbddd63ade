#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>

#include "environment.h"

namespace linkwright {

/** Memory of a batch that JavaScript owns: valid during one call. */
struct BatchMemory {
  uint8_t* bytes = nullptr;
  size_t size = 0;
  /** Where each frame begins, and its length; the virtio-net header lies right before the frame. */
  uint32_t* offsets = nullptr;
  uint32_t* lengths = nullptr;
  size_t capacity = 0;
  size_t vnet_header = 0;
};

/** A descriptor, and the bytes of the virtio-net header before each of its frames. */
struct FrameDevice {
  int fd = -1;
  size_t vnet_header = 0;
};

/**
 * Reads and writes many frames in one call from JavaScript, on its thread. It neither owns the descriptor nor
 * blocks on it.
 */
class FrameQueue : public Napi::ObjectWrap<FrameQueue> {
 public:
  /** Slots of the counters, which JavaScript reads without a call. */
  enum Counter {
    kRxFrames,
    kRxBytes,
    kRxTruncated,
    kRxMalformed,
    kTxFrames,
    kTxBytes,
    kTxRefused,
    kErrno,
    kCounters
  };

  static Napi::Function Define(Napi::Env env);
  explicit FrameQueue(const Napi::CallbackInfo& info);

 private:
  Napi::Value Read(const Napi::CallbackInfo& info);
  Napi::Value Write(const Napi::CallbackInfo& info);
  Napi::Value Forward(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  /** One read() that is repeated for as long as `spin` nanoseconds when nothing is there. */
  ssize_t ReadOnce(uint8_t* into, size_t room, int64_t spin);
  void Count(Counter counter, double amount = 1) { counters_[counter] += amount; }

  FrameDevice device_;
  double* counters_ = nullptr;
  Napi::Reference<Napi::Value> counters_reference_;
};

}  // namespace linkwright
