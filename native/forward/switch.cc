#include "forward/switch.h"

#include "forward/sorter.h"
#include "forward/storm_limit.h"

namespace linkwright {
namespace {

constexpr size_t kEthernetHeader = 14;
constexpr uint64_t kBroadcast = 0xffffffffffff;
/** 01:80:c2:00:00:0x: never forwarded by a bridge, except for those of the spanning tree, which we have none
 * of. */
constexpr uint64_t kLinkLocal = 0x0180c2000000;

bool IsReserved(uint64_t mac) {
  return (mac & ~uint64_t{0xf}) == kLinkLocal && mac != kLinkLocal;
}

class SwitchRoute : public Route {
 public:
  explicit SwitchRoute(MacTable& table) : table_(table) {}

  void Refresh(const Topology& topology) override {
    topology_ = &topology;
    sorter_.Reset(topology.places.size());
  }

  void Forward(const PortPlace& from, size_t queue, const FrameBuffer& batch, Egress& egress) override {
    now_ = MacTable::Now();
    for (size_t i = 0; i < batch.count(); ++i)
      Decide(from, queue, batch.frames()[i], i);
    sorter_.Drain(batch.frames(), [&](size_t place, const Frame* frames, size_t count) {
      // Different ports for different queues of a port with several.
      egress.Send(*topology_->places[place].slot, from.slot->number + queue, frames, count);
    });
  }

 private:
  using Received = PortCounters::Received;

  void Decide(const PortPlace& from, size_t queue, const Frame& frame, size_t index) {
    PortSlot& slot = *from.slot;
    const auto drop = [&](Received reason) { slot.counters.Add(queue, reason, 1); };
    if (frame.length < kEthernetHeader) return drop(Received::kMalformed);
    const uint64_t destination = LoadMac(frame.data);
    const uint64_t source = LoadMac(frame.data + 6);
    if (IsGroup(source) || source == 0) return drop(Received::kMalformed);
    if (!Accept(from, source)) return drop(Received::kLoop);
    if (IsGroup(destination)) {
      if (IsReserved(destination)) return drop(Received::kFiltered);
      const auto kind =
          destination == kBroadcast ? PortSettings::kFloodBroadcast : PortSettings::kFloodMulticast;
      return Flood(from, queue, index, kind);
    }
    const uint16_t number = table_.Find(destination, now_);
    if (number == MacTable::kNone) return Flood(from, queue, index, PortSettings::kFloodUnknown);
    if (number == slot.number || number == MacTable::kOwn) return drop(Received::kFiltered);
    const PortPlace* const to = topology_->Find(number);
    if (to == nullptr) return drop(Received::kUnknown);
    if (to->settings.isolated && from.settings.isolated) return drop(Received::kIsolated);
    if (to->settings.paused) return to->slot->counters.Add(PortCounters::kPaused, 1);
    sorter_.Add(static_cast<size_t>(to - topology_->places.data()), index);
  }

  /** Learns where a frame came from. False when it cannot have come from there. */
  bool Accept(const PortPlace& from, uint64_t source) {
    if (!from.settings.learning) return !table_.FixedElsewhere(source, from.slot->number);
    return table_.Learn(source, from.slot->number, now_) != MacTable::Learned::kFixedElsewhere;
  }

  void Flood(const PortPlace& from, size_t queue, size_t index, PortSettings::Flood kind) {
    PortSlot& slot = *from.slot;
    if (!WithinLimit(&slot.flooded, from.settings.storm_limit, now_))
      return slot.counters.Add(queue, Received::kStorm, 1);
    bool isolated = false;
    bool sent = false;
    const std::vector<PortPlace>& places = topology_->places;
    for (size_t i = 0; i < places.size(); ++i) {
      const PortPlace& to = places[i];
      if (&to == &from || to.settings.paused || (to.settings.flood & kind) == 0) continue;
      if (to.slot->gone.load(std::memory_order_relaxed)) continue;
      if (to.settings.isolated && from.settings.isolated) {
        isolated = true;
        continue;
      }
      sorter_.Add(i, index);
      sent = true;
    }
    slot.counters.Add(queue,
                      sent       ? Received::kFlooded
                      : isolated ? Received::kIsolated
                                 : Received::kUnknown,
                      1);
  }

  MacTable& table_;
  const Topology* topology_ = nullptr;
  Sorter sorter_;
  uint32_t now_ = 0;
};

}  // namespace

std::unique_ptr<Route> SwitchRules::NewRoute() {
  return std::make_unique<SwitchRoute>(table_);
}

}  // namespace linkwright
