#pragma once

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstddef>

namespace linkwright {

// read() and write() of descriptors that do not block, as the kernel has them. Those of libc are cancellation
// points, which takes two atomic operations a call once a process has threads: a tenth of what a frame costs.

inline ssize_t ReadDevice(int fd, void* into, size_t room) {
  return ::syscall(SYS_read, fd, into, room);
}

inline ssize_t WriteDevice(int fd, const void* from, size_t length) {
  return ::syscall(SYS_write, fd, from, length);
}

}  // namespace linkwright
