#include "tun_device.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "abi.h"
#include "netns.h"

namespace linkwright {
namespace {

constexpr char kDevice[] = "/dev/net/tun";
// How often a device is looked at whose name seems to change meanwhile.
constexpr int kLooks = 8;

/** Ifindex of the link with that name in the socket's namespace. */
Result<unsigned int> IndexOf(const Fd& socket, const std::string& name) {
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), std::min(name.size(), sizeof(request.ifr_name) - 1));
  if (::ioctl(socket.get(), SIOCGIFINDEX, &request) < 0) return LastFailure("ioctl(SIOCGIFINDEX)");
  return static_cast<unsigned int>(request.ifr_ifindex);
}

Failure MeasureHeader(TunDevice* device) {
  if ((device->flags & IFF_VNET_HDR) == 0) return {};
  const int status = ::ioctl(device->queues.front().get(), TUNGETVNETHDRSZ, &device->vnet_header_size);
  return status < 0 ? LastFailure("ioctl(TUNGETVNETHDRSZ)") : Failure{};
}

/**
 * Takes its IPv6, if asked to, and finds out the device's name, index and flags, which belong together. All
 * but the flags goes by the name, and again when it was renamed meanwhile. One look is enough for that as a
 * rule: each takes the lock that those wait for who set links up meanwhile.
 */
Failure Identify(const TunOptions& options, const Fd& socket, TunDevice* device) {
  for (int look = 0; look < kLooks; ++look) {
    Failure failure = options.disable_ipv6 ? DisableIpv6(device->name) : Failure{};
    const Result<unsigned int> index = IndexOf(socket, device->name);
    if (!failure) failure = index.failure;
    const Result<TunInterface> interface = GetTunInterface(device->queues.front().get());
    if (!interface) return interface.failure;
    if (interface.value.name == device->name) {
      device->index = index.value;
      device->flags = interface.value.flags;
      return failure ? failure : MeasureHeader(device);
    }
    device->name = interface.value.name;
  }
  return {ENODEV, "ioctl(TUNGETIFF)"};
}

/** TUNSETIFF goes by the name: after a rename it attaches to another device, or makes one. */
Failure ExpectSameDevice(const Fd& first, const Fd& queue) {
  for (int look = 0; look < kLooks; ++look) {
    const Result<TunInterface> one = GetTunInterface(first.get());
    if (!one) return one.failure;
    const Result<TunInterface> other = GetTunInterface(queue.get());
    if (!other) return other.failure;
    if (one.value.name == other.value.name) return {};
  }
  return {ENODEV, "ioctl(TUNGETIFF)"};
}

Failure OpenFirst(const TunOptions& options, const Fd& fd, TunDevice* device, bool* ours) {
  if (options.index != 0) {
    unsigned int index = options.index;
    if (::ioctl(fd.get(), TUNSETIFINDEX, &index) < 0) return LastFailure("ioctl(TUNSETIFINDEX)");
  }
  // Whether it is persistent is ours to undo only if it is our device, so that has to be known.
  const bool persists =
      std::any_of(options.ioctls.begin(), options.ioctls.end(),
                  [](const TunIoctlCall& call) { return call.ioctl->request == TUNSETPERSIST; });
  *ours = options.exclusive || persists;
  Failure failure = SetTunInterface(fd.get(), options.flags | (*ours ? IFF_TUN_EXCL : 0), &device->name);
  if (failure.error == EBUSY && !options.exclusive) {
    *ours = false;
    failure = SetTunInterface(fd.get(), options.flags, &device->name);
  }
  return failure;
}

Failure OpenQueue(const TunOptions& options, TunDevice* device, bool* ours) {
  Fd fd(::open(kDevice, O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return LastFailure("open(/dev/net/tun)");
  const bool first = device->queues.empty();
  Failure failure =
      first ? OpenFirst(options, fd, device, ours) : SetTunInterface(fd.get(), options.flags, &device->name);
  // Before anything is done to it.
  if (!failure && !first) failure = ExpectSameDevice(device->queues.front(), fd);
  if (failure) return failure;
  device->queues.push_back(std::move(fd));
  return RunTunIoctls(device->queues.back().get(), options.ioctls);
}

Failure Configure(const TunOptions& options, const Fd& socket, TunDevice* device, bool* ours) {
  for (size_t queue = 0; queue < options.queues; ++queue) {
    Failure failure = OpenQueue(options, device, ours);
    if (failure) return failure;
  }
  return Identify(options, socket, device);
}

Result<TunDevice> OpenOne(const TunOptions& options, const Fd& socket) {
  TunDevice device;
  device.name = options.name;
  bool ours = false;
  Failure failure = Configure(options, socket, &device, &ours);
  if (failure) {
    // A device that was made persistent on the way would outlive its descriptors.
    if (ours && !device.queues.empty()) ::ioctl(device.queues.front().get(), TUNSETPERSIST, 0UL);
    return failure;
  }
  return device;
}

bool IsSameFile(int one, int other) {
  struct stat first {};
  struct stat second {};
  if (::fstat(one, &first) != 0 || ::fstat(other, &second) != 0) return false;
  return first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

}  // namespace

Result<TunDevices> OpenTunDevices(const std::vector<TunOptions>& devices) {
  // if_nametoindex() would say ENODEV as well when there is no descriptor left for its socket.
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return LastFailure("socket(AF_UNIX)");
  TunDevices opened;
  for (const TunOptions& options : devices)
    opened.push_back(OpenOne(options, socket));
  return opened;
}

Result<TunDevice> OpenTunDevice(const TunOptions& options) {
  Result<TunDevices> opened = OpenTunDevices({options});
  if (!opened) return opened.failure;
  return std::move(opened.value.front());
}

Result<TunPlace> FindTun(int fd) {
  const Fd own(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!own) return LastFailure("open(/proc/thread-self/ns/net)");
  const Fd there(::ioctl(fd, TUNGETDEVNETNS));
  if (!there) return LastFailure("ioctl(TUNGETDEVNETNS)");
  TunPlace place;
  place.here = IsSameFile(own.get(), there.get());
  const Result<TunInterface> interface = GetTunInterface(fd);
  if (!interface) return interface.failure;
  place.interface = interface.value;
  return place;
}

}  // namespace linkwright
