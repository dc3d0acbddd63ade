#pragma once

#include <cstddef>
#include <cstdint>

#include "attribute_index.h"

namespace linkwright {

/** Keeps of a dump's datagrams what JavaScript shall see, and notices the end. */
class DumpFilter {
 public:
  DumpFilter(uint32_t sequence, size_t attributes_at) : sequence_(sequence), index_(attributes_at) {}

  /** Moves what is kept to the front of the datagram; returns its length. */
  size_t Keep(uint8_t* datagram, size_t length);

  bool done() const { return done_; }
  /** What the end of the dump says: 0 or a negative errno. */
  int32_t error() const { return error_; }
  bool interrupted() const { return interrupted_; }
  /** Of all that was kept. */
  AttributeIndex& index() { return index_; }

 private:
  uint32_t sequence_;
  bool done_ = false;
  int32_t error_ = 0;
  bool interrupted_ = false;
  AttributeIndex index_;
};

}  // namespace linkwright
