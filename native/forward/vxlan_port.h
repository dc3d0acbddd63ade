#pragma once

#include <cstdint>

#include "forward/udp_tunnel.h"

namespace linkwright {

/**
 * VXLAN (RFC 7348) to one remote end point. Frames of any source port are taken, as senders choose it by
 * flow; they all go out from the local port.
 */
class VxlanPort : public UdpTunnel {
 public:
  static constexpr size_t kHeaderBytes = 8;

  /**
   * @param vni 24 bits
   * @param mtu of the network in the tunnel: how long the packets of a super-frame are to be
   */
  VxlanPort(UdpSocket socket, uint32_t vni, size_t mtu);

 protected:
  bool FromPeer(const sockaddr* sender, socklen_t length) const override {
    return SameHost(remote(), sender, length);
  }
  bool HoldsSuperFrame(const uint8_t* datagram, size_t length, size_t segment) const override;
  bool Unwrap(const uint8_t* datagram, size_t length, size_t segment, size_t* skip,
              VnetHeader* header) override;

 private:
  const uint32_t vni_;
  const size_t mtu_;
};

}  // namespace linkwright
