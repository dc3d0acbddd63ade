// When frames of the type MARKER_TYPE came in, at any device of this namespace, by the kernel's clock.
#pragma once

#include <stdbool.h>

struct marker {
  double first, last;  // seconds
  unsigned seen;
};

struct markers {
  int fd;
  unsigned char* ring;
  unsigned next;
};

struct markers markers_open(void);
// Waits for so many; false when there were fewer in `seconds`.
bool markers_wait(struct markers* markers, unsigned count, double seconds, struct marker* result);
