#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace linkwright {

/** A file descriptor with one owner. */
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.Release()) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { Reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }
  void Reset(int fd = -1) {
    // Linux frees the number even when close() reports EINTR, so it is never repeated.
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

  /** A close-on-exec duplicate; empty, with errno set, when it failed. */
  static Fd Duplicate(int fd) { return Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 3)); }

 private:
  int fd_ = -1;
};

}  // namespace linkwright
