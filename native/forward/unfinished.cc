#include "forward/unfinished.h"

#include <cstring>

#include "offload/bytes.h"
#include "offload/checksum.h"
#include "offload/packet.h"

namespace linkwright {

VnetHeader DescribeUnfinished(const uint8_t* frame, size_t length, size_t mtu, size_t segment) {
  Headers headers;
  if (!FindHeaders(frame, length, Layer::kEthernet, &headers) || headers.fragment) return {};
  const bool tcp = headers.protocol == kProtocolTcp;
  if (!tcp && headers.protocol != kProtocolUdp) return {};
  // What IP says, for short frames are padded.
  const size_t told = headers.version == 4 ? size_t{LoadBig16(frame + headers.network + 2)}
                                           : size_t{LoadBig16(frame + headers.network + 4)} + kIpv6Header;
  const size_t packet = headers.network + told;
  if (packet > length || packet < headers.transport + (tcp ? kTcpHeader : kUdpHeader)) return {};
  const size_t offset = tcp ? kTcpChecksum : kUdpChecksum;
  uint16_t field = 0;
  std::memcpy(&field, frame + headers.transport + offset, sizeof(field));
  if (field != Fold(PseudoHeaderSum(frame, headers, packet - headers.transport))) return {};
  VnetHeader header;
  header.flags = VnetHeader::kNeedsChecksum;
  header.checksum_start = static_cast<uint16_t>(headers.transport);
  header.checksum_offset = static_cast<uint16_t>(offset);
  if (!tcp && segment != 0 && packet - headers.transport > kUdpHeader + segment) {
    header.gso_type = VnetHeader::kGsoUdpL4;
    header.gso_size = static_cast<uint16_t>(segment);
    header.header_length = static_cast<uint16_t>(headers.transport + kUdpHeader);
    return header;
  }
  const size_t tcp_header = tcp ? TcpHeaderBytes(frame, length, headers.transport) : 0;
  const size_t before_payload = headers.transport - headers.network + tcp_header;
  if (tcp_header == 0 || told <= mtu || mtu <= before_payload) return header;
  header.gso_type = headers.version == 4 ? VnetHeader::kGsoTcp4 : VnetHeader::kGsoTcp6;
  header.gso_size = static_cast<uint16_t>(mtu - before_payload);
  header.header_length = static_cast<uint16_t>(headers.transport + tcp_header);
  return header;
}

}  // namespace linkwright
