#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "replies.h"

namespace linkwright {

/** Status of a request that never left this process. */
constexpr int32_t kNotSent = 1;

/** What an exchange came to. */
struct Outcome {
  uint32_t first_sequence = 0;
  std::vector<int32_t> status;
  std::vector<Chunk> replies;
  std::vector<uint16_t> attribute_index;
  bool interrupted = false;
};

/** Requests and what became of them. Plain data: the connection that runs it holds the lock. */
struct Exchange {
  enum class Kind { kBatch, kAtomic, kDump };

  /** Null when the bytes are not whole netlink messages, or a dump is not exactly one request for a dump. */
  static std::shared_ptr<Exchange> Parse(const uint8_t* bytes, size_t length, Kind kind);

  size_t count() const { return offsets.size(); }
  size_t LengthOf(size_t index) const {
    return (index + 1 < offsets.size() ? offsets[index + 1] : requests.size()) - offsets[index];
  }

  /** To be called once, when it is finished or given up. */
  Outcome TakeOutcome();

  /** For its owner to know it by. */
  uint32_t id = 0;
  Kind kind = Kind::kBatch;
  /** Where the attributes of a dump's messages begin, for an index of them; 0 for none. */
  size_t attributes_at = 0;
  /** Whole messages, each padded; the headers are completed when they are sent. */
  std::vector<uint8_t> requests;
  /** Where each message begins. */
  std::vector<size_t> offsets;

  /** Messages that have been handed to a round. Sequence numbers are reserved with the first. */
  size_t sent = 0;
  uint32_t first_sequence = 0;
  /** Its promise has been resolved: whatever still arrives is dropped. */
  bool given_up = false;

  std::vector<int32_t> status;
  Replies replies;
  /** A row a message, see AttributeIndex. */
  std::vector<uint16_t> attribute_index;
  bool interrupted = false;
};

using ExchangePtr = std::shared_ptr<Exchange>;

}  // namespace linkwright
