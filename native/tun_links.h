#pragma once

#include <vector>

#include "tun_device.h"
#include "worker.h"

namespace linkwright {

/**
 * Sends the `link` requests of devices that were opened, with their ifindexes filled in, from the calling
 * thread's namespace, and notes what the kernel answered. By the thread that opened them: two would wait for
 * each other's RTNL.
 */
void SetLinks(const std::vector<TunOptions>& options, TunDevices* devices, Worker& worker);

}  // namespace linkwright
