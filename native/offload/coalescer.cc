#include "offload/coalescer.h"

#include <cstring>

#include "offload/bytes.h"
#include "offload/checksum.h"

namespace linkwright {
namespace {

constexpr uint8_t kPsh = 0x08;
constexpr uint8_t kAck = 0x10;
constexpr uint8_t kEce = 0x40;

bool IsRight(const uint8_t* frame, const Headers& headers, size_t length) {
  const size_t bytes = length - headers.transport;
  return Fold(PseudoHeaderSum(frame, headers, bytes) + Sum(frame + headers.transport, bytes)) == 0xffff;
}

uint32_t Hash(const uint8_t* bytes, size_t length, uint32_t hash) {
  for (size_t i = 0; i + 4 <= length; i += 4) {
    uint32_t word = 0;
    std::memcpy(&word, bytes + i, sizeof word);
    hash = (hash ^ word) * 0x9e3779b1;
    hash ^= hash >> 15;
  }
  return hash;
}

bool Same(const uint8_t* one, const uint8_t* other, size_t from, size_t to) {
  return std::memcmp(one + from, other + from, to - from) == 0;
}

/** Addresses, and behind them the ports. */
struct Addresses {
  explicit Addresses(const Headers& headers)
      : begin(headers.network + (headers.version == 4 ? 12 : 8)),
        end(headers.network + (headers.version == 4 ? 20 : 40)) {}
  size_t begin;
  size_t end;
};

/** Whether the IP headers differ in nothing but length, identification and checksum. */
bool SameIp(const uint8_t* one, const uint8_t* other, const Headers& headers) {
  const size_t ip = headers.network;
  // Version, traffic class (and flow label); then what follows the length or the identification.
  if (headers.version == 4) return Same(one, other, ip, ip + 2) && Same(one, other, ip + 6, ip + 10);
  return Same(one, other, ip, ip + 4) && Same(one, other, ip + 6, ip + 8);
}

/** Whether TCP headers of one length differ in nothing but ports, sequence number, PSH and checksum. */
bool SameTcp(const uint8_t* one, const uint8_t* other, size_t tcp, size_t end) {
  return Same(one, other, tcp + 8, tcp + 13) && ((one[tcp + 13] ^ other[tcp + 13]) & ~kPsh) == 0 &&
         Same(one, other, tcp + 14, tcp + 16) && Same(one, other, tcp + 18, end);
}

bool DontFragment(const uint8_t* frame, const Headers& headers) {
  return (frame[headers.network + 6] & 0x40) != 0;
}

}  // namespace

Coalescer::Coalescer(Layer layer, const Offloads& receiver, size_t frames)
    : layer_(layer), receiver_(receiver), capacity_(frames) {
  outputs_.reserve(frames);
  members_.reserve(frames);
  heads_.reserve(frames / 2);
  buckets_.fill(kNone);
}

void Coalescer::Clear() {
  taken_ = 0;
  closed_before_ = 0;
  outputs_.clear();
  members_.clear();
  heads_.clear();
  buckets_.fill(kNone);
}

bool Coalescer::Add(const uint8_t* frame, size_t length, const VnetHeader& header) {
  if (taken_ == capacity_) return false;
  taken_++;
  Packet packet;
  const Kind kind = Classify(frame, length, header, &packet);
  // It has no ports, so it might be of any flow.
  if (kind == Kind::kFragment) closed_before_ = outputs_.size();
  if (kind == Kind::kAlone || kind == Kind::kSegment) {
    Output* output = FindOpen(packet);
    if (output != nullptr && kind == Kind::kSegment && MayJoin(*output, packet)) {
      Join(output, packet);
      return true;
    }
    // What comes later must not overtake this one.
    if (output != nullptr) output->open = false;
  }
  Output output;
  output.frame = frame;
  output.length = length;
  output.header = header;
  if (kind == Kind::kSegment && !packet.push) {
    int32_t& bucket = buckets_[packet.hash % kBuckets];
    output.first = packet;
    output.next_sequence = packet.sequence + static_cast<uint32_t>(packet.payload);
    output.open = true;
    output.older = bucket;
    bucket = static_cast<int32_t>(outputs_.size());
  }
  outputs_.push_back(output);
  return true;
}

Coalescer::Kind Coalescer::Classify(const uint8_t* frame, size_t length, const VnetHeader& header,
                                    Packet* packet) const {
  Headers& headers = packet->headers;
  if (!FindHeaders(frame, length, layer_, &headers)) return Kind::kNoFlow;
  if (headers.fragment) return Kind::kFragment;
  const bool tcp = headers.protocol == kProtocolTcp;
  if ((!tcp && headers.protocol != kProtocolUdp) || length - headers.transport < 4) return Kind::kNoFlow;
  packet->frame = frame;
  const Addresses addresses(headers);
  packet->hash = Hash(frame + headers.transport, 4,
                      Hash(frame + addresses.begin, addresses.end - addresses.begin, headers.protocol));

  const bool four = headers.version == 4;
  const bool taken = receiver_.checksum && (tcp ? (four ? receiver_.tso4 : receiver_.tso6) : receiver_.uso);
  if (!taken || headers.options || header.gso_type != VnetHeader::kGsoNone) return Kind::kAlone;
  const size_t header_bytes = tcp ? TcpHeaderBytes(frame, length, headers.transport) : kUdpHeader;
  if (header_bytes == 0 || length - headers.transport <= header_bytes) return Kind::kAlone;
  packet->header_bytes = headers.transport + header_bytes;
  packet->payload = length - packet->header_bytes;

  const uint8_t* ip = frame + headers.network;
  const size_t ip_bytes = length - headers.network;
  // No padding, nor any part missing.
  if (four ? LoadBig16(ip + 2) != ip_bytes : LoadBig16(ip + 4) != ip_bytes - kIpv6Header) return Kind::kAlone;
  const uint8_t* transport = frame + headers.transport;
  if (tcp) {
    const uint8_t flags = transport[13];
    if ((flags & kAck) == 0 || (flags & ~(kAck | kPsh | kEce)) != 0) return Kind::kAlone;
    packet->push = (flags & kPsh) != 0;
    packet->sequence = LoadBig32(transport + 4);
  } else {
    // Without a checksum it is right, but a merged one would get one.
    if (LoadBig16(transport + 4) != length - headers.transport || LoadBig16(transport + kUdpChecksum) == 0) {
      return Kind::kAlone;
    }
  }
  if (four) {
    if (Fold(Sum(ip, kIpv4Header)) != 0xffff) return Kind::kAlone;
    packet->identification = LoadBig16(ip + 4);
  }
  if ((header.flags & VnetHeader::kNeedsChecksum) != 0) {
    const bool its_own = header.checksum_start == headers.transport &&
                         header.checksum_offset == (tcp ? kTcpChecksum : kUdpChecksum);
    return its_own ? Kind::kSegment : Kind::kAlone;
  }
  const bool right = (header.flags & VnetHeader::kDataValid) != 0 || IsRight(frame, headers, length);
  return right ? Kind::kSegment : Kind::kAlone;
}

Coalescer::Output* Coalescer::FindOpen(const Packet& packet) {
  const Headers& headers = packet.headers;
  const Addresses addresses(headers);
  for (int32_t i = buckets_[packet.hash % kBuckets]; i != kNone; i = outputs_[i].older) {
    Output& output = outputs_[i];
    const Headers& others = output.first.headers;
    if (output.first.hash != packet.hash || others.network != headers.network ||
        others.version != headers.version || others.protocol != headers.protocol ||
        !Same(packet.frame, output.frame, 0, headers.network) ||
        !Same(packet.frame, output.frame, addresses.begin, addresses.end) ||
        std::memcmp(packet.frame + headers.transport, output.frame + others.transport, 4) != 0) {
      continue;
    }
    // The latest of the flow: those before it were closed by it.
    const bool open = output.open && static_cast<size_t>(i) >= closed_before_;
    return open ? &output : nullptr;
  }
  return nullptr;
}

bool Coalescer::MayJoin(const Output& output, const Packet& packet) const {
  const Packet& first = output.first;
  const Headers& headers = packet.headers;
  if (output.frames == kMostSegments || packet.header_bytes != first.header_bytes ||
      packet.payload > first.payload) {
    return false;
  }
  const size_t ip_length =
      output.length + packet.payload - headers.network - (headers.version == 6 ? kIpv6Header : 0);
  if (ip_length > kLargestIpLength || !SameIp(packet.frame, first.frame, headers)) return false;
  if (headers.version == 4 && !DontFragment(packet.frame, headers) &&
      packet.identification != static_cast<uint16_t>(first.identification + output.frames)) {
    return false;
  }
  if (headers.protocol == kProtocolUdp) return true;
  return packet.sequence == output.next_sequence &&
         SameTcp(packet.frame, first.frame, headers.transport, packet.header_bytes);
}

void Coalescer::Join(Output* output, const Packet& packet) {
  const auto member = static_cast<int32_t>(members_.size());
  members_.push_back({packet.frame + packet.header_bytes, packet.payload, kNone});
  if (output->last_member == kNone) {
    output->first_member = member;
  } else {
    members_[output->last_member].next = member;
  }
  output->last_member = member;
  output->frames++;
  output->length += packet.payload;
  output->next_sequence += static_cast<uint32_t>(packet.payload);
  output->first.push = packet.push;
  output->open = !packet.push && packet.payload == output->first.payload;
}

void Coalescer::Finish() {
  for (Output& output : outputs_) {
    if (output.frames > 1 && output.head == kNone) MakeHead(&output);
  }
}

void Coalescer::MakeHead(Output* output) {
  const Packet& first = output->first;
  const Headers& headers = first.headers;
  const bool tcp = headers.protocol == kProtocolTcp;
  output->head = static_cast<int32_t>(heads_.size());
  uint8_t* head = heads_.emplace_back().data();
  std::memcpy(head, first.frame, first.header_bytes);
  SetIpLength(head, headers, output->length);
  uint8_t* transport = head + headers.transport;
  const size_t bytes = output->length - headers.transport;
  // The sum of the pseudo header, not inverted, is where the receiver begins to sum.
  const uint16_t partial = Fold(PseudoHeaderSum(head, headers, bytes));
  if (tcp) {
    if (first.push) transport[13] |= kPsh;
  } else {
    StoreBig16(transport + 4, static_cast<uint16_t>(bytes));
  }
  const size_t checksum = tcp ? kTcpChecksum : kUdpChecksum;
  std::memcpy(transport + checksum, &partial, sizeof partial);

  VnetHeader& header = output->header;
  header.flags = VnetHeader::kNeedsChecksum;
  header.gso_type = !tcp                   ? VnetHeader::kGsoUdpL4
                    : headers.version == 4 ? VnetHeader::kGsoTcp4
                                           : VnetHeader::kGsoTcp6;
  header.header_length = static_cast<uint16_t>(first.header_bytes);
  header.gso_size = static_cast<uint16_t>(first.payload);
  header.checksum_start = static_cast<uint16_t>(headers.transport);
  header.checksum_offset = static_cast<uint16_t>(checksum);
}

size_t Coalescer::Gather(size_t index, iovec* pieces) const {
  const Output& output = outputs_[index];
  // What writev() takes is not const, though it is not changed.
  const auto piece = [](const uint8_t* bytes, size_t length) {
    return iovec{const_cast<uint8_t*>(bytes), length};
  };
  if (output.frames == 1) {
    pieces[0] = piece(output.frame, output.length);
    return 1;
  }
  pieces[0] = piece(heads_[output.head].data(), output.first.header_bytes);
  pieces[1] = piece(output.frame + output.first.header_bytes, output.first.payload);
  size_t count = 2;
  for (int32_t i = output.first_member; i != kNone; i = members_[i].next) {
    pieces[count++] = piece(members_[i].payload, members_[i].length);
  }
  return count;
}

size_t Coalescer::Copy(size_t index, uint8_t* out) const {
  std::array<iovec, kMostSegments + 1> pieces;
  const size_t count = Gather(index, pieces.data());
  size_t at = 0;
  for (size_t i = 0; i < count; ++i) {
    std::memcpy(out + at, pieces[i].iov_base, pieces[i].iov_len);
    at += pieces[i].iov_len;
  }
  return at;
}

}  // namespace linkwright
