#include "forward/udp_tunnel.h"

#include <netinet/in.h>
#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace linkwright {
namespace {

/** How often a call asks the kernel: a flood of what is refused must not keep the thread in here. */
constexpr int kMostReads = 16;

}  // namespace

UdpTunnel::UdpTunnel(UdpSocket socket, bool connected, const TunnelHeader& header)
    : SocketPort(std::move(socket.fd)),
      remote_(socket.remote),
      header_length_(header.length),
      sender_(fd(), connected ? nullptr : &remote_, header, mutable_faults()) {}

/** Takes a datagram's frames, of which there are several where the kernel has joined them (UDP_GRO). */
bool UdpTunnel::Unpack(Datagram* datagram, FrameBuffer* into) {
  int size = 0;
  if (const void* const control = reader_.control(IPPROTO_UDP, UDP_GRO, sizeof(size)))
    std::memcpy(&size, control, sizeof(size));
  const size_t told = size > 0 ? static_cast<size_t>(size) : 0;
  const bool super_frame = told != 0 && HoldsSuperFrame(datagram->data, datagram->length, told);
  const size_t segment = told == 0 || super_frame ? datagram->length : told;
  while (datagram->offset < datagram->length) {
    uint8_t* const room = into->Reserve();
    if (room == nullptr) return false;
    const uint8_t* const data = datagram->data + datagram->offset;
    const size_t length = std::min(segment, datagram->length - datagram->offset);
    datagram->offset += length;
    size_t skip = 0;
    VnetHeader header;
    if (!Unwrap(data, length, super_frame ? told : 0, &skip, &header)) {
      into->Reject();
      continue;
    }
    // Joined datagrams lie too close to each other to be given away: a frame has room before it.
    std::memcpy(room, data + skip, length - skip);
    into->Commit(0, length - skip, header);
  }
  return true;
}

int UdpTunnel::Receive(size_t /*queue*/, FrameBuffer* into) {
  for (int reads = 0;;) {
    Datagram* const datagram = reader_.current();
    if (datagram == nullptr) {
      // Only here: what was fetched is not announced again.
      if (into->full() || reads++ == kMostReads) return 0;
      const int error = reader_.Read(fd());
      if (error == EAGAIN || error == EBADF) return error == EAGAIN ? 0 : error;
      // All others are ICMP's word on what was sent, and gone once fetched: the peer may come back.
      continue;
    }
    if (reader_.truncated() || datagram->length == 0) {
      Count(&mutable_faults()->malformed);
      into->Reject();
    } else if (!FromPeer(reader_.sender(), reader_.sender_length())) {
      Count(&mutable_faults()->foreign);
      into->Reject();
    } else if (!Unpack(datagram, into)) {
      return 0;
    }
    reader_.Advance();
  }
}

Sent UdpTunnel::Send(size_t /*queue*/, const Frame* frames, size_t count) {
  return sender_.Send(frames, count);
}

}  // namespace linkwright
