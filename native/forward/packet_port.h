#pragma once

#include <cstdint>
#include <string>

#include "forward/datagrams.h"
#include "forward/socket_port.h"
#include "result.h"

namespace linkwright {

struct PacketOptions {
  /** One of both: the name, or the ifindex where that is not 0. */
  std::string name;
  unsigned int index = 0;
  /** Whether frames for other addresses are wanted too. */
  bool promiscuous = true;
  /** Whether frames go to the driver past the queueing discipline. */
  bool qdisc_bypass = false;
  /** Whether super-frames and missing checksums are left to the link. */
  bool offload = true;
  int send_buffer = 0;
  int receive_buffer = 0;
};

struct PacketSocket {
  Fd fd;
  std::string name;
  unsigned int index = 0;
};

/** Opens an AF_PACKET socket on a link of the calling thread's namespace. */
Result<PacketSocket> OpenPacketSocket(const PacketOptions& options);

/**
 * The wire of a link: frames that come in, as the kernel's own stack gets them too; frames that are sent go
 * out. What the stack sends itself is not seen. Frames carry virtio-net headers both ways (PACKET_VNET_HDR).
 */
class PacketPort : public SocketPort {
 public:
  PacketPort(PacketSocket socket, bool offload, bool uso);

  int Receive(size_t queue, FrameBuffer* into) override;
  Sent Send(size_t queue, const Frame* frames, size_t count) override;
  Offloads offloads() const override { return offloads_; }
  /** Whether the link was deleted, and is not only down. */
  int Check() const override;

 private:
  void Unpack(const Datagram& datagram, uint8_t* room, FrameBuffer* into);

  const Offloads offloads_;
  DatagramReader reader_{true};
};

}  // namespace linkwright
