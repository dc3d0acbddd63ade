#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "result.h"

namespace linkwright {

struct TunIoctl {
  enum class Argument { kNone, kValue, kIntPointer, kResult, kQueueFlags };

  const char* name;
  unsigned long request;
  Argument argument;
};

struct TunIoctlCall {
  const TunIoctl* ioctl = nullptr;
  int64_t value = 0;
};

struct TunInterface {
  std::string name;
  /** IFF_* of TUNGETIFF. */
  int flags = 0;
};

/** Null when there is no such ioctl here. */
const TunIoctl* FindTunIoctl(const std::string& name);

/** The value that a getter wrote, else 0. */
Result<int64_t> RunTunIoctl(int fd, const TunIoctlCall& call);
Failure RunTunIoctls(int fd, const std::vector<TunIoctlCall>& calls);

/** TUNSETIFF; `name` becomes what the kernel resolved it to. */
Failure SetTunInterface(int fd, int flags, std::string* name);
Result<TunInterface> GetTunInterface(int fd);
/** TUNATTACHFILTER with instructions of 8 bytes. */
Failure AttachTunFilter(int fd, std::vector<uint8_t> program);

}  // namespace linkwright
