#include "forward/port_health.h"

#include <chrono>

namespace linkwright {
namespace {

using Clock = PortSlot::Clock;

// A peer that is there and not there by turns is no news for every frame.
constexpr auto kShortestDown = std::chrono::milliseconds(100);

}  // namespace

void MarkGone(PortSlot& slot, int error, PortWatcher& watcher) {
  if (!slot.gone.exchange(true)) watcher.OnPort(slot, PortEvent::kGone, error);
}

void MarkDown(PortSlot& slot, int error, PortWatcher& watcher) {
  if (slot.down.load(std::memory_order_relaxed)) return;
  slot.down_since.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
  if (!slot.down.exchange(true)) watcher.OnPort(slot, PortEvent::kDown, error);
}

void MarkUp(PortSlot& slot, PortWatcher& watcher) {
  if (!slot.down.load(std::memory_order_relaxed)) return;
  const Clock::time_point since(Clock::duration(slot.down_since.load(std::memory_order_relaxed)));
  if (Clock::now() - since < kShortestDown) return;
  if (slot.down.exchange(false)) watcher.OnPort(slot, PortEvent::kUp, 0);
}

}  // namespace linkwright
