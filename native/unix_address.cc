#include "unix_address.h"

#include <cstddef>
#include <cstring>

namespace linkwright {

socklen_t FillUnixAddress(const std::string& path, sockaddr_un* address) {
  *address = {};
  address->sun_family = AF_UNIX;
  const bool abstract = !path.empty() && path[0] == '\0';
  if (path.empty() || path.size() + (abstract ? 0 : 1) > sizeof(address->sun_path)) return 0;
  std::memcpy(address->sun_path, path.data(), path.size());
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1));
}

}  // namespace linkwright
