#include "forward/socket_port.h"

#include <linux/sock_diag.h>
#include <sys/socket.h>

#include <array>

#include "abi.h"

namespace linkwright {

uint64_t SocketPort::KernelDrops() const {
  std::array<uint32_t, SK_MEMINFO_VARS> info{};
  socklen_t length = sizeof(info);
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_MEMINFO, info.data(), &length) != 0) return 0;
  return info[SK_MEMINFO_DROPS];
}

void SetSocketBuffers(int fd, int send_bytes, int receive_bytes) {
  const auto set = [fd](int bytes, int forced, int ordinary) {
    if (bytes == 0) return;
    if (::setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof(bytes)) == 0) return;
    ::setsockopt(fd, SOL_SOCKET, ordinary, &bytes, sizeof(bytes));
  };
  set(send_bytes, SO_SNDBUFFORCE, SO_SNDBUF);
  set(receive_bytes, SO_RCVBUFFORCE, SO_RCVBUF);
}

}  // namespace linkwright
