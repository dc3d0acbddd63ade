#include "tun_device.h"

#include <net/if.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <utility>

#include "abi.h"
#include "netns.h"

namespace linkwright {
namespace {

constexpr char kDevice[] = "/dev/net/tun";

Failure DisableIpv6(const std::string& name) {
  const Result<Nothing> written = WriteSysctl("ipv6/conf/" + name + "/disable_ipv6", "1");
  // The file is missing where the kernel has no IPv6, and then there is nothing to disable.
  return written.failure.error == ENOENT ? Failure{} : written.failure;
}

/** The device's name and index. Something else may rename it at any time, so the two must be seen to agree.
 */
Failure Identify(TunDevice* device) {
  for (int attempt = 0; attempt < 3; ++attempt) {
    Result<TunInterface> interface = GetTunInterface(device->queues.front().get());
    if (!interface) return interface.failure;
    device->index = ::if_nametoindex(interface.value.name.c_str());
    const int error = errno;
    const bool same = device->name == interface.value.name;
    device->name = interface.value.name;
    device->flags = interface.value.flags;
    if (device->index != 0 && same) return {};
    if (device->index == 0 && error != ENODEV && error != ENXIO) return {error, "if_nametoindex"};
  }
  return {ENODEV, "if_nametoindex"};
}

Failure OpenQueue(const TunOptions& options, TunDevice* device) {
  const bool first = device->queues.empty();
  Fd fd(::open(kDevice, O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return LastFailure("open(/dev/net/tun)");
  if (first && options.index != 0) {
    unsigned int index = options.index;
    if (::ioctl(fd.get(), TUNSETIFINDEX, &index) < 0) return LastFailure("ioctl(TUNSETIFINDEX)");
  }
  const int exclusive = first && options.exclusive ? IFF_TUN_EXCL : 0;
  Failure failure = SetTunInterface(fd.get(), options.flags | exclusive, &device->name);
  if (failure) return failure;
  device->queues.push_back(std::move(fd));
  if (first && options.disable_ipv6) failure = DisableIpv6(device->name);
  return failure;
}

Failure Configure(const TunOptions& options, TunDevice* device) {
  for (size_t queue = 0; queue < options.queues; ++queue) {
    Failure failure = OpenQueue(options, device);
    if (!failure) failure = RunTunIoctls(device->queues.back().get(), options.ioctls);
    if (failure) return failure;
  }
  return Identify(device);
}

}  // namespace

Result<TunDevice> OpenTunDevice(const TunOptions& options) {
  TunDevice device;
  device.name = options.name;
  Failure failure = Configure(options, &device);
  if (failure) {
    // A device that was made persistent on the way would outlive its descriptors.
    if (options.exclusive && !device.queues.empty()) ::ioctl(device.queues.front().get(), TUNSETPERSIST, 0);
    return failure;
  }
  return device;
}

}  // namespace linkwright
