#pragma once

#include <cstddef>
#include <cstdint>

#include "offload/vnet_header.h"

namespace linkwright {

/** What a descriptor carries: Ethernet frames (TAP, macvtap) or bare IP packets (TUN). */
enum class Layer : uint8_t { kEthernet, kIp };

constexpr uint8_t kProtocolTcp = 6;
constexpr uint8_t kProtocolUdp = 17;

constexpr size_t kIpv4Header = 20;
constexpr size_t kIpv6Header = 40;
constexpr size_t kTcpHeader = 20;
constexpr size_t kUdpHeader = 8;
/** Where TCP and UDP have their checksum, from the start of their header. */
constexpr size_t kTcpChecksum = 16;
constexpr size_t kUdpChecksum = 6;
/** Most bytes that the length field of an IP header can tell. */
constexpr size_t kLargestIpLength = 65'535;

/** Where the headers of a frame lie, in bytes from its start. All of them are inside of the frame. */
struct Headers {
  /** The IP header, behind Ethernet and up to two VLAN tags. */
  size_t network = 0;
  /** What follows the IP header with its options or extension headers; may be the end of the frame. */
  size_t transport = 0;
  /** The address that the pseudo header has as destination: with a routing header, not that of the IP header.
   */
  size_t destination = 0;
  /** 4 or 6. */
  uint8_t version = 0;
  /** What `transport` is. */
  uint8_t protocol = 0;
  /** Whether there are IPv4 options or IPv6 extension headers. */
  bool options = false;
  /** Part of a packet: `transport` is no header but for the first part. */
  bool fragment = false;
};

/**
 * Finds the headers of an IPv4 or IPv6 packet, looking at nothing beyond `length`. Knows 802.1Q and 802.1ad
 * tags, and the extension headers that may precede TCP and UDP. False for all other frames, and for damaged
 * ones.
 */
bool FindHeaders(const uint8_t* frame, size_t length, Layer layer, Headers* found);

/** Bytes of the TCP header at `transport`, with options; 0 where it is damaged or not whole. */
size_t TcpHeaderBytes(const uint8_t* frame, size_t length, size_t transport);

/**
 * The one's complement sum (see Sum()) of the pseudo header of TCP and UDP.
 *
 * @param transport_bytes length of the TCP or UDP header with its payload
 */
uint64_t PseudoHeaderSum(const uint8_t* frame, const Headers& headers, size_t transport_bytes);

/** Writes the length of an IP packet into its header, `length` being that of the frame, and IPv4's checksum.
 */
void SetIpLength(uint8_t* frame, const Headers& headers, size_t length);

}  // namespace linkwright
