#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "fd.h"
#include "result.h"
#include "tun_ioctl.h"

namespace linkwright {

struct TunOptions {
  std::string name;
  int flags = 0;
  bool exclusive = false;
  size_t queues = 1;
  unsigned int index = 0;
  bool disable_ipv6 = false;
  std::vector<TunIoctlCall> ioctls;
};

struct TunDevice {
  std::vector<Fd> queues;
  std::string name;
  unsigned int index = 0;
  int flags = 0;
};

/** Creates a TUN or TAP in the calling thread's namespace, or attaches to one. All or nothing. */
Result<TunDevice> OpenTunDevice(const TunOptions& options);

using TunDevices = std::vector<Result<TunDevice>>;

/** The same of many, each with a result of its own. */
Result<TunDevices> OpenTunDevices(const std::vector<TunOptions>& devices);

struct TunPlace {
  TunInterface interface;
  /** Whether the device is in the calling thread's namespace. */
  bool here = false;
};

/** What an open device is called now, and where it is. */
Result<TunPlace> FindTun(int fd);

}  // namespace linkwright
