#include "forward/mac_table.h"

#include <sys/random.h>

#include <algorithm>
#include <ctime>

namespace linkwright {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

uint64_t RandomSeed() {
  uint64_t seed = 0;
  // Early at boot there may be no randomness yet: the clock will do.
  if (::getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
    seed = static_cast<uint64_t>(::time(nullptr));
  return seed;
}

}  // namespace

uint64_t LoadMac(const uint8_t* at) {
  return uint64_t{at[0]} << 40 | uint64_t{at[1]} << 32 | uint64_t{at[2]} << 24 | uint64_t{at[3]} << 16 |
         uint64_t{at[4]} << 8 | uint64_t{at[5]};
}

MacTable::MacTable(size_t entries, uint32_t ageing)
    : buckets_(std::max<size_t>(2, (entries + kWays - 1) / kWays)), seed_(RandomSeed()), ageing_(ageing) {}

uint32_t MacTable::Now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<uint32_t>(now.tv_sec);
}

std::array<MacTable::Bucket*, 2> MacTable::BucketsOf(uint64_t mac) const {
  // Two rounds of a multiplicative hash; each half of it chooses a bucket.
  uint64_t hash = (mac ^ seed_) * 0x9e3779b97f4a7c15U;
  hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93U;
  hash ^= hash >> 32;
  const size_t first = static_cast<size_t>((hash & 0xffffffff) * buckets_.size() >> 32);
  const size_t second = static_cast<size_t>((hash >> 32) * buckets_.size() >> 32);
  return {&buckets_[first], &buckets_[second]};
}

MacTable::Place MacTable::Locate(uint64_t mac, Word* word) const {
  for (Bucket* const bucket : BucketsOf(mac)) {
    for (size_t way = 0; way < kWays; ++way) {
      *word = bucket->words[way].load(std::memory_order_acquire);
      if (*word != 0 && MacOf(*word) == mac) return {bucket, way};
    }
  }
  return {};
}

bool MacTable::Expired(const Place& place, Word word, uint32_t now) const {
  if ((word & kFixed) != 0) return false;
  // A clock that was read a moment earlier may lie behind.
  const auto silent = static_cast<int32_t>(now - place.heard().load(kRelaxed));
  return silent > 0 && static_cast<uint32_t>(silent) > ageing_.load(kRelaxed);
}

uint16_t MacTable::Find(uint64_t mac, uint32_t now) const {
  Word word = 0;
  const Place place = Locate(mac, &word);
  return place.bucket == nullptr || Expired(place, word, now) ? kNone : PortOf(word);
}

bool MacTable::FixedElsewhere(uint64_t mac, uint16_t port) const {
  Word word = 0;
  return Locate(mac, &word).bucket != nullptr && (word & kFixed) != 0 && PortOf(word) != port;
}

MacTable::Learned MacTable::Learn(uint64_t mac, uint16_t port, uint32_t now) {
  const Word wanted = mac << 16 | port;
  Word word = 0;
  Place place = Locate(mac, &word);
  if (place.bucket == nullptr) {
    const std::lock_guard lock(writing_);
    // Another thread may have been faster.
    place = Locate(mac, &word);
    if (place.bucket == nullptr) {
      place = MakeRoom(mac, now);
      if (place.bucket == nullptr) return Learned::kFull;
      place.heard().store(now, kRelaxed);
      place.word().store(wanted, std::memory_order_release);
      return Learned::kYes;
    }
  }
  if ((word & kFixed) != 0) return PortOf(word) == port ? Learned::kYes : Learned::kFixedElsewhere;
  // The station moved; unless meanwhile the place was given to another.
  if (word != wanted) place.word().compare_exchange_strong(word, wanted, std::memory_order_release, kRelaxed);
  // Once a second is enough, and leaves the cache line alone otherwise.
  if (place.heard().load(kRelaxed) != now) place.heard().store(now, kRelaxed);
  return Learned::kYes;
}

MacTable::Place MacTable::MakeRoom(uint64_t mac, uint32_t now) const {
  Place oldest;
  uint32_t silence = 0;
  for (Bucket* const bucket : BucketsOf(mac)) {
    for (size_t way = 0; way < kWays; ++way) {
      const Place place{bucket, way};
      const Word word = place.word().load(kRelaxed);
      if (word == 0) return place;
      if ((word & kFixed) != 0) continue;
      const uint32_t silent = now - place.heard().load(kRelaxed);
      if (silent <= silence || static_cast<int32_t>(silent) < 0) continue;
      oldest = place;
      silence = silent;
    }
  }
  return oldest;
}

bool MacTable::Fix(uint64_t mac, uint16_t port) {
  const std::lock_guard lock(writing_);
  const Word wanted = mac << 16 | kFixed | port;
  Word word = 0;
  Place place = Locate(mac, &word);
  // What was learned always makes room, however short ago.
  if (place.bucket == nullptr) place = MakeRoom(mac, Now() + 1);
  if (place.bucket == nullptr) return false;
  place.word().store(wanted, std::memory_order_release);
  return true;
}

bool MacTable::Remove(uint64_t mac) {
  const std::lock_guard lock(writing_);
  Word word = 0;
  const Place place = Locate(mac, &word);
  if (place.bucket != nullptr) place.word().store(0, std::memory_order_release);
  return place.bucket != nullptr;
}

template <typename Which>
void MacTable::RemoveWhere(Which which) {
  const std::lock_guard lock(writing_);
  for (Bucket& bucket : buckets_) {
    for (std::atomic<Word>& word : bucket.words) {
      const Word value = word.load(kRelaxed);
      if (value != 0 && which(value)) word.store(0, std::memory_order_release);
    }
  }
}

void MacTable::Flush(uint16_t port) {
  RemoveWhere([port](Word word) { return (word & kFixed) == 0 && (port == kNone || PortOf(word) == port); });
}

void MacTable::Forget(uint16_t port) {
  RemoveWhere([port](Word word) { return PortOf(word) == port; });
}

std::vector<MacTable::Entry> MacTable::List(uint32_t now) const {
  std::vector<Entry> entries;
  for (Bucket& bucket : buckets_) {
    for (size_t way = 0; way < kWays; ++way) {
      const Place place{&bucket, way};
      const Word word = place.word().load(std::memory_order_acquire);
      if (word == 0 || Expired(place, word, now)) continue;
      const bool fixed = (word & kFixed) != 0;
      const auto silent = static_cast<int32_t>(now - place.heard().load(kRelaxed));
      entries.push_back(
          {MacOf(word), PortOf(word), fixed, fixed || silent < 0 ? 0 : static_cast<uint32_t>(silent)});
    }
  }
  return entries;
}

}  // namespace linkwright
