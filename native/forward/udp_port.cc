#include "forward/udp_port.h"

namespace linkwright {

bool UdpPort::Unwrap(const uint8_t* /*datagram*/, size_t length, size_t /*segment*/, size_t* /*skip*/,
                     VnetHeader* /*header*/) {
  if (length >= kShortestFrame) return true;
  Count(&mutable_faults()->malformed);
  return false;
}

}  // namespace linkwright
