#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "forward/port_slot.h"

namespace linkwright {

class ForwardThread;

/** A port, as it is set at a moment. */
struct PortPlace {
  std::shared_ptr<PortSlot> slot;
  PortSettings settings;
  /** Who reads each queue. */
  std::vector<ForwardThread*> readers;
};

/** The ports of a forwarder at a moment. It never changes: what is changed is a new one that all threads take
 * up. */
struct Topology {
  uint64_t generation = 0;
  std::vector<PortPlace> places;

  /** Null when there is no port of that number. */
  const PortPlace* Find(uint16_t number) const {
    return number < by_number.size() && by_number[number] != 0 ? &places[by_number[number] - 1] : nullptr;
  }
  PortPlace* FindId(uint32_t id) {
    for (PortPlace& place : places)
      if (place.slot->id == id) return &place;
    return nullptr;
  }
  /** After a change of `places`. */
  void Index() {
    by_number.fill(0);
    for (size_t i = 0; i < places.size(); ++i)
      by_number[places[i].slot->number] = static_cast<uint16_t>(i + 1);
  }

 private:
  /** Positions in `places`, plus one. */
  std::array<uint16_t, kMostPorts> by_number{};
};

}  // namespace linkwright
