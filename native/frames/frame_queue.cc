#include "frames/frame_queue.h"

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>
#include <vector>

#include "arguments.h"
#include "bindings.h"
#include "device_io.h"
#include "offload/vnet_header.h"

namespace linkwright {
namespace {

constexpr int64_t kLargestVnetHeader = 64;
/** Frames begin at a cache line each. */
constexpr size_t kAlignment = 64;
constexpr int32_t kDrop = -1;
constexpr int32_t kFlood = -2;
constexpr int32_t kRefused = -3;

struct Array {
  void* data = nullptr;
  size_t length = 0;
};

Array TypedArray(const Napi::Value& value, napi_typedarray_type wanted) {
  napi_typedarray_type type = napi_int8_array;
  Array array;
  const napi_status status =
      napi_get_typedarray_info(value.Env(), value, &type, &array.length, &array.data, nullptr, nullptr);
  if (status != napi_ok || type != wanted) return {};
  return array;
}

int64_t Integer(const Napi::Value& value) {
  int64_t integer = -1;
  return napi_get_value_int64(value.Env(), value, &integer) == napi_ok ? integer : -1;
}

/** Memory of the arguments from `first` on: bytes, offsets, lengths, size of the virtio-net header. */
bool Batch(const Napi::CallbackInfo& info, size_t first, BatchMemory* batch) {
  const Array bytes = TypedArray(info[first], napi_uint8_array);
  const Array offsets = TypedArray(info[first + 1], napi_uint32_array);
  const Array lengths = TypedArray(info[first + 2], napi_uint32_array);
  const int64_t header = Integer(info[first + 3]);
  if (bytes.data == nullptr || offsets.data == nullptr || lengths.data == nullptr || header < 0 ||
      header > kLargestVnetHeader) {
    ArgumentError(info.Env(), "not a batch of frames").ThrowAsJavaScriptException();
    return false;
  }
  *batch = {static_cast<uint8_t*>(bytes.data),        bytes.length,
            static_cast<uint32_t*>(offsets.data),     static_cast<uint32_t*>(lengths.data),
            std::min(offsets.length, lengths.length), static_cast<size_t>(header)};
  return true;
}

ssize_t WriteOnce(const FrameDevice& device, const uint8_t* frame, size_t length, size_t given_header) {
  if (given_header == device.vnet_header)
    return WriteDevice(device.fd, frame - given_header, given_header + length);
  std::array<uint8_t, kLargestVnetHeader> header{};
  std::memcpy(header.data(), frame - given_header, std::min(given_header, kVnetHeaderBytes));
  if (device.vnet_header == 0) {
    VnetHeader asked;
    std::memcpy(&asked, header.data(), sizeof(asked));
    if ((asked.flags & VnetHeader::kNeedsChecksum) != 0 || asked.gso_type != VnetHeader::kGsoNone) {
      errno = EOPNOTSUPP;
      return -1;
    }
    return WriteDevice(device.fd, frame, length);
  }
  std::array<iovec, 2> parts{{{header.data(), device.vnet_header}, {const_cast<uint8_t*>(frame), length}}};
  return ::writev(device.fd, parts.data(), parts.size());
}

/** 0, with the bytes of the frame, or an errno. */
int WriteFrame(const FrameDevice& device, const BatchMemory& batch, size_t frame, size_t* bytes) {
  // Fetched once: JavaScript may have written anything there, and another thread may be writing.
  const size_t offset = __atomic_load_n(batch.offsets + frame, __ATOMIC_RELAXED);
  const size_t length = __atomic_load_n(batch.lengths + frame, __ATOMIC_RELAXED);
  if (device.fd < 0) return EBADF;
  const bool inside = offset >= batch.vnet_header && offset <= batch.size && length <= batch.size - offset;
  if (!inside) return EINVAL;
  while (WriteOnce(device, batch.bytes + offset, length, batch.vnet_header) < 0)
    if (errno != EINTR) return errno;
  *bytes = length;
  return 0;
}

Napi::Value CreateFrameQueue(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  arguments.Int(info[0], "fd");
  arguments.Integer(info[1], "vnetHeaderSize", 0, kLargestVnetHeader);
  const Array counters = TypedArray(info[2], napi_float64_array);
  if (counters.length < FrameQueue::kCounters) arguments.Reject("\"counters\" must be a Float64Array");
  if (arguments.Failed()) return {};
  return Environment::Of(info.Env())->classes.frame_queue.New({info[0], info[1], info[2]});
}

}  // namespace

Napi::Function FrameQueue::Define(Napi::Env env) {
  return DefineClass(env, "FrameQueue",
                     {
                         InstanceMethod<&FrameQueue::Read>("read"),
                         InstanceMethod<&FrameQueue::Write>("write"),
                         InstanceMethod<&FrameQueue::Forward>("forward"),
                         InstanceMethod<&FrameQueue::Close>("close"),
                     });
}

FrameQueue::FrameQueue(const Napi::CallbackInfo& info)
    : ObjectWrap(info),
      device_{info[0].As<Napi::Number>().Int32Value(), info[1].As<Napi::Number>().Uint32Value()} {
  // Over a SharedArrayBuffer, which cannot be detached.
  counters_ = static_cast<double*>(TypedArray(info[2], napi_float64_array).data);
  counters_reference_ = Napi::Reference<Napi::Value>::New(info[2], 1);
}

ssize_t FrameQueue::ReadOnce(uint8_t* into, size_t room, int64_t spin) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point end =
      spin > 0 ? Clock::now() + std::chrono::nanoseconds(spin) : Clock::time_point::min();
  while (true) {
    const ssize_t length = ReadDevice(device_.fd, into, room);
    if (length >= 0) return length;
    const bool again = errno == EINTR || (errno == EAGAIN && spin > 0 && Clock::now() < end);
    if (!again) return -errno;
  }
}

/** (bytes, offsets, lengths, vnetHeader, headroom, room, spinNanoseconds): frames read, or a negative errno.
 */
Napi::Value FrameQueue::Read(const Napi::CallbackInfo& info) {
  BatchMemory batch;
  if (!Batch(info, 0, &batch)) return {};
  const int64_t headroom = Integer(info[4]);
  const int64_t room = Integer(info[5]);
  int64_t spin = Integer(info[6]);
  if (headroom < 0 || room <= 0 || spin < 0 || batch.vnet_header != device_.vnet_header) {
    ArgumentError(info.Env(), "not a layout of a batch").ThrowAsJavaScriptException();
    return {};
  }
  // One byte more than fits tells a frame that was cut off, which the kernel does in silence.
  const size_t wanted = device_.vnet_header + static_cast<size_t>(room) + 1;
  size_t used = 0;
  size_t frames = 0;
  double received = 0;
  ssize_t error = device_.fd < 0 ? -EBADF : 0;
  // Frames that are dropped count as well: a flood of them must not hold up the event loop.
  for (size_t reads = 0; error == 0 && reads < batch.capacity; ++reads) {
    const size_t position = used + static_cast<size_t>(headroom);
    if (position > batch.size || batch.size - position < wanted) break;
    const ssize_t length = ReadOnce(batch.bytes + position, wanted, spin);
    spin = 0;
    if (length <= 0) {
      error = length;
      break;
    }
    const auto size = static_cast<size_t>(length);
    if (size == wanted) {
      Count(kRxTruncated);
      continue;
    }
    if (size <= device_.vnet_header) {
      Count(kRxMalformed);
      continue;
    }
    batch.offsets[frames] = static_cast<uint32_t>(position + device_.vnet_header);
    batch.lengths[frames] = static_cast<uint32_t>(size - device_.vnet_header);
    received += static_cast<double>(size - device_.vnet_header);
    ++frames;
    used = (position + size + kAlignment - 1) & ~(kAlignment - 1);
  }
  Count(kRxFrames, static_cast<double>(frames));
  Count(kRxBytes, received);
  if (frames == 0 && error != 0 && error != -EAGAIN)
    return Napi::Number::New(info.Env(), static_cast<double>(error));
  return Napi::Number::New(info.Env(), static_cast<double>(frames));
}

/** (bytes, offsets, lengths, vnetHeader, from, to): frames written; why the next was not is in the counters.
 */
Napi::Value FrameQueue::Write(const Napi::CallbackInfo& info) {
  BatchMemory batch;
  if (!Batch(info, 0, &batch)) return {};
  const int64_t from = Integer(info[4]);
  const int64_t to = Integer(info[5]);
  if (from < 0 || to < from || static_cast<uint64_t>(to) > batch.capacity) {
    ArgumentError(info.Env(), "not a range of a batch").ThrowAsJavaScriptException();
    return {};
  }
  // On the stack: the less memory is touched between two system calls, the faster they are.
  const FrameDevice device = device_;
  size_t bytes = 0;
  auto frame = static_cast<size_t>(from);
  for (; frame < static_cast<size_t>(to); ++frame) {
    size_t length = 0;
    const int error = WriteFrame(device, batch, frame, &length);
    if (error != 0) {
      counters_[kErrno] = error;
      Count(kTxRefused);
      break;
    }
    bytes += length;
  }
  const auto written = static_cast<double>(frame - static_cast<size_t>(from));
  Count(kTxFrames, written);
  Count(kTxBytes, static_cast<double>(bytes));
  return Napi::Number::New(info.Env(), written);
}

/**
 * (bytes, offsets, lengths, vnetHeader, count, verdicts, ports): moves each frame as its verdict says, and
 * returns how many were written, a flooded frame once for each port. A verdict of which a port refused the
 * frame becomes kRefused.
 */
Napi::Value FrameQueue::Forward(const Napi::CallbackInfo& info) {
  BatchMemory batch;
  if (!Batch(info, 0, &batch)) return {};
  const int64_t count = Integer(info[4]);
  const Array verdict_array = TypedArray(info[5], napi_int32_array);
  if (count < 0 || static_cast<uint64_t>(count) > std::min(batch.capacity, verdict_array.length) ||
      !info[6].IsArray()) {
    ArgumentError(info.Env(), "not verdicts of a batch").ThrowAsJavaScriptException();
    return {};
  }
  const Napi::Array given = info[6].As<Napi::Array>();
  struct Target {
    FrameQueue* queue;
    FrameDevice device;
    size_t frames = 0;
    size_t bytes = 0;
  };
  std::vector<Target> ports;
  ports.reserve(given.Length());
  for (uint32_t port = 0; port < given.Length(); ++port) {
    FrameQueue* const queue = Unwrap(given.Get(port).As<Napi::Object>());
    if (queue == nullptr) return {};
    ports.push_back({queue, queue->device_});
  }
  auto* const verdicts = static_cast<int32_t*>(verdict_array.data);
  const auto send = [&](Target& port, size_t frame) {
    size_t length = 0;
    const int error = WriteFrame(port.device, batch, frame, &length);
    if (error == 0) {
      ++port.frames;
      port.bytes += length;
      return;
    }
    port.queue->counters_[kErrno] = error;
    port.queue->Count(kTxRefused);
    verdicts[frame] = kRefused;
  };
  for (size_t frame = 0; frame < static_cast<size_t>(count); ++frame) {
    const int32_t verdict = __atomic_load_n(verdicts + frame, __ATOMIC_RELAXED);
    if (verdict >= 0 && static_cast<size_t>(verdict) < ports.size()) {
      send(ports[static_cast<size_t>(verdict)], frame);
    } else if (verdict == kFlood) {
      for (Target& port : ports) {
        if (port.queue != this) send(port, frame);
      }
    } else if (verdict != kDrop) {
      verdicts[frame] = kRefused;
    }
  }
  size_t moved = 0;
  for (const Target& port : ports) {
    port.queue->Count(kTxFrames, static_cast<double>(port.frames));
    port.queue->Count(kTxBytes, static_cast<double>(port.bytes));
    moved += port.frames;
  }
  return Napi::Number::New(info.Env(), static_cast<double>(moved));
}

Napi::Value FrameQueue::Close(const Napi::CallbackInfo& info) {
  device_.fd = -1;
  return info.Env().Undefined();
}

void RegisterFrameQueue(const std::shared_ptr<Environment>& environment, Napi::Object exports) {
  environment->classes.frame_queue = Napi::Persistent(FrameQueue::Define(environment->env()));
  Export<CreateFrameQueue>(exports, "createFrameQueue");
}

}  // namespace linkwright
