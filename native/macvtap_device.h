#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "fd.h"
#include "netns.h"
#include "result.h"
#include "tun_ioctl.h"

namespace linkwright {

struct MacvtapOptions {
  std::string name;
  unsigned int index = 0;
  std::array<uint8_t, 6> address{};
  int flags = 0;
  size_t queues = 1;
  std::vector<TunIoctlCall> ioctls;
  /** For the public node; -1 leaves each as it is. */
  int64_t uid = -1;
  int64_t gid = -1;
  int64_t mode = -1;
};

struct MacvtapDevice {
  std::vector<Fd> queues;
  dev_t number = 0;
  /** Of the public node if it is this link's. */
  std::string node;
};

/**
 * Opens a macvtap's (or ipvtap's) character device. `/dev/tapN` is named by ifindex, which every namespace
 * counts for itself, so that node may be another guest's: the device is found by the number that sysfs gives
 * for this namespace.
 */
Result<MacvtapDevice> OpenMacvtapDevice(const Netns& netns, const MacvtapOptions& options);

/** The character device that a link has, and the one that `/dev/tapN` is; 0 where there is none. */
struct MacvtapNumbers {
  dev_t link = 0;
  dev_t node = 0;
};

/** Looks without opening anything: that would attach a queue. Of the options only what names the link counts.
 */
Result<MacvtapNumbers> FindMacvtapNumbers(const Netns& netns, const MacvtapOptions& options);

}  // namespace linkwright
