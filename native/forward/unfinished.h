#pragma once

#include <cstddef>
#include <cstdint>

#include "offload/vnet_header.h"

namespace linkwright {

/**
 * What the kernel has left to do on a frame that it put into a tunnel. Where no cable is between (a veth
 * pair, a bridge of them), its VXLAN device passes inner checksums on uncomputed and TCP super-frames
 * unsplit, for what comes next is supposed to know; a socket is not told. A checksum field that holds the sum
 * of the pseudo header and nothing more gives them away: computed, it would look so in one of 65,536 frames,
 * and comes out the same then.
 *
 * @param mtu of the IP packets that a super-frame of TCP is to be split into
 * @param segment payload of each datagram, of a super-frame of UDP; 0 where it is none
 */
VnetHeader DescribeUnfinished(const uint8_t* frame, size_t length, size_t mtu, size_t segment);

}  // namespace linkwright
