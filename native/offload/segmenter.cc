#include "offload/segmenter.h"

#include <algorithm>
#include <cstring>

#include "offload/bytes.h"
#include "offload/checksum.h"

namespace linkwright {
namespace {

constexpr size_t kTcpSequence = 4;
constexpr size_t kTcpFlags = 13;
constexpr uint8_t kFin = 0x01;
constexpr uint8_t kPsh = 0x08;
constexpr uint8_t kCwr = 0x80;

/** Whether a frame is what the virtio-net header says. */
bool IsOfType(uint8_t gso_type, const Headers& headers) {
  switch (gso_type) {
    case VnetHeader::kGsoTcp4:
    case VnetHeader::kGsoTcp4 | VnetHeader::kGsoEcn:
      return headers.version == 4 && headers.protocol == kProtocolTcp;
    case VnetHeader::kGsoTcp6:
    case VnetHeader::kGsoTcp6 | VnetHeader::kGsoEcn:
      return headers.version == 6 && headers.protocol == kProtocolTcp;
    case VnetHeader::kGsoUdpL4:
      return headers.protocol == kProtocolUdp;
    default:
      return false;
  }
}

}  // namespace

Segmenter::Segmenter(const uint8_t* frame, size_t length, const VnetHeader& header, Layer layer)
    : frame_(frame) {
  if (header.gso_size == 0 || !FindHeaders(frame, length, layer, &headers_)) return;
  if (headers_.fragment || !IsOfType(header.gso_type, headers_)) return;
  const bool tcp = headers_.protocol == kProtocolTcp;
  const bool partial = (header.flags & VnetHeader::kNeedsChecksum) != 0;
  // The header of all is found here, so that a wrong one is noticed.
  if (partial && (header.checksum_start != headers_.transport ||
                  header.checksum_offset != (tcp ? kTcpChecksum : kUdpChecksum))) {
    return;
  }
  if (tcp) {
    const size_t bytes = TcpHeaderBytes(frame, length, headers_.transport);
    if (bytes == 0) return;
    header_bytes_ = headers_.transport + bytes;
  } else {
    header_bytes_ = headers_.transport + kUdpHeader;
    if (header_bytes_ > length) return;
    checksum_ = partial || headers_.version == 6 || LoadBig16(frame + headers_.transport + kUdpChecksum) != 0;
  }
  payload_ = length - header_bytes_;
  gso_size_ = std::min<size_t>(header.gso_size, payload_);
  if (largest() - headers_.network - (headers_.version == 6 ? kIpv6Header : 0) > kLargestIpLength) return;
  const size_t segments = payload_ == 0 ? 1 : (payload_ + gso_size_ - 1) / gso_size_;
  if (segments <= kMostSegments) segments_ = segments;
}

size_t Segmenter::Write(size_t index, uint8_t* out) const {
  const size_t at = index * gso_size_;
  const size_t payload = std::min(gso_size_, payload_ - at);
  const size_t length = header_bytes_ + payload;
  std::memcpy(out, frame_, header_bytes_);
  std::memcpy(out + header_bytes_, frame_ + header_bytes_ + at, payload);
  if (headers_.version == 4) {
    uint8_t* identification = out + headers_.network + 4;
    StoreBig16(identification, static_cast<uint16_t>(LoadBig16(identification) + index));
  }
  SetIpLength(out, headers_, length);
  if (headers_.protocol == kProtocolTcp) {
    FinishTcp(index, out, length);
  } else {
    FinishUdp(out, length);
  }
  return length;
}

void Segmenter::FinishTcp(size_t index, uint8_t* out, size_t length) const {
  uint8_t* tcp = out + headers_.transport;
  const size_t bytes = length - headers_.transport;
  StoreBig32(tcp + kTcpSequence, static_cast<uint32_t>(LoadBig32(tcp + kTcpSequence) + index * gso_size_));
  // The end is told by the last, that the window was reduced by the first only.
  if (index + 1 != segments_) tcp[kTcpFlags] &= static_cast<uint8_t>(~(kFin | kPsh));
  if (index != 0) tcp[kTcpFlags] &= static_cast<uint8_t>(~kCwr);
  StoreBig16(tcp + kTcpChecksum, 0);
  StoreChecksum(tcp + kTcpChecksum, PseudoHeaderSum(out, headers_, bytes) + Sum(tcp, bytes));
}

void Segmenter::FinishUdp(uint8_t* out, size_t length) const {
  uint8_t* udp = out + headers_.transport;
  const size_t bytes = length - headers_.transport;
  StoreBig16(udp + 4, static_cast<uint16_t>(bytes));
  StoreBig16(udp + kUdpChecksum, 0);
  if (checksum_)
    StoreChecksumNotZero(udp + kUdpChecksum, PseudoHeaderSum(out, headers_, bytes) + Sum(udp, bytes));
}

}  // namespace linkwright
