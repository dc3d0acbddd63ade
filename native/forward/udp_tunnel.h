#pragma once

#include <cstddef>
#include <cstdint>

#include "forward/datagrams.h"
#include "forward/socket_port.h"
#include "forward/udp_sender.h"
#include "forward/udp_socket.h"

namespace linkwright {

/** Frames in datagrams, one in each: what UDP tunnels have in common. */
class UdpTunnel : public SocketPort {
 public:
  int Receive(size_t queue, FrameBuffer* into) override;
  Sent Send(size_t queue, const Frame* frames, size_t count) override;
  size_t largest() const override { return UdpSender::kMostBytes - header_length_; }

 protected:
  UdpTunnel(UdpSocket socket, bool connected, const TunnelHeader& header);

  const SocketAddress& remote() const { return remote_; }
  /** Whether a datagram comes from who may send. */
  virtual bool FromPeer(const sockaddr* sender, socklen_t length) const = 0;
  /**
   * Whether a datagram is one with a super-frame of UDP in it, whose segments the kernel tells of in the same
   * way as of datagrams that it has joined.
   */
  virtual bool HoldsSuperFrame(const uint8_t* /*datagram*/, size_t /*length*/, size_t /*segment*/) const {
    return false;
  }
  /**
   * Where the frame begins in a datagram, and what its header says; false (counted) when there is none.
   *
   * @param segment of a super-frame of UDP, or 0
   */
  virtual bool Unwrap(const uint8_t* datagram, size_t length, size_t segment, size_t* skip,
                      VnetHeader* header) = 0;

 private:
  bool Unpack(Datagram* datagram, FrameBuffer* into);

  const SocketAddress remote_;
  const size_t header_length_;
  UdpSender sender_;
  DatagramReader reader_{true};
};

}  // namespace linkwright
