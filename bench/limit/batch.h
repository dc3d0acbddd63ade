// Many frames in one slab: read until it is full or nothing is there, then written in order.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { BATCH_FRAMES = 64, BATCH_BYTES = 512 * 1024, LARGEST_FRAME = 2048, LARGEST_SUPER_FRAME = 65536 + 64 };

struct batch {
  unsigned count;
  size_t room;       // for one frame with its header
  size_t alignment;  // of where frames begin; 1: one after the other without a gap
  uint8_t* slab;
  uint8_t* at[BATCH_FRAMES];
  uint32_t length[BATCH_FRAMES];
};

struct batch batch_new(size_t room, size_t alignment);
// Frames read without waiting, in place of what it held.
unsigned batch_read(struct batch* batch, int fd);
void batch_write(const struct batch* batch, int fd);
// One frame; a link that is down (EIO) drops it.
void write_frame(int fd, const void* frame, size_t length);
