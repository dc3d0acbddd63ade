#pragma once

#include <string>

#include "forward/datagrams.h"
#include "forward/socket_port.h"
#include "result.h"

namespace linkwright {

/**
 * Frames over a Unix datagram socket, one in each datagram, as QEMU's `-netdev dgram` has it. With a path of
 * the remote, the peer may come and go; without one, the socket is connected already, and the port is gone
 * when its peer is.
 */
class UnixDatagramPort : public SocketPort {
 public:
  /** @param remote path of the peer's socket, or empty; a leading NUL means the abstract namespace */
  UnixDatagramPort(Fd fd, std::string remote);

  int Receive(size_t queue, FrameBuffer* into) override;
  Sent Send(size_t queue, const Frame* frames, size_t count) override;
  Trouble Judge(int error) const override;
  /**
   * Connects to the path, by which the kernel refuses everybody else's datagrams: those too of a socket that
   * has taken the place of another, until this is called again. 0 or an errno.
   */
  int Connect() const;

 private:
  const std::string remote_;
  DatagramReader reader_{false};
};

/** A socket that is bound to a path. */
Result<Fd> BindUnixDatagrams(const std::string& path);

}  // namespace linkwright
