#pragma once

#include "forward/udp_tunnel.h"

namespace linkwright {

/** Ethernet over UDP to one peer: each datagram is a frame, and nothing else. */
class UdpPort : public UdpTunnel {
 public:
  explicit UdpPort(UdpSocket socket) : UdpTunnel(std::move(socket), true, {}) {}

 protected:
  bool FromPeer(const sockaddr* sender, socklen_t length) const override {
    // The socket is connected, but was not from the first moment on.
    return SameHost(remote(), sender, length) && SamePort(remote(), sender);
  }
  bool Unwrap(const uint8_t* datagram, size_t length, size_t segment, size_t* skip,
              VnetHeader* header) override;
};

}  // namespace linkwright
