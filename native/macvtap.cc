// macvtap (and ipvtap) descriptors, for JavaScript.

#include <sys/sysmacros.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "arguments.h"
#include "bindings.h"
#include "descriptors.h"
#include "macvtap_device.h"
#include "netns.h"
#include "tun_arguments.h"

namespace linkwright {
namespace {

/** What names the link. */
MacvtapOptions ReadLink(Arguments& arguments, const Napi::Object& from) {
  MacvtapOptions options;
  options.name = arguments.Name(from.Get("name"), "name");
  options.index = static_cast<unsigned int>(arguments.Integer(from.Get("index"), "index", 1, INT32_MAX));
  const Bytes address = arguments.Uint8Array(from.Get("address"), "address");
  if (address.length != options.address.size()) {
    arguments.Reject("\"address\" must have 6 bytes");
  } else {
    // At once: the next getter may free them.
    std::copy_n(address.data, options.address.size(), options.address.begin());
  }
  return options;
}

Napi::Value OpenMacvtap(const Napi::CallbackInfo& info) {
  const auto environment = Environment::Of(info.Env());
  Arguments arguments(info.Env());
  const Napi::Object from = arguments.Object(info[0], "options");
  const int number = arguments.Int(from.Get("netns"), "netns");
  MacvtapOptions options = ReadLink(arguments, from);
  options.flags = ReadTunFlags(arguments, from);
  options.queues = ReadQueues(arguments, from);
  options.ioctls = ReadTunIoctls(arguments, from);
  options.uid = arguments.Integer(from.Get("uid"), "uid", -1, UINT32_MAX - 1);
  options.gid = arguments.Integer(from.Get("gid"), "gid", -1, UINT32_MAX - 1);
  options.mode = arguments.Integer(from.Get("mode"), "mode", -1, 07777);
  if (arguments.Failed()) return {};
  auto netns = std::make_shared<Result<Netns>>(Netns::FromNumber(number));
  return environment->Async(
      [netns, options]() -> Result<MacvtapDevice> {
        if (!*netns) return netns->failure;
        return OpenMacvtapDevice(netns->value, options);
      },
      [environment = environment.get()](MacvtapDevice device) {
        Napi::Object opened = Napi::Object::New(environment->env());
        opened.Set("descriptors", Descriptors::New(*environment, std::move(device.queues)));
        opened.Set("major", major(device.number));
        opened.Set("minor", minor(device.number));
        opened.Set("node", device.node);
        return opened;
      });
}

/** As sysfs writes it; '' for none. */
std::string TextOf(dev_t number) {
  if (number == 0) return "";
  return std::to_string(major(number)) + ":" + std::to_string(minor(number));
}

Napi::Value MacvtapNumbersOf(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const Napi::Object from = arguments.Object(info[0], "options");
  const int number = arguments.Int(from.Get("netns"), "netns");
  const MacvtapOptions options = ReadLink(arguments, from);
  if (arguments.Failed()) return {};
  auto netns = std::make_shared<Result<Netns>>(Netns::FromNumber(number));
  return Environment::Of(info.Env())
      ->Async(
          [netns, options]() -> Result<MacvtapNumbers> {
            if (!*netns) return netns->failure;
            return FindMacvtapNumbers(netns->value, options);
          },
          [env = info.Env()](const MacvtapNumbers& numbers) {
            Napi::Object found = Napi::Object::New(env);
            found.Set("link", TextOf(numbers.link));
            found.Set("node", TextOf(numbers.node));
            return found;
          });
}

}  // namespace

void RegisterMacvtap(const std::shared_ptr<Environment>& /*environment*/, Napi::Object exports) {
  Export<OpenMacvtap>(exports, "openMacvtap");
  Export<MacvtapNumbersOf>(exports, "macvtapNumbers");
}

}  // namespace linkwright
