#include "forward/pipe.h"

namespace linkwright {
namespace {

class PipeRoute : public Route {
 public:
  void Refresh(const Topology& topology) override { topology_ = &topology; }

  void Forward(const PortPlace& from, size_t queue, const FrameBuffer& frames, Egress& egress) override {
    if (topology_->places.size() != 2) {
      from.slot->counters.Add(queue, PortCounters::kUnknown, frames.count());
      return;
    }
    const PortPlace& to = topology_->places[&from == topology_->places.data() ? 1 : 0];
    if (to.settings.paused) {
      to.slot->counters.Add(PortCounters::kPaused, frames.count());
    } else {
      egress.Send(*to.slot, queue, frames.frames(), frames.count());
    }
  }

 private:
  const Topology* topology_ = nullptr;
};

}  // namespace

std::unique_ptr<Route> PipeRules::NewRoute() {
  return std::make_unique<PipeRoute>();
}

}  // namespace linkwright
