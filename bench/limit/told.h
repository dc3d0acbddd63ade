// What the benchmark and a program say to each other, in lines: "ready" once the devices are there, "go"
// back. The program ends when its standard input does.
#pragma once

#include <stdbool.h>

void tell_ready(void);
// What one burst took from when its first batch was done with: the frames after that, and the time.
void tell_burst(unsigned frames, double seconds);
// Waits for the next "go"; false at the end.
bool told_to_go(void);
// Waits until one of the descriptors is readable; false at the end.
bool wait_readable(const int* fds, unsigned count);
// The same without waiting.
bool still_wanted(void);
