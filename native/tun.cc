// TUN, TAP and their ioctls, for JavaScript. All of them take RTNL, so they run on threads of the engine.

#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arguments.h"
#include "bindings.h"
#include "descriptors.h"
#include "netns.h"
#include "tun_arguments.h"
#include "tun_device.h"
#include "tun_ioctl.h"
#include "tun_links.h"

namespace linkwright {
namespace {

/** One whole message that is about a link. */
std::vector<uint8_t> ReadLinkRequest(Arguments& arguments, const Napi::Value& value) {
  if (value.IsUndefined()) return {};
  const Bytes bytes = arguments.Uint8Array(value, "link");
  std::vector<uint8_t> request(bytes.data, bytes.data + bytes.length);
  nlmsghdr header{};
  const bool whole = request.size() >= NLMSG_LENGTH(sizeof(ifinfomsg));
  if (whole) std::memcpy(&header, request.data(), sizeof(header));
  if (!whole || header.nlmsg_len != request.size() || NLMSG_ALIGN(header.nlmsg_len) != header.nlmsg_len)
    arguments.Reject("\"link\" must be one request about a link");
  return request;
}

TunOptions ReadTunOptions(Arguments& arguments, const Napi::Object& from) {
  TunOptions options;
  options.name = arguments.Name(from.Get("name"), "name");
  options.flags = ReadTunFlags(arguments, from);
  options.exclusive = arguments.Bool(from.Get("exclusive"), "exclusive");
  options.queues = ReadQueues(arguments, from);
  options.index = static_cast<unsigned int>(arguments.Integer(from.Get("index"), "index", 0, INT32_MAX));
  options.disable_ipv6 = arguments.Bool(from.Get("disableIpv6"), "disableIpv6");
  options.ioctls = ReadTunIoctls(arguments, from);
  options.link = ReadLinkRequest(arguments, from.Get("link"));
  return options;
}

Napi::Object Present(Environment& environment, TunDevice device) {
  Napi::Object opened = Napi::Object::New(environment.env());
  opened.Set("descriptors", Descriptors::New(environment, std::move(device.queues)));
  opened.Set("name", device.name);
  opened.Set("index", device.index);
  opened.Set("flags", device.flags);
  opened.Set("vnetHeaderSize", device.vnet_header_size);
  opened.Set("linkStatus", device.link_status);
  return opened;
}

/** An array with an object, or the error, of each. */
template <typename Value, typename Make>
Napi::Value PresentEach(Napi::Env env, std::vector<Result<Value>> results, Make make) {
  Napi::Array array = Napi::Array::New(env, results.size());
  for (size_t i = 0; i < results.size(); ++i) {
    Result<Value>& result = results[i];
    if (result) {
      array.Set(static_cast<uint32_t>(i), make(std::move(result.value)));
    } else {
      array.Set(static_cast<uint32_t>(i), SystemError(env, result.failure).Value());
    }
  }
  return array;
}

Napi::Value OpenTun(const Napi::CallbackInfo& info) {
  const auto environment = Environment::Of(info.Env());
  Arguments arguments(info.Env());
  const Napi::Object from = arguments.Object(info[0], "options");
  const int number = arguments.Int(from.Get("netns"), "netns");
  const TunOptions options = ReadTunOptions(arguments, from);
  if (arguments.Failed()) return {};
  auto netns = std::make_shared<Result<Netns>>(Netns::FromNumber(number));
  return environment->Async(
      [netns, options]() -> Result<TunDevice> {
        if (!*netns) return netns->failure;
        return netns->value.Run([&] { return OpenTunDevice(options); });
      },
      [environment = environment.get()](TunDevice device) {
        return Present(*environment, std::move(device));
      });
}

/** Many in one namespace, which is entered once, and their links. One call after the other: names are given
 * in order. */
Napi::Value OpenTuns(const Napi::CallbackInfo& info) {
  const auto environment = Environment::Of(info.Env());
  Arguments arguments(info.Env());
  const int number = arguments.Int(info[0], "netns");
  const Napi::Array from = arguments.Array(info[1], "devices");
  std::vector<TunOptions> devices;
  for (uint32_t i = 0; !arguments.Failed() && i < from.Length(); ++i) {
    devices.push_back(ReadTunOptions(arguments, arguments.Object(from.Get(i), "devices")));
  }
  if (arguments.Failed()) return {};
  auto netns = std::make_shared<Result<Netns>>(Netns::FromNumber(number));
  return environment->Async(
      [netns, devices](Worker& worker) -> Result<TunDevices> {
        if (!*netns) return netns->failure;
        return netns->value.Run([&] {
          Result<TunDevices> opened = OpenTunDevices(devices);
          if (opened) SetLinks(devices, &opened.value, worker);
          return opened;
        });
      },
      [environment = environment.get()](TunDevices opened) {
        return PresentEach(environment->env(), std::move(opened), [environment](TunDevice device) {
          return Present(*environment, std::move(device));
        });
      },
      environment->tun_lane);
}

using TunPlaces = std::vector<Result<TunPlace>>;

/** What devices are called now, and whether they are in a namespace. */
Napi::Value FindTuns(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const int number = arguments.Int(info[0], "netns");
  const std::vector<int> fds = arguments.Integers(info[1], "fds");
  if (arguments.Failed()) return {};
  auto netns = std::make_shared<Result<Netns>>(Netns::FromNumber(number));
  auto queues = std::make_shared<std::vector<Fd>>();
  for (const int fd : fds)
    queues->push_back(Fd::Duplicate(fd));
  return Environment::Of(info.Env())
      ->Async(
          [netns, queues]() -> Result<TunPlaces> {
            if (!*netns) return netns->failure;
            return netns->value.Run([&]() -> Result<TunPlaces> {
              TunPlaces places;
              for (const Fd& queue : *queues)
                places.push_back(FindTun(queue.get()));
              return places;
            });
          },
          [env = info.Env()](TunPlaces places) {
            return PresentEach(env, std::move(places), [env](const TunPlace& place) {
              Napi::Object object = Napi::Object::New(env);
              object.Set("name", place.interface.name);
              object.Set("flags", place.interface.flags);
              object.Set("here", place.here);
              return object;
            });
          });
}

/** Its own duplicate, so that a number which is closed and reused meanwhile is not mistaken for it. */
std::shared_ptr<Fd> Duplicate(Arguments& arguments, const Napi::CallbackInfo& info) {
  const int fd = arguments.Int(info[0], "fd");
  if (arguments.Failed()) return nullptr;
  auto duplicate = std::make_shared<Fd>(Fd::Duplicate(fd));
  if (!*duplicate)
    SystemError(info.Env(), LastFailure("fcntl(F_DUPFD_CLOEXEC)")).ThrowAsJavaScriptException();
  return duplicate;
}

Napi::Value CallTunIoctl(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const TunIoctlCall call = ReadTunIoctl(arguments, info[1], info[2]);
  const std::shared_ptr<Fd> fd = Duplicate(arguments, info);
  if (arguments.Failed()) return {};
  return Environment::Of(info.Env())
      ->Async(
          [fd, call] { return RunTunIoctl(fd->get(), call); },
          [env = info.Env()](int64_t value) { return Napi::Number::New(env, static_cast<double>(value)); });
}

Napi::Value TunGetInterface(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const std::shared_ptr<Fd> fd = Duplicate(arguments, info);
  if (arguments.Failed()) return {};
  return Environment::Of(info.Env())
      ->Async([fd] { return GetTunInterface(fd->get()); },
              [env = info.Env()](const TunInterface& interface) {
                Napi::Object object = Napi::Object::New(env);
                object.Set("name", interface.name);
                object.Set("flags", interface.flags);
                return object;
              });
}

Napi::Value TunAttachFilter(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const Bytes program = arguments.Uint8Array(info[1], "program");
  if (program.length % sizeof(sock_filter) != 0 || program.length / sizeof(sock_filter) > BPF_MAXINSNS) {
    arguments.Reject("\"program\" must be at most 4096 instructions of 8 bytes");
  }
  const std::shared_ptr<Fd> fd = Duplicate(arguments, info);
  if (arguments.Failed()) return {};
  const std::vector<uint8_t> copy(program.data, program.data + program.length);
  return Environment::Of(info.Env())
      ->Async(
          [fd, copy]() -> Result<Nothing> {
            Failure failure = AttachTunFilter(fd->get(), copy);
            if (failure) return failure;
            return Nothing{};
          },
          [env = info.Env()](Nothing) { return env.Undefined(); });
}

}  // namespace

void RegisterTun(const std::shared_ptr<Environment>& /*environment*/, Napi::Object exports) {
  Export<OpenTun>(exports, "openTun");
  Export<OpenTuns>(exports, "openTuns");
  Export<FindTuns>(exports, "findTuns");
  Export<CallTunIoctl>(exports, "tunIoctl");
  Export<TunGetInterface>(exports, "tunGetInterface");
  Export<TunAttachFilter>(exports, "tunAttachFilter");
}

}  // namespace linkwright
