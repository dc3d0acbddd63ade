#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "forward/datagrams.h"
#include "forward/port.h"
#include "forward/socket_port.h"
#include "forward/udp_socket.h"

namespace linkwright {

/** What stands between UDP's header and the frame. */
struct TunnelHeader {
  std::array<uint8_t, 8> bytes{};
  size_t length = 0;
};

/**
 * Sends frames as datagrams, runs of equal length as one buffer that the kernel segments at the latest moment
 * (UDP_SEGMENT). Any number of threads at a time.
 */
class UdpSender {
 public:
  /** The most that the kernel takes at once. */
  static constexpr size_t kMostSegments = 64;
  static constexpr size_t kMostBytes = 65'507;

  /** @param to null for a connected socket; it and what counts faults outlive the sender */
  UdpSender(int fd, const SocketAddress* to, const TunnelHeader& header, PortFaults* faults)
      : fd_(fd), to_(to), header_(header), faults_(faults) {}

  Sent Send(const Frame* frames, size_t count);

 private:
  struct Burst;

  size_t RunLength(const Frame* frames, size_t count) const;
  void Fill(Burst* burst, const Frame* frames, size_t count, bool segmenting) const;

  const int fd_;
  const SocketAddress* const to_;
  const TunnelHeader header_;
  PortFaults* const faults_;
  /** Frames to send one by one before segmentation is tried again. */
  std::atomic<int64_t> one_by_one_{0};
};

}  // namespace linkwright
