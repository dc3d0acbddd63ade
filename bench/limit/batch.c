#include "batch.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "program.h"

struct batch batch_new(size_t room, size_t alignment) {
  struct batch batch = {.room = room, .alignment = alignment};
  batch.slab = aligned_alloc(64, BATCH_BYTES);
  if (!batch.slab) die("aligned_alloc");
  return batch;
}

unsigned batch_read(struct batch* batch, int fd) {
  size_t used = 0;
  batch->count = 0;
  while (batch->count < BATCH_FRAMES && used + batch->room <= BATCH_BYTES) {
    ssize_t length = read(fd, batch->slab + used, batch->room);
    if (length < 0) {
      if (errno == EAGAIN) break;
      if (errno == EINTR) continue;
      die("read");
    }
    batch->at[batch->count] = batch->slab + used;
    batch->length[batch->count++] = (uint32_t)length;
    used = (used + (size_t)length + batch->alignment - 1) & ~(batch->alignment - 1);
  }
  return batch->count;
}

void write_frame(int fd, const void* frame, size_t length) {
  while (write(fd, frame, length) < 0) {
    if (errno == EIO) return;
    if (errno == EAGAIN) {
      poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
    } else if (errno != EINTR) {
      die("write");
    }
  }
}

void batch_write(const struct batch* batch, int fd) {
  for (unsigned i = 0; i < batch->count; i++)
    write_frame(fd, batch->at[i], batch->length[i]);
}
