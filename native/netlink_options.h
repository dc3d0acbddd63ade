#pragma once

#include <cstdint>

#include "fd.h"
#include "result.h"

namespace linkwright {

struct NetlinkEndpoint {
  Fd fd;
  uint32_t port_id = 0;
};

/** Opens and binds a netlink socket in the calling thread's namespace. `flags` are those of socket(). */
Result<NetlinkEndpoint> OpenNetlinkSocket(int protocol, int receive_buffer, int flags);

/** Sets a socket's buffer size past the system's limit where that is permitted, else up to it. */
void ForceSocketBuffer(int fd, int forced_option, int option, int bytes);

/** An int option of SOL_SOCKET; 0 when there is none. */
int GetSocketOption(int fd, int option);

}  // namespace linkwright
