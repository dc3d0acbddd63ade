// What JavaScript is given of forwarding: ports of devices, and forwarders.

#include <memory>
#include <utility>
#include <vector>

#include "arguments.h"
#include "bindings.h"
#include "forward/forwarder_object.h"
#include "forward/port_object.h"
#include "forward/tap_port.h"

namespace linkwright {
namespace {

TapPort::Settings ReadSettings(Arguments& arguments, const Napi::Object& from) {
  TapPort::Settings settings;
  settings.layer = arguments.Bool(from.Get("ip"), "ip") ? Layer::kIp : Layer::kEthernet;
  const int64_t offloads = arguments.Integer(from.Get("offloads"), "offloads", 0, 15);
  settings.offloads = {(offloads & 1) != 0, (offloads & 2) != 0, (offloads & 4) != 0, (offloads & 8) != 0};
  settings.largest = static_cast<size_t>(
      arguments.Integer(from.Get("largest"), "largest", 1, static_cast<int64_t>(FrameBuffer::kLargestFrame)));
  settings.swapped = arguments.Bool(from.Get("swapped"), "swapped");
  return settings;
}

/** (fds, options): a port of its own duplicates of a device's descriptors. */
Napi::Value OpenTapPort(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const std::vector<int> fds = arguments.Integers(info[0], "fds");
  const Napi::Object from = arguments.Object(info[1], "options");
  const TapPort::Settings settings = ReadSettings(arguments, from);
  const auto header = static_cast<size_t>(arguments.Integer(
      from.Get("vnetHeader"), "vnetHeader", 0, static_cast<int64_t>(FrameBuffer::kLargestHeader)));
  if (fds.empty()) arguments.Reject("\"fds\" must not be empty");
  if (header != 0 && header < kVnetHeaderBytes) arguments.Reject("\"vnetHeader\" must be 0 or at least 10");
  if (arguments.Failed()) return {};
  std::vector<TapPort::Queue> queues;
  for (const int fd : fds) {
    queues.push_back({Fd::Duplicate(fd), header});
    if (queues.back().fd) continue;
    SystemError(info.Env(), LastFailure("fcntl(F_DUPFD_CLOEXEC)")).ThrowAsJavaScriptException();
    return {};
  }
  return PortObject::New(*Environment::Of(info.Env()),
                         std::make_shared<TapPort>(std::move(queues), settings));
}

}  // namespace

void RegisterForward(const std::shared_ptr<Environment>& environment, Napi::Object exports) {
  environment->classes.port = Napi::Persistent(PortObject::Define(environment->env()));
  environment->classes.forwarder = Napi::Persistent(ForwarderObject::Define(environment->env()));
  Export<OpenTapPort>(exports, "openTapPort");
  Export<ForwarderObject::Create>(exports, "createForwarder");
}

}  // namespace linkwright
