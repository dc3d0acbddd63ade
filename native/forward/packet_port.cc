#include "forward/packet_port.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "abi.h"
#include "offload/bytes.h"
#include "offload/packet.h"

namespace linkwright {
namespace {

constexpr int kMostReads = 16;
constexpr size_t kMostMessages = 64;
constexpr size_t kAddresses = size_t{2} * ETH_ALEN;
constexpr size_t kVlanTag = 4;

bool Set(int fd, int option, int value) {
  return ::setsockopt(fd, SOL_PACKET, option, &value, sizeof(value)) == 0;
}

/** Fills in what the options leave out of name and ifindex. */
Failure FindLink(int fd, const PacketOptions& options, PacketSocket* socket) {
  ifreq request{};
  if (options.index != 0) {
    request.ifr_ifindex = static_cast<int>(options.index);
    if (::ioctl(fd, SIOCGIFNAME, &request) != 0) return LastFailure("ioctl(SIOCGIFNAME)");
  } else {
    std::memcpy(request.ifr_name, options.name.data(),
                std::min(options.name.size(), sizeof(request.ifr_name) - 1));
  }
  socket->name = request.ifr_name;
  if (::ioctl(fd, SIOCGIFINDEX, &request) != 0) return LastFailure("ioctl(SIOCGIFINDEX)");
  socket->index = static_cast<unsigned int>(request.ifr_ifindex);
  return {};
}

Failure Configure(int fd, const PacketOptions& options, unsigned int index) {
  if (!Set(fd, PACKET_VNET_HDR, 1)) return LastFailure("setsockopt(PACKET_VNET_HDR)");
  if (!Set(fd, PACKET_AUXDATA, 1)) return LastFailure("setsockopt(PACKET_AUXDATA)");
  // Linux 4.20. Where it is missing, outgoing frames are told by their type.
  Set(fd, PACKET_IGNORE_OUTGOING, 1);
  if (options.qdisc_bypass && !Set(fd, PACKET_QDISC_BYPASS, 1))
    return LastFailure("setsockopt(PACKET_QDISC_BYPASS)");
  if (options.promiscuous) {
    packet_mreq membership{};
    membership.mr_ifindex = static_cast<int>(index);
    membership.mr_type = PACKET_MR_PROMISC;
    if (::setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof(membership)) != 0)
      return LastFailure("setsockopt(PACKET_ADD_MEMBERSHIP)");
  }
  SetSocketBuffers(fd, options.send_buffer, options.receive_buffer);
  return {};
}

/**
 * Whether a super-frame is one inside of a tunnel (VXLAN, GRE): the header tells of the inner packet, and
 * nothing of the outer one, so nobody could split it.
 */
bool InTunnel(const uint8_t* frame, size_t length, const VnetHeader& header) {
  Headers headers;
  if (!FindHeaders(frame, length, Layer::kEthernet, &headers)) return true;
  const bool udp = (header.gso_type & ~VnetHeader::kGsoEcn) == VnetHeader::kGsoUdpL4;
  if (headers.protocol != (udp ? kProtocolUdp : kProtocolTcp)) return true;
  return (header.flags & VnetHeader::kNeedsChecksum) != 0 && header.checksum_start != headers.transport;
}

}  // namespace

Result<PacketSocket> OpenPacketSocket(const PacketOptions& options) {
  PacketSocket opened;
  // Without a protocol nothing is received before it is bound.
  opened.fd = Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!opened.fd) return LastFailure("socket(AF_PACKET)");
  const int fd = opened.fd.get();
  Failure failure = FindLink(fd, options, &opened);
  if (!failure) failure = Configure(fd, options, opened.index);
  if (failure) return failure;
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(opened.index);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return LastFailure("bind");
  // Of a link that is down, which a port may wait for.
  int error = 0;
  socklen_t length = sizeof(error);
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  return opened;
}

PacketPort::PacketPort(PacketSocket socket, bool offload, bool uso)
    : SocketPort(std::move(socket.fd)), offloads_{offload, offload, offload, offload && uso} {}

int PacketPort::Check() const {
  sockaddr_ll address{};
  socklen_t length = sizeof(address);
  const bool told = ::getsockname(fd(), reinterpret_cast<sockaddr*>(&address), &length) == 0;
  // A socket keeps its number, and loses that of its link.
  return told && address.sll_ifindex <= 0 ? ENODEV : 0;
}

/** The current datagram of the reader, with its VLAN tag where the card has taken that out. */
void PacketPort::Unpack(const Datagram& datagram, uint8_t* room, FrameBuffer* into) {
  const uint8_t* const frame = datagram.data + kVnetHeaderBytes;
  const size_t length = datagram.length - kVnetHeaderBytes;
  VnetHeader header;
  std::memcpy(&header, datagram.data, kVnetHeaderBytes);
  if (header.gso_type != VnetHeader::kGsoNone && InTunnel(frame, length, header)) {
    Count(&mutable_faults()->malformed);
    into->Reject();
    return;
  }
  tpacket_auxdata told{};
  if (const void* const control = reader_.control(SOL_PACKET, PACKET_AUXDATA, sizeof(told)))
    std::memcpy(&told, control, sizeof(told));
  if ((told.tp_status & TP_STATUS_VLAN_VALID) == 0) {
    std::memcpy(room, frame, length);
    into->Commit(0, length, header);
    return;
  }
  const bool named = (told.tp_status & TP_STATUS_VLAN_TPID_VALID) != 0;
  std::memcpy(room, frame, kAddresses);
  StoreBig16(room + kAddresses, named ? told.tp_vlan_tpid : ETH_P_8021Q);
  StoreBig16(room + kAddresses + 2, told.tp_vlan_tci);
  std::memcpy(room + kAddresses + kVlanTag, frame + kAddresses, length - kAddresses);
  if ((header.flags & VnetHeader::kNeedsChecksum) != 0) header.checksum_start += kVlanTag;
  if (header.gso_type != VnetHeader::kGsoNone) header.header_length += kVlanTag;
  into->Commit(0, length + kVlanTag, header);
}

int PacketPort::Receive(size_t /*queue*/, FrameBuffer* into) {
  for (int reads = 0;;) {
    const Datagram* const datagram = reader_.current();
    if (datagram == nullptr) {
      // Only here: what was fetched is not announced again.
      if (into->full() || reads++ == kMostReads) return 0;
      const int error = reader_.Read(fd());
      if (error == EAGAIN) return 0;
      // Told once: it comes up again, or it is gone.
      if (error == ENETDOWN) return Check() == 0 ? error : ENODEV;
      if (error == EBADF) return error;
      // EINVAL: a super-frame of a kind that a virtio-net header cannot describe. It is gone.
      if (error == EINVAL) {
        Count(&mutable_faults()->malformed);
        into->Reject();
      }
      continue;
    }
    const auto* const from = reinterpret_cast<const sockaddr_ll*>(reader_.sender());
    if (from->sll_pkttype == PACKET_OUTGOING) {
      reader_.Advance();
      continue;
    }
    if (reader_.truncated() || datagram->length < kVnetHeaderBytes + kShortestFrame ||
        datagram->length > kVnetHeaderBytes + FrameBuffer::kLargestFrame - kVlanTag) {
      Count(&mutable_faults()->malformed);
      into->Reject();
    } else {
      uint8_t* const room = into->Reserve();
      if (room == nullptr) return 0;
      Unpack(*datagram, room, into);
    }
    reader_.Advance();
  }
}

Sent PacketPort::Send(size_t /*queue*/, const Frame* frames, size_t count) {
  // Left uninitialised: most calls use little of them.
  std::array<mmsghdr, kMostMessages> messages;
  std::array<iovec, kMostMessages> pieces;
  size_t done = 0;
  while (done < count) {
    const size_t burst = std::min(count - done, kMostMessages);
    for (size_t i = 0; i < burst; ++i) {
      const Frame& frame = frames[done + i];
      VnetHeader header = frame.header;
      // What is known about a checksum on the way in is nothing to say on the way out.
      header.flags &= VnetHeader::kNeedsChecksum;
      uint8_t* const begin = frame.data - kVnetHeaderBytes;
      std::memcpy(begin, &header, kVnetHeaderBytes);
      pieces[i] = {begin, kVnetHeaderBytes + frame.length};
      messages[i] = {};
      messages[i].msg_hdr.msg_iov = &pieces[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const SentMessages sent = SendMessages(fd(), messages.data(), burst);
    done += sent.count;
    if (sent.error == EMSGSIZE) Count(&mutable_faults()->too_long);
    if (sent.error != 0) return {done, sent.error};
  }
  return {done, 0};
}

}  // namespace linkwright
