#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

namespace linkwright {

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

/** Memory that can change hands: malloc'ed, so that JavaScript's finalizer needs to know nothing but the
 * pointer. */
struct Chunk {
  std::unique_ptr<uint8_t, Free> data;
  size_t used = 0;
  size_t capacity = 0;
};

/** Netlink messages back to back in a few growing chunks, none of them across two. */
class Replies {
 public:
  /** The tail of the last chunk, with at least `room` bytes. */
  uint8_t* Reserve(size_t room);
  /** What of the reserved tail is kept; padded, so that the next message is aligned. */
  void Commit(size_t bytes);
  void Append(const void* message, size_t bytes);

  /** The chunks, cut to what they hold. */
  std::vector<Chunk> Take();

 private:
  std::vector<Chunk> chunks_;
};

}  // namespace linkwright
