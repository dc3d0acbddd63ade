// Network namespaces and their sysctls, for JavaScript.

#include <sys/socket.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arguments.h"
#include "bindings.h"
#include "descriptors.h"
#include "netlink_socket.h"
#include "netns.h"

namespace linkwright {
namespace {

Napi::Value OpenNamespace(const Napi::CallbackInfo& info) {
  const auto environment = Environment::Of(info.Env());
  std::shared_ptr<Connection> connection;
  if (!info[0].IsNull() && !info[0].IsUndefined()) {
    connection = NetlinkSocket::ConnectionOf(info[0]);
    if (connection == nullptr) return {};
  }
  return environment->Async([connection] { return OpenNetns(connection == nullptr ? -1 : connection->fd()); },
                            [environment = environment.get()](Fd fd) {
                              std::vector<Fd> fds;
                              fds.push_back(std::move(fd));
                              return Descriptors::New(*environment, std::move(fds));
                            });
}

Napi::Value CookieOf(const Napi::CallbackInfo& info) {
  const std::shared_ptr<Connection> connection = NetlinkSocket::ConnectionOf(info[0]);
  if (connection == nullptr) return {};
  return Napi::BigInt::New(info.Env(), NetnsCookie(connection->fd()));
}

Napi::Value ReadSysctlFile(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const int number = arguments.Int(info[0], "netns");
  const std::string path = arguments.String(info[1], "path");
  if (arguments.Failed()) return {};
  auto netns = std::make_shared<Result<Netns>>(Netns::FromNumber(number));
  return Environment::Of(info.Env())
      ->Async(
          [netns, path]() -> Result<std::string> {
            if (!*netns) return netns->failure;
            return netns->value.Run([&] { return ReadSysctl(path); });
          },
          [env = info.Env()](const std::string& text) { return Napi::String::New(env, text); });
}

Napi::Value WriteSysctlFile(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const int number = arguments.Int(info[0], "netns");
  const std::string path = arguments.String(info[1], "path");
  const std::string value = arguments.String(info[2], "value");
  if (arguments.Failed()) return {};
  auto netns = std::make_shared<Result<Netns>>(Netns::FromNumber(number));
  return Environment::Of(info.Env())
      ->Async(
          [netns, path, value]() -> Result<Nothing> {
            if (!*netns) return netns->failure;
            return netns->value.Run([&] { return WriteSysctl(path, value); });
          },
          [env = info.Env()](Nothing) { return env.Undefined(); });
}

Napi::Value DisableIpv6Of(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  std::shared_ptr<Connection> connection;
  if (!info[0].IsNull()) {
    connection = NetlinkSocket::ConnectionOf(info[0]);
    if (connection == nullptr) return {};
  }
  const std::vector<int> indexes = arguments.Integers(info[1], "indexes");
  if (arguments.Failed()) return {};
  const auto work = [connection, indexes]() -> Result<std::vector<int>> {
    Result<Netns> netns = Netns::FromNumber(-1);
    if (connection != nullptr) {
      const Result<Fd> fd = OpenNetns(connection->fd());
      if (!fd) return fd.failure;
      netns = Netns::FromNumber(fd.value.get());
    }
    if (!netns) return netns.failure;
    return netns.value.Run([&]() -> Result<std::vector<int>> {
      const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      if (!socket) return LastFailure("socket(AF_UNIX)");
      std::vector<int> errors;
      errors.reserve(indexes.size());
      for (const int index : indexes)
        errors.push_back(DisableIpv6(socket, index).error);
      return errors;
    });
  };
  return Environment::Of(info.Env())->Async(work, [env = info.Env()](const std::vector<int>& errors) {
    Napi::Array array = Napi::Array::New(env, errors.size());
    for (size_t i = 0; i < errors.size(); ++i)
      array.Set(static_cast<uint32_t>(i), -errors[i]);
    return array;
  });
}

}  // namespace

void RegisterNetns(const std::shared_ptr<Environment>& /*environment*/, Napi::Object exports) {
  Export<DisableIpv6Of>(exports, "disableIpv6");
  Export<CookieOf>(exports, "netnsCookie");
  Export<OpenNamespace>(exports, "openNetns");
  Export<ReadSysctlFile>(exports, "readSysctl");
  Export<WriteSysctlFile>(exports, "writeSysctl");
}

}  // namespace linkwright
