#pragma once

#include <cstddef>
#include <vector>

#include "arguments.h"
#include "tun_ioctl.h"

namespace linkwright {

/** One ioctl with its argument. */
TunIoctlCall ReadTunIoctl(Arguments& arguments, const Napi::Value& name, const Napi::Value& value);
/** `ioctls` of the options: pairs. */
std::vector<TunIoctlCall> ReadTunIoctls(Arguments& arguments, const Napi::Object& options);
/** `flags` of the options: as many as TUNSETIFF takes. */
int ReadTunFlags(Arguments& arguments, const Napi::Object& options);
/** `queues` of the options: at least one, at most what the kernel has. */
size_t ReadQueues(Arguments& arguments, const Napi::Object& options);

}  // namespace linkwright
