// One end of a tunnel of Ethernet frames over UDP.
#pragma once

#include <stdbool.h>

// Between the TAP lw0 and 192.168.9.<end>; the other end is 3 - end. A send() and a recv() for each frame,
// or, segmenting, as many frames of one size as a call takes (UDP_SEGMENT, UDP_GRO).
void tunnel(unsigned end, bool segmenting);
