#pragma once

#include <cstddef>
#include <cstdint>

namespace linkwright {

/** Keeps of a dump's datagrams what JavaScript shall see, and notices the end. */
class DumpFilter {
 public:
  explicit DumpFilter(uint32_t sequence) : sequence_(sequence) {}

  /** Moves what is kept to the front of the datagram; returns its length. */
  size_t Keep(uint8_t* datagram, size_t length);

  bool done() const { return done_; }
  /** What the end of the dump says: 0 or a negative errno. */
  int32_t error() const { return error_; }
  bool interrupted() const { return interrupted_; }

 private:
  uint32_t sequence_;
  bool done_ = false;
  int32_t error_ = 0;
  bool interrupted_ = false;
};

}  // namespace linkwright
