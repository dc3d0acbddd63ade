#include "forward/vxlan_port.h"

#include <utility>

#include "forward/unfinished.h"
#include "offload/bytes.h"

namespace linkwright {
namespace {

/** The VNI is valid. All other bits are 0 when sent and nothing when received. */
constexpr uint8_t kFlagVni = 0x08;

TunnelHeader HeaderOf(uint32_t vni) {
  TunnelHeader header;
  header.length = VxlanPort::kHeaderBytes;
  header.bytes[0] = kFlagVni;
  StoreBig32(header.bytes.data() + 4, vni << 8);
  return header;
}

}  // namespace

VxlanPort::VxlanPort(UdpSocket socket, uint32_t vni, size_t mtu)
    : UdpTunnel(std::move(socket), false, HeaderOf(vni)), vni_(vni), mtu_(mtu) {}

bool VxlanPort::HoldsSuperFrame(const uint8_t* datagram, size_t length, size_t segment) const {
  if (length < kHeaderBytes) return false;
  const VnetHeader header = DescribeUnfinished(datagram + kHeaderBytes, length - kHeaderBytes, mtu_, segment);
  return header.gso_type == VnetHeader::kGsoUdpL4;
}

bool VxlanPort::Unwrap(const uint8_t* datagram, size_t length, size_t segment, size_t* skip,
                       VnetHeader* header) {
  if (length < kHeaderBytes + kShortestFrame || (datagram[0] & kFlagVni) == 0) {
    Count(&mutable_faults()->malformed);
    return false;
  }
  if (LoadBig32(datagram + 4) >> 8 != vni_) {
    Count(&mutable_faults()->foreign);
    return false;
  }
  *skip = kHeaderBytes;
  *header = DescribeUnfinished(datagram + kHeaderBytes, length - kHeaderBytes, mtu_, segment);
  return true;
}

}  // namespace linkwright
