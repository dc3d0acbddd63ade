#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string>

namespace linkwright {

/** Length of the address; 0 when the path is too long or empty. A leading NUL means the abstract namespace,
 * as ever. */
socklen_t FillUnixAddress(const std::string& path, sockaddr_un* address);

}  // namespace linkwright
