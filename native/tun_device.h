#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "exchange.h"
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
  /** An RTM_SETLINK for it, without its ifindex; empty for none. */
  std::vector<uint8_t> link;
};

struct TunDevice {
  std::vector<Fd> queues;
  std::string name;
  unsigned int index = 0;
  int flags = 0;
  /** Of struct virtio_net_hdr, where IFF_VNET_HDR is set. */
  int vnet_header_size = 0;
  /** Of the request for its link: 0, a negative errno, or kNotSent. */
  int32_t link_status = kNotSent;
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
