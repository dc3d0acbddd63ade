#pragma once

#include "offload/vnet_header.h"

namespace linkwright {

/** What a receiver can take besides finished frames (TUN_F_*). */
struct Offloads {
  bool checksum = false;
  bool tso4 = false;
  bool tso6 = false;
  bool uso = false;
};

/** Whether the receiver must not get this frame as it is: it has to be split, or its checksum computed,
 * first. */
inline bool NeedsWork(const VnetHeader& header, const Offloads& receiver) {
  if ((header.flags & VnetHeader::kNeedsChecksum) != 0 && !receiver.checksum) return true;
  switch (header.gso_type & ~VnetHeader::kGsoEcn) {
    case VnetHeader::kGsoNone:
      return false;
    case VnetHeader::kGsoTcp4:
      return !receiver.tso4;
    case VnetHeader::kGsoTcp6:
      return !receiver.tso6;
    case VnetHeader::kGsoUdpL4:
      return !receiver.uso;
    default:
      return true;
  }
}

}  // namespace linkwright
