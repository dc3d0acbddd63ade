// More frames than anybody can read.
#pragma once

// Sends IPv4 and UDP for so long: super-frames, which the kernel splits into frames of `size` bytes on their
// way to a device without offloads. That is three times as fast as sending each. Returns how many frames that
// made.
unsigned long flood_device(int index, unsigned size, double seconds);
