#include "netlink_options.h"

#include <cstring>

#include "abi.h"

namespace linkwright {
namespace {

constexpr int kDefaultReceiveBuffer = 1024 * 1024;

}  // namespace

void ForceSocketBuffer(int fd, int forced_option, int option, int bytes) {
  if (::setsockopt(fd, SOL_SOCKET, forced_option, &bytes, sizeof(bytes)) == 0) return;
  ::setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof(bytes));
}

int GetSocketOption(int fd, int option) {
  int value = 0;
  socklen_t length = sizeof(value);
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : 0;
}

Result<NetlinkEndpoint> OpenNetlinkSocket(int protocol, int receive_buffer, int flags) {
  NetlinkEndpoint endpoint;
  endpoint.fd.Reset(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, protocol));
  if (!endpoint.fd) return LastFailure("socket(AF_NETLINK)");
  const int fd = endpoint.fd.get();

  // Before Linux 4.12 errors come without an explanation, and that is all that is missing.
  const int on = 1;
  ::setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
  ::setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
  ::setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
  ForceSocketBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF,
                    receive_buffer > 0 ? receive_buffer : kDefaultReceiveBuffer);

  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return LastFailure("bind");
  socklen_t length = sizeof(address);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0)
    return LastFailure("getsockname");
  endpoint.port_id = address.nl_pid;
  return endpoint;
}

}  // namespace linkwright
