#include "replies.h"

#include <linux/netlink.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace linkwright {
namespace {

constexpr size_t kSmallestChunk = size_t{4} * 1024;
constexpr size_t kLargestChunk = size_t{1024} * 1024;

}  // namespace

uint8_t* Replies::Reserve(size_t room) {
  if (chunks_.empty() || chunks_.back().capacity - chunks_.back().used < room) {
    const size_t last = chunks_.empty() ? 0 : chunks_.back().capacity;
    Chunk chunk;
    chunk.capacity = std::max(std::clamp(2 * last, kSmallestChunk, kLargestChunk), 4 * room);
    chunk.data.reset(static_cast<uint8_t*>(std::malloc(chunk.capacity)));
    // As operator new does in the rest of the addon when it is built without exceptions.
    if (!chunk.data) std::abort();
    chunks_.push_back(std::move(chunk));
  }
  return chunks_.back().data.get() + chunks_.back().used;
}

void Replies::Commit(size_t bytes) {
  Chunk& chunk = chunks_.back();
  const size_t padded = std::min<size_t>(NLMSG_ALIGN(bytes), chunk.capacity - chunk.used);
  std::memset(chunk.data.get() + chunk.used + bytes, 0, padded - bytes);
  chunk.used += padded;
}

void Replies::Append(const void* message, size_t bytes) {
  std::memcpy(Reserve(NLMSG_ALIGN(bytes)), message, bytes);
  Commit(bytes);
}

std::vector<Chunk> Replies::Take() {
  std::vector<Chunk> chunks = std::exchange(chunks_, {});
  chunks.erase(
      std::remove_if(chunks.begin(), chunks.end(), [](const Chunk& chunk) { return chunk.used == 0; }),
      chunks.end());
  for (Chunk& chunk : chunks) {
    if (chunk.capacity - chunk.used < chunk.capacity / 4) continue;
    void* shrunk = std::realloc(chunk.data.get(), chunk.used);
    if (shrunk == nullptr) continue;
    (void)chunk.data.release();
    chunk.data.reset(static_cast<uint8_t*>(shrunk));
    chunk.capacity = chunk.used;
  }
  return chunks;
}

}  // namespace linkwright
