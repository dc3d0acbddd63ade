#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace linkwright {

/** The six bytes of a MAC address as a number, the first being the most significant. */
uint64_t LoadMac(const uint8_t* at);

constexpr bool IsGroup(uint64_t mac) {
  return (mac >> 40 & 1) != 0;
}

/**
 * Which station is behind which port. Of a fixed size: every address has two buckets of five places, and
 * where they are full the station that was silent for longest makes room. Reading and learning again take no
 * lock.
 */
class MacTable {
 public:
  static constexpr uint16_t kNone = 0xffff;
  /** The port of addresses that are ours: nothing is sent there, and nothing may come from them. */
  static constexpr uint16_t kOwn = 0x7fff;

  enum class Learned : uint8_t {
    kYes,
    /** The address is fixed to another port, or ours. */
    kFixedElsewhere,
    /** Everybody who could make room was heard this second. */
    kFull
  };
  struct Entry {
    uint64_t mac = 0;
    uint16_t port = kNone;
    bool fixed = false;
    /** Seconds since the station was heard. */
    uint32_t age = 0;
  };

  /** @param ageing seconds after which a silent station is forgotten */
  MacTable(size_t entries, uint32_t ageing);

  /** The port of a station, or kNone. */
  uint16_t Find(uint64_t mac, uint32_t now) const;
  /** Whether the address is fixed to another port, or ours. */
  bool FixedElsewhere(uint64_t mac, uint16_t port) const;
  /** A station was heard at a port. */
  Learned Learn(uint64_t mac, uint16_t port, uint32_t now);
  /** Fixes an address to a port. False when both of its buckets are full of such. */
  bool Fix(uint64_t mac, uint16_t port);
  /** False when it was not there. */
  bool Remove(uint64_t mac);
  /** Forgets stations that were learned, of one port or of all with kNone. */
  void Flush(uint16_t port);
  /** Forgets everything about a port, fixed addresses as well. */
  void Forget(uint16_t port);
  std::vector<Entry> List(uint32_t now) const;

  void set_ageing(uint32_t seconds) { ageing_.store(seconds, std::memory_order_relaxed); }

  /** Seconds of the clock that ages are counted by. */
  static uint32_t Now();

 private:
  /** One word, so that whoever reads it has address and port of the same moment: MAC << 16 | fixed << 15 |
   * port. */
  using Word = uint64_t;
  static constexpr Word kFixed = 0x8000;
  static constexpr size_t kWays = 5;

  struct alignas(64) Bucket {
    std::array<std::atomic<Word>, kWays> words{};
    std::array<std::atomic<uint32_t>, kWays> heard{};
  };
  struct Place {
    Bucket* bucket = nullptr;
    size_t way = 0;

    std::atomic<Word>& word() const { return bucket->words[way]; }
    std::atomic<uint32_t>& heard() const { return bucket->heard[way]; }
  };

  static uint64_t MacOf(Word word) { return word >> 16; }
  static uint16_t PortOf(Word word) { return word & 0x7fff; }
  bool Expired(const Place& place, Word word, uint32_t now) const;

  std::array<Bucket*, 2> BucketsOf(uint64_t mac) const;
  /** Where an address is, with its word; `bucket` is null when it is nowhere. */
  Place Locate(uint64_t mac, Word* word) const;
  /** A place for a new address; `bucket` is null when there is none. */
  Place MakeRoom(uint64_t mac, uint32_t now) const;
  template <typename Which>
  void RemoveWhere(Which which);

  mutable std::vector<Bucket> buckets_;
  /** Chosen at random, so that nobody can aim at one bucket. */
  uint64_t seed_;
  std::atomic<uint32_t> ageing_;
  /** Held to add and remove: an address is never there twice. */
  std::mutex writing_;
};

}  // namespace linkwright
