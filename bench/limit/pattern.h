// The frames that the generator sends.
#pragma once

#include <stdint.h>

// 0x88b5: for experiments, dropped by the kernel as soon as it has counted it. 0x88b6: the same, and watched
// for.
enum { TEST_TYPE = 0x88b5, MARKER_TYPE = 0x88b6, STATIONS = 1000 };

// Fills in the addresses and the EtherType of frame `index` of those for `port` of `ports`.
typedef void (*pattern)(uint8_t* frame, unsigned index, unsigned port, unsigned ports);

// mixed: four EtherTypes, in eights: 4 IPv4, 2 IPv6, 1 ARP, 1 for experiments.
// pairs: 16 stations speak to 16 others; one of the former is not to be heard.
// learn: 1,000 stations, spread over the ports, each to all.
// mesh:  the same stations, each to those of other ports.
pattern find_pattern(const char* name);

void set_type(uint8_t* frame, unsigned type);
