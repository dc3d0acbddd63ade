#include "tun_arguments.h"

#include <cstdint>
#include <string>

namespace linkwright {
namespace {

// MAX_TAP_QUEUES of the kernel.
constexpr int64_t kMaxQueues = 256;

}  // namespace

TunIoctlCall ReadTunIoctl(Arguments& arguments, const Napi::Value& name, const Napi::Value& value) {
  TunIoctlCall call;
  const std::string wanted = arguments.String(name, "ioctl");
  call.ioctl = FindTunIoctl(wanted);
  call.value = arguments.Integer(value, "value", INT32_MIN, UINT32_MAX);
  if (call.ioctl == nullptr) arguments.Reject("there is no ioctl \"" + wanted + "\"");
  return call;
}

std::vector<TunIoctlCall> ReadTunIoctls(Arguments& arguments, const Napi::Object& options) {
  std::vector<TunIoctlCall> calls;
  const Napi::Array pairs = arguments.Array(options.Get("ioctls"), "ioctls");
  for (uint32_t i = 0; !arguments.Failed() && i < pairs.Length(); ++i) {
    const Napi::Array pair = arguments.Array(pairs.Get(i), "ioctls");
    calls.push_back(ReadTunIoctl(arguments, pair.Get(0U), pair.Get(1U)));
  }
  return calls;
}

int ReadTunFlags(Arguments& arguments, const Napi::Object& options) {
  return static_cast<int>(arguments.Integer(options.Get("flags"), "flags", 0, UINT16_MAX));
}

size_t ReadQueues(Arguments& arguments, const Napi::Object& options) {
  return static_cast<size_t>(arguments.Integer(options.Get("queues"), "queues", 1, kMaxQueues));
}

}  // namespace linkwright
