#pragma once

#include "forward/port_slot.h"

namespace linkwright {

/** Who is told what happens to ports. Called by any thread. */
class PortWatcher {
 public:
  virtual void OnPort(PortSlot& slot, PortEvent event, int error) = 0;

 protected:
  ~PortWatcher() = default;
};

// Each tells the watcher only what is news.

void MarkGone(PortSlot& slot, int error, PortWatcher& watcher);
void MarkDown(PortSlot& slot, int error, PortWatcher& watcher);
/** Frames went through it. */
void MarkUp(PortSlot& slot, PortWatcher& watcher);
/** They went through it. */
inline void ShowMirror(PortSlot& slot, const Frame* frames, size_t count, bool outbound,
                       PortWatcher& watcher) {
  if (slot.mirror->on() && slot.mirror->Record(frames, count, outbound))
    watcher.OnPort(slot, PortEvent::kMirrored, 0);
}

}  // namespace linkwright
