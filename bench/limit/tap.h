// TAP devices by the bare ioctls.
#pragma once

enum tap_mode {
  TAP_PLAIN,
  TAP_BLOCKING,  // for readers that cannot do without
  TAP_OFFLOADS,  // with a virtio-net header of 10 bytes, and TCP and UDP super-frames up to 64 KiB
};

// A new TAP of this name; its descriptor, non-blocking unless asked for otherwise.
int tap_open(const char* name, enum tap_mode mode);
