#include "offload/packet.h"

#include "offload/bytes.h"
#include "offload/checksum.h"

namespace linkwright {
namespace {

constexpr size_t kEthernetAddresses = 12;
constexpr size_t kVlanTag = 4;
constexpr int kMostTags = 2;
constexpr size_t kAddress6 = 16;

constexpr uint16_t kEtherTypeIpv4 = 0x0800;
constexpr uint16_t kEtherTypeIpv6 = 0x86dd;
constexpr uint16_t kEtherTypeVlan = 0x8100;
constexpr uint16_t kEtherTypeServiceVlan = 0x88a8;

constexpr uint8_t kHopByHop = 0;
constexpr uint8_t kRouting = 43;
constexpr uint8_t kFragment = 44;
constexpr uint8_t kDestinationOptions = 60;
constexpr uint8_t kRoutingSource = 0;
constexpr uint8_t kRoutingHome = 2;
constexpr uint8_t kRoutingSegments = 4;
constexpr uint8_t kJumboOption = 0xc2;

/** Finds the IP header behind an Ethernet header; gives the version that the EtherType promises, or 0. */
uint8_t FindNetwork(const uint8_t* frame, size_t length, size_t* network) {
  size_t at = kEthernetAddresses;
  for (int tags = 0; at + 2 <= length; ++tags, at += kVlanTag) {
    const uint16_t type = LoadBig16(frame + at);
    *network = at + 2;
    if (type == kEtherTypeIpv4) return 4;
    if (type == kEtherTypeIpv6) return 6;
    if ((type != kEtherTypeVlan && type != kEtherTypeServiceVlan) || tags == kMostTags) return 0;
  }
  return 0;
}

bool FindIpv4(const uint8_t* frame, size_t length, Headers* found) {
  const uint8_t* ip = frame + found->network;
  const size_t available = length - found->network;
  if (available < kIpv4Header) return false;
  const size_t bytes = static_cast<size_t>(ip[0] & 0x0f) * 4;
  if (bytes < kIpv4Header || bytes > available) return false;
  found->transport = found->network + bytes;
  found->destination = found->network + 16;
  found->protocol = ip[9];
  found->options = bytes > kIpv4Header;
  // More fragments, or an offset.
  found->fragment = (LoadBig16(ip + 6) & 0x3fff) != 0;
  return true;
}

/** Takes the last address of a routing header with hops left. False for one that says it in another way. */
bool FindDestination(const uint8_t* routing, size_t bytes, size_t at, Headers* found) {
  const bool arrived = routing[3] == 0;
  if (arrived) return true;
  const size_t addresses = (bytes - 8) / kAddress6;
  if (addresses == 0) return false;
  switch (routing[2]) {
    case kRoutingSource:
      found->destination = at + 8 + (addresses - 1) * kAddress6;
      return true;
    case kRoutingHome:
    case kRoutingSegments:
      found->destination = at + 8;
      return true;
    default:
      return false;
  }
}

/** Whether a packet says its length in an option (jumbograms), which would be wrong in parts of it. */
bool HasJumboLength(const uint8_t* options, size_t bytes) {
  for (size_t at = 2; at + 1 < bytes;) {
    if (options[at] == kJumboOption) return true;
    // Pad1 is the only option without a length.
    at += options[at] == 0 ? 1 : size_t{2} + options[at + 1];
  }
  return false;
}

bool FindIpv6(const uint8_t* frame, size_t length, Headers* found) {
  if (length - found->network < kIpv6Header) return false;
  uint8_t next = frame[found->network + 6];
  size_t at = found->network + kIpv6Header;
  found->destination = found->network + 24;
  while (next == kHopByHop || next == kRouting || next == kFragment || next == kDestinationOptions) {
    if (length - at < 8) return false;
    const uint8_t* extension = frame + at;
    const size_t bytes = next == kFragment ? 8 : (size_t{extension[1]} + 1) * 8;
    if (bytes > length - at) return false;
    if (next == kRouting && !FindDestination(extension, bytes, at, found)) return false;
    if (next == kHopByHop && HasJumboLength(extension, bytes)) return false;
    if (next == kFragment) {
      found->fragment = true;
      // Behind it is data, except in the first part.
      if ((LoadBig16(extension + 2) & 0xfff8) != 0) {
        next = extension[0];
        at += bytes;
        break;
      }
    }
    next = extension[0];
    at += bytes;
  }
  found->options = at > found->network + kIpv6Header;
  found->protocol = next;
  found->transport = at;
  return true;
}

}  // namespace

bool FindHeaders(const uint8_t* frame, size_t length, Layer layer, Headers* found) {
  *found = {};
  uint8_t promised = 0;
  if (layer == Layer::kEthernet) {
    promised = FindNetwork(frame, length, &found->network);
    if (promised == 0) return false;
  }
  if (found->network >= length) return false;
  found->version = frame[found->network] >> 4;
  if (promised != 0 && promised != found->version) return false;
  if (found->version == 4) return FindIpv4(frame, length, found);
  return found->version == 6 && FindIpv6(frame, length, found);
}

size_t TcpHeaderBytes(const uint8_t* frame, size_t length, size_t transport) {
  if (transport > length || length - transport < kTcpHeader) return 0;
  const size_t bytes = static_cast<size_t>(frame[transport + 12] >> 4) * 4;
  return bytes < kTcpHeader || bytes > length - transport ? 0 : bytes;
}

uint64_t PseudoHeaderSum(const uint8_t* frame, const Headers& headers, size_t transport_bytes) {
  const size_t address = headers.version == 4 ? 4 : kAddress6;
  const size_t source = headers.network + (headers.version == 4 ? 12 : 8);
  uint8_t rest[8] = {};
  StoreBig32(rest, static_cast<uint32_t>(transport_bytes));
  rest[7] = headers.protocol;
  return Sum(frame + source, address) + Sum(frame + headers.destination, address) + Sum(rest, sizeof rest);
}

void SetIpLength(uint8_t* frame, const Headers& headers, size_t length) {
  uint8_t* ip = frame + headers.network;
  if (headers.version == 6) {
    StoreBig16(ip + 4, static_cast<uint16_t>(length - headers.network - kIpv6Header));
    return;
  }
  StoreBig16(ip + 2, static_cast<uint16_t>(length - headers.network));
  StoreBig16(ip + 10, 0);
  StoreChecksum(ip + 10, Sum(ip, headers.transport - headers.network));
}

}  // namespace linkwright
