#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>

#include "result.h"

namespace linkwright {

/** Number of the character device of a macvtap or ipvtap in the calling thread's network namespace. */
Result<dev_t> FindTapNumber(const std::string& name, unsigned int index,
                            const std::array<uint8_t, 6>& address);

}  // namespace linkwright
