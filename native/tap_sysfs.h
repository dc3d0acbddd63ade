#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "fd.h"
#include "result.h"

namespace linkwright {

/** What sysfs says of the macvtaps and ipvtaps of a network namespace. */
class TapSysfs {
 public:
  TapSysfs() = default;

  /** That of the calling thread's namespace; usable from any thread. */
  static Result<TapSysfs> Open();

  /**
   * Number of a link's character device.
   *
   * @param wait whether a device that is not there yet is waited for, 200 ms at most
   */
  Result<dev_t> NumberOf(const std::string& name, unsigned int index, const std::array<uint8_t, 6>& address,
                         bool wait) const;

 private:
  TapSysfs(Fd root, bool own) : root_(std::move(root)), own_(own) {}

  Fd root_;
  /** Mounted for the namespace, not the /sys that is there. */
  bool own_ = false;
};

}  // namespace linkwright
