#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace linkwright {

/**
 * Where the attributes of each message of a dump begin: a row of kRow entries a message, indexed by attribute
 * number. 0 for an attribute that did not come, else one more than its distance from the first, in units of
 * four bytes.
 *
 * Made here while the message is in this core's cache: a link has some 50 attributes, and whoever reads five
 * of them would walk them all five times.
 */
class AttributeIndex {
 public:
  static constexpr size_t kRow = 64;

  /** @param attributes_at where the attributes of each message begin; 0 makes no index */
  explicit AttributeIndex(size_t attributes_at) : attributes_at_(attributes_at) {}

  void Add(const uint8_t* message, size_t length);
  std::vector<uint16_t> Take() { return std::move(rows_); }

 private:
  size_t attributes_at_;
  std::vector<uint16_t> rows_;
};

}  // namespace linkwright
