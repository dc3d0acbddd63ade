#include "macvtap_device.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "abi.h"
#include "tap_sysfs.h"

namespace linkwright {
namespace {

/** The node without opening the device behind it, which would attach a queue to whoever owns that. */
Fd FindNode(const std::string& path, dev_t number) {
  Fd node(::open(path.c_str(), O_PATH | O_CLOEXEC | O_NOFOLLOW));
  struct stat status {};
  if (!node || ::fstat(node.get(), &status) != 0) return Fd();
  if (!S_ISCHR(status.st_mode) || status.st_rdev != number) return Fd();
  return node;
}

/** Opens the very node that was looked at, whatever has become of its path. */
Fd OpenNode(const Fd& node) {
  const std::string path = "/proc/self/fd/" + std::to_string(node.get());
  return Fd(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
}

/** A node of our own, under a name that nobody can guess, and only for as long as it takes to look at it. */
Result<Fd> MakeNode(dev_t number) {
  uint64_t random = 0;
  if (::getrandom(&random, sizeof(random), 0) != sizeof(random)) return LastFailure("getrandom");
  char name[64];
  (void)std::snprintf(name, sizeof(name), "/.linkwright-%d-%016llx", static_cast<int>(::getpid()),
                      static_cast<unsigned long long>(random));
  Failure failure;
  for (const char* const directory : {"/dev", "/run", "/tmp"}) {
    const std::string path = std::string(directory) + name;
    struct statvfs file_system {};
    if (::statvfs(directory, &file_system) != 0) continue;
    // Nodes of a file system that is mounted so cannot be opened.
    if ((file_system.f_flag & ST_NODEV) != 0) errno = EACCES;
    if ((file_system.f_flag & ST_NODEV) == 0 && ::mknod(path.c_str(), S_IFCHR | 0600, number) == 0) {
      Fd node = FindNode(path, number);
      ::unlink(path.c_str());
      if (node) return node;
      errno = ENODEV;
    }
    // The first refusal tells more than that of a fallback. The random name tells nothing.
    if (!failure) failure = LastFailure(std::string("mknod(") + directory + ")");
  }
  return failure;
}

Failure Verify(int fd, dev_t number, const MacvtapOptions& options) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return LastFailure("fstat");
  if (status.st_rdev != number) return {ENODEV, "fstat"};
  const Result<TunInterface> interface = GetTunInterface(fd);
  if (!interface) return interface.failure;
  if (interface.value.name != options.name) return {ENODEV, "ioctl(TUNGETIFF)"};
  ifreq request{};
  if (::ioctl(fd, SIOCGIFHWADDR, &request) < 0) return LastFailure("ioctl(SIOCGIFHWADDR)");
  if (std::memcmp(request.ifr_hwaddr.sa_data, options.address.data(), options.address.size()) != 0) {
    return {ENODEV, "ioctl(SIOCGIFHWADDR)"};
  }
  return {};
}

Failure Configure(const Fd& node, const MacvtapOptions& options, MacvtapDevice* device) {
  const std::string path = device->node.empty() ? "tap" + std::to_string(options.index) : device->node;
  for (size_t queue = 0; queue < options.queues; ++queue) {
    Fd fd = OpenNode(node);
    if (!fd) return LastFailure("open(" + path + ")");
    // Before anything is changed on it.
    Failure failure = Verify(fd.get(), device->number, options);
    std::string name = options.name;
    if (!failure) failure = SetTunInterface(fd.get(), options.flags, &name);
    if (!failure) failure = RunTunIoctls(fd.get(), options.ioctls);
    if (failure) return failure;
    device->queues.push_back(std::move(fd));
  }
  return {};
}

Failure SetOwner(int fd, const MacvtapOptions& options) {
  if (options.uid >= 0 || options.gid >= 0) {
    if (::fchown(fd, static_cast<uid_t>(options.uid), static_cast<gid_t>(options.gid)) != 0) {
      return LastFailure("fchown");
    }
  }
  if (options.mode >= 0 && ::fchmod(fd, static_cast<mode_t>(options.mode)) != 0) return LastFailure("fchmod");
  return {};
}

}  // namespace

Result<MacvtapNumbers> FindMacvtapNumbers(const Netns& netns, const MacvtapOptions& options) {
  const Result<TapSysfs> sysfs = netns.Run([] { return TapSysfs::Open(); });
  if (!sysfs) return sysfs.failure;
  const Result<dev_t> number = sysfs.value.NumberOf(options.name, options.index, options.address, false);
  if (!number) return number.failure;
  MacvtapNumbers found{number.value, 0};
  const std::string path = "/dev/tap" + std::to_string(options.index);
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0 && S_ISCHR(status.st_mode)) found.node = status.st_rdev;
  return found;
}

Result<MacvtapDevice> OpenMacvtapDevice(const Netns& netns, const MacvtapOptions& options) {
  const Result<TapSysfs> sysfs = netns.Run([] { return TapSysfs::Open(); });
  if (!sysfs) return sysfs.failure;
  const Result<dev_t> number = sysfs.value.NumberOf(options.name, options.index, options.address, true);
  if (!number) return number.failure;

  MacvtapDevice device;
  device.number = number.value;
  const std::string path = "/dev/tap" + std::to_string(options.index);
  Fd node = FindNode(path, device.number);
  if (node) {
    device.node = path;
  } else {
    Result<Fd> made = MakeNode(device.number);
    if (!made) return made.failure;
    node = std::move(made.value);
  }
  Failure failure = Configure(node, options, &device);
  if (!failure && !device.node.empty()) failure = SetOwner(device.queues.front().get(), options);
  if (failure) return failure;
  return device;
}

}  // namespace linkwright
